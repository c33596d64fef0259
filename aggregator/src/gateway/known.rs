//! The definitions as ingest knows them: read once, and again when the fleet file in force changes.

use std::sync::{Arc, Mutex, PoisonError};

use super::admission::Definitions;
use crate::definition::Fleet;
use crate::running::Running;
use crate::store::{StoreError, definitions};

/// The definitions and the fleet that they were read under.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<(Arc<Fleet>, Arc<Definitions>)>>);

impl Known {
    /// Every version of every check. A fleet's definitions are in the database before the fleet is in force.
    pub(super) async fn definitions(&self, running: &Running) -> Result<Arc<Definitions>, StoreError> {
        let fleet = running.fleet.borrow().clone();
        if let Some((under, known)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && Arc::ptr_eq(under, &fleet)
        {
            return Ok(known.clone());
        }
        let known = Arc::new(running.store.read(definitions::all_check_versions).await?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((fleet, known.clone()));
        Ok(known)
    }
}
