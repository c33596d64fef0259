//! How the figures are made, in plain words, and how whoever holds the samples can make them again.

use super::{Block, Cell, Column, Kind, Section, Table};
use crate::report::figures::Zone;
use crate::report::model::{Report, Restatement};
use crate::store::samples::days::Form;
use crate::uptime::calendar;

/// No service is called so: ids have no underscore.
const ID: &str = "the_method";

const PARAGRAPHS: [&str; 5] = [
    "Three numbers stand side by side and mean three things. The SLI is what happened: the availability that was \
     measured. The SLO is what the operator aims for. The SLA is what was signed; it counts as the contract says, \
     which is written out for each service under “How the contract counts”, and so it can differ from the SLI.",
    "Every region takes its samples by a plan that can be computed afterwards, so a sample that is missing is known \
     to be missing. What a sample says counts until the region’s next one. Only where enough regions agree (the \
     quorum) is a check down; where too many say nothing it is unknown. Silence is never up and never down, and the \
     observer’s own faults never count against anybody.",
    "Every millisecond is counted once: up, degraded, down, unknown and excluded add up to the window. Availability is \
     (up + degraded) of (up + degraded + down). Coverage is the part of the window that was observed, maintenance \
     apart. The worst and the best case count what is unknown as down and as up.",
    "An outage that is sampled has a true length that nobody can know: “at least” and “at most” are the shortest and \
     the longest that the same samples allow.",
    "Percentages are rounded down and latencies up: no figure here is better than what was measured.",
];

pub(super) fn section(report: &Report, zone: Zone<'_>) -> Section {
    let mut blocks: Vec<Block> = PARAGRAPHS.into_iter().map(|text| Block::Text(text.to_owned())).collect();
    blocks.push(Block::Text(format!("Times are those of {}.", zone.0)));
    blocks.push(Block::Heading("Whoever holds the samples can check this report".to_owned()));
    blocks.push(Block::Text(
        "The command prints the digest of all samples that were used. If it is the one below, the figures come from \
         these samples and no others; the same program makes the same report of them, byte by byte."
            .to_owned(),
    ));
    let services: String = report.services.iter().map(|service| format!(" --service {}", service.service)).collect();
    let days = match report.samples_form {
        Form::Lines => "",
        Form::Days => " --days",
    };
    let command = format!(
        "nines export --from {} --to {}{services}{days} | sha256sum",
        calendar::utc_exact(report.samples_from),
        calendar::utc_exact(report.samples_to),
    );
    blocks.push(Block::Proof(vec![
        ("Digest of the samples", report.samples.clone()),
        ("Digest of the definitions in force", report.definitions.clone()),
        ("Prints the digest of the samples", command),
        ("Prints the digest of the definitions", "jq -c .basis report.json | sha256sum".to_owned()),
    ]));
    if let Some(key) = &report.signed_by {
        blocks.push(Block::Proof(vec![("The report as JSON is signed with this key (minisign)", key.clone())]));
    }
    if let Some(restated) = &report.restatement {
        blocks.extend(changes(restated));
    }
    Section { id: ID.to_owned(), title: "How these figures are made".to_owned(), beside: None, blocks }
}

/// What a restatement changes, figure by figure.
fn changes(restated: &Restatement) -> Vec<Block> {
    let Restatement { of, of_digest, changes, further_changes, .. } = restated;
    let columns = vec![Column::words("Figure"), Column::words("Before"), Column::words("Now")];
    let rows = changes.iter().map(|change| {
        [change.path.clone(), change.before.to_string(), change.after.to_string()].map(Cell::from).into()
    });
    let what = format!("What differs from revision {of}");
    let table = Table { kind: Kind::Rows, what: what.clone(), columns, rows: rows.collect() };
    let mut blocks = vec![Block::Heading(what), Block::Table(table)];
    if *further_changes != 0 {
        blocks.push(Block::Soft(format!("and {}", crate::words::count(*further_changes, "further difference"))));
    }
    blocks.push(Block::Proof(vec![("Digest of the revision that was replaced", of_digest.clone())]));
    blocks
}
