//! Who is shut out and comes all the same: counted, and told of once a minute.
//!
//! A certificate that was replaced is also that of whoever copied it. Where it is shown although the probe has been
//! heard with the one that it has now, there are two.

use tokio::time::Instant;

use super::Gateway;
use super::answer::Refused;
use super::peer::Peer;
use crate::store::probes;

/// Why a certificate is not good any more; also the value of a label in /metrics.
const SHUT_OUT: [&str; 4] = ["revoked", REPLACED, "retired", "certificate_ended"];
const REPLACED: &str = "replaced";

impl Gateway {
    /// Takes note that `peer` was refused, where that is because it is shut out.
    pub(super) async fn knocks(&self, peer: &Peer, refused: &Refused) {
        let Some(why) = SHUT_OUT.into_iter().find(|why| *why == refused.refusal.error) else { return };
        self.running.counters.shut_out.add(&peer.probe, why);
        let Some(untold) = self.shut_out.again((peer.probe.clone(), why), Instant::now()) else { return };
        tracing::warn!(probe = %peer.probe, error = why, untold, "probe.shut_out");
        if why == REPLACED {
            let (probe, now) = (peer.probe.clone(), self.running.clock.now());
            let noting = self.running.store.write(move |tx| probes::replaced_is_shown(tx, &probe, now));
            if let Err(error) = noting.await {
                tracing::error!(%error, "gateway.store_failed");
            }
        }
    }
}
