//! What people do on the page and through the API. Both end in the same [`Act`]s as the command line's.

use std::sync::Arc;

use askama::Template as _;
use axum::extract::{Extension, Form, Json, Path, Query, State};
use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use nines_shared::duration::parse_ms;
use nines_shared::id::PersonId;
use nines_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::pages::{self, PageError, SignIn};
use super::sign_in::{self, Peer, Refusal};
use super::view::sentence;
use super::{Web, api};
use crate::control::{Act, Answer, act};
use crate::definition::Fleet;
use crate::incident::{IncidentId, Kind, Subject};
use crate::store::silences::{self, Scope, Silence};
use crate::store::{StoreError, incidents};

/// The most bytes of a request that does something: a note with every letter escaped.
pub(super) const MAX_BODY_BYTES: usize = 16 << 10;

/// Where the page was that wants somebody signed in.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    incident: Option<IncidentId>,
}

pub(super) async fn sign_in_page(State(web): State<Web>, Query(from): Query<From>) -> Response {
    sign_in_form(&web, from.incident.as_ref(), None)
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: String,
    incident: Option<IncidentId>,
}

pub(super) async fn sign_in(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(shown): Form<Token>,
) -> Response {
    let fleet = web.running.fleet.borrow().clone();
    if !sign_in::is_from_our_page(&fleet, &headers) {
        return foreign(&web);
    }
    let begun = match web.doorkeeper.person(&fleet, peer, shown.token.trim()).await {
        Ok(person) => web.doorkeeper.begin(person),
        Err(refusal) => Err(refusal),
    };
    match begun {
        Ok(secret) => seen_other(&home(shown.incident.as_ref()), Some(&sign_in::set_cookie(&fleet, Some(&secret)))),
        Err(refusal) => sign_in_form(&web, shown.incident.as_ref(), Some(refusal)),
    }
}

pub(super) async fn sign_out(State(web): State<Web>, headers: HeaderMap) -> Response {
    let fleet = web.running.fleet.borrow().clone();
    if !sign_in::is_from_our_page(&fleet, &headers) {
        return foreign(&web);
    }
    web.doorkeeper.end(&headers);
    seen_other("/", Some(&sign_in::set_cookie(&fleet, None)))
}

/// What the form on an incident's page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Wish {
    Ack,
    Note { text: String },
    Assign { to: String },
    Silence { length: String, reason: String },
}

pub(super) async fn on_incident(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let Ok(incident) = id.parse::<IncidentId>() else { return pages::refusal(&web, &PageError::Unknown(id)) };
    let by = match of_page(&web, &headers, Some(&incident)) {
        Ok(by) => by,
        Err(response) => return *response,
    };
    let act = match wished(&web, &incident, wish).await {
        Ok(Ok(act)) => act,
        Ok(Err(message)) => return plain(&web, StatusCode::BAD_REQUEST, "That can’t be done.", message),
        Err(error) => return pages::refusal(&web, &error.into()),
    };
    carried_out_on_page(&web, act, &by, Some(&incident)).await
}

pub(super) async fn end_silence(State(web): State<Web>, Path(no): Path<i64>, headers: HeaderMap) -> Response {
    match of_page(&web, &headers, None) {
        Ok(by) => carried_out_on_page(&web, Act::EndSilence { no }, &by, None).await,
        Err(response) => *response,
    }
}

/// The act that `wish` means; inside, what is wrong with it.
async fn wished(web: &Web, incident: &IncidentId, wish: Wish) -> Result<Result<Act, String>, StoreError> {
    let id = incident.clone();
    Ok(Ok(match wish {
        Wish::Ack => Act::Acknowledge { incident: id },
        Wish::Note { text } => Act::Note { incident: id, text },
        Wish::Assign { to } => Act::Assign { incident: id, to },
        Wish::Silence { length, reason } => {
            let length_ms = match parse_ms(&length) {
                Ok(ms) => ms,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let Some(found) = web.running.store.read(move |conn| incidents::get(conn, &id)).await? else {
                return Ok(Err(format!("there is no incident {incident}")));
            };
            let scope = match found.subject {
                Subject::Service(service) => Scope::Service(service),
                Subject::Probe(probe) => Scope::Probe(probe),
            };
            Act::Silence { scope, kind: None, to: web.running.clock.now().plus_ms(length_ms), reason }
        }
    }))
}

/// Who is signed in, where a page of ours asks.
fn of_page(web: &Web, headers: &HeaderMap, incident: Option<&IncidentId>) -> Result<PersonId, Box<Response>> {
    let fleet = web.running.fleet.borrow().clone();
    if !sign_in::is_from_our_page(&fleet, headers) {
        return Err(Box::new(foreign(web)));
    }
    let person = web.doorkeeper.signed_in(&fleet, headers);
    person.map(|person| person.id).ok_or_else(|| Box::new(seen_other(&sign_in_at(incident), None)))
}

async fn carried_out_on_page(web: &Web, act: Act, by: &PersonId, incident: Option<&IncidentId>) -> Response {
    match act::done(act, by.to_string(), &web.running).await {
        Ok(Ok(_answer)) => seen_other(&home(incident), None),
        Ok(Err(refused)) => plain(web, StatusCode::BAD_REQUEST, "That can’t be done.", refused.message),
        Err(error) => pages::refusal(web, &error.into()),
    }
}

/// The path of the sign-in form that leads back to `incident`.
fn sign_in_at(incident: Option<&IncidentId>) -> String {
    incident.map_or_else(|| "/sign-in".to_owned(), |id| format!("/sign-in?incident={id}"))
}

fn home(incident: Option<&IncidentId>) -> String {
    incident.map_or_else(|| "/".to_owned(), |id| format!("/incident/{id}"))
}

fn seen_other(path: &str, cookie: Option<&str>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn foreign(web: &Web) -> Response {
    let lead = "This was not sent by a page of ours, so nothing was done.".to_owned();
    plain(web, StatusCode::FORBIDDEN, "That can’t be done from there.", lead)
}

fn plain(web: &Web, status: StatusCode, headline: &'static str, lead: String) -> Response {
    (status, Html(pages::plain(web, headline, lead))).into_response()
}

fn sign_in_form(web: &Web, incident: Option<&IncidentId>, refusal: Option<Refusal>) -> Response {
    let fleet = web.running.fleet.borrow().clone();
    let page = SignIn {
        frame: pages::frame(&fleet, web.running.clock.now()),
        people: !fleet.people.is_empty(),
        incident: incident.map(ToString::to_string),
        refusal: refusal.map(|refusal| sentence(&refusal.to_string())),
    };
    let status = refusal.map_or(StatusCode::OK, status_of);
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => pages::refusal(web, &error.into()),
    }
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Unknown => StatusCode::UNAUTHORIZED,
        Refusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Refusal::NoDice => StatusCode::SERVICE_UNAVAILABLE,
    }
}

// The API.

/// What was done.
#[derive(Serialize)]
struct Done {
    schema: &'static str,
    /// Who did it.
    by: String,
    /// The number of a silence that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct NoteBody {
    text: String,
}

#[derive(Deserialize)]
pub(super) struct AssignBody {
    to: String,
}

/// A silence as a program asks for it: its end, or how long it is.
#[derive(Deserialize)]
pub(super) struct SilenceBody {
    scope: Scope,
    kind: Option<Kind>,
    to: Option<Timestamp>,
    for_ms: Option<i64>,
    reason: String,
}

pub(super) async fn api_ack(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(incident): Path<IncidentId>,
    headers: HeaderMap,
) -> Response {
    by_token(&web, peer, &headers, Act::Acknowledge { incident }).await
}

pub(super) async fn api_note(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(incident): Path<IncidentId>,
    headers: HeaderMap,
    Json(NoteBody { text }): Json<NoteBody>,
) -> Response {
    by_token(&web, peer, &headers, Act::Note { incident, text }).await
}

pub(super) async fn api_assign(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(incident): Path<IncidentId>,
    headers: HeaderMap,
    Json(AssignBody { to }): Json<AssignBody>,
) -> Response {
    by_token(&web, peer, &headers, Act::Assign { incident, to }).await
}

pub(super) async fn api_silence(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(body): Json<SilenceBody>,
) -> Response {
    let SilenceBody { scope, kind, to, for_ms, reason } = body;
    let to = to.unwrap_or_else(|| web.running.clock.now().plus_ms(for_ms.unwrap_or_default()));
    by_token(&web, peer, &headers, Act::Silence { scope, kind, to, reason }).await
}

pub(super) async fn api_end_silence(
    State(web): State<Web>,
    Extension(peer): Extension<Peer>,
    Path(no): Path<i64>,
    headers: HeaderMap,
) -> Response {
    by_token(&web, peer, &headers, Act::EndSilence { no }).await
}

#[derive(Serialize)]
struct Silences {
    schema: &'static str,
    now: Timestamp,
    silences: Vec<Silence>,
}

/// The silences that hold.
pub(super) async fn api_silences(State(web): State<Web>) -> Response {
    let now = web.running.clock.now();
    let found = web.running.store.read(move |conn| silences::holding(conn, now)).await;
    api::answer(found.map(|silences| Silences { schema: "nines.silences/1", now, silences }).map_err(PageError::from))
}

async fn by_token(web: &Web, peer: Peer, headers: &HeaderMap, act: Act) -> Response {
    let fleet: Arc<Fleet> = web.running.fleet.borrow().clone();
    let Some(token) = sign_in::bearer(headers) else {
        let message = "send the token of a [[person]]: Authorization: Bearer …";
        return api::refused(StatusCode::UNAUTHORIZED, "no_token", message.to_owned());
    };
    let by = match web.doorkeeper.person(&fleet, peer, token).await {
        Ok(person) => person.to_string(),
        Err(refusal) => {
            let mut response = api::refused(status_of(refusal), "refused", refusal.to_string());
            if refusal == Refusal::TooMany {
                response.headers_mut().insert(RETRY_AFTER, sign_in::WINDOW.as_secs().into());
            }
            return response;
        }
    };
    match act::done(act, by.clone(), &web.running).await {
        Ok(Ok(answer)) => {
            let silence = if let Answer::Silenced { no } = answer { Some(no) } else { None };
            api::answer(Ok(Done { schema: "nines.act/1", by, silence }))
        }
        Ok(Err(refused)) => api::refused(StatusCode::UNPROCESSABLE_ENTITY, "refused", refused.message),
        Err(error) => api::answer::<Done>(Err(error.into())),
    }
}
