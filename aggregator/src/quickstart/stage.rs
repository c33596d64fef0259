//! What the quickstart stands on: a directory of its own and the fleet that is looked at.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use nines_shared::duration::Shown;
use url::Url;

use super::QuickstartError;
use super::demo::Demo;
use super::script::Script;
use crate::definition::Fleet;
use crate::fleet_file;
use crate::serve::{self, ServeError, Served};

/// The fleet of the demo, as anyone could write it.
pub(super) const DEMO_FLEET: &str = include_str!("../../../config/quickstart.toml");
/// The addresses that stand in it for those that loopback gives.
const SHOP: &str = "127.0.0.1:8443";
const DNS: &str = "127.0.0.1:5353";
const SINK: &str = "127.0.0.1:9093";
const WEB_KEY: &str = "\"127.0.0.1:8080\"";
const PROBES_KEY: &str = "\"127.0.0.1:7443\"";
/// The pace that stands in it.
const PACE: &str = "\"2s\"";
/// Where people look, if nobody else is there.
const WEB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// What the demo's authority is called in the directory.
const CA_FILE: &str = "demo-ca.pem";
/// What the key of the webhook's signatures is called in the directory.
const SECRET_FILE: &str = "webhook-secret";
/// How often a free port is looked for.
const MAX_TRIES: u32 = 5;
/// How often a page of the user's is asked for.
const PAGE_INTERVAL: &str = "10s";
/// How many regions look at the user's pages, all from this machine.
const EYES: usize = 3;

/// The directory, of mode 0700; unless it is kept, [`Stage::clear`] leaves nothing but the report.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where everything is.
    pub(super) directory: PathBuf,
    /// The key of the webhook's signatures.
    pub(super) secret: String,
    keep: bool,
}

impl Stage {
    /// A new directory: `keep`, which may be there and be empty, or one below the system's for temporary files.
    ///
    /// # Errors
    /// [`QuickstartError::Directory`].
    pub(super) fn set_up(keep: Option<PathBuf>) -> Result<Self, QuickstartError> {
        let kept = keep.is_some();
        let directory =
            keep.unwrap_or_else(|| std::env::temp_dir().join(format!("nines-quickstart-{}", &random()[..8])));
        let failed = |source| QuickstartError::Directory { path: directory.clone(), source };
        make(&directory, kept).map_err(failed)?;
        let secret = random();
        write_private(&directory.join(SECRET_FILE), &secret).map_err(failed)?;
        Ok(Self { directory, secret, keep: kept })
    }

    /// The demo's fleet: the file's text with the addresses and the pace of this run.
    ///
    /// # Errors
    /// [`QuickstartError::Directory`].
    pub(super) fn demo_fleet(&self, demo: &Demo, sink: SocketAddr, script: Script) -> Result<String, QuickstartError> {
        write_private(&self.directory.join(CA_FILE), &demo.ca_pem).map_err(|source| self.failed(source))?;
        Ok(DEMO_FLEET
            .replace(SHOP, &demo.shop.to_string())
            .replace(DNS, &demo.dns.to_string())
            .replace(SINK, &sink.to_string())
            .replace(PACE, &format!("\"{}\"", Shown(script.interval_ms()))))
    }

    /// Serves the fleet of `text` where people know to look, or on another free port of loopback. The fleet is
    /// also written down, so that every command of `nines` works beside the quickstart.
    ///
    /// # Errors
    /// [`QuickstartError::Fleet`], [`QuickstartError::Serve`], [`QuickstartError::Directory`].
    pub(super) async fn serve(&self, text: &str) -> Result<Served, QuickstartError> {
        let mut tries = 1;
        loop {
            match serve::start(self.fleet(text)?, serve::Options::default()).await {
                // Somebody took the port since we saw that it was free.
                Err(ServeError::Listen { .. }) if tries < MAX_TRIES => tries += 1,
                started => return Ok(started?),
            }
        }
    }

    fn fleet(&self, text: &str) -> Result<Fleet, QuickstartError> {
        let web = free_address().map_err(QuickstartError::Loopback)?;
        let text = text.replace(WEB_KEY, &format!("\"{web}\"")).replace(PROBES_KEY, "\"127.0.0.1:0\"");
        let path = self.fleet_file();
        fs::write(&path, &text).map_err(|source| self.failed(source))?;
        Ok(fleet_file::parse(&text, &path)?.0)
    }

    fn failed(&self, source: io::Error) -> QuickstartError {
        QuickstartError::Directory { path: self.directory.clone(), source }
    }

    /// Where the fleet file is.
    pub(super) fn fleet_file(&self) -> PathBuf {
        self.directory.join("quickstart.toml")
    }

    /// Where a file of the report goes.
    pub(super) fn report(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("report.{ending}"))
    }

    /// Removes what is not to be kept, and the directory where nothing is left.
    pub(super) fn clear(&self) {
        if self.keep {
            return;
        }
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_report = path.file_stem().is_some_and(|stem| stem == "report");
            let removed = match (is_report, path.is_dir()) {
                (true, _) => Ok(()),
                (false, true) => fs::remove_dir_all(&path),
                (false, false) => fs::remove_file(&path),
            };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "quickstart.left_behind");
            }
        }
        // With a report in it, it stays.
        let _not_empty = fs::remove_dir(&self.directory);
    }
}

/// 32 hex digits that nobody can guess.
fn random() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system has random numbers");
    data_encoding::HEXLOWER.encode(&bytes)
}

fn make(directory: &Path, may_be_there: bool) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(may_be_there).create(directory) {
        Ok(()) if may_be_there && directory.read_dir()?.next().is_some() => {
            Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty; name a new one"))
        }
        other => other,
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// The address that people know, or a free one where it is taken.
fn free_address() -> io::Result<SocketAddr> {
    let free = TcpListener::bind(WEB).or_else(|_taken| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    free.local_addr()
}

/// The fleet for pages that the user names: each a service of one check.
pub(super) fn pages_fleet(pages: &[Url], sink: SocketAddr) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = format!(
        "environment = \"quickstart\"\n[aggregator]\nprobes = {PROBES_KEY}\nweb = {WEB_KEY}\nwebhook_allow = [\"127.0.0.1\"]\n\
         target_min_interval = \"1ms\"\n\
         [[customer]]\nid = \"you\"\nname = \"You\"\ntimezone = \"UTC\"\n\
         [[channel]]\nid = \"oncall\"\nwebhook = {{ url = \"http://{sink}/nines\", secret = {{ file = {} }} }}\n\
         [[route]]\nchannels = [\"oncall\"]\n",
        quoted(SECRET_FILE)
    );
    for eye in 1..=EYES {
        text += &format!("[[region]]\nid = \"here-{eye}\"\nname = \"Here {eye}\"\n");
    }
    let mut taken = Vec::new();
    for page in pages {
        let id = free_id(page, &mut taken);
        let (name, url) = (quoted(page.host_str().unwrap_or("page")), quoted(page.as_str()));
        text += &format!(
            "[[service]]\nid = \"{id}\"\nname = {name}\ncustomer = \"you\"\nslo = {{ availability = 99.9, window = \"1h\" }}\n\
             [[check]]\nid = \"{id}\"\nservice = \"{id}\"\ninterval = \"{PAGE_INTERVAL}\"\ntimeout = \"5s\"\nhttp = {{ url = {url} }}\n"
        );
    }
    text
}

/// An id after the page's host that no other page has.
fn free_id(page: &Url, taken: &mut Vec<String>) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let host: String = page.host_str().unwrap_or("page").chars().map(clean).take(56).collect();
    let mut id = host.clone();
    let mut number = 1;
    while taken.contains(&id) {
        number += 1;
        id = format!("{host}-{number}");
    }
    taken.push(id.clone());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_fleet_is_good_but_for_what_this_run_fills_in() {
        for part in [SHOP, DNS, SINK, WEB_KEY, PROBES_KEY, PACE] {
            assert!(DEMO_FLEET.contains(part), "{part}");
        }
        let stage = Stage::set_up(None).unwrap();
        let ca = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert.pem();
        write_private(&stage.directory.join(CA_FILE), &ca).unwrap();
        let (fleet, warnings) = fleet_file::parse(DEMO_FLEET, &stage.fleet_file()).unwrap();
        assert_eq!((fleet.checks.len(), warnings), (3, Vec::new()));
        let quick = DEMO_FLEET.replace(PACE, "\"1s\"");
        let (fleet, _) = fleet_file::parse(&quick, &stage.fleet_file()).unwrap();
        assert!(fleet.checks.iter().all(|check| check.interval_ms == 1_000));
        stage.clear();
        assert!(!stage.directory.exists());
    }

    #[test]
    fn any_pages_make_a_fleet() {
        let pages =
            ["https://shop.example/a?b=\"c\\d", "http://shop.example/", "http://[::1]:8080/", "http://127.0.0.1:1/"];
        let pages: Vec<Url> = pages.iter().map(|page| page.parse().unwrap()).collect();
        let text = pages_fleet(&pages, SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        let (fleet, warnings) = fleet_file::parse(&text, Path::new("quickstart.toml")).unwrap();
        assert_eq!((fleet.services.len(), fleet.checks.len(), warnings), (4, 4, Vec::new()));
        assert_eq!(fleet.services[1].id.as_str(), "shop-example-2");
    }

    #[test]
    fn only_the_report_is_left_where_nothing_is_to_be_kept() {
        let stage = Stage::set_up(None).unwrap();
        fs::create_dir(stage.directory.join("probe")).unwrap();
        fs::write(stage.report("json"), "{}").unwrap();
        stage.clear();
        let left: Vec<_> = fs::read_dir(&stage.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["report.json"]);
        fs::remove_dir_all(&stage.directory).unwrap();
    }

    #[test]
    fn a_directory_with_something_in_it_is_not_taken() {
        let stage = Stage::set_up(None).unwrap();
        assert!(matches!(Stage::set_up(Some(stage.directory.clone())), Err(QuickstartError::Directory { .. })));
        stage.clear();
    }
}
