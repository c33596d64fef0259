//! What a link shows the aggregator, and what the aggregator says about who vouches for it. Links outlive certificates:
//! each asks here before it asks there.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use super::Papers;

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
    authorities: Arc<[CertificateDer<'static>]>,
    told: Option<String>,
}

impl From<Arc<ClientConfig>> for Credentials {
    /// Shows `tls`, knows no authorities but those that are in it, and draws what tells this process from others.
    fn from(tls: Arc<ClientConfig>) -> Self {
        let shown = Shown { tls, authorities: Arc::default(), told: None };
        Self { boot_id: boot_id(), shown: Mutex::new(shown) }
    }
}

impl Credentials {
    /// Shows what `papers` hold until others are there, and draws what tells this process from others.
    pub(super) fn of(papers: &Papers) -> Self {
        let credentials = Self::from(Arc::clone(&papers.tls));
        credentials.show(papers);
        credentials
    }

    /// What was drawn when this process began to be this probe.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// TLS towards the aggregator now.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.with(|shown| Arc::clone(&shown.tls))
    }

    /// Who vouches for the fleet, as far as we know.
    pub fn authorities(&self) -> Arc<[CertificateDer<'static>]> {
        self.with(|shown| Arc::clone(&shown.authorities))
    }

    /// Shows what `papers` hold from now on.
    pub(super) fn show(&self, papers: &Papers) {
        self.with(|shown| {
            shown.tls = Arc::clone(&papers.tls);
            shown.authorities = papers.authorities.as_slice().into();
        });
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
