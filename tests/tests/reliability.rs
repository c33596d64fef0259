//! `docs/RELIABILITY.md`, `docs/SECURITY.md` and `docs/LIMITS.md` promise tests by their names: they exist.

use nines_tests::binaries::repository;

#[test]
fn every_test_that_the_tables_of_faults_of_threats_and_of_limits_name_is_in_the_sources() {
    for page in ["docs/RELIABILITY.md", "docs/SECURITY.md", "docs/LIMITS.md"] {
        all_named_tests_are_there(page);
    }
}

fn all_named_tests_are_there(page: &str) {
    let page = std::fs::read_to_string(repository().join(page)).expect("the page is there");
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|code| code.split_once(".rs::")).collect();
    assert!(30 < named.len(), "the page names tests: {named:?}");
    for (file, test) in named {
        let path = repository().join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(source.contains(&format!("fn {test}(")), "{} has no test {test}", path.display());
    }
}

#[test]
fn every_row_of_the_table_of_faults_is_there_and_every_fault_that_is_made_has_its_row() {
    let page = std::fs::read_to_string(repository().join("docs/RELIABILITY.md")).unwrap();
    let numbers = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: Vec<u32> = numbers.flat_map(|cell| cell.split(", ")).filter_map(|number| number.parse().ok()).collect();
    assert_eq!(rows, (1..=46).collect::<Vec<_>>(), "the numbers are stable");
    let folder = repository().join("tests/tests/faults");
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for test in source.split("fn fault_").skip(1) {
            let name = format!("fault_{}", test.split('(').next().unwrap());
            assert!(page.contains(&name), "the table does not name {name}");
        }
    }
}
