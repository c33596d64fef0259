//! `/report/CUSTOMER/2026-10`, and with the ending `.json`, `.pdf`, `.md` or `.csv`: the report of a month, in the
//! report's own renderings. `2026-10.days.csv` is the table of that name.
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
use crate::report::{Format, ReportError, ReportRequest, Time};

/// Reports that are built at one time.
pub(super) const MAX_BUILDS: usize = 1;
/// How long a request waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(10);

pub(super) async fn month(State(web): State<Web>, Path((customer, file)): Path<(String, String)>) -> Response {
    let (month, wanted) = asked(&file);
    let unknown = || PageError::Unknown(format!("report {customer}/{file}"));
    let Ok(customer) = customer.parse::<CustomerId>() else { return refusal(&web, &unknown()) };
    let Ok(Ok(turn)) = tokio::time::timeout(TURN, web.builds.clone().acquire_owned()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "other reports are being made\n")
            .into_response();
    };
    match build(&web, customer, month, turn).await {
        Ok(standing) => {
            let look = web.running.fleet.borrow().report.look(&standing.report.customer);
            rendered(&standing, wanted, (&file, &look))
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

async fn build(
    web: &Web,
    customer: CustomerId,
    month: &str,
    turn: OwnedSemaphorePermit,
) -> Result<Standing, ReportError> {
    let now = web.running.clock.now();
    let request = ReportRequest {
        environment: web.running.fleet.borrow().environment.clone(),
        customer: Some(customer),
        service: None,
        time: Time::Month(month.to_owned()),
    };
    let job = move |conn: &Connection| {
        // The turn ends when the work does, not when the one who asked goes away.
        let _turn = turn;
        Ok(life::standing(conn, &request, None, now))
    };
    web.running.store.read(job).await?
}

fn rendered(standing: &Standing, wanted: Wanted, (file, look): (&str, &Look)) -> Response {
    let format = match wanted {
        Wanted::Table(table) => {
            return kept(file, "text/csv; charset=utf-8", csv::render(&standing.report, table).into_bytes());
        }
        Wanted::Whole(format) => format,
    };
    let bytes = standing.written(format, look);
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
