//! `/report/CUSTOMER/2026-10`, and with the ending `.json`, `.pdf`, `.md` or `.csv`: the report of a month, in the
//! report's own renderings. `2026-10.days.csv` is the table of that name, `2026-10-r1` a frozen revision. The page
//! tells beside the report what is due, which revisions there are, and in which other forms it comes.
//!
//! A report reads a whole month, so one is built at a time and whoever comes meanwhile waits a little: a crowd
//! can't take the machine from the probes.

use std::time::Duration;

use aws_lc_rs::digest;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use nines_shared::id::CustomerId;
use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use super::Web;
use super::pages::{PageError, refusal};
use crate::definition::look::Look;
use crate::report::csv::{self, Table};
use crate::report::life::{self, Standing};
use crate::report::{self, Aside, Format, Line, Place, ReportError, ReportRequest, Time};
use crate::store::reports;

/// Reports that are built at one time.
pub(super) const MAX_BUILDS: usize = 1;
/// How long a request waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(10);

pub(super) async fn month(State(web): State<Web>, Path((customer, file)): Path<(String, String)>) -> Response {
    let (name, wanted) = asked(&file);
    let (month, revision) = revision_of(name);
    let unknown = || PageError::Unknown(format!("report {customer}/{file}"));
    let Ok(customer) = customer.parse::<CustomerId>() else { return refusal(&web, &unknown()) };
    let Ok(Ok(turn)) = tokio::time::timeout(TURN, web.builds.clone().acquire_owned()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "other reports are being made\n")
            .into_response();
    };
    match build(&web, customer, (month, revision), turn).await {
        Ok((standing, revisions)) => {
            let look = web.running.fleet.borrow().report.look(&standing.report.customer);
            let aside = || aside(&standing, month, &revisions);
            rendered(&standing, wanted, (&file, &look), aside)
        }
        Err(ReportError::Store(error)) => refusal(&web, &PageError::Store(error)),
        Err(
            ReportError::Calendar(_)
            | ReportError::UnknownCustomer { .. }
            | ReportError::UnknownService { .. }
            | ReportError::WhoseReport { .. }
            | ReportError::NoService(_)
            | ReportError::NoRevision { .. }
            | ReportError::Basis(_)
            | ReportError::Otherwise(_)
            | ReportError::EmptyWindow,
        ) => refusal(&web, &unknown()),
    }
}

/// What is wanted of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole(Format),
    Table(Table),
}

/// The month that a file's name begins with, and what of it is wanted; a name without an ending is the page.
fn asked(file: &str) -> (&str, Wanted) {
    let Some((rest, ending)) = file.rsplit_once('.') else { return (file, Wanted::Whole(Format::Html)) };
    let table = |name: &str| Table::ALL.into_iter().find(|table| table.name() == name);
    match (ending, rest.split_once('.')) {
        ("csv", Some((month, name))) if table(name).is_some() => {
            (month, table(name).map_or(Wanted::Whole(Format::Csv), Wanted::Table))
        }
        ("json", _) => (rest, Wanted::Whole(Format::Json)),
        ("pdf", _) => (rest, Wanted::Whole(Format::Pdf)),
        ("csv", _) => (rest, Wanted::Whole(Format::Csv)),
        ("md", _) => (rest, Wanted::Whole(Format::Md)),
        _ => (file, Wanted::Whole(Format::Html)),
    }
}

/// The month and the revision of `2026-10-r1`; without a revision, the one that stands.
fn revision_of(name: &str) -> (&str, Option<u32>) {
    let named = name.rsplit_once("-r").and_then(|(month, revision)| Some((month, revision.parse().ok()?)));
    named.map_or((name, None), |(month, revision)| (month, Some(revision)))
}

/// The report, and every revision of its month, in order.
async fn build(
    web: &Web,
    customer: CustomerId,
    (month, revision): (&str, Option<u32>),
    turn: OwnedSemaphorePermit,
) -> Result<(Standing, Vec<u32>), ReportError> {
    let now = web.running.clock.now();
    let request = ReportRequest {
        environment: web.running.fleet.borrow().environment.clone(),
        customer: Some(customer),
        service: None,
        time: Time::Month(month.to_owned()),
    };
    let month = month.to_owned();
    let job = move |conn: &Connection| {
        // The turn ends when the work does, not when the one who asked goes away.
        let _turn = turn;
        let standing = match life::standing(conn, &request, revision, now) {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(error)),
        };
        let theirs = reports::list(conn, Some(&standing.report.customer))?;
        let revisions = theirs.into_iter().filter(|kept| kept.month == month).map(|kept| kept.revision);
        let mut revisions: Vec<u32> = revisions.collect();
        revisions.sort_unstable();
        Ok(Ok((standing, revisions)))
    };
    web.running.store.read(job).await?
}

/// What is told beside the report on its page.
fn aside(standing: &Standing, month: &str, revisions: &[u32]) -> Aside {
    let (customer, shown) = (&standing.report.customer, standing.report.revision);
    let frozen = standing.kept.is_some();
    let mut notes = Vec::new();
    if let Some(due) = &standing.due {
        notes.push(format!(
            "A restatement of this report is due: {}. Until somebody asks for it, this revision stands.",
            nines_shared::sample::detail(&due.to_string())
        ));
    }
    if let Some(last) = revisions.last().filter(|last| frozen && **last != shown) {
        notes.push(format!("This revision was replaced: revision {last} stands."));
    }
    let address = |name: &str| format!("/report/{customer}/{name}");
    let named = |revision: u32| format!("{month}-r{revision}");
    let this = if frozen { named(shown) } else { month.to_owned() };
    let forms = [("PDF", "pdf"), ("CSV", "csv"), ("Markdown", "md"), ("JSON", "json")];
    let forms = forms.map(|(words, ending)| {
        let address = Some(address(&format!("{this}.{ending}")));
        Place { words: words.to_owned(), address }
    });
    let mut lines = vec![Line { what: "This report as", places: forms.into() }];
    if !revisions.is_empty() {
        let place = |revision: &u32| {
            let elsewhere = !frozen || *revision != shown;
            Place { words: revision.to_string(), address: elsewhere.then(|| address(&named(*revision))) }
        };
        lines.push(Line { what: "Revisions", places: revisions.iter().map(place).collect() });
    }
    Aside { notes, lines }
}

fn rendered(standing: &Standing, wanted: Wanted, (file, look): (&str, &Look), aside: impl Fn() -> Aside) -> Response {
    let format = match wanted {
        Wanted::Table(table) => {
            return kept(file, "text/csv; charset=utf-8", csv::render(&standing.report, table).into_bytes());
        }
        Wanted::Whole(format) => format,
    };
    let bytes = match format {
        Format::Html => report::page(&standing.report, look, &aside()),
        Format::Json | Format::Pdf | Format::Csv | Format::Md => standing.written(format, look),
    };
    match format {
        Format::Json => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Format::Html => {
            let headers =
                [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy(&bytes))];
            (headers, bytes).into_response()
        }
        Format::Pdf => ([(CONTENT_TYPE, "application/pdf")], bytes).into_response(),
        Format::Csv => kept(file, "text/csv; charset=utf-8", bytes),
        Format::Md => kept(file, "text/markdown; charset=utf-8", bytes),
    }
}

/// What a browser keeps rather than shows. `file` has named a month, so it is letters, digits, dots and dashes.
fn kept(file: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let named = format!("attachment; filename=\"{file}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, named)], bytes).into_response()
}

/// A report is one file with its style inside, made to be kept and sent: that very style is let through, by its
/// digest, and nothing else.
fn policy(html: &[u8]) -> String {
    let html = std::str::from_utf8(html).unwrap_or_default();
    let style =
        html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map_or("", |(style, _)| style);
    let digest = data_encoding::BASE64.encode(digest::digest(&digest::SHA256, style.as_bytes()).as_ref());
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
