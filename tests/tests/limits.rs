//! `docs/LIMITS.md` and the sources name the same limits, with the same values.

#![expect(clippy::unwrap_used, reason = "a test may panic, and says where")]

use std::collections::BTreeMap;
use std::path::Path;

use nines_tests::binaries::repository;

/// Every limit of these sources is on the page.
const ALL_OF: [&str; 15] = [
    "aggregator/src/gateway",
    "aggregator/src/gateway.rs",
    "aggregator/src/store/gaps.rs",
    "aggregator/src/store/incidents.rs",
    "aggregator/src/store/silences.rs",
    "aggregator/src/web/door.rs",
    "probe/src/asks.rs",
    "probe/src/assignment.rs",
    "probe/src/dispatch",
    "probe/src/dispatch.rs",
    "probe/src/identity",
    "probe/src/link",
    "probe/src/spool",
    "probe/src/uplink",
    "shared/src/wire.rs",
];

/// A limit as the page has it: where it is, what it is called, what it is worth.
fn on_the_page() -> Vec<(String, String, String)> {
    let page = std::fs::read_to_string(repository().join("docs/LIMITS.md")).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let mut limits = Vec::new();
    for row in cells.filter(|row| row.len() == 5) {
        let Some((file, name)) = row[1].trim_matches('`').split_once("::") else { continue };
        limits.push((format!("{file}.rs"), name.to_owned(), row[2].clone()));
    }
    limits
}

#[test]
fn every_limit_on_the_page_is_in_the_sources_with_that_value() {
    let limits = on_the_page();
    assert!(60 < limits.len(), "the page has limits: {limits:?}");
    for (file, name, told) in limits {
        let source =
            std::fs::read_to_string(repository().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = constants(&source);
        let value = found.get(&name).unwrap_or_else(|| panic!("{file} has no {name}"));
        let (is, says) = (worth(value, &name), told_worth(&told));
        assert_eq!(is, says, "{file}::{name} is {value}; the page says {told}");
    }
}

#[test]
fn every_limit_of_the_doors_and_of_the_queues_is_on_the_page() {
    let told = on_the_page();
    for place in ALL_OF {
        let path = repository().join(place);
        for file in if path.is_dir() { files(&path) } else { vec![path] } {
            let source = std::fs::read_to_string(&file).unwrap();
            let file = file.strip_prefix(repository()).unwrap().display().to_string();
            for name in constants(&source).into_keys().filter(|name| name.starts_with("MAX_")) {
                let there = told.iter().any(|(in_file, called, _)| *in_file == file && *called == name);
                assert!(there, "docs/LIMITS.md has no row for {file}::{name}");
            }
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        match path.extension() {
            _ if is_tests => {}
            Some(extension) if extension == "rs" => found.push(path),
            Some(_) => {}
            None => found.extend(files(&path)),
        }
    }
    found
}

/// The constants of a source with what stands behind the equals sign.
fn constants(source: &str) -> BTreeMap<String, String> {
    let outside_of_tests = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in outside_of_tests.lines() {
        let Some((_visibility, rest)) = line.split_once("const ") else { continue };
        let Some((head, value)) = rest.trim_end_matches(';').split_once(" = ") else { continue };
        let Some((name, _kind)) = head.split_once(": ") else { continue };
        found.insert(name.to_owned(), value.to_owned());
    }
    found
}

/// What a constant is worth, and of what: `1 << 20` of nothing, 10,000 of `ms`.
fn worth(value: &str, name: &str) -> (u64, &'static str) {
    let within = |outer: &str| value.strip_prefix(outer)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(seconds) = within("Duration::from_secs") {
        return (product(seconds) * 1_000, "ms");
    }
    if let Some(ms) = within("Duration::from_millis") {
        return (product(ms), "ms");
    }
    match name {
        _ if name.ends_with("_MS") => (product(value), "ms"),
        _ if name.ends_with("_AFTER_S") => (product(value) * 1_000, "ms"),
        _ => (product(value), ""),
    }
}

/// `3 * 8 << 10` as it is written in the sources.
fn product(text: &str) -> u64 {
    let number =
        |text: &str| text.trim().replace('_', "").parse::<u64>().unwrap_or_else(|_| panic!("{text} is no number"));
    let (factors, shift) = text.split_once("<<").map_or((text, 0), |(factors, shift)| (factors, number(shift)));
    factors.split('*').map(number).product::<u64>() << shift
}

/// What the page says: `1,024`, `16 KiB`, `2 s`, `7 d`.
fn told_worth(told: &str) -> (u64, &'static str) {
    let (number, unit) = told.split_once(' ').unwrap_or((told, ""));
    let number: u64 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("{told} begins with a number"));
    let (times, of) = match unit {
        "" => (1, ""),
        "KiB" => (1 << 10, ""),
        "MiB" => (1 << 20, ""),
        "ms" => (1, "ms"),
        "s" => (1_000, "ms"),
        "min" => (60_000, "ms"),
        "h" => (3_600_000, "ms"),
        "d" => (86_400_000, "ms"),
        _ => panic!("{unit} is no unit of this page"),
    };
    (number * times, of)
}

#[test]
fn values_are_read_as_they_are_written() {
    assert_eq!(worth("4 << 10", "A"), (4_096, ""));
    assert_eq!(worth("7 * 86_400_000", "A_MS"), told_worth("7 d"));
    assert_eq!(worth("Duration::from_secs(3_600)", "A"), told_worth("1 h"));
    assert_eq!(worth("64 << 10", "A"), told_worth("64 KiB"));
    assert_ne!(worth("1_000", "A"), told_worth("1 s"), "a count is no time");
}
