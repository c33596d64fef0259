//! Invitations: a secret for one probe, and the address it is to be used at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::rand;
use data_encoding::BASE32_NOPAD;
use nines_shared::id::{ProbeId, RegionId};
use nines_shared::time::Timestamp;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::{Answer, Context, Refused};
use crate::gateway::authority::sha256;
use crate::store::StoreError;
use crate::store::probes::{self, Invited, Taken};

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A probe may join: what it has to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its name.
    pub probe: ProbeId,
    /// Its region.
    pub region: RegionId,
    /// Where it reaches the aggregator, such as `https://127.0.0.1:7443`.
    pub url: String,
    /// How that is known.
    #[serde(default)]
    pub known_by: KnownBy,
    /// `SECRET.CA_SHA256`; good once.
    pub token: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// A probe of that name is in the fleet: whoever joins takes its place, and its certificate ends with that.
    #[serde(default)]
    pub replaces: bool,
}

/// How it is known where probes reach the aggregator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// Somebody said so: `probes_url`, or the one address that is listened on.
    #[default]
    Word,
    /// Of `public_url`, which is for people: a proxy before the page would not let probes through.
    PublicUrl,
    /// By nothing: all addresses are listened on, and the one that is named is this machine's for itself.
    Nothing,
}

impl Invitation {
    /// What is to be typed on the probe's machine.
    pub fn join_line(&self) -> String {
        format!("nines-probe join {} {}", self.url, self.token)
    }

    /// What whoever gets the line should know of its address; `None` where there is nothing to say.
    pub fn doubt(&self) -> Option<String> {
        const MEND: &str = "probes_url = \"https://nines.example:7443\"";
        let url = &self.url;
        match self.known_by {
            KnownBy::Word => None,
            KnownBy::PublicUrl => Some(format!(
                "{url} has the host of public_url. If probes reach this aggregator by another, say so below [aggregator]:\n\n    {MEND}"
            )),
            KnownBy::Nothing => Some(format!(
                "Beware: {url} is this machine for itself alone, so the line is good nowhere else. For other machines put this aggregator's \
                 address into the line, which the token does not mind; or say it once below [aggregator] and invite again:\n\n    {MEND}"
            )),
        }
    }
}

pub(super) fn invite(
    tx: &Transaction<'_>,
    region: &RegionId,
    name: Option<&ProbeId>,
    context: &Context,
) -> Result<Result<Answer, Refused>, StoreError> {
    if !context.fleet.regions.iter().any(|known| known.id == *region) {
        return Ok(Refused::because(no_such(region, context)));
    }
    let Some((url, known_by)) = url(context) else {
        return Ok(Refused::because(
            "the port for probes is 0, so it is known only while the aggregator runs; start `nines serve` first",
        ));
    };
    let Some(secret) = secret() else {
        return Ok(Refused::because("the system gives no random numbers"));
    };
    let circle = context.authority.circle();
    let (secret_sha256, authority) = (sha256(secret.as_bytes()), circle.presenting());
    Ok(match probes::invite(tx, &Invited { region, name, secret_sha256, authority }, context.now)? {
        Ok(row) => Ok(Answer::Invited(Invitation {
            replaces: probes::is_there(tx, &row.probe)?,
            probe: row.probe,
            region: row.region,
            url,
            known_by,
            token: format!("{secret}.{}", circle.fingerprint()),
            expires_at: row.expires_at,
        })),
        Err(Taken) => {
            let name = name.map_or("the name", ProbeId::as_str);
            Refused::because(format!("{name} is or was a probe of another region than {region}; give another name"))
        }
    })
}

fn no_such(region: &RegionId, context: &Context) -> String {
    let known: Vec<&str> = context.fleet.regions.iter().map(|region| region.id.as_str()).collect();
    if known.is_empty() {
        return format!("the file names no region yet; add one:\n\n    [[region]]\n    id = \"{region}\"\n");
    }
    format!("there is no region {region}; there are {}", known.join(", "))
}

/// 52 characters of base32; `None` where the system gives no random numbers.
fn secret() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    rand::fill(&mut bytes).ok()?;
    Some(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// Where a probe is to go: `probes_url`, else the host of `public_url`, else the address listened on.
fn url(context: &Context) -> Option<(String, KnownBy)> {
    let (settings, address) = (&context.fleet.aggregator, context.probes_addr);
    if let Some(url) = &settings.probes_url {
        return Some((url.as_str().trim_end_matches('/').to_owned(), KnownBy::Word));
    }
    if address.port() == 0 {
        return None;
    }
    let public = settings.public_url.as_ref().and_then(|url| url.host_str());
    Some(match public {
        Some(host) => (format!("https://{host}:{}", address.port()), KnownBy::PublicUrl),
        None if address.ip().is_unspecified() => (format!("https://{}", reachable(address)), KnownBy::Nothing),
        None => (format!("https://{address}"), KnownBy::Word),
    })
}

/// `address`, or this machine's own where it stands for all of its addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}
