//! Who vouches for the fleet: one authority follows another, with a time in which both are believed.

use nines_shared::id::ProbeId;
use nines_shared::wire::MAX_AUTHORITIES;
use rusqlite::Transaction;

use super::{Answer, Context, Refused};
use crate::gateway::authority;
use crate::store::StoreError;
use crate::store::authorities::{self, Hanging};

/// Makes a new authority, which signs from now on; those before are still believed.
pub(super) fn rotate(tx: &Transaction<'_>, context: &Context) -> Result<Result<Answer, Refused>, StoreError> {
    let rows = authorities::all(tx)?;
    let there: Vec<String> = rows.iter().filter(|row| row.retired_at.is_none()).map(|row| row.no.to_string()).collect();
    if MAX_AUTHORITIES <= there.len() {
        let message = format!("{} are believed already; retire one first, see `nines ca list`", there.join(", "));
        return Ok(Refused::because(message));
    }
    let no = rows.last().map_or(1, |row| row.no + 1);
    match authority::make(no, context.now) {
        Ok(new) => Ok(Ok(Answer::AuthorityMade { no: authorities::add(tx, &new, context.now)? })),
        Err(error) => Ok(Refused::because(error.to_string())),
    }
}

/// Takes authority `no` out. Whatever hangs on it is shut out with it, which must be meant.
pub(super) fn retire(
    tx: &Transaction<'_>,
    no: u32,
    force: bool,
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    let rows = authorities::all(tx)?;
    let there: Vec<u32> = rows.iter().filter(|row| row.retired_at.is_none()).map(|row| row.no).collect();
    if !there.contains(&no) {
        return Ok(Refused::because(format!("there is no authority {no} to retire; see `nines ca list`")));
    }
    if there.last() == Some(&no) {
        let message =
            format!("authority {no} is the one that signs; make the one that follows it first: `nines ca rotate`");
        return Ok(Refused::because(message));
    }
    let hanging = authorities::hanging(tx, no, context.now)?;
    if !force && hanging != Hanging::default() {
        return Ok(Refused::because(still_needed(no, &hanging)));
    }
    authorities::retire(tx, no, context.now)?;
    Ok(Ok(Answer::AuthorityRetired { shut_out: hanging.probes, uninvited: hanging.invited }))
}

fn still_needed(no: u32, hanging: &Hanging) -> String {
    let named = |names: &[ProbeId]| names.iter().map(ProbeId::as_str).collect::<Vec<_>>().join(", ");
    let mut why = Vec::new();
    if !hanging.probes.is_empty() {
        why.push(format!("these probes know no later one: {}", named(&hanging.probes)));
    }
    if !hanging.invited.is_empty() {
        why.push(format!("these are invited with its fingerprint: {}", named(&hanging.invited)));
    }
    format!(
        "authority {no} is still needed: {}. Probes that are connected follow within a minute; --force shuts the others \
         out, and they must join anew",
        why.join("; ")
    )
}
