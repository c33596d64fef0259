//! `nines report verify`: whether a report is signed, adds up, and says what the samples give. Needs no database and no
//! fleet file: whoever is given the report and the samples can run it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::Reader;
use crate::cli::{Failure, progress};
use crate::report::sign::{self, PublicKey};
use crate::report::verify::{self, Finding, SamplesError};
use crate::report::{Report, json};

/// The largest report that is read, in bytes.
const MAX_REPORT_BYTES: u64 = 256 << 20;
/// How many findings are told one by one.
const TOLD: usize = 200;

/// Check a report: its signature, its arithmetic, and with the samples every figure. Exit 0: all good, 1: it differs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nines report verify acme-2026-10-r1.json --key RWQ…
  nines report verify acme-2026-10-r1.json --samples october.ndjson.zst

The definitions are taken from the report itself, so neither database nor fleet file is needed. A file in another
format than JSON has only its signature checked.")]
pub(super) struct Args {
    /// The report
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The samples, as nines export writes them; zstd where the name ends in .zst
    #[arg(long, value_name = "EXPORT")]
    samples: Option<PathBuf>,
    /// The signature [default: FILE.minisig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The public key of whoever made it, or a file with it [default: the one that the report names]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let bytes = bounded(&args.file, MAX_REPORT_BYTES)?;
    let report = json::read(&bytes);
    let mut differs = signature(&args, &bytes, report.as_ref().ok())?;
    match &report {
        Ok(report) => {
            differs |= tell("arithmetic", &verify::arithmetic(report), 0);
            if let Some(export) = &args.samples {
                differs |= samples(report, &bytes, export)?;
            }
        }
        Err(_no_report) if args.file.extension().is_some_and(|ending| ending != "json") && args.samples.is_none() => {
            anstream::println!("arithmetic  not checked: only a report as JSON tells its figures");
        }
        Err(error) => return Err(Failure::Io(format!("{}: this is no report: {error}", args.file.display()))),
    }
    if differs { Err(Failure::Differs(format!("{} is not what it should be", args.file.display()))) } else { Ok(()) }
}

/// Checks the signature; says whether it is bad.
fn signature(args: &Args, bytes: &[u8], report: Option<&Report>) -> Result<bool, Failure> {
    let path = args.signature.clone().unwrap_or_else(|| sign::beside(&args.file));
    let named = report.and_then(|report| report.signed_by.clone());
    if args.signature.is_none() && !path.exists() {
        // What is not frozen need not be signed; what names a key must be.
        let must = named.is_some() || args.key.is_some();
        anstream::println!("signature   {}: there is no {}", if must { "MISSING" } else { "none" }, path.display());
        return Ok(must);
    }
    let text = String::from_utf8_lossy(&bounded(&path, sign::MAX_FILE_BYTES)?).into_owned();
    let Some(given) = given(args)?.or_else(|| named.clone()) else {
        let what = "the report names no key; say whose signature it must be with --key";
        return Err(Failure::Usage(what.to_owned()));
    };
    let key: PublicKey = given.parse().map_err(|error| Failure::Usage(format!("the key: {error}")))?;
    match key.verify(bytes, &text) {
        Ok(comment) => {
            let comment = nines_shared::sample::detail(comment);
            let whose = if args.key.is_some() { "by the key given" } else { "by the key that the report names" };
            anstream::println!("signature   good, {whose} ({key}): {comment}");
            if args.key.is_none() {
                anstream::println!(
                    "            compare that key with the one that you were given, or say it with --key"
                );
            }
            Ok(false)
        }
        Err(error) => {
            anstream::println!("signature   BAD: {error}");
            Ok(true)
        }
    }
}

/// The key of the command line: itself, or what the file of that name holds.
fn given(args: &Args) -> Result<Option<String>, Failure> {
    let Some(key) = &args.key else { return Ok(None) };
    if Path::new(key).is_file() {
        let bytes = bounded(Path::new(key), sign::MAX_FILE_BYTES)?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(Some(key.clone()))
}

/// Makes the report again from `export`; says whether it differs.
fn samples(report: &Report, bytes: &[u8], export: &Path) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::Io(format!("{}: {error}", export.display()));
    let file = File::open(export).map_err(failed)?;
    let bar = progress::bytes(file.metadata().map_err(failed)?.len());
    let mut reader = Reader::new(bar.wrap_read(file), export).map_err(failed)?;
    let found = verify::against_samples(report, &String::from_utf8_lossy(bytes), &mut reader);
    bar.finish_and_clear();
    match found {
        Ok((findings, further)) => Ok(tell("samples", &findings, further)),
        Err(error @ (SamplesError::Read(_) | SamplesError::Line { .. })) => {
            Err(Failure::Io(format!("{}: {error}", export.display())))
        }
        Err(error @ (SamplesError::Report(_) | SamplesError::NoBasis | SamplesError::Json(_))) => {
            Err(Failure::Io(error.to_string()))
        }
    }
}

/// Tells what was found; says whether there was anything.
fn tell(what: &str, findings: &[Finding], further: usize) -> bool {
    if findings.is_empty() {
        anstream::println!("{what:<11} good");
        return false;
    }
    let count = findings.len() + further;
    anstream::println!("{what:<11} BAD: {}", crate::words::count(count, "difference"));
    for finding in findings.iter().take(TOLD) {
        anstream::println!("  {}", nines_shared::sample::detail(&finding.to_string()));
    }
    if TOLD < count {
        anstream::println!("  and {} more", count - findings.len().min(TOLD));
    }
    true
}

fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::Io(format!("{}: {error}", path.display()));
    let size = fs::metadata(path).map_err(failed)?.len();
    if limit < size {
        return Err(Failure::Io(format!("{}: {size} bytes are more than {limit}", path.display())));
    }
    fs::read(path).map_err(failed)
}
