//! `/report/CUSTOMER/2026-10` and `/report/CUSTOMER/2026-10.json`: the report of a month, in the report's own
//! rendering.
//!
//! A report reads a whole month, so one is built at a time and whoever comes meanwhile waits a little: a crowd
//! can't take the machine from the probes.

use std::time::Duration;

use aws_lc_rs::digest;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use nines_shared::id::CustomerId;
use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use super::Web;
use super::pages::{PageError, refusal};
use crate::report::life::{self, Standing};
use crate::report::{Format, ReportError, ReportRequest, Time};

/// Reports that are built at one time.
pub(super) const MAX_BUILDS: usize = 1;
/// How long a request waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(10);

pub(super) async fn month(State(web): State<Web>, Path((customer, file)): Path<(String, String)>) -> Response {
    let (month, format) = match file.strip_suffix(".json") {
        Some(month) => (month, Format::Json),
        None => (file.as_str(), Format::Html),
    };
    let unknown = || PageError::Unknown(format!("report {customer}/{file}"));
    let Ok(customer) = customer.parse::<CustomerId>() else { return refusal(&web, &unknown()) };
    let Ok(Ok(turn)) = tokio::time::timeout(TURN, web.builds.clone().acquire_owned()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "other reports are being made\n")
            .into_response();
    };
    match build(&web, customer, month, turn).await {
        Ok(standing) => rendered(&standing, format),
        Err(ReportError::Store(error)) => refusal(&web, &PageError::Store(error)),
        Err(
            ReportError::Calendar(_)
            | ReportError::UnknownCustomer { .. }
            | ReportError::UnknownService { .. }
            | ReportError::WhoseReport { .. }
            | ReportError::NoService(_)
            | ReportError::NoRevision { .. }
            | ReportError::Basis(_)
            | ReportError::EmptyWindow,
        ) => refusal(&web, &unknown()),
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

fn rendered(standing: &Standing, format: Format) -> Response {
    let text = standing.written(format);
    match format {
        Format::Json => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Format::Html => {
            let headers =
                [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy(&text))];
            (headers, text).into_response()
        }
    }
}

/// A report is one file with its style inside, made to be kept and sent: that very style is let through, by its
/// digest, and nothing else.
fn policy(html: &str) -> String {
    let style =
        html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map_or("", |(style, _)| style);
    let digest = data_encoding::BASE64.encode(digest::digest(&digest::SHA256, style.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
