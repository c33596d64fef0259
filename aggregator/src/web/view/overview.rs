//! The first page: what is so now, what is wrong, and every service.

use std::sync::Arc;

use nines_shared::sample::Sample;
use nines_shared::time::Span;

use super::incident::IncidentCard;
use super::probe::ProbeRow;
use super::strip::{self, StripView};
use super::{Availability, Names, Standing, phase_words, reason_words, sentence, window_words};
use crate::definition::Customer;
use crate::web::figures::{CheckFigures, Figures};
use crate::web::shade::Shade;
use crate::words;

/// The first page.
#[derive(Clone, Debug)]
pub(in crate::web) struct Overview {
    /// The worst that is so.
    pub(in crate::web) shade: Shade,
    /// One sentence.
    pub(in crate::web) headline: String,
    /// A second one.
    pub(in crate::web) lead: String,
    pub(in crate::web) incidents: Vec<IncidentCard>,
    pub(in crate::web) groups: Vec<Group>,
    pub(in crate::web) probes: Vec<ProbeRow>,
}

/// The services of one customer.
#[derive(Clone, Debug)]
pub(in crate::web) struct Group {
    pub(in crate::web) customer: String,
    pub(in crate::web) customer_id: String,
    /// The month that runs, such as `2026-11`, and how people call it.
    pub(in crate::web) month: (String, String),
    /// "Europe/Berlin (CET)".
    pub(in crate::web) zone: String,
    pub(in crate::web) cards: Vec<Card>,
}

/// One service.
#[derive(Clone, Debug)]
pub(in crate::web) struct Card {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) standing: Standing,
    pub(in crate::web) availability: Availability,
    /// The window of the availability, in words.
    pub(in crate::web) window: String,
    pub(in crate::web) strip: StripView,
    pub(in crate::web) checks: Vec<CheckRow>,
}

/// One check of a service.
#[derive(Clone, Debug)]
pub(in crate::web) struct CheckRow {
    pub(in crate::web) id: String,
    pub(in crate::web) standing: Standing,
    pub(in crate::web) target: String,
    pub(in crate::web) regions: Vec<RegionRow>,
}

/// What one region says of a check.
#[derive(Clone, Debug)]
pub(in crate::web) struct RegionRow {
    pub(in crate::web) name: String,
    pub(in crate::web) standing: Standing,
    /// Why, for whoever points at it.
    pub(in crate::web) title: String,
}

/// Groups `services` by customer, in the customers' order; whoever has none is left out.
pub(in crate::web) fn groups(customers: &[Customer], services: &[Arc<Figures>], names: &Names) -> Vec<Group> {
    let groups = customers.iter().filter_map(|customer| {
        let theirs: Vec<&Arc<Figures>> =
            services.iter().filter(|figures| figures.service.customer == customer.id).collect();
        let first = theirs.first()?;
        Some(Group {
            customer: customer.name.clone(),
            customer_id: customer.id.to_string(),
            month: first.zone.month(first.now()),
            zone: format!("{} ({})", first.zone.name(), first.zone.abbreviation(first.now())),
            cards: theirs.iter().map(|figures| card(figures, names)).collect(),
        })
    });
    groups.collect()
}

/// What the page says of one service.
pub(in crate::web) fn card(figures: &Figures, names: &Names) -> Card {
    let (assessment, excluded) = (&figures.assessment, &figures.assessment.excluded);
    let drawn = strip::window(figures.life.from, figures.now());
    Card {
        id: figures.service.id.to_string(),
        name: figures.service.name.clone(),
        standing: Standing::of(&assessment.timeline, excluded, figures.life),
        availability: Availability::of(&assessment.accounts),
        window: window_words(figures.window, assessment.window),
        strip: strip::view(drawn, &assessment.timeline, excluded, &figures.zone),
        checks: figures.checks.iter().map(|check| check_row(check, figures.life, names)).collect(),
    }
}

fn check_row(figures: &CheckFigures, life: Span, names: &Names) -> CheckRow {
    let asked = figures.assessment.regions.iter().filter(|region| figures.check.regions.contains(&region.region));
    let regions = asked.map(|region| {
        let latest = figures.latest.iter().find(|sample| sample.region == region.region);
        RegionRow {
            name: names.region(&region.region),
            standing: Standing::of(&region.timeline, &[], life),
            title: latest.map(why).unwrap_or_default(),
        }
    });
    CheckRow {
        id: figures.check.id.to_string(),
        standing: Standing::of(&figures.assessment.timeline, &[], life),
        target: figures.check.question.target(),
        regions: regions.collect(),
    }
}

/// What a sample says in a few words: "Connect refused while connecting", "182 ms".
pub(in crate::web) fn why(sample: &Sample) -> String {
    match (&sample.reason, sample.phase) {
        (Some(reason), Some(phase)) => {
            sentence(&format!("{} {}", reason_words(reason.code()), phase_words(phase.code())))
        }
        (Some(reason), None) => sentence(&reason_words(reason.code())),
        (None, _) => sample.duration_us.map(words::latency).unwrap_or_default(),
    }
}

/// The shade and the two sentences at the top.
pub(in crate::web) fn headline(groups: &[Group], regions: &[String]) -> (Shade, String, String) {
    let cards: Vec<&Card> = groups.iter().flat_map(|group| &group.cards).collect();
    let of = |shade: Shade| cards.iter().filter(|card| card.standing.shade == shade).collect::<Vec<_>>();
    let [down, unknown, degraded, maintenance, up] =
        [Shade::Down, Shade::Unknown, Shade::Degraded, Shade::Maintenance, Shade::Up].map(of);
    let say = |those: &[&&Card], one: &str, many: &str| match those {
        [card] => format!("{} {one}.", card.name),
        several => format!("{} services {many}.", several.len()),
    };
    let from = match regions {
        [] => "No region looks yet.".to_owned(),
        some => format!("We look from {}.", words::list(some)),
    };
    let lead = lead(up.len(), cards.len(), &from);
    if cards.is_empty() {
        return (Shade::Blank, "No services yet.".to_owned(), "The fleet file names none.".to_owned());
    }
    if !down.is_empty() {
        return (Shade::Down, say(&down, "is down", "are down"), lead);
    }
    if !unknown.is_empty() {
        return (Shade::Unknown, say(&unknown, "is unknown", "are unknown"), format!("{lead} Silence is never up."));
    }
    if !degraded.is_empty() {
        return (Shade::Degraded, say(&degraded, "is slow", "are slow"), lead);
    }
    if !maintenance.is_empty() {
        let words = say(&maintenance, "is under maintenance", "are under maintenance");
        return (Shade::Maintenance, words, lead);
    }
    let headline = match cards.as_slice() {
        [card] => format!("{} is up.", card.name),
        _several => "All services are up.".to_owned(),
    };
    (Shade::Up, headline, from)
}

/// How many services are up, of how many, and `from` where we look. Of the only one the headline has said it.
fn lead(up: usize, all: usize, from: &str) -> String {
    match (up, all) {
        (_, 1) => from.to_owned(),
        (0, _) => format!("None of {all} services is up. {from}"),
        (1, _) => format!("1 of {all} services is up. {from}"),
        (..) => format!("{up} of {all} services are up. {from}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_are_up_reads_well_whatever_the_number() {
        let lead = |up, all| lead(up, all, "We look from Dublin.");
        assert_eq!(lead(0, 1), "We look from Dublin.");
        assert_eq!(lead(0, 3), "None of 3 services is up. We look from Dublin.");
        assert_eq!(lead(1, 2), "1 of 2 services is up. We look from Dublin.");
        assert_eq!(lead(2, 3), "2 of 3 services are up. We look from Dublin.");
    }
}
