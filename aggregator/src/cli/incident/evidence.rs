//! The evidence of an incident on a terminal: each region's last good sample above its first bad one, phase by phase.

use nines_shared::sample::Phase;
use nines_shared::time::Timestamp;

use crate::incident::evidence::{Glimpse, Sight};

/// A line for each sample, and one for what differs; each with the words before it. Values are cleaned when they are
/// kept.
pub(super) fn lines(sights: &[Sight], shown: impl Fn(Timestamp) -> String) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for of_check in sights.chunk_by(|left, right| left.check == right.check) {
        for (index, sight) in of_check.iter().enumerate() {
            if index == 0 {
                lines.push(("evidence".to_owned(), sight.check.to_string()));
            }
            let region = format!("  {}", sight.region);
            match &sight.last_good {
                Some(good) => lines.push((region, format!("last good   {}", sample(good, &shown)))),
                None => lines.push((region, "last good   none near".to_owned())),
            }
            lines.push((String::new(), format!("first bad   {}", sample(&sight.first_bad, &shown))));
            let differs = sight.differences().into_iter().map(|differs| match differs.was.as_str() {
                "" => format!("{} {}", differs.what, differs.is),
                was => format!("{} {was} → {}", differs.what, differs.is),
            });
            let differs: Vec<String> = differs.collect();
            if !differs.is_empty() {
                lines.push((String::new(), format!("changed     {}", differs.join(" · "))));
            }
        }
    }
    lines
}

/// "2026-11-22 03:12:07 UTC  down http_status in first_byte  81 ms: resolve 1 · connect 9 · first_byte 60".
fn sample(seen: &Glimpse, shown: &impl Fn(Timestamp) -> String) -> String {
    let mut text = format!("{}  {}", shown(seen.started_at), seen.outcome.code());
    if let Some(reason) = &seen.reason {
        text.push_str(&format!(" {reason}"));
    }
    if let Some(phase) = seen.phase {
        text.push_str(&format!(" in {phase}"));
    }
    if let Some(us) = seen.duration_us {
        text.push_str(&format!("  {} ms", us / 1_000));
    }
    let phases = Phase::ALL.into_iter().filter_map(|phase| Some((phase, seen.phases_us.get(phase)?)));
    let phases: Vec<String> = phases.map(|(phase, us)| format!("{phase} {}", us / 1_000)).collect();
    if !phases.is_empty() {
        text.push_str(&format!(": {}", phases.join(" · ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nines_shared::sample::{Outcome, Phases, Reason, SampleKind};

    use super::*;
    use crate::incident::common::Aspect;

    fn glimpse(outcome: Outcome, us: u64, address: &str) -> Glimpse {
        let at = Timestamp::from_ms(1_790_000_000_000);
        Glimpse {
            kind: SampleKind::Planned,
            scheduled_at: at,
            started_at: at,
            outcome,
            reason: (outcome == Outcome::Down).then_some(Reason::HttpStatus),
            phase: (outcome == Outcome::Down).then_some(Phase::FirstByte),
            detail: None,
            duration_us: Some(us),
            phases_us: Phases { connect: Some(9_000), first_byte: Some(us - 9_000), ..Phases::default() },
            shows: BTreeMap::from([(Aspect::Address, address.to_owned())]),
            answers: Vec::new(),
            trace_id: None,
        }
    }

    #[test]
    fn each_region_shows_both_samples_their_phases_and_what_changed() {
        let sight = |region: &str, last_good| Sight {
            check: "shop-home".parse().unwrap(),
            region: region.parse().unwrap(),
            last_good,
            first_bad: glimpse(Outcome::Down, 309_000, "192.0.2.2:443"),
            redefined_at: None,
        };
        let sights =
            [sight("eu-west", Some(glimpse(Outcome::Degraded, 69_000, "192.0.2.1:443"))), sight("us-east", None)];
        let lines = lines(&sights, |_| "now".to_owned());
        let text: Vec<String> = lines.iter().map(|(name, content)| format!("{name}|{content}")).collect();
        let expected = [
            "evidence|shop-home",
            "  eu-west|last good   now  degraded  69 ms: connect 9 · first_byte 60",
            "|first bad   now  down http_status in first_byte  309 ms: connect 9 · first_byte 300",
            "|changed     address 192.0.2.1:443 → 192.0.2.2:443 · first_byte 60 ms → 300 ms",
            "  us-east|last good   none near",
            "|first bad   now  down http_status in first_byte  309 ms: connect 9 · first_byte 300",
        ];
        assert_eq!(text, expected);
    }
}
