//! Excluded time: announced maintenance and the occurrences of weekly rules, and the set arithmetic of spans.
//!
//! Maintenance clips; it never drops a whole outage. Sets of spans are sorted, disjoint and without empty
//! spans; [`merged`] makes them so and every function here keeps them so.

use nines_shared::id::ServiceId;
use nines_shared::time::Span;

use super::calendar::{self, CalendarError};
use crate::definition::Maintenance;

/// What `announced`, which counts in `counts`, excludes of `window`: itself, or those of its weekly occurrences that
/// share time with `window`. They are cut to `counts`, and not to `window`.
///
/// # Errors
/// [`CalendarError::Zone`] where the rule's zone is none.
pub fn occurrences(announced: &Maintenance, counts: Span, window: Span) -> Result<Vec<Maintenance>, CalendarError> {
    let Some(common) = counts.intersection(window) else { return Ok(Vec::new()) };
    let spans = match &announced.weekly {
        None => vec![counts],
        Some(weekly) => calendar::weekly(&weekly.hours, common, &weekly.timezone)?,
    };
    let cut = spans.into_iter().filter_map(|span| span.intersection(counts));
    Ok(cut.map(|span| Maintenance { span, ..announced.clone() }).collect())
}

/// The time inside `window` that the maintenance of `service` excludes, as a set of spans.
pub fn excluded(maintenance: &[Maintenance], service: &ServiceId, window: Span) -> Vec<Span> {
    let spans = maintenance.iter().filter(|announced| announced.service == *service);
    merged(spans.filter_map(|announced| announced.span.intersection(window)).collect())
}

/// Any spans as a set: sorted, overlaps and neighbours joined, empty ones gone.
pub fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable();
    let mut set: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match set.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            Some(_) | None => set.push(span),
        }
    }
    set
}

/// The parts of `span` that lie inside `set`, in order.
pub fn inside(set: &[Span], span: Span) -> impl Iterator<Item = Span> + '_ {
    let first = set.partition_point(|other| other.to <= span.from);
    set[first..].iter().take_while(move |other| other.from < span.to).filter_map(move |other| other.intersection(span))
}

/// The parts of `span` that lie outside `set`, in order.
pub fn outside(set: &[Span], span: Span) -> impl Iterator<Item = Span> + '_ {
    let mut from = span.from;
    let gaps = inside(set, span).chain(std::iter::once(Span { from: span.to, to: span.to }));
    gaps.map(move |hole| {
        let gap = Span { from, to: hole.from };
        from = hole.to;
        gap
    })
    .filter(|gap| !gap.is_empty())
}

/// How much of `span` lies outside `set`, in ms.
pub fn outside_ms(set: &[Span], span: Span) -> i64 {
    span.length_ms() - inside(set, span).map(Span::length_ms).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nines_shared::time::Timestamp;
    use proptest::prelude::*;

    fn span(from: i64, to: i64) -> Span {
        Span::new(Timestamp::from_ms(from), Timestamp::from_ms(to))
    }

    #[test]
    fn overlapping_windows_exclude_their_time_once() {
        let set = merged(vec![span(30, 40), span(10, 20), span(15, 25), span(25, 28), span(50, 50)]);
        assert_eq!(set, [span(10, 28), span(30, 40)]);
        assert_eq!(outside(&set, span(0, 35)).collect::<Vec<_>>(), [span(0, 10), span(28, 30)]);
    }

    #[test]
    fn maintenance_of_another_service_excludes_nothing() {
        let window = Maintenance {
            service: "a".parse().unwrap(),
            span: span(0, 10),
            reason: String::new(),
            afterwards: None,
            weekly: None,
        };
        assert_eq!(excluded(std::slice::from_ref(&window), &"b".parse().unwrap(), span(0, 100)), []);
        assert_eq!(excluded(&[window], &"a".parse().unwrap(), span(5, 100)), [span(5, 10)]);
    }

    proptest! {
        #[test]
        fn inside_and_outside_make_the_whole(
            spans in prop::collection::vec((0_i64..100, 0_i64..30), 0..8), from in 0_i64..100, length in 0_i64..60,
        ) {
            let set = merged(spans.iter().map(|(from, length)| span(*from, from + length)).collect());
            let whole = span(from, from + length);
            let mut parts: Vec<Span> = inside(&set, whole).chain(outside(&set, whole)).collect();
            parts.sort_unstable();
            prop_assert_eq!(parts.iter().map(|part| part.length_ms()).sum::<i64>(), length);
            prop_assert!(parts.windows(2).all(|pair| pair[0].to <= pair[1].from));
            prop_assert_eq!(outside_ms(&set, whole), outside(&set, whole).map(Span::length_ms).sum::<i64>());
        }
    }
}
