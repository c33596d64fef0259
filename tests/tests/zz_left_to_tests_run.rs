//! Not a test: the last word of `cargo test --workspace`, which says what it left to `tests/run`.

#![expect(clippy::print_stdout, reason = "saying it is all it does")]

use nines_tests::binaries::repository;

fn main() {
    if std::env::args().any(|argument| argument.contains("ignored")) {
        return;
    }
    let mut left = Vec::new();
    let mut places: Vec<_> =
        ["tests/tests", "shared/src", "probe/src", "aggregator/src"].map(|place| repository().join(place)).into();
    while let Some(path) = places.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(path).expect("the tests' folder can be read");
            places.extend(inside.map(|entry| entry.expect("an entry can be read").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(why) = line.trim_start().strip_prefix("#[ignore = \"").and_then(|rest| rest.strip_suffix("\"]"))
            else {
                continue;
            };
            let name = lines
                .find_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "))
                .and_then(|rest| rest.split('(').next())
                .unwrap_or("?");
            left.push(format!("  {name} ({why})"));
        }
    }
    if !left.is_empty() {
        left.sort();
        println!("\nleft to tests/run, which installs what they need from the system:\n{}\n", left.join("\n"));
    }
}
