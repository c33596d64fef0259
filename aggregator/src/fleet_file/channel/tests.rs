//! What the example shows of channels is good, and what is unwise in them is warned of.

use std::fs;
use std::path::Path;

use crate::definition::Fleet;
use crate::fleet_file::{Finding, Warning, parse};

fn good(text: &str) -> (Fleet, Vec<Warning>) {
    parse(text, Path::new("nines.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_way_that_the_example_shows_in_a_comment_is_good() {
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/fleet.example.toml")).unwrap();
    let (_, ways) = example.split_once("# Other ways, one a channel").unwrap();
    let (ways, _) = ways.split_once("[[route]]").unwrap();
    let lines = ways.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = {"));
    let (ways, template): (Vec<&str>, Vec<&str>) =
        lines.filter(|line| !line.starts_with(' ')).partition(|line| !line.starts_with("template"));
    assert_eq!((ways.len(), template.len()), (8, 1), "{ways:?}");
    for way in ways {
        let channel =
            format!("[aggregator]\nwebhook_allow = ['127.0.0.1']\n[[channel]]\nid = 'x'\n{way}\n{}", template[0]);
        let (fleet, warnings) = good(&channel);
        assert_eq!(fleet.channels[0].kind.code(), way.split(' ').next().unwrap());
        assert_eq!(warnings.len(), 1, "no route leads to it: {warnings:?}");
        assert!(fleet.channels[0].template.title.is_some() && fleet.channels[0].template.body.is_some());
    }
}

#[test]
fn a_channel_at_an_address_that_may_not_be_contacted_is_warned_of_whatever_its_kind() {
    for way in [
        "alertmanager = { url = 'http://127.0.0.1:9093' }",
        "ntfy = { url = 'http://localhost/topic' }",
        "email = { smtp = 'smtp://[::1]:25', from = 'a@b.example', to = ['a@b.example'] }",
    ] {
        let (_, warnings) = good(&format!("[[channel]]\nid = 'x'\n{way}"));
        let warned = warnings.iter().map(Finding::to_string).collect::<String>();
        assert!(warned.contains("nothing is delivered to channel x") && warned.contains("webhook_allow"), "{warned}");
    }
}
