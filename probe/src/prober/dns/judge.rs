//! PURE: whether an answer is what is expected, and the reason where it is not.

use nines_shared::check::{AnswerPattern, DnsExpect, DnsQuestion, RecordType, shown_seconds};
use nines_shared::sample::{DnsEvidence, Phase, Reason};

use super::super::failure::Failure;
use super::answer::{Astray, Found, MAX_ALIASES};
use super::present::normal;

/// The most characters of a list of answers within a detail: the rest is in the evidence.
const MAX_LISTED: usize = 200;

/// Whether `evidence`, with what else was `found`, is what `question` expects.
pub(super) fn judge(question: &DnsQuestion, evidence: &DnsEvidence, found: &Found) -> Result<(), Failure> {
    let (expect, record_type) = (&question.expect, question.record_type);
    judge_rcode(expect, evidence)?;
    if evidence.rcode == "NOERROR" {
        judge_aliases(found)?;
        if evidence.answers.is_empty() && expect.wants_an_answer() {
            return theirs(Reason::DnsNoData, format!("the name exists but has no {record_type} record"));
        }
    }
    judge_answers(expect, record_type, &evidence.answers)?;
    judge_numbers(expect, found, evidence)?;
    judge_flags(expect, evidence)?;
    for (section, wanted, there) in [
        ("authority", &expect.authority, &evidence.authority),
        ("additional", &expect.additional, &evidence.additional),
    ] {
        if let Some(missing) = wanted.iter().map(|line| normal_line(line)).find(|line| !there.contains(line)) {
            return theirs(Reason::DnsSections, format!("{missing} is not in the {section} section: {}", list(there)));
        }
    }
    Ok(())
}

fn theirs(reason: Reason, detail: String) -> Result<(), Failure> {
    Err(Failure::theirs(reason, Phase::Resolve, detail))
}

fn judge_rcode(expect: &DnsExpect, evidence: &DnsEvidence) -> Result<(), Failure> {
    let (right, wanted) = match &expect.rcode {
        Some(rcodes) => (rcodes.contains(&evidence.rcode), Some(rcodes)),
        None => (evidence.rcode == "NOERROR", None),
    };
    if right {
        return Ok(());
    }
    let wanted = wanted.map_or_else(|| "NOERROR".to_owned(), ToString::to_string);
    let reason = reason_of(&evidence.rcode);
    theirs(reason, format!("the server answers {}; {wanted} is expected", evidence.rcode))
}

/// The reason for a response code that is not the expected one.
pub(super) fn reason_of(rcode: &str) -> Reason {
    match rcode {
        "NXDOMAIN" => Reason::DnsNxdomain,
        "SERVFAIL" => Reason::DnsServfail,
        "REFUSED" => Reason::DnsRefused,
        _ => Reason::DnsRcode,
    }
}

fn judge_aliases(found: &Found) -> Result<(), Failure> {
    match &found.astray {
        None => Ok(()),
        Some(Astray::Loop(name)) => theirs(Reason::DnsCnameLoop, format!("the aliases (CNAME) lead back to {name}")),
        Some(Astray::TooFar) => {
            theirs(Reason::DnsCnameLoop, format!("more than {MAX_ALIASES} aliases (CNAME), one after the other"))
        }
    }
}

fn judge_answers(expect: &DnsExpect, record_type: RecordType, answers: &[String]) -> Result<(), Failure> {
    let wrong = |what: String| {
        let reason = if answers.is_empty() { Reason::DnsNoData } else { Reason::DnsAnswers };
        theirs(reason, format!("{what}; the answer is {}", list(answers)))
    };
    if let Some(exactly) = &expect.answers {
        let mut exactly = normals(exactly, record_type);
        exactly.sort();
        exactly.dedup();
        if exactly != answers {
            return wrong(format!("expected {}", list(&exactly)));
        }
    }
    if let Some(missing) = normals(&expect.contains, record_type).into_iter().find(|one| !answers.contains(one)) {
        return wrong(format!("{missing} is missing"));
    }
    if !expect.any_of.is_empty() {
        let known = normals(&expect.any_of, record_type);
        if answers.is_empty() {
            return wrong(format!("expected one of {}", list(&known)));
        }
        if let Some(stranger) = answers.iter().find(|one| !known.contains(one)) {
            return wrong(format!("{stranger} is none of {}", list(&known)));
        }
    }
    match &expect.matches {
        None => Ok(()),
        Some(AnswerPattern::Any(regex)) if answers.iter().any(|one| regex.is_match(one.as_bytes())) => Ok(()),
        Some(AnswerPattern::Any(regex)) => wrong(format!("no answer matches {regex}")),
        Some(AnswerPattern::Every(regex)) => match answers.iter().find(|one| !regex.is_match(one.as_bytes())) {
            None if answers.is_empty() => wrong(format!("there is no answer to match {regex}")),
            None => Ok(()),
            Some(stranger) => wrong(format!("{stranger} does not match {regex}")),
        },
    }
}

fn judge_numbers(expect: &DnsExpect, found: &Found, evidence: &DnsEvidence) -> Result<(), Failure> {
    let count = u32::try_from(evidence.answers.len()).unwrap_or(u32::MAX);
    if let Some(bounds) = expect.count
        && !bounds.contains(count)
    {
        let reason = if count == 0 { Reason::DnsNoData } else { Reason::DnsAnswers };
        return theirs(reason, format!("{count} answers; {} is expected", bounds.shown(|n| n.to_string())));
    }
    if let (Some(bounds), Some(ttl)) = (expect.ttl_s, &found.ttl_s)
        && let Some(wrong) = [*ttl.start(), *ttl.end()].into_iter().find(|ttl| !bounds.contains(*ttl))
    {
        let expected = bounds.shown(shown_seconds);
        return theirs(Reason::DnsTtl, format!("a TTL is {}; {expected} is expected", shown_seconds(wrong)));
    }
    if let Some(wanted) = expect.serial_at_least {
        return match found.serial {
            Some(serial) if is_at_least(serial, wanted) => Ok(()),
            Some(serial) => {
                theirs(Reason::DnsAnswers, format!("the serial is {serial}; at least {wanted} is expected"))
            }
            None => theirs(Reason::DnsNoData, "there is no SOA record to have a serial".to_owned()),
        };
    }
    Ok(())
}

/// Whether `serial` is `wanted` or comes after it, in the arithmetic of RFC 1982.
fn is_at_least(serial: u32, wanted: u32) -> bool {
    serial.wrapping_sub(wanted) < 1 << 31
}

fn judge_flags(expect: &DnsExpect, evidence: &DnsEvidence) -> Result<(), Failure> {
    if expect.flags.is_empty() {
        return Ok(());
    }
    let (wanted, flags) = (expect.flags, evidence.flags);
    let pairs = [
        ("AA", wanted.aa, flags.aa),
        ("AD", wanted.ad, flags.ad),
        ("RA", wanted.ra, flags.ra),
        ("TC", wanted.tc, flags.tc),
    ];
    match pairs.into_iter().find(|(_, wanted, set)| wanted.is_some_and(|wanted| wanted != *set)) {
        None => Ok(()),
        Some((flag, _, true)) => theirs(Reason::DnsFlags, format!("the flag {flag} is set, and should be clear")),
        Some((flag, _, false)) => theirs(Reason::DnsFlags, format!("the flag {flag} is clear, and should be set")),
    }
}

fn normals(written: &[String], record_type: RecordType) -> Vec<String> {
    written.iter().map(|answer| normal(answer, record_type)).collect()
}

/// A line of a section: type and data.
fn normal_line(line: &str) -> String {
    match line.split_once(' ').and_then(|(kind, data)| Some((kind.parse::<RecordType>().ok()?, data))) {
        Some((kind, data)) => format!("{kind} {}", normal(data, kind)),
        None => line.to_owned(),
    }
}

pub(super) fn list(answers: &[String]) -> String {
    if answers.is_empty() {
        return "nothing".to_owned();
    }
    let mut text = String::new();
    for (index, answer) in answers.iter().enumerate() {
        if MAX_LISTED < text.len() + answer.len() && index != 0 {
            return format!("{text} and {} more", answers.len() - index);
        }
        let comma = if index == 0 { "" } else { ", " };
        text = format!("{text}{comma}{answer}");
    }
    text
}

#[cfg(test)]
mod tests;
