use proptest::prelude::*;

use super::*;
use crate::store::tests::check;

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);
const HEARTBEAT_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;
const WEEK_MS: i64 = 7 * 24 * 60 * MINUTE_MS;

/// A region whose probes are heard, and checks of it.
struct Region {
    sharing: Sharing,
    checks: Vec<Check>,
    now: Timestamp,
    /// How often whoever lives is heard.
    beat_ms: i64,
    /// Who gives signs of life.
    alive: BTreeSet<ProbeId>,
}

fn id(name: &str) -> ProbeId {
    name.parse().unwrap()
}

fn region() -> RegionId {
    "eu-west".parse().unwrap()
}

impl Region {
    fn of(probes: &[&str], checks: usize) -> Self {
        Self::every(MINUTE_MS, probes, checks)
    }

    /// Checks that are asked every `interval_ms`, of which a probe is heard as seldom as it may be.
    fn every(interval_ms: i64, probes: &[&str], checks: usize) -> Self {
        let checks =
            (0..checks).map(|n| check(&format!("check-{n:04}"), interval_ms, &["eu-west", "us-east"])).collect();
        let (sharing, beat_ms) = (Sharing::default(), HEARTBEAT_MS.min(2 * interval_ms));
        let mut region = Self { sharing, checks, now: NOW, beat_ms, alive: BTreeSet::new() };
        for probe in probes {
            region.comes(probe);
        }
        region.settles();
        region
    }

    fn comes(&mut self, probe: &str) {
        self.alive.insert(id(probe));
        self.sharing.heard(&id(probe), &region(), self.now);
        self.sharing.look(self.now);
    }

    fn falls_silent(&mut self, probe: &str) {
        self.alive.remove(&id(probe));
    }

    /// Time goes on, with a sign of life of each who lives every heartbeat.
    fn passes(&mut self, ms: i64) {
        let until = self.now.plus_ms(ms);
        while self.now < until {
            self.now = self.now.plus_ms(self.beat_ms.min(until.since(self.now)));
            for probe in &self.alive {
                self.sharing.heard(probe, &region(), self.now);
            }
            self.sharing.look(self.now);
        }
    }

    fn work(&self, probe: &str) -> Vec<CheckId> {
        self.sharing.work(&id(probe), &self.checks).into_iter().map(|check| check.id.clone()).collect()
    }

    /// Whoever lives looks at what it is told, and says so.
    fn obeys(&mut self, probe: &str) {
        let held = Held::of(self.sharing.work(&id(probe), &self.checks).into_iter());
        self.sharing.holds(&id(probe), held);
    }

    /// Everybody is told, until nobody is told anything new.
    fn settles(&mut self) {
        for _ in 0..3 {
            for probe in self.alive.clone() {
                self.obeys(probe.as_str());
            }
        }
    }

    /// Who is to look at each check.
    fn lookers(&self, probes: &[&str]) -> BTreeMap<CheckId, Vec<String>> {
        let mut all: BTreeMap<CheckId, Vec<String>> =
            self.checks.iter().map(|check| (check.id.clone(), Vec::new())).collect();
        for probe in probes {
            for check in self.work(probe) {
                all.get_mut(&check).unwrap().push((*probe).to_owned());
            }
        }
        all
    }

    fn assert_each_has_one(&self, probes: &[&str]) {
        for (check, lookers) in self.lookers(probes) {
            assert_eq!(lookers.len(), 1, "{check}: {lookers:?}");
        }
    }
}

#[test]
fn one_probe_alone_does_everything_whatever_it_says_of_itself() {
    let mut region = Region::of(&["eu-west-1"], 10);
    assert_eq!(region.work("eu-west-1").len(), 10);
    let ill = Health { canaries_ok: Some(false), ..Health::default() };
    region.sharing.told(&id("eu-west-1"), &ill);
    region.passes(HEARTBEAT_MS);
    assert_eq!(region.work("eu-west-1").len(), 10);
    assert_eq!(region.work("nobody").len(), 0);
}

#[test]
fn checks_of_other_regions_are_nobodys() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 4);
    region.checks.push(check("elsewhere", 60_000, &["us-east"]));
    assert_eq!(region.work("eu-west-1").len() + region.work("eu-west-2").len(), 4);
}

#[test]
fn each_check_has_one_owner_and_the_shares_are_alike() {
    let probes = ["eu-west-1", "eu-west-2", "eu-west-3"];
    let region = Region::of(&probes, 900);
    region.assert_each_has_one(&probes);
    for probe in probes {
        let share = region.work(probe).len();
        assert!((240..360).contains(&share), "{probe} has {share} of 900");
    }
}

#[test]
fn who_is_silent_for_the_time_loses_its_share_and_the_others_keep_theirs() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2", "eu-west-3"], 90);
    let kept = [region.work("eu-west-1"), region.work("eu-west-2")];
    region.falls_silent("eu-west-3");
    region.passes(SILENT_MS - 1);
    assert_eq!([region.work("eu-west-1"), region.work("eu-west-2")], kept, "not a moment before");
    region.passes(1);
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
    for (before, probe) in kept.iter().zip(["eu-west-1", "eu-west-2"]) {
        let now = region.work(probe);
        assert!(before.iter().all(|check| now.contains(check)), "nothing but the share of the silent one has moved");
    }
}

#[test]
fn how_long_a_silence_may_be_follows_from_the_quickest_check_that_the_silent_one_has() {
    let second_ms = 1_000;
    for (interval_ms, patience_ms) in [
        (second_ms, SILENT_FLOOR_MS),
        (2 * second_ms, 5_000),
        (3 * second_ms, 8_000),
        (10 * second_ms, 29_000),
        (11 * second_ms, SILENT_MS),
        (WEEK_MS, SILENT_MS),
    ] {
        let mut region = Region::every(interval_ms, &["eu-west-1", "eu-west-2"], 20);
        // One check of a minute changes nothing, wherever it is.
        region.checks.push(check("slow", MINUTE_MS.max(interval_ms), &["eu-west"]));
        region.settles();
        let share = region.work("eu-west-2").len();
        region.falls_silent("eu-west-2");
        region.passes(patience_ms - 1);
        assert_eq!(region.work("eu-west-2").len(), share, "{interval_ms}: not a moment before");
        assert!(region.work("eu-west-1").len() < 21, "{interval_ms}");
        region.passes(1);
        assert_eq!(region.work("eu-west-1").len(), 21, "{interval_ms}");
    }
}

#[test]
fn who_has_nothing_or_can_not_read_all_of_it_is_given_the_time_of_three_heartbeats() {
    let mut region = Region::every(1_000, &["eu-west-1", "eu-west-2"], 20);
    let foreign = vec![region.work("eu-west-2")[0].clone()];
    for probe in ["eu-west-1", "eu-west-2"] {
        region.sharing.can_not_read(&id(probe), &foreign);
    }
    region.settles();
    region.falls_silent("eu-west-2");
    region.passes(SILENT_MS - 1);
    assert!(region.work("eu-west-1").len() < 20, "not a moment before");
    region.passes(1);
    assert_eq!(region.work("eu-west-1").len(), 20);

    let mut region = Region::every(1_000, &["eu-west-1"], 20);
    region.comes("eu-west-2");
    let share = region.work("eu-west-2");
    assert!(!share.is_empty());
    region.falls_silent("eu-west-2");
    region.passes(SILENT_MS - 1);
    assert_eq!(region.work("eu-west-2"), share, "it was told, and did not say that it has it");
}

#[test]
fn who_hangs_up_is_followed_at_once_and_may_come_back_without_a_gap() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 20);
    let share = region.work("eu-west-2");
    region.sharing.hung_up(&id("eu-west-2"));
    assert_eq!(region.sharing.look(region.now), BTreeSet::from([self::region()]));
    assert_eq!(region.work("eu-west-1").len(), 20);
    region.comes("eu-west-2");
    assert_eq!(region.work("eu-west-2"), share, "it goes on until the other one has it");
    region.obeys("eu-west-1");
    assert_eq!(region.work("eu-west-2"), []);
}

#[test]
fn where_nobody_is_heard_it_stays_as_it_was() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 40);
    let shares = [region.work("eu-west-1"), region.work("eu-west-2")];
    for away in ["eu-west-1", "eu-west-2"] {
        region.falls_silent(away);
    }
    region.passes(3_600_000);
    assert_eq!([region.work("eu-west-1"), region.work("eu-west-2")], shares);
    // They are heard again, one after the other: neither has let go of anything.
    region.comes("eu-west-1");
    assert_eq!(region.work("eu-west-1").len(), 40);
    assert_eq!(region.work("eu-west-2"), shares[1]);
    region.comes("eu-west-2");
    assert_eq!([region.work("eu-west-1"), region.work("eu-west-2")], shares, "both were away as long");
}

#[test]
fn who_says_goodbye_is_followed_at_once() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 20);
    region.sharing.left(&id("eu-west-2"));
    assert_eq!(region.sharing.look(region.now), BTreeSet::from([self::region()]));
    assert_eq!(region.work("eu-west-1").len(), 20);
    assert_eq!(region.sharing.look(region.now), BTreeSet::new(), "and nothing is news twice");
}

#[test]
fn a_check_moves_without_a_gap_and_both_look_only_until_the_new_owner_has_it() {
    let mut region = Region::of(&["eu-west-1"], 40);
    region.comes("eu-west-2");
    let moving = region.work("eu-west-2");
    assert!(!moving.is_empty() && moving.len() < 40);
    assert_eq!(region.work("eu-west-1").len(), 40, "the new one has only been told");
    region.obeys("eu-west-2");
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
    assert_eq!(region.work("eu-west-2"), moving);
}

#[test]
fn who_comes_back_has_its_share_again_once_it_has_been_well_for_a_while() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 40);
    let share = region.work("eu-west-2");
    region.falls_silent("eu-west-2");
    region.passes(SILENT_MS);
    region.obeys("eu-west-1");
    region.comes("eu-west-2");
    // It went on with what it had while it was cut off, and is told to stop.
    assert_eq!(region.work("eu-west-2"), []);
    region.passes(RETURN_MS - 1);
    assert_eq!(region.work("eu-west-2"), []);
    region.passes(1);
    assert_eq!(region.work("eu-west-2"), share);
    region.settles();
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
}

#[test]
fn who_would_say_nothing_of_its_targets_gives_its_share_away_and_where_all_are_so_they_share() {
    for ill in [
        Health { canaries_ok: Some(false), ..Health::default() },
        Health { clock_offset_ms: Some(-MAX_CLOCK_OFFSET_MS - 1), ..Health::default() },
        Health { held: 1, ..Health::default() },
    ] {
        let mut region = Region::of(&["eu-west-1", "eu-west-2"], 40);
        let share = region.work("eu-west-2");
        region.sharing.told(&id("eu-west-2"), &ill);
        region.passes(HEARTBEAT_MS);
        region.settles();
        assert_eq!((region.work("eu-west-1").len(), region.work("eu-west-2").len()), (40, 0));
        region.sharing.told(&id("eu-west-1"), &ill);
        region.passes(HEARTBEAT_MS);
        region.settles();
        assert_eq!(region.work("eu-west-2"), share);
        // Who was well the longest is trusted first.
        region
            .sharing
            .told(&id("eu-west-1"), &Health { clock_offset_ms: Some(MAX_CLOCK_OFFSET_MS), ..Health::default() });
        region.passes(HEARTBEAT_MS);
        region.settles();
        assert_eq!(region.work("eu-west-1").len(), 40);
    }
}

#[test]
fn a_check_that_its_owner_can_not_read_goes_to_one_that_can_and_stays_where_nobody_can() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 20);
    let foreign = region.work("eu-west-1")[0].clone();
    let unread = vec![foreign.clone()];
    assert!(region.sharing.can_not_read(&id("eu-west-1"), &unread));
    assert!(!region.sharing.can_not_read(&id("eu-west-1"), &unread), "it says so with every batch");
    assert!(region.work("eu-west-2").contains(&foreign));
    region.settles();
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
    region.sharing.can_not_read(&id("eu-west-2"), &unread);
    region.settles();
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
    assert!(region.work("eu-west-1").contains(&foreign));
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_there_who_is_gone() {
    let mut region = Region::of(&["eu-west-1", "eu-west-2"], 40);
    region.falls_silent("eu-west-2");
    region.now = region.now.plus_ms(-3_600_000);
    region.passes(SILENT_MS + HEARTBEAT_MS);
    region.settles();
    assert_eq!(region.work("eu-west-1").len(), 40);
    region.comes("eu-west-2");
    region.passes(RETURN_MS + HEARTBEAT_MS);
    region.settles();
    region.assert_each_has_one(&["eu-west-1", "eu-west-2"]);
}

#[test]
fn after_a_restart_those_who_were_heard_to_the_last_share_as_before_and_the_dead_do_not() {
    let before = Region::of(&["eu-west-1", "eu-west-2"], 40);
    let shares = [before.work("eu-west-1"), before.work("eu-west-2")];
    let known = |probe: &str, ago: Option<i64>| Known {
        probe: id(probe),
        region: region(),
        heard: ago.map(|ms| NOW.plus_ms(-ms)),
    };
    let mut after = Region::of(&[], 40);
    let away = 3_600_000;
    let fleet = vec![
        known("eu-west-1", Some(away)),
        known("eu-west-2", Some(away + SILENT_MS - 1)),
        known("eu-west-3", Some(away + SILENT_MS)),
        known("eu-west-4", None),
    ];
    after.sharing.know(fleet.clone(), NOW);
    after.sharing.look(NOW);
    after.comes("eu-west-1");
    assert_eq!([after.work("eu-west-1"), after.work("eu-west-2")], shares);
    after.settles();
    after.passes(SILENT_MS);
    assert_eq!(after.work("eu-west-1").len(), 40, "the other one did not come back");

    // Who is shut out is forgotten, and who joins changes nothing before it is heard.
    let mut fleet: Vec<Known> = fleet.into_iter().filter(|known| known.probe != id("eu-west-1")).collect();
    fleet.push(known("eu-west-5", None));
    assert_eq!(after.sharing.know(fleet, after.now), BTreeSet::from([region()]));
    after.sharing.look(after.now);
    assert_eq!(after.work("eu-west-1"), []);
    after.comes("eu-west-4");
    assert_eq!(after.work("eu-west-4").len(), 40, "whoever asks is heard, and alone");
}

/// What may happen to a region.
#[derive(Clone, Debug)]
enum Event {
    Comes(usize),
    Dies(usize),
    Leaves(usize),
    HangsUp(usize),
    Ails(usize, bool),
    Obeys(usize),
    Passes(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let probe = 0_usize..NAMES.len();
    let event = prop_oneof![
        probe.clone().prop_map(Event::Comes),
        probe.clone().prop_map(Event::Dies),
        probe.clone().prop_map(Event::Leaves),
        probe.clone().prop_map(Event::HangsUp),
        (probe.clone(), any::<bool>()).prop_map(|(probe, ails)| Event::Ails(probe, ails)),
        probe.prop_map(Event::Obeys),
        (1_i64..90_000).prop_map(Event::Passes),
    ];
    proptest::collection::vec(event, 0..60)
}

const NAMES: [&str; 4] = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-west-4"];

impl Region {
    /// The checks that those who live do look at, by their own word.
    fn looked_at(&self) -> BTreeSet<CheckId> {
        let members = self.alive.iter().filter_map(|probe| self.sharing.members.get(probe));
        members.flat_map(|member| member.holds.checks.iter().cloned()).collect()
    }

    fn meets(&mut self, event: &Event) {
        match *event {
            Event::Comes(probe) => self.comes(NAMES[probe]),
            Event::Dies(probe) => self.falls_silent(NAMES[probe]),
            Event::Leaves(probe) => {
                self.falls_silent(NAMES[probe]);
                self.sharing.left(&id(NAMES[probe]));
                self.sharing.look(self.now);
            }
            Event::HangsUp(probe) => {
                self.sharing.hung_up(&id(NAMES[probe]));
                self.sharing.look(self.now);
            }
            Event::Ails(probe, ails) => {
                let health = Health { canaries_ok: Some(!ails), ..Health::default() };
                self.sharing.told(&id(NAMES[probe]), &health);
            }
            Event::Obeys(probe) if self.alive.contains(&id(NAMES[probe])) => self.obeys(NAMES[probe]),
            Event::Obeys(_) => {}
            Event::Passes(ms) => self.passes(ms),
        }
    }
}

proptest! {
    #[test]
    fn no_check_is_let_go_before_another_has_it_and_in_the_end_each_has_one(
        events in events(),
        interval_ms in 1_000_i64..20_000,
    ) {
        let mut region = Region::every(interval_ms, &NAMES[..1], 12);
        let mut somebody_is_dead_unnoticed = false;
        for event in events {
            let before = region.looked_at();
            let told: BTreeMap<_, _> = NAMES.map(|name| (name, region.work(name))).into();
            region.meets(&event);
            somebody_is_dead_unnoticed = match event {
                Event::Dies(_) => true,
                Event::Passes(ms) if SILENT_MS <= ms => false,
                Event::Comes(_)
                | Event::Leaves(_)
                | Event::HangsUp(_)
                | Event::Ails(..)
                | Event::Obeys(_)
                | Event::Passes(_) => somebody_is_dead_unnoticed,
            };
            let goes = matches!(event, Event::Dies(_) | Event::Leaves(_));
            if !goes && !somebody_is_dead_unnoticed {
                let after = region.looked_at();
                prop_assert!(before.is_subset(&after), "{event:?}, told {told:?}");
            }
        }
        region.passes(SILENT_MS + RETURN_MS);
        region.settles();
        let alive: Vec<&str> = NAMES.into_iter().filter(|name| region.alive.contains(&id(name))).collect();
        if !alive.is_empty() {
            region.assert_each_has_one(&alive);
        }
    }

    #[test]
    fn a_share_moves_within_three_intervals_and_never_from_one_that_delivers_what_it_has(
        interval_ms in prop_oneof![1_000_i64..12_000, 12_000..WEEK_MS],
        lives_ms in 0_i64..60_000,
    ) {
        let mut region = Region::every(interval_ms, &NAMES[..3], 12);
        let shares: Vec<_> = NAMES[..3].iter().map(|name| region.work(name)).collect();
        region.passes(lives_ms);
        region.settles();
        for (name, share) in NAMES.iter().zip(&shares) {
            prop_assert_eq!(&region.work(name), share, "who is heard every {} ms keeps its share", region.beat_ms);
        }
        region.falls_silent(NAMES[0]);
        let three = (INTERVALS * interval_ms - TELLING_MS).clamp(SILENT_FLOOR_MS, SILENT_MS);
        region.passes(three);
        let (one, two) = (region.work(NAMES[1]).len(), region.work(NAMES[2]).len());
        prop_assert_eq!(one + two, 12);
    }

    #[test]
    fn one_more_probe_takes_checks_and_moves_none_between_the_others(probes in 1_usize..6) {
        let names: Vec<String> = (1..=probes + 1).map(|n| format!("eu-west-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (few, more) = (Region::of(&names[..probes], 60), Region::of(&names, 60));
        for probe in &names[..probes] {
            let before = few.work(probe);
            prop_assert!(more.work(probe).iter().all(|check| before.contains(check)));
        }
    }
}
