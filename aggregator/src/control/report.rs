//! Freezing and restating reports: made from a snapshot beside the writer, then kept by it.

use nines_shared::id::CustomerId;
use rusqlite::{Connection, Transaction};

use super::{Answer, Command, Context, MAX_TEXT, Refused};
use crate::report::ReportError;
use crate::report::life::{self, Draft, Drafted, Month, Wish};
use crate::report::notice;
use crate::report::sign::Key;
use crate::store::StoreError;
use crate::store::reports::Restated;

/// What a command made of a snapshot, before it has the writer.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// Nothing: it needs none.
    Nothing,
    /// The answer; there is nothing to write.
    Answer(Answer),
    /// A revision to be kept.
    Report(Box<Draft>),
}

/// Does what `command` can do without the writer. Takes as long as a report takes to make.
///
/// # Errors
/// What the store says; inside, why the command makes no sense.
pub(crate) fn prepare(
    conn: &Connection,
    command: &Command,
    context: &Context,
) -> Result<Result<Prepared, Refused>, StoreError> {
    match command {
        Command::FreezeReport { customer, month, by: None } => made(conn, (customer, month), Wish::Freeze, context),
        Command::FreezeReport { customer, month, by: Some(by) } => {
            if MAX_TEXT < by.len() {
                return Ok(Refused::because(format!("a name has at most {MAX_TEXT} bytes")));
            }
            made(conn, (customer, month), Wish::FreezeByHand, context)
        }
        Command::RestateReport { customer, month, reason, by } => {
            if reason.trim().is_empty() || MAX_TEXT < reason.len() || MAX_TEXT < by.len() {
                return Ok(Refused::because(format!("a reason has 1 to {MAX_TEXT} bytes")));
            }
            let restated = Restated { reason: reason.clone(), by: by.clone() };
            made(conn, (customer, month), Wish::Restate(restated), context)
        }
        Command::Invite { .. }
        | Command::Revoke { .. }
        | Command::RotateAuthority
        | Command::RetireAuthority { .. }
        | Command::AddMaintenance { .. }
        | Command::CancelMaintenance { .. }
        | Command::Act { .. }
        | Command::StoreSamples { .. } => Ok(Ok(Prepared::Nothing)),
    }
}

fn made(
    conn: &Connection,
    (customer, month): (&CustomerId, &str),
    wish: Wish,
    context: &Context,
) -> Result<Result<Prepared, Refused>, StoreError> {
    let key = match Key::at(&context.fleet.report.key(&context.fleet.aggregator)) {
        Ok(key) => key.public().to_string(),
        Err(error) => return Ok(Refused::because(error.to_string())),
    };
    let environment = context.fleet.environment.clone();
    let of = Month { environment, customer: customer.clone(), month: month.to_owned() };
    let drafted = match life::draft(conn, &of, &wish, Some(&key), context.now) {
        Ok(drafted) => drafted,
        Err(ReportError::Store(error)) => return Err(error),
        Err(other) => return Ok(Refused::because(other.to_string())),
    };
    Ok(match drafted {
        Drafted::Ready(draft) => Ok(Prepared::Report(draft)),
        Drafted::Already(kept) => Ok(Prepared::Answer(Answer::ReportKept { revision: kept.revision, new: false })),
        Drafted::Unchanged(kept) => Ok(Prepared::Answer(Answer::ReportUnchanged { revision: kept.revision })),
        Drafted::NotComplete => Refused::because(format!(
            "{month} of {customer} is not complete; it is once every region has reported past its end, or 72 hours have gone by and the samples of two regions bear that out; \
             where no probe is left to do so: `nines report freeze`"
        )),
        Drafted::NotFrozen => Refused::because(format!(
            "{month} of {customer} is not frozen, so there is nothing to restate; `nines report list` shows what is"
        )),
    })
}

/// Keeps `draft`, and writes the letters that tell of it in the same transaction.
pub(super) fn keep(tx: &Transaction<'_>, draft: &Draft, context: &Context) -> Result<Answer, StoreError> {
    let (kept, new) = life::keep(tx, draft)?;
    if new {
        notice::write(tx, &context.fleet, draft, context.now)?;
    }
    Ok(Answer::ReportKept { revision: kept.revision, new })
}
