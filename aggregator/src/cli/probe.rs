//! `nines probe invite|list|revoke`: who looks for us, and how they are.

mod listed;

use clap::Subcommand;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Clock;

use super::{Failure, Global};
use crate::control::{self, Answer, Command as Control, ControlError};
use crate::store::Store;
use listed::Listed;

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

/// Print the line that lets one probe join, or join anew; it is good once, for a day
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nines probe invite --region eu-west\n  then type the printed line on the probe's machine\n\n  nines probe invite --region eu-west --name eu-west-1    anew: in the place of the one that has the name"
)]
struct Invite {
    /// The region that it looks from
    #[arg(long, value_name = "REGION")]
    region: RegionId,
    /// Its name [default: the region's next free one, such as eu-west-1]
    #[arg(long, value_name = "NAME")]
    name: Option<ProbeId>,
}

/// Show every probe: when it was seen last, its clock, its lateness, what waits in its spool, its certificate
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nines probe list\n  nines probe list --json")]
struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

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
        Command::List(List { json }) => {
            let store = Store::open_read_only(&fleet.aggregator.database)?;
            let listed = store.read_blocking(|conn| Listed::read(conn, Clock::system().now()))?;
            if json {
                return super::print_json(&listed);
            }
            anstream::print!("{}", listed.drawn());
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
    let name = &invitation.probe;
    anstream::eprintln!("{name} may join {} once within a day. On its machine:\n", invitation.region);
    anstream::println!("{}", invitation.join_line());
    if let Some(doubt) = invitation.doubt() {
        anstream::eprintln!("\n{doubt}");
    }
    if invitation.replaces {
        anstream::eprintln!(
            "\n{name} is a probe of the fleet already: whoever joins takes its place, and its certificate ends with that.\n\
             On the machine that it has, its state, its spool and its name are kept."
        );
    }
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
