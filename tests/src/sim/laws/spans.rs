//! Arithmetic on spans of time, as plain as it can be: it judges what `uptime` came to and shares nothing with it.

use nines_shared::time::{Span, Timestamp};

/// When at least `least` of `voices` hold, each a list of spans in any order: in order and apart.
pub(super) fn held_by(voices: &[Vec<Span>], least: usize) -> Vec<Span> {
    let mut edges: Vec<(Timestamp, i32)> = Vec::new();
    for voice in voices {
        for span in union(voice.clone()) {
            edges.extend([(span.from, 1), (span.to, -1)]);
        }
    }
    // Where one ends and another begins, the number does not fall between.
    edges.sort_by_key(|(at, step)| (*at, -step));
    let (mut count, mut since, mut held) = (0, None, Vec::new());
    for (at, step) in edges {
        count += step;
        let enough = i32::try_from(least).is_ok_and(|least| least <= count);
        match (since, enough) {
            (None, true) => since = Some(at),
            (Some(from), false) => {
                since = None;
                held.push(Span::new(from, at));
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    union(held)
}

/// The same time in order and apart.
pub(super) fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort();
    let mut apart: Vec<Span> = Vec::new();
    for span in spans {
        match apart.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            Some(_) | None => apart.push(span),
        }
    }
    apart
}

/// The first part of `spans` that none of `cover` covers; both in order and apart.
pub(super) fn uncovered(spans: &[Span], cover: &[Span]) -> Option<Span> {
    without(spans, cover).into_iter().next()
}

/// `spans` without what `cut` covers; both in order and apart.
pub(super) fn without(spans: &[Span], cut: &[Span]) -> Vec<Span> {
    let mut left = Vec::new();
    for span in spans {
        let mut from = span.from;
        for gone in cut.iter().filter(|gone| gone.intersection(*span).is_some()) {
            left.push(Span::new(from, gone.from));
            from = from.max(gone.to);
        }
        left.push(Span::new(from, span.to));
    }
    left.retain(|span| !span.is_empty());
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(of: &[(i64, i64)]) -> Vec<Span> {
        of.iter().map(|(from, to)| Span::new(Timestamp::from_ms(*from), Timestamp::from_ms(*to))).collect()
    }

    #[test]
    fn what_two_of_three_hold_is_where_two_of_them_meet() {
        let voices = [spans(&[(0, 10), (5, 20)]), spans(&[(8, 12), (12, 30)]), spans(&[(25, 40)])];
        assert_eq!(held_by(&voices, 2), spans(&[(8, 20), (25, 30)]));
        assert_eq!(held_by(&voices, 1), spans(&[(0, 40)]));
        assert_eq!(held_by(&voices, 3), []);
    }

    #[test]
    fn what_is_left_is_what_nothing_covers() {
        let (all, cut) = (spans(&[(0, 10), (20, 30)]), spans(&[(0, 3), (8, 25)]));
        assert_eq!(without(&all, &cut), spans(&[(3, 8), (25, 30)]));
        assert_eq!(uncovered(&all, &spans(&[(0, 30)])), None);
    }
}
