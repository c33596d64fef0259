//! The quickstart's three probes: the real agent, let in with real tokens, each with a state of its own.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use ipnet::IpNet;
use nines_probe::agent::{self, AgentError};
use nines_probe::identity;
use nines_probe::probe_file::{DEFAULT_SPOOL_BYTES, Settings, UNSAID_PACE};
use nines_probe::prober::Vantage;
use nines_shared::address::AddressRule;
use nines_shared::time::Clock;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{QuickstartError, script};
use crate::definition::Fleet;
use crate::serve::Served;

/// From where the demo's regions look, in the fleet's order.
const SOURCES: [Ipv4Addr; 3] = [Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12), script::VICTIM];

/// From where to look: three addresses of loopback for the demo, wherever the kernel likes for `pages`.
///
/// # Errors
/// [`QuickstartError::Vantage`] where the machine has not got an address.
pub(super) async fn vantages(pages: &[Url]) -> Result<Vec<Vantage>, QuickstartError> {
    if !pages.is_empty() {
        let vantage =
            Vantage { source: None, rule: AddressRule::new(named(pages).await, Vec::new()), ..Vantage::default() };
        return Ok(vec![vantage; SOURCES.len()]);
    }
    let loopback = "127.0.0.0/8".parse().expect("it is a network");
    let vantage = |address: Ipv4Addr| {
        let address = IpAddr::V4(address);
        UdpSocket::bind((address, 0)).map_err(|source| QuickstartError::Vantage { address, source })?;
        Ok(Vantage { source: Some(address), rule: AddressRule::new(vec![loopback], Vec::new()), ..Vantage::default() })
    };
    SOURCES.into_iter().map(vantage).collect()
}

/// The addresses of the pages that are not public: whoever types a page's address means to go there. Where
/// such a page redirects to is another matter, and stays forbidden.
async fn named(pages: &[Url]) -> Vec<IpNet> {
    let mut addresses = Vec::new();
    for page in pages {
        let (Some(host), Some(port)) = (page.host_str(), page.port_or_known_default()) else { continue };
        // A name that is unknown here is for the check to tell.
        let found = lookup_host((host.trim_matches(['[', ']']), port)).await;
        addresses.extend(found.into_iter().flatten().map(|address| address.ip()));
    }
    let public = AddressRule::default();
    addresses.retain(|address| public.check(*address).is_err());
    addresses.into_iter().map(IpNet::from).collect()
}

/// Lets one probe join per region and starts it; they run until `stop`.
///
/// # Errors
/// [`QuickstartError::Serve`], [`QuickstartError::Join`].
pub(super) async fn start(
    served: &Served,
    fleet: &Fleet,
    directory: &Path,
    vantages: Vec<Vantage>,
    stop: &CancellationToken,
) -> Result<JoinSet<Result<(), AgentError>>, QuickstartError> {
    let mut probes = JoinSet::new();
    for (region, vantage) in fleet.regions.iter().zip(vantages) {
        let invitation = served.invite(region.id.clone(), None).await?;
        let aggregator: Url = invitation.url.parse().expect("an invitation's address is a URL");
        let state = directory.join(format!("probe-{}", region.id));
        let joined = identity::join(&aggregator, &invitation.token, &state).await;
        joined.map_err(|source| QuickstartError::Join { region: region.id.clone(), source: Box::new(source) })?;
        let settings = Settings {
            aggregator,
            state,
            vantage,
            pace: UNSAID_PACE,
            spool_max_bytes: DEFAULT_SPOOL_BYTES,
            canaries: Vec::new(),
        };
        probes.spawn(agent::run(settings, Clock::system(), stop.clone()));
    }
    Ok(probes)
}
