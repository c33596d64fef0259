//! `--from CONFIG CHECK`: a check of this probe's own, run once as the probe would run it.
//!
//! The check comes from the assignment that the agent keeps in its state directory, the place to look from and what may
//! be contacted from the probe's own file (INV-10).

use std::path::Path;
use std::sync::Arc;

use nines_shared::check::Check;
use nines_shared::secret::Secrets;
use nines_shared::spelling;
use toml::de::DeTable;

use super::usage;
use crate::assignment::{self, KeptError};
use crate::cli::{CONFIGURATION, Failure, IO};
use crate::probe_file::{self, ProbeFileError};
use crate::prober::Vantage;

/// The most ids that an error names.
const MAX_NAMED: usize = 10;

/// The check `id` of the probe whose file is `config`, where it looks from, and the secrets that it has.
///
/// # Errors
/// [`Failure`]: no such check (64), the state can't be read (74), the file is wrong or the probe has no assignment
/// (78).
pub(super) fn check_of(config: &Path, id: &str) -> Result<(Check, Vantage, Arc<Secrets>), Failure> {
    let settings = probe_file::read(config).map_err(|error| refusal(config, id, &error))?;
    let work = assignment::kept(&settings.state).map_err(|error| match &error {
        KeptError::Unreadable { .. } => Failure::new(IO, error),
        KeptError::Missing(_) => {
            Failure::new(CONFIGURATION, format!("{error}; `nines-probe run --config {}` fetches it", config.display()))
        }
        KeptError::Malformed { .. } => Failure::new(CONFIGURATION, error),
    })?;
    match work.checks.iter().find(|check| check.id.as_str() == id) {
        Some(check) => Ok((Check::clone(check), settings.vantage, work.secrets)),
        None => Err(usage(unknown(id, work.checks.iter().map(|check| check.id.as_str())))),
    }
}

fn refusal(config: &Path, id: &str, error: &ProbeFileError) -> Failure {
    let wrong = matches!(error, ProbeFileError::Wrong(_));
    if wrong && std::fs::read_to_string(config).is_ok_and(|text| is_fleet_file(&text)) {
        let file = config.display();
        return Failure::new(
            CONFIGURATION,
            format!("{file} is a fleet file, not a probe's; use `nines check {id} --config {file}`"),
        );
    }
    Failure::new(CONFIGURATION, error)
}

/// Whether `text` is the file of an aggregator: it defines checks or has the aggregator's section.
fn is_fleet_file(text: &str) -> bool {
    let (document, _errors) = DeTable::parse_recoverable(text);
    let table = |key| document.get_ref().get(key).is_some_and(|value| value.get_ref().as_table().is_some());
    document.get_ref().get("check").is_some() || table("aggregator")
}

/// What to say where no check is called `id`, of those that are `known`.
pub fn unknown<'k>(id: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = spelling::closest_few(id, known.clone(), 3);
    if !near.is_empty() {
        return format!("there is no check {id:?}; did you mean {}?", near.join(" or "));
    }
    let all: Vec<&str> = known.collect();
    match all.len() {
        0 => format!("there is no check {id:?}, and no other"),
        n if n <= MAX_NAMED => format!("there is no check {id:?}; there are {}", all.join(", ")),
        n => format!("there is no check {id:?}; there are {n}, such as {}", all[..MAX_NAMED].join(", ")),
    }
}
