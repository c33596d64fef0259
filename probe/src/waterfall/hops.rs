//! PURE: where each request went, and its phases as bars on one scale.

use std::net::SocketAddr;

use anstyle::{AnsiColor, Style};
use nines_shared::check::Question;
use nines_shared::sample::{Hop, Phase, Phases, Reason};

use super::bar::Bar;
use super::figure::{millis, share};
use super::page::{COLUMN, Line, MARGIN, Page};
use super::{CYAN, DIM, GREEN, Look, MAGENTA, RED, YELLOW};

const NOWHERE: &str = "no address was contacted";
/// How wide a time is.
const TIME: usize = 12;
/// How wide a share is.
const SHARE: usize = 8;

/// Draws each hop: where it went, and its phases; then the total.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let evidence = &look.seen.evidence;
    let mut begins_us = 0;
    if evidence.hops.is_empty() {
        let place = evidence.address.map_or_else(|| Line::styled(DIM, NOWHERE), address);
        page.line(MARGIN, &place);
        bars(page, look, look.seen.phases_us, Scale { begins_us, last: true });
    }
    for (index, hop) in evidence.hops.iter().enumerate() {
        let last = index + 1 == evidence.hops.len();
        if index != 0 {
            page.gap();
            page.folded(MARGIN, MARGIN + 2, &Line::styled(CYAN, "→ ").and(&hop.url));
        }
        let unmet = last && look.seen.reason == Some(Reason::HttpStatus);
        page.line(MARGIN, &place(hop, unmet));
        begins_us = bars(page, look, hop.phases_us, Scale { begins_us, last });
    }
    total(page, look);
    tried(page, look);
}

/// Where `hop` went and how it was answered; `unmet` where that was not the expected status.
fn place(hop: &Hop, unmet: bool) -> Line {
    let where_to = hop.address.map_or_else(|| Line::styled(DIM, NOWHERE), address);
    let proxy = hop.proxy.as_ref().map(|proxy| Line::styled(MAGENTA, format!("proxy {proxy}")));
    let version = hop.version.as_ref().map(Line::of);
    let status = hop.status.map(|status| Line::styled(if unmet { RED } else { of_status(status) }, status));
    Line::listed([Some(where_to), proxy, version, status].into_iter().flatten())
}

/// `address` and its family.
pub(super) fn address(address: SocketAddr) -> Line {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    // An echo goes to no port.
    let place = if address.port() == 0 { Line::of(address.ip()) } else { Line::of(address) };
    Line::listed([place, Line::of(family)])
}

const fn of_status(status: u16) -> Style {
    match status {
        200..=299 => GREEN,
        300..=399 => CYAN,
        _ => YELLOW,
    }
}

/// Where on the scale a hop's bars begin, and whether it is the one that may have failed.
#[derive(Clone, Copy)]
struct Scale {
    begins_us: u64,
    last: bool,
}

/// Draws a hop's bars; returns where the next hop begins.
fn bars(page: &mut Page, look: Look<'_>, times: Phases, scale: Scale) -> u64 {
    if !times.is_empty() {
        page.gap();
    }
    let mut from_us = scale.begins_us;
    for phase in Phase::ALL {
        let Some(us) = times.get(phase) else { continue };
        let failed = scale.last && look.seen.reason.is_some() && look.seen.phase == Some(phase);
        let style = if failed { RED } else { Style::new() };
        let line = Line::styled(style, name(look.question, phase)).padded(COLUMN - MARGIN);
        let bar = scaled(page, (from_us, us), look.seen.duration_us, if failed { RED } else { colour(phase) });
        let line = line.and_all(bar).and(format!("{:>TIME$}", millis(us)));
        page.line(MARGIN, &line.and_styled(DIM, format!("{:>SHARE$}", share(us, look.seen.duration_us))));
        from_us += us;
    }
    from_us
}

/// The bar of what took `us` from `from_us` on, where the paper takes bars.
fn scaled(page: &Page, (from_us, us): (u64, u64), total_us: u64, style: Style) -> Line {
    let Some(width) = scale_width(page) else { return Line::default() };
    let bar = Bar::of(from_us, us, total_us, width);
    Line::of(" ".repeat(bar.before)).and_styled(style, bar.drawn).and(" ".repeat(bar.after))
}

/// How wide the scale is, where the paper takes bars.
fn scale_width(page: &Page) -> Option<usize> {
    page.paper().bars().then(|| page.paper().width() - COLUMN - TIME - SHARE)
}

fn total(page: &mut Page, look: Look<'_>) {
    let line = Line::of("total").padded(COLUMN - MARGIN + scale_width(page).unwrap_or(0));
    let attempt = look.seen.attempt;
    let line = line.and(format!("{:>TIME$}", millis(look.seen.duration_us)));
    page.line(MARGIN, &if 1 < attempt { line.and_styled(DIM, format!("  try {attempt}")) } else { line });
}

/// The addresses that took no connection.
fn tried(page: &mut Page, look: Look<'_>) {
    for (index, tried) in look.seen.evidence.tried.iter().enumerate() {
        if index == 0 {
            page.gap();
        }
        let label = if index == 0 { "tried too" } else { "" };
        let why = match (&tried.reason, tried.us) {
            (Some(reason), Some(us)) => Line::styled(YELLOW, format!("{reason} after {}", millis(us))),
            (Some(reason), None) => Line::styled(YELLOW, reason),
            (None, _) => Line::styled(DIM, "no answer by then"),
        };
        page.field(label, &address(tried.address).and("  ").and_all(why));
    }
}

/// The colour of `phase` in every bar.
pub(super) const fn colour(phase: Phase) -> Style {
    match phase {
        Phase::Resolve => AnsiColor::Cyan,
        Phase::Connect => AnsiColor::Blue,
        Phase::Tls => AnsiColor::Magenta,
        Phase::FirstByte => AnsiColor::Yellow,
        Phase::Transfer => AnsiColor::Green,
    }
    .on_default()
}

/// The name of `phase` as people say it for `question`.
pub(super) const fn name(question: &Question, phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve if matches!(question, Question::Dns(_)) => "exchange",
        Phase::Resolve => "resolve",
        Phase::Connect => "connect",
        Phase::Tls => "tls",
        Phase::FirstByte if matches!(question, Question::Icmp(_)) => "echo",
        Phase::FirstByte => "first byte",
        Phase::Transfer => "transfer",
    }
}
