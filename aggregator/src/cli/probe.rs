//! `nines probe invite|list|revoke`: who looks for us, and how they are.

use clap::Subcommand;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::{Clock, Timestamp};

use super::table::{self, Align};
use super::{Failure, Global};
use crate::control::{self, Answer, Command as Control, ControlError};
use crate::store::probes::{self, InvitationRow, ProbeRecord};
use crate::store::{Store, StoreError};
use crate::words;

/// Invite, list and revoke probes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines probe invite --region eu-west
  nines probe list")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Invite(Invite),
    List(List),
    Revoke(Revoke),
}

/// Print the line that lets one probe join; it is good once, for a day
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nines probe invite --region eu-west\n  then type the printed line on the probe's machine"
)]
struct Invite {
    /// The region that it looks from
    #[arg(long, value_name = "REGION")]
    region: RegionId,
    /// Its name [default: the region's next free one, such as eu-west-1]
    #[arg(long, value_name = "NAME")]
    name: Option<ProbeId>,
}

/// Show every probe: when it was seen last, its clock, what waits in its spool
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines probe list --config fleet.toml")]
struct List {}

/// Shut a probe out at once, or void its invitation
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines probe revoke eu-west-1")]
struct Revoke {
    /// Which probe
    probe: ProbeId,
}

/// Runs it.
///
/// # Errors
/// [`Failure`] where the command makes no sense, or neither server nor database can be reached.
pub fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let fleet = global.fleet()?;
    match args.command {
        Command::Invite(Invite { region, name }) => {
            let answer = control::carry_out(&fleet, Control::Invite { region, name })?;
            tell_invited(&answer);
        }
        Command::List(List {}) => {
            let store = Store::open_read_only(&fleet.aggregator.database)?;
            let (probes, invited) =
                store.read_blocking(|conn| Ok::<_, StoreError>((probes::list(conn)?, probes::invitations(conn)?)))?;
            anstream::print!("{}", listed(&probes, &invited, Clock::system().now()));
        }
        Command::Revoke(Revoke { probe }) => {
            let name = probe.clone();
            control::carry_out(&fleet, Control::Revoke { probe })?;
            anstream::eprintln!("{name} is revoked; what it sends from now on is refused");
        }
    }
    Ok(())
}

/// The join line alone on stdout, the rest to stderr.
fn tell_invited(answer: &Answer) {
    let Answer::Invited(invitation) = answer else { return };
    anstream::eprintln!("{} may join {} once within a day. On its machine:\n", invitation.probe, invitation.region);
    anstream::println!("{}", invitation.join_line());
}

const COLUMNS: [(&str, Align); 11] = [
    ("PROBE", Align::Left),
    ("REGION", Align::Left),
    ("STATE", Align::Left),
    ("SEEN", Align::Left),
    ("CLOCK", Align::Right),
    ("LATE", Align::Right),
    ("SPOOLED", Align::Right),
    ("DROPPED", Align::Right),
    ("REFUSED", Align::Right),
    ("MISSED", Align::Right),
    ("VERSION", Align::Left),
];

fn listed(probes: &[ProbeRecord], invited: &[InvitationRow], now: Timestamp) -> String {
    let open = invited.iter().filter(|row| row.used_at.is_none() && now < row.expires_at);
    let rows: Vec<_> = probes.iter().map(|probe| row(probe, now)).chain(open.map(|row| awaited(row, now))).collect();
    if rows.is_empty() {
        return "no probes yet; `nines probe invite --region REGION` lets one join\n".to_owned();
    }
    table::drawn(COLUMNS, &rows)
}

fn row(probe: &ProbeRecord, now: Timestamp) -> [String; 11] {
    let health = &probe.health;
    let state = match probe.revoked_at {
        Some(_) => "revoked".to_owned(),
        None if probe.certificate_until <= now => "certificate ended".to_owned(),
        None if health.canaries_ok == Some(false) => "canaries fail".to_owned(),
        None => "joined".to_owned(),
    };
    let seen = probe.seen_at.map_or("never".to_owned(), |at| format!("{} ago", words::duration(now.since(at))));
    let clock = match (health.clock_offset_ms, health.clock_uncertainty_ms) {
        (Some(offset), Some(within)) => format!("{offset:+} ± {within} ms"),
        (Some(offset), None) => format!("{offset:+} ms"),
        (None, _) => "–".to_owned(),
    };
    [
        probe.id.to_string(),
        probe.region.to_string(),
        state,
        seen,
        clock,
        health.lateness_max_ms.map_or("–".to_owned(), |ms| format!("{ms} ms")),
        health.spooled.to_string(),
        health.dropped.to_string(),
        health.refused.to_string(),
        health.missed.to_string(),
        health.version.clone(),
    ]
}

fn awaited(row: &InvitationRow, now: Timestamp) -> [String; 11] {
    let mut cells: [String; 11] = std::array::from_fn(|_| String::new());
    cells[0] = row.probe.to_string();
    cells[1] = row.region.to_string();
    cells[2] = "invited".to_owned();
    cells[3] = format!("{} left", words::duration(row.expires_at.since(now)));
    cells
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(refused) => Self::Usage(refused.to_string()),
            ControlError::Store(error) => error.into(),
            ControlError::Failed(_) | ControlError::Silent { .. } => Self::Unavailable(error.to_string()),
            ControlError::Authority(error) => Self::Io(error.to_string()),
        }
    }
}
