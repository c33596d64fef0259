//! `nines ca list|rotate|retire`: the private authorities that vouch for probes and aggregator.

use std::collections::BTreeMap;

use clap::Subcommand;
use nines_shared::id::ProbeId;
use nines_shared::time::{Clock, Timestamp};
use serde::Serialize;

use super::table::{self, Align};
use super::{Failure, Global};
use crate::control::{self, Answer, Command as Control};
use crate::gateway::authority;
use crate::store::authorities::{self, AuthorityRow, Hanging};
use crate::store::{Store, StoreError};
use crate::words;

/// How much of a fingerprint is shown: enough to tell one from another.
const SHOWN_OF_A_FINGERPRINT: usize = 16;

/// List the private authorities, have one follow another
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines ca list
  nines ca rotate                 make the next one; both are believed
  nines ca retire 1               once no probe hangs on it any more")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Rotate(Rotate),
    Retire(Retire),
}

/// Show every authority: what it does, and which probes still hang on it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines ca list --json")]
struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Make the next authority: it signs from now on, and those before are still believed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines ca rotate\n  then, when `nines ca list` says so: nines ca retire 1")]
struct Rotate {}

/// Take an authority out for good
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines ca retire 1")]
struct Retire {
    /// Its number, as `nines ca list` prints it
    no: u32,
    /// Even where probes hang on it: they are shut out and must join anew
    #[arg(long)]
    force: bool,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] where the command makes no sense, or neither server nor database can be reached.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    match args.command {
        Command::List(List { json }) => {
            let now = Clock::system().now();
            let store = Store::open_read_only(&fleet.aggregator.database)?;
            let all = store.read_blocking(|conn| read(conn, now))?;
            let all: Vec<Shown> = all.into_iter().map(Shown::of).collect::<Result<_, _>>()?;
            if json {
                return super::print_json(&all);
            }
            anstream::print!("{}", drawn(&all, now));
        }
        Command::Rotate(Rotate {}) => {
            let answer = control::carry_out(&fleet, Control::RotateAuthority)?;
            let Answer::AuthorityMade { no } = answer else { return Err(Failure::strange(&answer)) };
            anstream::println!(
                "authority {no} is made and signs from now on; probes that are connected learn it within a minute"
            );
            anstream::eprintln!("`nines ca list` says who still hangs on which; then `nines ca retire NO`");
        }
        Command::Retire(Retire { no, force }) => {
            let answer = control::carry_out(&fleet, Control::RetireAuthority { no, force })?;
            let Answer::AuthorityRetired { shut_out, uninvited } = answer else {
                return Err(Failure::strange(&answer));
            };
            anstream::println!("authority {no} is retired; its key is gone");
            tell("shut out, to join anew: ", &shut_out);
            tell("invitations that are void: ", &uninvited);
        }
    }
    Ok(())
}

fn tell(what: &str, names: &[ProbeId]) {
    if !names.is_empty() {
        anstream::eprintln!("{what}{}", named(names));
    }
}

fn named(names: &[ProbeId]) -> String {
    names.iter().map(ProbeId::as_str).collect::<Vec<_>>().join(", ")
}

type Read = (AuthorityRow, &'static str, Hanging);

fn read(conn: &rusqlite::Connection, now: Timestamp) -> Result<Vec<Read>, StoreError> {
    let rows = authorities::all(conn)?;
    let there: Vec<u32> = rows.iter().filter(|row| row.retired_at.is_none()).map(|row| row.no).collect();
    let roles: BTreeMap<u32, &'static str> = match there.as_slice() {
        [] => BTreeMap::new(),
        [only] => [(*only, "in force")].into(),
        [oldest, between @ .., newest] => {
            let between = between.iter().map(|no| (*no, "believed"));
            between.chain([(*oldest, "presented"), (*newest, "signs")]).collect()
        }
    };
    let whole = |row: AuthorityRow| {
        let hanging = authorities::hanging(conn, row.no, now)?;
        let role = roles.get(&row.no).copied().unwrap_or("retired");
        Ok((row, role, hanging))
    };
    rows.into_iter().map(whole).collect()
}

/// An authority, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    no: u32,
    /// `in force`, `presented`, `believed`, `signs` or `retired`.
    state: &'static str,
    made_at: Timestamp,
    until: Timestamp,
    retired_at: Option<Timestamp>,
    /// SHA-256 of its certificate, in hex.
    sha256: String,
    /// Probes whose certificate it signed.
    probes: Vec<ProbeId>,
    /// Names that are invited by a token with its fingerprint.
    invited: Vec<ProbeId>,
}

impl Shown {
    fn of((row, state, hanging): Read) -> Result<Self, Failure> {
        let sha256 = authority::fingerprint(&row).map_err(|error| Failure::Io(error.to_string()))?;
        Ok(Self {
            no: row.no,
            state,
            made_at: row.made_at,
            until: authority::until(row.made_at),
            retired_at: row.retired_at,
            sha256,
            probes: hanging.probes,
            invited: hanging.invited,
        })
    }
}

fn drawn(all: &[Shown], now: Timestamp) -> String {
    const COLUMNS: [(&str, Align); 6] = [
        ("NO", Align::Right),
        ("STATE", Align::Left),
        ("AGE", Align::Left),
        ("LEFT", Align::Left),
        ("SHA-256", Align::Left),
        ("PROBES", Align::Right),
    ];
    let row = |one: &Shown| {
        [
            one.no.to_string(),
            one.state.to_owned(),
            words::duration(now.since(one.made_at)),
            words::duration(one.until.since(now)),
            format!("{}…", &one.sha256[..SHOWN_OF_A_FINGERPRINT]),
            one.probes.len().to_string(),
        ]
    };
    let mut text = table::drawn(COLUMNS, &all.iter().map(row).collect::<Vec<_>>());
    for one in all.iter().filter(|one| one.state != "signs" && one.state != "in force") {
        if !one.probes.is_empty() {
            text.push_str(&format!("\nauthority {}: these probes know no later one: {}\n", one.no, named(&one.probes)));
        }
    }
    text
}
