//! Import through a running server, which goes on storing what probes send meanwhile.

use std::path::Path;

use nines_shared::sample::Sample;

use super::{Imported, Terms, judge_each, with_progress};
use crate::archive::{self, Reader};
use crate::cli::Failure;
use crate::control::{self, Answer, Command, MAX_STORED_SAMPLES};
use crate::definition::Fleet;
use crate::store::samples;

/// The most bytes of samples in one command: half of what the server reads.
const BATCH_BYTES: usize = 512 << 10;

/// Judges all of the file at `path`, then has the server store it batch by batch. Where that ends early, what is
/// stored stays, and importing the file again stores the rest.
///
/// # Errors
/// Where reading fails, or the server can't store a batch.
pub(super) fn import(fleet: &Fleet, path: &Path, terms: &Terms) -> Result<Imported, Failure> {
    if archive::is_stdio(path) {
        let what = "a running server takes samples from a file, which is read twice; write them to one first";
        return Err(Failure::Usage(what.to_owned()));
    }
    let mut imported = Imported::default();
    with_progress(path, |reader| judge_each(reader, terms, &mut imported, |_good| true))?;
    imported.refused = imported.bad_count != 0 && !terms.skip_bad;
    if !imported.refused {
        with_progress(path, |reader| send_all(fleet, reader, terms, &mut imported))?;
    }
    Ok(imported)
}

fn send_all(fleet: &Fleet, reader: &mut Reader<'_>, terms: &Terms, imported: &mut Imported) -> Result<(), Failure> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut sent = Ok(());
    // The bad lines are known from the first reading.
    judge_each(reader, terms, &mut Imported::default(), |sample| {
        bytes += samples::canonical(&sample).len();
        batch.push(sample);
        if MAX_STORED_SAMPLES <= batch.len() || BATCH_BYTES <= bytes {
            bytes = 0;
            sent = send(fleet, std::mem::take(&mut batch), imported);
        }
        sent.is_ok()
    })?;
    sent.and_then(|()| send(fleet, batch, imported))
}

fn send(fleet: &Fleet, samples: Vec<Sample>, imported: &mut Imported) -> Result<(), Failure> {
    if samples.is_empty() {
        return Ok(());
    }
    let answer = control::carry_out(fleet, Command::StoreSamples { samples })?;
    let Answer::Stored { stored, same } = answer else { return Err(Failure::strange(&answer)) };
    imported.inserted.stored += stored;
    imported.inserted.same += same;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nines_shared::time::{Clock, Span, Timestamp};

    use super::*;
    use crate::acceptance::{Acceptance, MAX_IMPORT_AGE_MS};
    use crate::control::tests::{Served, serve};
    use crate::store::definitions;
    use crate::store::samples::Inserted;
    use crate::store::tests::sample;

    /// As the command line calls it: from a thread that may wait.
    async fn imported(served: &Served, path: PathBuf) -> Result<Imported, Failure> {
        let checks = served.running.store.read(definitions::all_check_versions).await.unwrap();
        let span = Span { from: Timestamp::MIN, to: Timestamp::MAX };
        let rules = Acceptance::new(checks, MAX_IMPORT_AGE_MS);
        let terms = Terms { rules, span, now: Clock::system().now(), skip_bad: false };
        let fleet = served.fleet.clone();
        tokio::task::spawn_blocking(move || import(&fleet, &path, &terms)).await.unwrap()
    }

    fn lines(fleet: &Fleet, count: i64) -> String {
        let cadence = fleet.checks[0].cadence(&"eu-west".parse().unwrap()).unwrap();
        let last = cadence.at_or_before(Clock::system().now()).as_ms();
        let line = |n: i64| samples::canonical(&sample("eu-west", last - n * cadence.interval_ms())) + "\n";
        (0..count).map(line).collect()
    }

    #[tokio::test]
    async fn a_file_goes_through_the_running_server_which_wakes_the_evaluator() {
        let folder = tempfile::tempdir().unwrap();
        let served = serve(folder.path().join("nines.db")).await;
        let path = folder.path().join("samples.ndjson");
        std::fs::write(&path, lines(&served.fleet, 2_500)).unwrap();
        let first = imported(&served, path.clone()).await.unwrap();
        assert_eq!(first.inserted, Inserted { stored: 2_500, same: 0 });
        assert!(0 < *served.running.arrivals.borrow());
        assert_eq!(imported(&served, path).await.unwrap().inserted, Inserted { stored: 0, same: 2_500 });
        assert_eq!(served.running.store.read(samples::count).await.unwrap(), 2_500);
    }

    #[tokio::test]
    async fn a_bad_line_at_the_end_keeps_the_server_from_storing_any_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let served = serve(folder.path().join("nines.db")).await;
        let path = folder.path().join("samples.ndjson");
        std::fs::write(&path, lines(&served.fleet, 1_500) + "no sample\n").unwrap();
        let refused = imported(&served, path).await.unwrap();
        assert!(refused.refused);
        assert_eq!(refused.bad[0].number, 1_501);
        assert_eq!(served.running.store.read(samples::count).await.unwrap(), 0);
        assert!(matches!(imported(&served, "-".into()).await, Err(Failure::Usage(_))));
    }
}
