//! `nines quickstart [URL…]`: the whole of it on this machine.

use std::path::PathBuf;

use url::Url;

use super::{Failure, Global, wait};
use crate::quickstart::{self, MAX_SPEED, Plan, QuickstartError};

/// Run everything on this machine, with a demo service that goes down and comes back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines quickstart                          a demo service, a scripted outage, a page, a report: under two minutes
  nines quickstart --speed 4                the same in half a minute
  nines quickstart https://shop.example/    your pages instead, until Ctrl-C; then the report
  nines quickstart --keep /tmp/nines        look at database, keys and fleet afterwards

Needs no file, no root and no internet. Ctrl-C ends it and removes all but the report.")]
pub struct Args {
    /// Pages to check instead of the demo service
    #[arg(value_name = "URL", value_parser = page)]
    pages: Vec<Url>,
    /// Keep everything in this new directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Tell the demo's story this many times as fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_SPEED)), conflicts_with = "pages")]
    speed: u8,
}

/// A page's address; `https://` may be left out.
fn page(text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url: Url = whole.parse().map_err(|error| format!("{error}; write one such as https://shop.example/"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("only http:// and https:// can be asked here; `nines-probe check` asks DNS and TLS too".to_owned());
    }
    Ok(url)
}

/// Runs it until Ctrl-C.
///
/// # Errors
/// [`Failure`]: an address or directory that can't be had, a part that failed.
pub fn run(args: Args, _global: &Global) -> Result<(), Failure> {
    let plan = Plan { pages: args.pages, keep: args.keep, speed: args.speed };
    wait(async { quickstart::run(plan).await.map_err(failure) })
}

fn failure(error: QuickstartError) -> Failure {
    match error {
        QuickstartError::Fleet(errors) => Failure::FleetFile(errors),
        QuickstartError::Directory { .. } | QuickstartError::Store(_) => Failure::Io(error.to_string()),
        QuickstartError::Loopback(_)
        | QuickstartError::Vantage { .. }
        | QuickstartError::Serve(_)
        | QuickstartError::Join { .. }
        | QuickstartError::Report(_)
        | QuickstartError::Agent(_) => Failure::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_be_named_as_people_do() {
        assert_eq!(page("shop.example").unwrap().as_str(), "https://shop.example/");
        assert_eq!(page("http://127.0.0.1:8080/a").unwrap().as_str(), "http://127.0.0.1:8080/a");
        assert!(page("ftp://shop.example/").is_err() && page("").is_err());
    }
}
