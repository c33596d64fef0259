//! Holds the arrows of the house: reads the sources and names every line that points the wrong way.
//!
//! `shared ← probe ← aggregator`; inside the aggregator `gateway, web, report, evaluator → store → uptime → shared`;
//! pure modules use no I/O, no clock, no async and no globals. `docs/ARCHITECTURE.md` gives the reasons.

use std::path::{Path, PathBuf};

use nines_tests::binaries::repository;

/// A rule: in files below one of `within`, lines may not name any of `forbidden`.
struct Rule {
    why: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const PURE: &[&str] = &[
    "probe/src/schedule.rs",
    "probe/src/schedule/",
    "probe/src/prober/expect.rs",
    "probe/src/waterfall.rs",
    "probe/src/waterfall/",
    "aggregator/src/confirm.rs",
    "aggregator/src/confirm/",
    "aggregator/src/definition.rs",
    "aggregator/src/uptime.rs",
    "aggregator/src/uptime/",
    "aggregator/src/incident.rs",
    "aggregator/src/incident/",
    "aggregator/src/sharing.rs",
    "aggregator/src/alert/plan.rs",
    "aggregator/src/alert/quiet.rs",
    "aggregator/src/alert/route.rs",
];

const RULES: &[Rule] = &[
    Rule {
        why: "shared is serde and arithmetic: no sockets, no files, no async, and it knows neither side",
        within: &["shared/src/"],
        except: &[],
        forbidden: &[
            "tokio",
            "hyper",
            "rustls",
            "rusqlite",
            "std::fs",
            "std::process",
            "TcpStream",
            "UdpSocket",
            "async fn",
            "nines_probe",
            "nines::",
        ],
    },
    Rule {
        why: "the probe's code never names the aggregator's",
        within: &["probe/"],
        except: &[],
        forbidden: &["nines::", "package = \"nines\"", "nines.workspace"],
    },
    Rule {
        why: "pure modules use no I/O, no clock, no async, no globals",
        within: PURE,
        except: &[],
        forbidden: &[
            "tokio",
            "hyper_util",
            "hyper::client",
            "hyper::body::Incoming",
            "rusqlite",
            "tracing",
            "std::fs",
            "std::env",
            "std::process",
            "TcpStream",
            "Clock::",
            "Instant::now",
            "SystemTime",
            "async fn",
            " static ",
            "OnceLock",
            "thread_local",
            "println!",
        ],
    },
    Rule {
        why: "uptime rests on shared and on definitions alone",
        within: &["aggregator/src/uptime.rs", "aggregator/src/uptime/"],
        except: &[],
        forbidden: &[
            "crate::alert",
            "crate::cli",
            "crate::control",
            "crate::evaluator",
            "crate::gateway",
            "crate::incident",
            "crate::report",
            "crate::running",
            "crate::serve",
            "crate::store",
            "crate::web",
            "nines_probe",
        ],
    },
    Rule {
        why: "the store rests on uptime, and on nothing above it",
        within: &["aggregator/src/store.rs", "aggregator/src/store/"],
        except: &[],
        forbidden: &[
            "crate::cli",
            "crate::evaluator",
            "crate::gateway",
            "crate::report",
            "crate::running",
            "crate::serve",
            "crate::web",
        ],
    },
    Rule {
        why: "the rooms beside each other do not reach into one another",
        within: &[
            "aggregator/src/gateway.rs",
            "aggregator/src/gateway/",
            "aggregator/src/report.rs",
            "aggregator/src/report/",
        ],
        except: &[],
        forbidden: &["crate::cli", "crate::evaluator", "crate::serve", "crate::web"],
    },
    Rule {
        why: "only uptime/calendar knows time zones",
        within: &["shared/src/", "probe/src/", "aggregator/src/"],
        except: &["aggregator/src/uptime/calendar.rs", "aggregator/src/uptime/calendar/"],
        forbidden: &["jiff::", "use jiff"],
    },
    Rule {
        why: "the only SQL of the aggregator is the store's",
        within: &["aggregator/src/"],
        except: &["aggregator/src/store.rs", "aggregator/src/store/"],
        forbidden: &["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "CREATE TABLE"],
    },
];

#[test]
fn arrows_point_to_purity() {
    let sources = sources(&repository());
    assert!(40 < sources.len(), "the sources are found: {}", sources.len());
    let wrong: Vec<String> =
        RULES.iter().flat_map(|rule| sources.iter().flat_map(|file| violations(rule, file))).collect();
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_that_a_rule_names_is_there() {
    let top = repository();
    for place in RULES.iter().flat_map(|rule| rule.within.iter().chain(rule.except)) {
        let optional = place.ends_with('/') && top.join(place.trim_end_matches('/').to_owned() + ".rs").exists();
        assert!(optional || top.join(place).exists(), "a rule names {place}, which is not there");
    }
}

#[test]
fn a_line_that_points_the_wrong_way_is_found() {
    let file =
        Source { place: "aggregator/src/uptime/bounds.rs".to_owned(), text: "use crate::store::Store;\n".to_owned() };
    let found: Vec<String> = RULES.iter().flat_map(|rule| violations(rule, &file)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("aggregator/src/uptime/bounds.rs:1: crate::store"), "{found:?}");
}

struct Source {
    place: String,
    text: String,
}

/// Code lines before the file's tests that name something forbidden; comments and tests may say what they like.
fn violations(rule: &Rule, file: &Source) -> Vec<String> {
    let inside = |places: &[&str]| places.iter().any(|place| file.place.starts_with(place));
    let tests = ["tests.rs", "/cases.rs", "/bench.rs"].iter().any(|end| file.place.ends_with(end))
        || file.place.contains("/tests/");
    if tests || !inside(rule.within) || inside(rule.except) {
        return Vec::new();
    }
    let code = file.text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let lines = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|(number, line)| {
            rule.forbidden
                .iter()
                .filter(move |word| format!(" {line}").contains(**word))
                .map(move |word| (number, word))
        })
        .map(|(number, word)| format!("{}:{}: {word} ({})", file.place, number + 1, rule.why))
        .collect()
}

fn sources(top: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["shared", "probe", "aggregator"].map(|room| top.join(room)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "toml") {
                let place = path.strip_prefix(top).expect("below the top").to_string_lossy().replace('\\', "/");
                let text = std::fs::read_to_string(&path).expect("a source can be read");
                found.push(Source { place, text });
            }
        }
    }
    found
}
