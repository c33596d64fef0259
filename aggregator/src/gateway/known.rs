//! The rules of ingest, over the definitions: read once, and again when the fleet file in force changes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::acceptance::{Acceptance, MAX_PROBE_AGE_MS};
use crate::definition::Fleet;
use crate::running::Running;
use crate::store::{StoreError, definitions};

/// The rules and the fleet that they were made under.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<(Arc<Fleet>, Arc<Acceptance>)>>);

impl Known {
    /// The rules over every version of every check. A fleet's definitions are in the database before the fleet is in
    /// force.
    pub(super) async fn rules(&self, running: &Running) -> Result<Arc<Acceptance>, StoreError> {
        let fleet = running.fleet.borrow().clone();
        if let Some((under, known)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && Arc::ptr_eq(under, &fleet)
        {
            return Ok(known.clone());
        }
        let versions = running.store.read(definitions::all_check_versions).await?;
        let known = Arc::new(Acceptance::new(versions, MAX_PROBE_AGE_MS));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((fleet, known.clone()));
        Ok(known)
    }
}
