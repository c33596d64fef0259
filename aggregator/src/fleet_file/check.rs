//! `[[check]]`: one question, how often, from where.
//!
//! The rules are [`Check::new`]'s; here each broken one is told at the key that it is about. A rule about
//! a key that could not even be read is left for when it can.

use nines_shared::check::{
    Check, CheckError, DEFAULT_INTERVAL_MS, Draft, HttpQuestion, MustFail, Question, default_recheck_ms,
    default_timeout_ms, majority,
};
use nines_shared::id::{CheckId, RegionId, ServiceId};
use nines_shared::sample::Reason;

use super::ids::{Declared, own_id};
use super::reader::{Table, Value};
use super::{dns, grpc, http, icmp, tcp, tls};

/// The check that `table` describes.
pub(super) fn read(table: Table<'_>, declared: &Declared<'_>) -> Option<Check> {
    let id: Option<CheckId> = own_id(&table);
    let service = table.need("service", "name the [[service]] that it is a part of");
    let service: Option<ServiceId> = service.and_then(|value| declared.services.find(&value));
    let mut keys = Keys { table: &table, broken: Vec::new() };
    let question = question(&table);
    let draft = keys.draft(&id, &service, question.clone(), declared);
    let checked = Check::new(draft);
    if let Err(errors) = &checked {
        keys.tell(errors, question.is_none());
    }
    let whole = keys.broken.is_empty();
    table.finish();
    let _all_there = (id?, service?, question?);
    checked.ok().filter(|_| whole)
}

/// The keys of a check, and which of them could not be read.
struct Keys<'t, 'a> {
    table: &'t Table<'a>,
    broken: Vec<&'static str>,
}

impl<'a> Keys<'_, 'a> {
    fn get<T>(&mut self, key: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        let read = self.table.get_if(key, read);
        if read.is_none() {
            self.broken.push(key);
        }
        read.flatten()
    }

    /// The draft, with something harmless in the place of what could not be read.
    fn draft(
        &mut self,
        id: &Option<CheckId>,
        service: &Option<ServiceId>,
        question: Option<Question>,
        declared: &Declared<'a>,
    ) -> Draft {
        let id = id.clone().unwrap_or_else(|| "unnamed".parse().expect("it is an id"));
        let service = service.clone().unwrap_or_else(|| "unnamed".parse().expect("it is an id"));
        let interval_ms = self.get("interval", Value::duration_ms).unwrap_or(DEFAULT_INTERVAL_MS);
        let timeout = self.get("timeout", Value::duration_ms);
        let regions = self.regions(declared);
        Draft {
            id,
            service,
            interval_ms,
            timeout_ms: timeout.unwrap_or(default_timeout_ms(interval_ms)),
            quorum: self.get("quorum", Value::whole).unwrap_or(majority(regions.len())),
            regions,
            retries: self.get("retries", Value::whole).unwrap_or(0),
            recheck_ms: self.get("recheck", Value::duration_ms).unwrap_or(default_recheck_ms(interval_ms)),
            degraded_after_ms: self.get("degraded_after", Value::duration_ms),
            must_fail: self.get("must_fail", must_fail).flatten(),
            question: question.unwrap_or_else(harmless),
        }
    }

    /// The regions named, or all that there are.
    fn regions(&mut self, declared: &Declared<'a>) -> Vec<RegionId> {
        let named = self.get("regions", |value| value.list(|item| declared.regions.find(item)));
        let all = || declared.regions.all();
        let regions = named.unwrap_or_else(all);
        if regions.is_empty() && !self.broken.contains(&"regions") {
            let mend = "define one: [[region]] id = \"eu-west\"".to_owned();
            self.table.notes.error(&self.table.spot, "there is no region to look from", Some(mend));
            self.broken.push("regions");
        }
        regions
    }

    /// Notes each broken rule at its key.
    fn tell(&mut self, errors: &[CheckError], no_question: bool) {
        for error in errors {
            let unread = depends_on(error).iter().any(|key| self.broken.contains(key));
            let of_stand_in = no_question && matches!(error, CheckError::Question { .. });
            if unread || of_stand_in {
                continue;
            }
            let key = error.key();
            match self.table.spot_of(key) {
                Some(spot) => self.table.notes.error(&spot, error.to_string(), None),
                // A default that fits no rule because of another key, whose own error says it.
                None if 1 < errors.len() => {}
                None => self.table.notes.error(&self.table.spot, error.to_string(), None),
            }
        }
    }
}

/// `true`, `false`, or a list of reasons. A code that nobody knows is a slip of the pen here, and not of a
/// newer version.
fn must_fail(value: &Value<'_>) -> Option<Option<MustFail>> {
    if value.is_list() {
        return value.list(reason).map(MustFail::With).map(Some);
    }
    Some(value.flag()?.then_some(MustFail::Anyhow))
}

fn reason(value: &Value<'_>) -> Option<Reason> {
    let codes: Vec<(&str, &Reason)> = Reason::ALL.iter().map(|reason| (reason.code(), reason)).collect();
    value.one_of(&codes).cloned()
}

/// The keys whose values a rule is about.
fn depends_on(error: &CheckError) -> &'static [&'static str] {
    match error {
        CheckError::Interval(_) => &["interval"],
        CheckError::Timeout { .. } => &["timeout", "interval"],
        CheckError::Recheck { .. } => &["recheck", "interval"],
        CheckError::DegradedAfter { .. } => &["degraded_after", "timeout", "interval"],
        CheckError::Regions(_) | CheckError::RegionTwice(_) => &["regions"],
        CheckError::Quorum { .. } => &["quorum", "regions"],
        CheckError::Retries(_) => &["retries"],
        CheckError::MustFail(_) => &["must_fail"],
        CheckError::Question { .. } => &[],
    }
}

/// A question that breaks no rule.
fn harmless() -> Question {
    Question::Http(Box::new(HttpQuestion::get("http://target.invalid/".parse().expect("it is a URL"))))
}

/// The one question of a check.
fn question(table: &Table<'_>) -> Option<Question> {
    let http = table.get("http").map(|value| (http::read(&value).map(|http| Question::Http(Box::new(http))), value));
    let dns = table.get("dns").map(|value| (dns::read(&value).map(|dns| Question::Dns(Box::new(dns))), value));
    let tls = table.get("tls").map(|value| (tls::read(&value).map(|tls| Question::Tls(Box::new(tls))), value));
    let tcp = table.get("tcp").map(|value| (tcp::read(&value).map(|tcp| Question::Tcp(Box::new(tcp))), value));
    let icmp = table.get("icmp").map(|value| (icmp::read(&value).map(Question::Icmp), value));
    let grpc = table.get("grpc").map(|value| (grpc::read(&value).map(|grpc| Question::Grpc(Box::new(grpc))), value));
    let mut asked = [http, dns, tls, tcp, icmp, grpc].into_iter().flatten();
    let Some((first, _)) = asked.next() else {
        let mend =
            "write http = { url = … }, dns = { name = … }, tls, tcp or grpc = { address = … }, or icmp = { host = … }"
                .to_owned();
        table.notes.error(&table.spot, "the check asks nothing", Some(mend));
        return None;
    };
    let mut alone = true;
    for (_, value) in asked {
        let mend = "make a second [[check]] of it; a service has as many as you like".to_owned();
        value.notes.error(&value.spot, "a check asks one question", Some(mend));
        alone = false;
    }
    first.filter(|_| alone)
}
