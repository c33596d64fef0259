use nines_shared::check::Draft;

use super::*;
use crate::store::tests::{check, sample};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const REGIONS: [&str; 5] = ["ap-south", "ap-tokyo", "eu-west", "sa-east", "us-east"];

/// A fleet of five regions with a probe in each, which is called as its region.
struct Fleet {
    confirm: Confirm,
    now: Timestamp,
}

impl Fleet {
    fn of(checks: &[Check]) -> Self {
        let mut fleet = Self { confirm: Confirm::new(NOW), now: NOW };
        fleet.confirm.know(checks);
        fleet.all_listen();
        fleet
    }

    fn start() -> Self {
        Self::of(&[check("shop-home", 60_000, &REGIONS)])
    }

    fn all_listen(&mut self) {
        for region in REGIONS {
            self.confirm.listens(&region.parse().unwrap(), &region.parse().unwrap(), self.now);
        }
    }

    fn passes(&mut self, ms: i64) {
        self.now = self.now.plus_ms(ms);
        self.all_listen();
    }

    /// A sample of `region` that began just now and arrives at once.
    fn sample(&self, region: &str, outcome: Outcome) -> Sample {
        Sample { outcome, started_at: self.now, ..sample(region, self.now.as_ms()) }
    }

    fn takes(&mut self, sample: Sample) -> Came {
        let probe = sample.region.as_str().parse().unwrap();
        self.confirm.arrived(&probe, &[sample], self.now)
    }

    fn says(&mut self, region: &str, outcome: Outcome) -> Came {
        self.takes(self.sample(region, outcome))
    }

    fn asked(&self, region: &str) -> Vec<Ask> {
        self.confirm.asked(&region.parse().unwrap(), 0, self.now)
    }

    /// The regions that are asked something at the moment.
    fn whom(&self) -> Vec<&'static str> {
        REGIONS.into_iter().filter(|region| !self.asked(region).is_empty()).collect()
    }

    /// `regions` answer what they are asked, 40 ms later.
    fn answer(&mut self, regions: &[&str], outcome: Outcome) -> Came {
        self.now = self.now.plus_ms(40);
        let mut all = Came::default();
        for region in regions {
            for ask in self.asked(region) {
                let extra = Sample { kind: SampleKind::Extra, scheduled_at: ask.at, ..self.sample(region, outcome) };
                let came = self.takes(extra);
                all.made += came.made;
                all.answered += came.answered;
                all.answered_ms += came.answered_ms;
            }
        }
        all
    }
}

#[test]
fn the_first_failing_sample_asks_every_other_region_at_once_and_the_answers_ask_nobody() {
    let mut fleet = Fleet::start();
    for region in REGIONS {
        assert_eq!(fleet.says(region, Outcome::Up), Came::default());
    }
    fleet.passes(12_000);
    assert_eq!(fleet.says("eu-west", Outcome::Down).made, 4);
    assert_eq!(fleet.whom(), ["ap-south", "ap-tokyo", "sa-east", "us-east"]);
    let ask = fleet.asked("us-east").remove(0);
    assert_eq!((ask.check.as_str(), ask.at, ask.until), ("shop-home", fleet.now, fleet.now.plus_ms(ASK_MS)));
    let came = fleet.answer(&["ap-south", "ap-tokyo", "sa-east", "us-east"], Outcome::Down);
    assert_eq!((came.made, came.answered, came.answered_ms), (0, 4, 160));
    assert!(fleet.whom().is_empty());
    for region in REGIONS {
        fleet.passes(12_000);
        assert_eq!(fleet.says(region, Outcome::Down), Came::default(), "{region} says nothing new");
    }
}

#[test]
fn the_first_good_sample_of_an_outage_asks_those_who_failed() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    fleet.answer(&["ap-south", "ap-tokyo", "us-east"], Outcome::Down);
    fleet.answer(&["sa-east"], Outcome::Up);
    fleet.passes(30_000);
    assert_eq!(fleet.says("us-east", Outcome::Degraded).made, 3, "slow is not down");
    assert_eq!(fleet.whom(), ["ap-south", "ap-tokyo", "eu-west"]);
    assert_eq!(fleet.answer(&["ap-south", "ap-tokyo", "eu-west"], Outcome::Up).made, 0);
    fleet.passes(30_000);
    assert_eq!(fleet.says("ap-south", Outcome::Up), Came::default());
}

#[test]
fn the_end_of_what_was_no_verdict_asks_nobody() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    fleet.answer(&["ap-south", "ap-tokyo", "sa-east", "us-east"], Outcome::Up);
    fleet.passes(60_000);
    assert_eq!(fleet.says("eu-west", Outcome::Up), Came::default());
}

#[test]
fn a_region_that_accuses_later_has_those_asked_who_have_not_said_so() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    fleet.answer(&["ap-south", "ap-tokyo", "sa-east", "us-east"], Outcome::Up);
    fleet.passes(12_000);
    assert_eq!(fleet.says("us-east", Outcome::Down).made, 3);
    assert_eq!(fleet.whom(), ["ap-south", "ap-tokyo", "sa-east"]);
}

#[test]
fn a_region_is_not_asked_again_while_it_is_asked_nor_where_it_was_looked_at_since() {
    let mut fleet = Fleet::start();
    assert_eq!(fleet.says("eu-west", Outcome::Down).made, 4);
    fleet.now = fleet.now.plus_ms(5);
    assert_eq!(fleet.says("us-east", Outcome::Down).made, 0, "all others are asked already");
    let mut fleet = Fleet::start();
    let hung = fleet.sample("eu-west", Outcome::Down);
    fleet.now = fleet.now.plus_ms(900);
    fleet.says("us-east", Outcome::Up);
    assert_eq!(fleet.takes(hung).made, 3);
    assert!(fleet.asked("us-east").is_empty(), "its sample began after the one that hung");
}

#[test]
fn old_samples_ask_nothing_and_are_remembered_in_the_order_of_their_beginnings() {
    let mut fleet = Fleet::start();
    let timeout_ms = 1_000;
    let old = fleet.sample("eu-west", Outcome::Down);
    fleet.passes(timeout_ms + MAX_AGE_MS + 1);
    assert_eq!(fleet.takes(old.clone()), Came::default());
    assert_eq!(fleet.says("eu-west", Outcome::Down), Came::default(), "it is no news any more");
    assert_eq!(fleet.says("us-east", Outcome::Up), Came::default());
    let before = Sample { region: "us-east".parse().unwrap(), ..old };
    assert_eq!(fleet.takes(before), Came::default());
    assert_eq!(fleet.says("us-east", Outcome::Down), Came::default(), "two samples of one instant are one");
    fleet.passes(1);
    assert_eq!(fleet.says("us-east", Outcome::Down).made, 3);
}

#[test]
fn what_says_nothing_of_the_target_neither_accuses_nor_acquits() {
    let mut fleet = Fleet::start();
    assert_eq!(fleet.says("eu-west", Outcome::Inconclusive), Came::default());
    fleet.passes(60_000);
    fleet.says("eu-west", Outcome::Down);
    fleet.answer(&["ap-south", "ap-tokyo", "sa-east", "us-east"], Outcome::Inconclusive);
    fleet.passes(60_000);
    fleet.says("eu-west", Outcome::Inconclusive);
    fleet.passes(60_000);
    assert_eq!(fleet.says("eu-west", Outcome::Down), Came::default(), "it has failed all along");
}

#[test]
fn one_probe_of_a_region_is_asked_the_one_that_was_heard_last() {
    let mut fleet = Fleet::start();
    let second: ProbeId = "us-east-2".parse().unwrap();
    fleet.confirm.listens(&second, &"us-east".parse().unwrap(), fleet.now);
    fleet.says("us-east", Outcome::Up);
    fleet.passes(1_000);
    fleet.confirm.arrived(&second, &[], fleet.now);
    assert_eq!(fleet.says("eu-west", Outcome::Down).made, 4);
    assert_eq!((fleet.asked("us-east").len(), fleet.confirm.asked(&second, 0, fleet.now).len()), (0, 1));
}

#[test]
fn where_probes_share_a_region_the_one_that_looks_at_the_check_is_asked() {
    let mut fleet = Fleet::start();
    let (first, second): (ProbeId, ProbeId) = ("us-east".parse().unwrap(), "us-east-2".parse().unwrap());
    fleet.confirm.listens(&second, &first.as_str().parse().unwrap(), fleet.now);
    fleet.confirm.looks_at(&first, Some(["shop-home".parse().unwrap()].into()));
    fleet.confirm.looks_at(&second, Some(["shop-cart".parse().unwrap()].into()));
    // It is heard last, and would have been asked if it looked.
    fleet.confirm.arrived(&second, &[], fleet.now.plus_ms(1));
    assert_eq!(fleet.says("eu-west", Outcome::Down).made, 4);
    assert_eq!((fleet.asked("us-east").len(), fleet.confirm.asked(&second, 0, fleet.now).len()), (1, 0));
    fleet.answer(&REGIONS, Outcome::Up);
    fleet.confirm.looks_at(&first, Some(Arc::default()));
    fleet.passes(60_000);
    assert_eq!(fleet.says("ap-south", Outcome::Down).unheard, 1, "nobody there looks at it");
    fleet.confirm.looks_at(&second, None);
    fleet.confirm.listens(&second, &first.as_str().parse().unwrap(), fleet.now);
    fleet.says("ap-tokyo", Outcome::Down);
    assert_eq!(fleet.confirm.asked(&second, 0, fleet.now).len(), 1, "what one looks at is not known: perhaps at all");
}

#[test]
fn a_region_where_nobody_listens_is_not_asked_and_counted() {
    let mut fleet = Fleet::start();
    fleet.now = fleet.now.plus_ms(LISTENING_MS);
    fleet.confirm.listens(&"us-east".parse().unwrap(), &"us-east".parse().unwrap(), fleet.now);
    let came = fleet.says("eu-west", Outcome::Down);
    assert_eq!((came.made, came.unheard), (1, 3));
    assert_eq!(fleet.whom(), ["us-east"]);
}

#[test]
fn an_ask_is_told_until_it_is_known_answered_or_over() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    let us: ProbeId = "us-east".parse().unwrap();
    let ask = fleet.asked("us-east").remove(0);
    assert_eq!(fleet.confirm.asked(&us, ask.no - 1, fleet.now), std::slice::from_ref(&ask), "an answer that was lost");
    assert!(fleet.confirm.asked(&us, ask.no, fleet.now).is_empty());
    assert_eq!(fleet.confirm.asked(&us, u64::MAX, fleet.now), std::slice::from_ref(&ask), "of another life");
    assert!(fleet.confirm.asked(&us, 0, ask.until).is_empty());
    let mut later = Confirm::new(NOW.plus_ms(1_000));
    later.know(&[check("shop-home", 60_000, &REGIONS)]);
    later.listens(&us, &"us-east".parse().unwrap(), NOW.plus_ms(1_000));
    later.arrived(&us, &[], NOW.plus_ms(1_000));
    fleet.now = NOW.plus_ms(1_000);
    fleet.confirm = later;
    fleet.says("eu-west", Outcome::Down);
    assert!(ask.no < fleet.asked("us-east")[0].no, "numbers of a later life are larger");
}

#[test]
fn an_ask_that_nobody_answers_is_given_up_and_counted_once() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    let gone = ASK_MS + 1_000 + MAX_AGE_MS;
    fleet.passes(gone - 1);
    assert_eq!(fleet.confirm.arrived(&"eu-west".parse().unwrap(), &[], fleet.now).expired, 0);
    fleet.passes(1);
    assert_eq!(fleet.confirm.arrived(&"eu-west".parse().unwrap(), &[], fleet.now).expired, 4);
    assert_eq!(fleet.confirm.arrived(&"eu-west".parse().unwrap(), &[], fleet.now).expired, 0);
}

#[test]
fn inv_9_a_region_that_lies_in_turns_can_not_make_the_fleet_hammer_the_target() {
    let mut fleet = Fleet::start();
    let (mut made, mut refused) = (0, 0);
    for turn in 0..600_u64 {
        fleet.passes(500);
        let outcome = if turn % 2 == 0 { Outcome::Down } else { Outcome::Up };
        let came = fleet.says("eu-west", outcome);
        (made, refused) = (made + came.made, refused + came.refused);
        fleet.answer(&["ap-south", "ap-tokyo", "sa-east", "us-east"], Outcome::Up);
    }
    // 300 accusations of four asks each in 324 s.
    let most = (TARGET_BURST + 324_000 / TARGET_REFILL_MS).unsigned_abs();
    assert!((most - 8..=most).contains(&made), "{made} of at most {most}");
    assert_eq!(made + refused, 1_200);
}

#[test]
fn inv_9_the_share_of_a_target_is_one_over_all_its_checks_and_another_target_has_its_own() {
    let many: Vec<Check> = (0..20).map(|n| check(&format!("shop-{n}"), 60_000, &REGIONS)).collect();
    let mut other = Draft::from(check("other", 60_000, &REGIONS));
    other.question = serde_json::from_value(serde_json::json!({ "tls": { "address": "other.example:443" } })).unwrap();
    let mut fleet = Fleet::of(&[many, vec![Check::new(other).unwrap()]].concat());
    let accuse = |fleet: &mut Fleet, id: &str| {
        let accusing = Sample { check: id.parse().unwrap(), ..fleet.sample("eu-west", Outcome::Down) };
        fleet.takes(accusing)
    };
    let came: Vec<Came> = (0..20).map(|n| accuse(&mut fleet, &format!("shop-{n}"))).collect();
    let made: u64 = came.iter().map(|came| came.made).sum();
    let refused: u64 = came.iter().map(|came| came.refused).sum();
    assert_eq!((made, refused), (TARGET_BURST.unsigned_abs(), 80 - TARGET_BURST.unsigned_abs()));
    assert_eq!(accuse(&mut fleet, "other").made, 4);
}

#[test]
fn inv_9_a_probe_that_accuses_everyone_has_only_its_share_confirmed() {
    let alone = |n: usize| {
        let mut draft = Draft::from(check(&format!("site-{n}"), 60_000, &REGIONS));
        let asked = serde_json::json!({ "tls": { "address": format!("site-{n}.example:443") } });
        draft.question = serde_json::from_value(asked).unwrap();
        Check::new(draft).unwrap()
    };
    let mut fleet = Fleet::of(&(0..300).map(alone).collect::<Vec<_>>());
    let accuse = |fleet: &mut Fleet, n: usize, region: &str| {
        let check = format!("site-{n}").parse().unwrap();
        let accusing = Sample { check, ..fleet.sample(region, Outcome::Down) };
        fleet.takes(accusing)
    };
    let confirmed = (0..200).filter(|n| 0 < accuse(&mut fleet, *n, "eu-west").made).count();
    assert_eq!(confirmed as i64, ACCUSER_BURST);
    assert_eq!(accuse(&mut fleet, 250, "us-east").made, 4, "another probe's word counts as before");
}

#[test]
fn after_a_change_of_the_fleet_what_regions_said_is_remembered_where_they_are_the_same() {
    let mut fleet = Fleet::start();
    fleet.says("eu-west", Outcome::Down);
    fleet.confirm.know(&[check("shop-home", 30_000, &REGIONS)]);
    fleet.passes(12_000);
    assert_eq!(fleet.says("eu-west", Outcome::Down), Came::default());
    assert_eq!(fleet.says("us-east", Outcome::Down).made, 3);
    fleet.confirm.know(&[check("shop-home", 30_000, &REGIONS[..3])]);
    fleet.passes(12_000);
    assert_eq!(fleet.says("eu-west", Outcome::Down).made, 2);
    fleet.confirm.know(&[]);
    assert!(fleet.whom().is_empty(), "nobody is asked for what is no check any more");
    assert_eq!(fleet.says("eu-west", Outcome::Up), Came::default());
}
