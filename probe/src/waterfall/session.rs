//! PURE: the TLS session, and the chain as a tree from the target's certificate to the root.

use nines_shared::sample::{Certificate, OcspEvidence, TlsEvidence};

use super::figure::date;
use super::page::{COLUMN, Line, MARGIN, Page};
use super::{DIM, GREEN, Look, RED, YELLOW, certificate};

/// How far a certificate stands to the right of the one that it signed.
const STEP: usize = 2;

/// The most offers that are shown.
const MAX_OFFERS: usize = 40;

/// Draws the session and its chain, where the check came so far.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let Some(tls) = &look.seen.evidence.tls else { return };
    let alpn = tls.alpn.as_ref().map(|alpn| format!("ALPN {alpn}"));
    let known = [tls.version.clone(), tls.cipher.clone(), alpn];
    let known: Vec<Line> = known.into_iter().flatten().map(Line::of).collect();
    if known.is_empty() && tls.chain.is_empty() {
        return;
    }
    page.gap();
    if !known.is_empty() {
        page.field("session", &Line::listed(known));
    }
    chain(page, tls, look);
}

fn chain(page: &mut Page, tls: &TlsEvidence, look: Look<'_>) {
    let first_to_end = tls.chain.iter().map(|certificate| certificate.not_after).min();
    for (depth, shown) in tls.chain.iter().enumerate() {
        let ends_first = 1 < tls.chain.len() && Some(shown.not_after) == first_to_end;
        let mark = if ends_first { Line::styled(YELLOW, "  ◂ ends first") } else { Line::default() };
        let (indent, before) = match depth {
            0 => (MARGIN, Line::of("chain").padded(COLUMN - MARGIN)),
            _ => (COLUMN + (depth - 1) * STEP, Line::styled(DIM, "└ ")),
        };
        let left = certificate::left(shown, look.now);
        let room = page.paper().width().saturating_sub(indent + before.width() + mark.width() + left.width() + 2);
        let name = certificate::named(&shown.subject).cut(room);
        page.edges(indent, before.and_all(name).and_all(mark), left);
        if depth == 0 {
            of_leaf(page, tls, shown);
        }
    }
    if let Some(top) = tls.chain.last() {
        let depth = tls.chain.len() - 1;
        above(page, tls, top, COLUMN + depth * STEP);
    }
    if let Some(ocsp) = &tls.ocsp {
        page.field("ocsp", &stapled(ocsp));
    }
    for (index, offer) in tls.offers.iter().take(MAX_OFFERS).enumerate() {
        let mark = if offer.taken { Line::styled(YELLOW, "took    ") } else { Line::styled(DIM, "refused ") };
        let line = mark.and(&offer.asked).and_styled(DIM, format!("  {}", offer.answer));
        page.field(if index == 0 { "offered" } else { "" }, &line);
    }
    if let Some(why) = &tls.unverified {
        page.folded(COLUMN, COLUMN, &Line::styled(RED, format!("not verified, and would be refused: {why}")));
    }
}

/// What a stapled OCSP response says.
fn stapled(ocsp: &OcspEvidence) -> Line {
    let style = if ocsp.status == "good" && ocsp.doubt.is_none() { GREEN } else { RED };
    let until = ocsp.next_update.map(|until| Line::styled(DIM, format!("until {}", date(until))));
    let doubt = ocsp.doubt.as_ref().map(|doubt| Line::styled(RED, doubt));
    Line::listed([Some(Line::styled(style, &ocsp.status)), until, doubt].into_iter().flatten())
}

/// Who stands above the last certificate that was sent: a trusted root, or nobody that is known here.
fn above(page: &mut Page, tls: &TlsEvidence, top: &Certificate, indent: usize) {
    match tls.path.last() {
        Some(root) if *root == top.subject => page.line(indent, &Line::styled(GREEN, "✓ trusted here")),
        Some(root) => page.line(
            indent,
            &Line::styled(DIM, "└ ").and_all(certificate::named(root)).and_styled(GREEN, "  ✓ trusted here"),
        ),
        None if top.issuer == top.subject => page.line(indent, &Line::styled(DIM, "signed by itself")),
        None => {
            let name = certificate::named(&top.issuer);
            page.line(indent, &Line::styled(DIM, "└ ").and_all(name).and_styled(DIM, ", not sent"));
        }
    }
}

/// The names that `leaf` is for, its key and its signature.
fn of_leaf(page: &mut Page, tls: &TlsEvidence, leaf: &Certificate) {
    let alone = tls.chain.len() == 1 && leaf.issuer == leaf.subject;
    let mut line = |text: String| {
        let stem = if alone { "  " } else { "│ " };
        page.folded(COLUMN, COLUMN + STEP, &Line::styled(DIM, format!("{stem}{text}")));
    };
    if !leaf.names.is_empty() {
        line(format!("for {}", certificate::names(leaf)));
    }
    let known = [("key", &leaf.key), ("signed", &leaf.signature), ("serial", &leaf.serial)];
    let known: Vec<String> =
        known.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name} {text}")).collect();
    if !known.is_empty() {
        line(known.join(", "));
    }
}
