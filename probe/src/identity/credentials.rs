//! What a link shows the aggregator, and what the aggregator says about who vouches for it. Links outlive certificates:
//! each asks here before it asks there.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rustls::ClientConfig;

/// The longest name of authorities that is kept: a SHA-256 in hex.
const MAX_TOLD_LEN: usize = 64;

/// What a link shows; all links of a process share it.
#[derive(Debug)]
pub struct Credentials {
    boot_id: String,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    tls: Arc<ClientConfig>,
    told: Option<String>,
}

impl From<Arc<ClientConfig>> for Credentials {
    /// Shows `tls` until another is there, and draws what tells this process from others.
    fn from(tls: Arc<ClientConfig>) -> Self {
        Self { boot_id: boot_id(), shown: Mutex::new(Shown { tls, told: None }) }
    }
}

impl Credentials {
    /// What was drawn when this process began to be this probe.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// TLS towards the aggregator now.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.with(|shown| Arc::clone(&shown.tls))
    }

    /// Shows `tls` from now on.
    pub fn show(&self, tls: Arc<ClientConfig>) {
        self.with(|shown| shown.tls = tls);
    }

    /// Notes which authorities vouch for the fleet, as an answer says.
    pub fn told(&self, authorities: &str) {
        self.with(|shown| {
            if shown.told.as_deref() != Some(authorities) && authorities.len() <= MAX_TOLD_LEN {
                shown.told = Some(authorities.to_owned());
            }
        });
    }

    /// Whether the last answer named other authorities than `known`.
    pub fn told_of_others(&self, known: &str) -> bool {
        self.with(|shown| shown.told.as_deref().is_some_and(|told| told != known))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shown) -> T) -> T {
        look(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn boot_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness all starts look alike, and a second process is not told from the first.
    let _drawn = aws_lc_rs::rand::fill(&mut bytes);
    HEXLOWER.encode(&bytes)
}
