//! What is watched beside verdicts, and what is told because of what: keys of services and checks that no probe needs
//! to know.

use std::collections::BTreeSet;

use nines_shared::check::Check;
use nines_shared::id::{CheckId, ServiceId};

use super::ids::{Declared, own_id};
use super::notes::Spot;
use super::reader::{Table, Value};
use crate::definition::{Watch, shows_certificates};
use crate::incident::dependence::roots;

/// Reads them from tables that somebody else reads the rest of.
pub(super) struct Reader {
    watch: Option<Watch>,
    /// Where the dependences of each check stand.
    spots: Vec<(CheckId, Spot)>,
    /// Where the warning time of each check's certificate stands.
    certificates: Vec<(CheckId, Spot)>,
}

impl Reader {
    /// What `root` says for all.
    pub(super) fn new(root: &Table<'_>) -> Self {
        let default = Watch::default();
        let floor = root.get_or("coverage_floor", default.coverage_floor_ppm, Value::percent_ppm);
        let watch = floor.map(|coverage_floor_ppm| Watch { coverage_floor_ppm, ..default });
        Self { watch, spots: Vec::new(), certificates: Vec::new() }
    }

    /// The keys of one `[[service]]`.
    pub(super) fn service(&mut self, table: &Table<'_>) {
        let Some(value) = table.get("coverage_floor") else { return };
        match (value.percent_ppm(), own_id::<ServiceId>(table), &mut self.watch) {
            (Some(floor), Some(id), Some(watch)) => drop(watch.coverage_floors.insert(id, floor)),
            (None, _, _) => self.watch = None,
            (Some(_), _, _) => {}
        }
    }

    /// The keys of one `[[check]]`.
    pub(super) fn check<'a>(&mut self, table: &Table<'a>, declared: &Declared<'a>) {
        if let Some(value) = table.get("certificate") {
            match (value.duration_ms(), own_id::<CheckId>(table), &mut self.watch) {
                (Some(ms), Some(id), Some(watch)) => {
                    watch.certificates.insert(id.clone(), ms);
                    self.certificates.push((id, value.spot));
                }
                (None, _, _) => self.watch = None,
                (Some(_), _, _) => {}
            }
        }
        let Some(value) = table.get("depends_on") else { return };
        let named = value.list(|item| declared.checks.find(item));
        match (named, own_id::<CheckId>(table), &mut self.watch) {
            (Some(on), Some(id), Some(watch)) => {
                watch.depends_on.insert(id.clone(), on);
                self.spots.push((id, value.spot));
            }
            (None, _, _) => self.watch = None,
            (Some(_), _, _) => {}
        }
    }

    /// All of it. A circle is told once, at the first of its checks.
    pub(super) fn finish(self, root: &Table<'_>, checks: &[Option<Check>]) -> Option<Watch> {
        let watch = self.watch?;
        let shows = |id: &CheckId| checks.iter().flatten().find(|check| check.id == *id).is_none_or(shows_certificates);
        let mut whole = true;
        for (check, spot) in self.certificates.iter().filter(|(check, _)| !shows(check)) {
            let message = format!("the target of check {check} shows no certificate");
            let mend = "certificate is of tls and https checks; leave it out".to_owned();
            root.notes.error(spot, message, Some(mend));
            whole = false;
        }
        let mut told: BTreeSet<&CheckId> = BTreeSet::new();
        for (check, spot) in &self.spots {
            let named = watch.depends_on.get(check).into_iter().flatten();
            let reaches = |on: &CheckId| on == check || roots(&watch.depends_on, on).contains(&check);
            let Some(by_way_of) = named.into_iter().find(|on| reaches(on)) else { continue };
            if told.contains(check) {
                continue;
            }
            told.insert(check);
            told.extend(roots(&watch.depends_on, check));
            let message = if by_way_of == check {
                format!("check {check} depends on itself")
            } else {
                format!("check {check} depends on itself, by way of {by_way_of}")
            };
            let mend = "an outage has one root: leave out what is no cause of it".to_owned();
            root.notes.error(spot, message, Some(mend));
        }
        (whole && told.is_empty()).then_some(watch)
    }
}
