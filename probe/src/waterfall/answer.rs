//! PURE: the answer of a DNS check.

use nines_shared::duration::Shown;
use nines_shared::sample::{DnsEvidence, DnsFlags, DnssecEvidence, DnssecProof};

use super::figure::counted;
use super::page::{COLUMN, Line, Page};
use super::{DIM, GREEN, Look, RED, YELLOW};

/// Draws the answer, where one came.
pub(super) fn draw(page: &mut Page, look: Look<'_>) {
    let Some(dns) = &look.seen.evidence.dns else { return };
    page.gap();
    page.field("answer", &head(dns));
    for record in &dns.answers {
        page.folded(COLUMN, COLUMN + 2, &Line::of(record));
    }
    if let Some(dnssec) = &dns.dnssec {
        page.field("dnssec", &proof(dnssec));
    }
    section(page, "authority", &dns.authority);
    section(page, "additional", &dns.additional);
}

fn head(dns: &DnsEvidence) -> Line {
    let good = if dns.rcode == "NOERROR" { GREEN } else { YELLOW };
    let ttl = dns.ttl_s.map(|seconds| Line::styled(DIM, format!("TTL {}", Shown(i64::from(seconds) * 1_000))));
    let parts = [
        Some(Line::styled(good, &dns.rcode)),
        flags(dns.flags),
        Some(Line::of(format!("over {}", dns.transport))),
        ttl,
    ];
    Line::listed(parts.into_iter().flatten())
}

/// The flags that are set, as dig shows them.
fn flags(flags: DnsFlags) -> Option<Line> {
    let set = [("aa", flags.aa), ("tc", flags.tc), ("ra", flags.ra), ("ad", flags.ad)];
    let set: Vec<&str> = set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    (!set.is_empty()).then(|| Line::of(format!("flags {}", set.join(" "))))
}

/// What DNSSEC proves, and how many questions that took.
fn proof(dnssec: &DnssecEvidence) -> Line {
    let proof = match dnssec.proof {
        DnssecProof::Secure => Line::styled(GREEN, "secure"),
        DnssecProof::Insecure => Line::styled(YELLOW, "insecure"),
        DnssecProof::Bogus => Line::styled(RED, "bogus"),
    };
    let why = dnssec.why.as_ref().map(Line::of);
    let asked = Line::styled(DIM, counted(dnssec.questions.into(), "question"));
    Line::listed([Some(proof), why, Some(asked)].into_iter().flatten())
}

fn section(page: &mut Page, name: &str, records: &[String]) {
    for (index, record) in records.iter().enumerate() {
        page.field(if index == 0 { name } else { "" }, &Line::of(record));
    }
}
