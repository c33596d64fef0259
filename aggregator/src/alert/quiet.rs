//! Silences: which of them withhold what is told of an incident. Pure.

use super::route::Alert;
use crate::incident::{Incident, Subject};
use crate::store::silences::{Scope, Silence};

/// The silence by which the letters of `incident` are withheld, where one of `holding` does: the one that ends last.
/// Where only the checks that fail are silenced, all of them must be, and the one that ends first counts.
pub fn withheld<'s>(holding: &'s [Silence], incident: &Incident, alert: &Alert) -> Option<&'s Silence> {
    let of_kind = || holding.iter().filter(|silence| silence.kind.is_none_or(|kind| kind == incident.kind));
    let whole = of_kind().filter(|silence| match &silence.scope {
        Scope::Service(service) => alert.service.as_ref() == Some(service),
        Scope::Customer(customer) => alert.customer.as_ref() == Some(customer),
        Scope::Probe(probe) => matches!(&incident.subject, Subject::Probe(subject) if subject == probe),
        Scope::Check(_) => false,
    });
    let of_check = |check| {
        of_kind()
            .filter(move |silence| matches!(&silence.scope, Scope::Check(id) if id == check))
            .max_by_key(|silence| silence.to)
    };
    let by_checks: Option<Vec<&Silence>> = alert.checks.iter().map(of_check).collect();
    let by_checks = by_checks.unwrap_or_default().into_iter().min_by_key(|silence| silence.to);
    whole.chain(by_checks).max_by_key(|silence| silence.to)
}

#[cfg(test)]
mod tests {
    use nines_shared::time::Timestamp;

    use super::*;
    use crate::alert::plan::tests::{alert, incident};
    use crate::incident::Kind;

    fn silence(no: i64, scope: Scope, to: i64) -> Silence {
        Silence {
            no,
            scope,
            kind: None,
            from: Timestamp::from_ms(0),
            to: Timestamp::from_ms(to),
            reason: "moving".into(),
            by: "ann".into(),
            ended: None,
        }
    }

    fn by(holding: &[Silence]) -> Option<i64> {
        withheld(holding, &incident(), &alert()).map(|silence| silence.no)
    }

    fn check(id: &str) -> Scope {
        Scope::Check(id.parse().unwrap())
    }

    #[test]
    fn a_silence_withholds_what_it_names_and_nothing_else() {
        for (scope, found) in [
            (Scope::Service("shop".parse().unwrap()), true),
            (Scope::Service("other".parse().unwrap()), false),
            (Scope::Customer("acme".parse().unwrap()), true),
            (Scope::Customer("other".parse().unwrap()), false),
            (Scope::Probe("shop".parse().unwrap()), false),
            (check("shop-home"), false),
        ] {
            assert_eq!(by(&[silence(1, scope.clone(), 9)]).is_some(), found, "{scope}");
        }
        let of_probes = Silence { kind: Some(Kind::Probe), ..silence(1, Scope::Service("shop".parse().unwrap()), 9) };
        assert_eq!(by(&[of_probes]), None);
    }

    /// The incident is about two checks.
    #[test]
    fn silenced_checks_withhold_only_where_all_that_fail_are_silenced_and_until_the_first_ends() {
        let (home, api) = (silence(1, check("shop-home"), 9), silence(2, check("shop-api"), 7));
        assert_eq!(by(std::slice::from_ref(&home)), None);
        assert_eq!(by(&[home.clone(), api.clone()]), Some(2));
        let whole = silence(3, Scope::Service("shop".parse().unwrap()), 8);
        assert_eq!(by(&[home, api, whole]), Some(3), "the service is silenced for longer");
    }
}
