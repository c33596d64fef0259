//! What people do about an incident: acknowledge it, give it to somebody, note something.

use crate::cli::Failure;
use crate::control::{self, Act, Command};
use crate::definition::Fleet;
use crate::incident::IncidentId;

/// Say that you work on it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines incident ack shop-20261122T031207Z --by ann")]
pub(super) struct Ack {
    /// Its id
    id: IncidentId,
    /// Who
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

/// Give it to somebody
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines incident assign shop-20261122T031207Z bob --by ann")]
pub(super) struct Assign {
    /// Its id
    id: IncidentId,
    /// To whom
    person: String,
    /// Who does
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

/// Write something into its log
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nines incident note shop-20261122T031207Z \"rolled back to 1.4\" --by ann")]
pub(super) struct AddNote {
    /// Its id
    id: IncidentId,
    /// What
    text: String,
    /// Who
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: String,
}

impl Ack {
    pub(super) fn run(self, fleet: &Fleet) -> Result<(), Failure> {
        let Self { id, by } = self;
        control::carry_out(fleet, Command::Act { act: Act::Acknowledge { incident: id.clone() }, by })?;
        let (incident, ..) = super::read(fleet, &id)?;
        let by = incident.acknowledged_by.unwrap_or_default();
        anstream::println!("{id} is acknowledged by {by}");
        Ok(())
    }
}

impl Assign {
    pub(super) fn run(self, fleet: &Fleet) -> Result<(), Failure> {
        let Self { id, person, by } = self;
        control::carry_out(fleet, Command::Act { act: Act::Assign { incident: id.clone(), to: person.clone() }, by })?;
        anstream::println!("{id} is assigned to {person}");
        Ok(())
    }
}

impl AddNote {
    pub(super) fn run(self, fleet: &Fleet) -> Result<(), Failure> {
        let Self { id, text, by } = self;
        control::carry_out(fleet, Command::Act { act: Act::Note { incident: id.clone(), text }, by })?;
        anstream::println!("noted in {id}");
        Ok(())
    }
}
