//! A contract's policy in plain words.

use crate::definition::{Credit, DegradedIs, Method, Period, ServiceHours, UnknownIs};
use crate::report::model::SlaReport;
use crate::words;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One sentence a rule.
pub(super) fn terms(sla: &SlaReport, zone: &str) -> Vec<String> {
    let policy = &sla.policy;
    let mut terms = vec![
        match policy.period {
            Period::Month => format!("Judged by the calendar month in {zone}."),
            Period::Rolling(ms) => format!("Judged over the {} that end with this report.", words::duration(ms)),
        },
        match policy.method {
            Method::Time => {
                "Time is counted, to the millisecond: available time by available and down time.".to_owned()
            }
            Method::Timeslices => format!(
                "Slices of {} are counted: one is bad if more than half of its counted time is down.",
                words::duration(policy.slice_ms.unwrap_or_default())
            ),
            Method::Occurrences => "Planned samples are counted, each region's by itself: good ones by all.".to_owned(),
        },
        match policy.unknown {
            UnknownIs::Exclude => "Time of which nobody knows is neither good nor bad; coverage says how much it is.",
            UnknownIs::Down => "Time of which nobody knows counts as down.",
            UnknownIs::Up => "Time of which nobody knows counts as available.",
        }
        .to_owned(),
        match policy.degraded {
            DegradedIs::Up => "Degraded time, working but slow, counts as available.",
            DegradedIs::Down => "Degraded time, working but slow, counts as down.",
        }
        .to_owned(),
        match policy.min_outage_ms {
            _ if policy.method == Method::Occurrences => {
                "Samples count one by one, however short an outage.".to_owned()
            }
            0 => "Every outage counts, however short.".to_owned(),
            ms => {
                format!("An outage shorter than {} does not count; a longer one counts in full.", words::duration(ms))
            }
        },
    ];
    terms.push(policy.service_hours.as_deref().map_or_else(|| "All hours count.".to_owned(), |all| hours(all, zone)));
    terms.push("Announced maintenance is set aside: it clips an outage and never hides one.".to_owned());
    terms.push(match &policy.exclusions_by {
        Some(who) => format!("Exclusions are granted by {who}."),
        None => "Nobody is named who may grant exclusions.".to_owned(),
    });
    terms.push(credits(&policy.credits));
    terms
}

fn hours(all: &[ServiceHours], zone: &str) -> String {
    format!("Only service hours count: {} in {zone}.", words::list(&told_hours(all)))
}

/// "Mon–Fri 08:00–18:00", one an entry.
pub(super) fn told_hours(all: &[ServiceHours]) -> Vec<String> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let told = |hours: &ServiceHours| {
        format!("{} {}–{}", weekdays(&hours.days), clock(hours.from_minute), clock(hours.to_minute))
    };
    all.iter().map(told).collect()
}

/// "Mon–Fri", "Sat, Sun".
fn weekdays(days: &[u8]) -> String {
    let name = |day: u8| usize::from(day).checked_sub(1).and_then(|index| DAYS.get(index)).copied().unwrap_or("?");
    let runs = days.chunk_by(|left, right| left + 1 == *right);
    let run = |run: &[u8]| match run {
        [first, .., last] if 2 < run.len() => format!("{}–{}", name(*first), name(*last)),
        _ => run.iter().map(|day| name(*day)).collect::<Vec<_>>().join(", "),
    };
    runs.map(run).collect::<Vec<_>>().join(", ")
}

fn credits(tiers: &[Credit]) -> String {
    if tiers.is_empty() {
        return "No credits are agreed.".to_owned();
    }
    let mut tiers: Vec<&Credit> = tiers.iter().collect();
    tiers.sort_by_key(|tier| std::cmp::Reverse(tier.below_ppm));
    let words =
        tiers.iter().map(|tier| format!("below {}: {}\u{202f}%", words::objective(tier.below_ppm), tier.percent));
    format!("Credits of the fee: {}.", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_days_are_drawn_together() {
        assert_eq!(weekdays(&[1, 2, 3, 4, 5]), "Mon–Fri");
        assert_eq!(weekdays(&[6, 7]), "Sat, Sun");
        assert_eq!(weekdays(&[1, 3, 4, 5]), "Mon, Wed–Fri");
    }

    #[test]
    fn hours_and_credits_read_as_sentences() {
        let weekdays = ServiceHours { days: vec![1, 2, 3, 4, 5], from_minute: 480, to_minute: 1440 };
        assert_eq!(hours(&[weekdays], "UTC"), "Only service hours count: Mon–Fri 08:00–24:00 in UTC.");
        let tiers = [Credit { below_ppm: 990_000, percent: 25 }, Credit { below_ppm: 999_000, percent: 10 }];
        let said = credits(&tiers).replace('\u{202f}', " ");
        assert_eq!(said, "Credits of the fee: below 99.9 %: 10 %, below 99 %: 25 %.");
    }
}
