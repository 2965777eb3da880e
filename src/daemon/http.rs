//! What can be asked over the socket, and the OpenAPI document of it.
//!
//! Route and document are made of the same handler ([`routes!`]), so that neither can have what
//! the other lacks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Line;
use super::changes::{Asked, Done, Refused, RefusedKind};
use super::judge::Call;
use super::serve::Peer;
use super::state::{Readiness, State};

/// No request has a larger body, in bytes.
const MAX_BODY: usize = 4 << 10;

/// So many clients may follow the events at a time.
const MAX_FOLLOWERS: usize = 16;

/// So long nothing is sent to a client that follows the events; then a comment is, which ends the
/// connection of one that is gone. Its end alone is not seen where it sent more than its request.
const STILL_THERE: Duration = Duration::from_secs(15);

/// What no event tells of (free space, processes, the time) is looked at for whoever asks, when it
/// was not for so long.
const STALE: Duration = Duration::from_secs(30);

/// So long a client waits for such a look; then it is told what stood before.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Api {
    state: watch::Receiver<Option<State>>,
    line: Line,
    followers: Arc<Semaphore>,
}

/// What went wrong, in a sentence.
#[derive(Debug, Serialize, ToSchema)]
struct Problem {
    #[serde(skip)]
    status: StatusCode,
    error: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// The report of `guestprep audit --format json`, schema `guestprep.report/1`.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
#[allow(dead_code)] // It stands in the document alone; what is served was rendered before.
struct ReportDocument(serde_json::Value);

#[derive(OpenApi)]
#[openapi(info(
    title = "guestprep",
    description = "Whether an image made of this guest now is ready, kept current. HTTP/1.1 over a unix socket.",
    license(name = "MIT")
))]
struct Document;

/// Everything that is served.
pub fn router(state: watch::Receiver<Option<State>>, line: Line) -> axum::Router {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(readiness))
        .routes(routes!(report))
        .routes(routes!(events))
        .routes(routes!(metrics))
        .routes(routes!(healthz))
        .routes(routes!(prepare))
        .routes(routes!(rollback))
        .split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    let followers = Arc::new(Semaphore::new(MAX_FOLLOWERS));
    router
        .route("/openapi.json", get(move || async move { text("application/json", document) }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Api { state, line, followers })
}

impl Api {
    /// What stands; what no event tells of is not older than [`STALE`].
    async fn current(&self) -> Result<State, Problem> {
        let state = self.state.borrow().clone();
        if state.as_ref().is_some_and(|state| state.looked.elapsed() < STALE) {
            return state.ok_or_else(no_answer);
        }
        let look = self.line.ask(Call::Look);
        let _ = tokio::time::timeout(LOOK, look).await;
        self.state.borrow().clone().ok_or_else(no_answer)
    }
}

/// The answer and what stands in its way
#[utoipa::path(get, path = "/v1/readiness", responses((status = 200, body = Readiness)))]
async fn readiness(Shared(api): Shared<Api>) -> Result<Response, Problem> {
    let state = api.current().await?;
    Ok(Json(&*state.readiness).into_response())
}

/// Every check with its findings
#[utoipa::path(get, path = "/v1/report", responses((status = 200, body = ReportDocument)))]
async fn report(Shared(api): Shared<Api>) -> Result<Response, Problem> {
    Ok(text("application/json", api.current().await?.report))
}

/// The readiness as it is now, and again whenever it changes: server-sent events named `readiness`
#[utoipa::path(get, path = "/v1/events", responses(
    (status = 200, body = Readiness, content_type = "text/event-stream"),
    (status = 503, body = Problem, description = "Too many clients follow the events"),
))]
async fn events(
    Shared(api): Shared<Api>,
    Extension(peer): Extension<Peer>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Ok(place) = Arc::clone(&api.followers).try_acquire_owned() else {
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "too many clients follow the events"));
    };
    peer.takes_its_time();
    // A reader that is slow misses what was in between, and nothing is kept for it.
    let stream = WatchStream::new(api.state).filter_map(move |state| {
        let _ = &place;
        let readiness = state?.readiness;
        let event = Event::default().event("readiness").id(readiness.generation.to_string());
        event.json_data(&*readiness).ok()
    });
    let stream = stream
        .timeout_repeating(tokio::time::interval(STILL_THERE))
        .map(|event| Ok(event.unwrap_or_else(|_| Event::default().comment(""))));
    Ok(Sse::new(stream))
}

/// The same as metrics
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
async fn metrics(Shared(api): Shared<Api>) -> Result<Response, Problem> {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(text(KIND, api.current().await?.metrics))
}

/// Whether the daemon judges
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, body = Problem),
))]
async fn healthz(Shared(api): Shared<Api>) -> Result<&'static str, Problem> {
    match tokio::time::timeout(LOOK, api.line.ask(Call::Ping)).await {
        Ok(Some(())) => Ok("ok\n"),
        _ => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "nothing was judged for 2 s")),
    }
}

/// Prepare the guest, for as long as the lease
#[utoipa::path(post, path = "/v1/prepare", request_body = Asked, responses(
    (status = 200, body = Done),
    (status = 400, body = Problem, description = "Asked wrongly"),
    (status = 403, body = Problem, description = "Not root, or changes are not allowed"),
    (status = 409, body = Problem, description = "Something stands in the way; nothing was changed"),
    (status = 423, body = Problem, description = "Another run holds the lock"),
    (status = 500, body = Problem, description = "A change failed"),
))]
async fn prepare(
    Shared(api): Shared<Api>,
    Extension(peer): Extension<Peer>,
    body: axum::body::Bytes,
) -> Result<Json<Done>, Problem> {
    may_change(&peer)?;
    let asked = match body.is_empty() {
        true => Asked::default(),
        false => serde_json::from_slice(&body)
            .map_err(|e| problem(StatusCode::BAD_REQUEST, format!("the body: {e}")))?,
    };
    answer(api.line.ask(|answer| Call::Prepare(asked, answer)).await)
}

/// Roll back the last run
#[utoipa::path(post, path = "/v1/rollback", responses(
    (status = 200, body = Done),
    (status = 400, body = Problem, description = "There is no run to roll back"),
    (status = 403, body = Problem, description = "Not root, or changes are not allowed"),
    (status = 409, body = Problem, description = "The run is another guest's"),
    (status = 423, body = Problem, description = "Another run holds the lock"),
    (status = 500, body = Problem, description = "Not all of it could be undone"),
))]
async fn rollback(
    Shared(api): Shared<Api>,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Done>, Problem> {
    may_change(&peer)?;
    answer(api.line.ask(Call::RollBack).await)
}

/// Only root may have the guest changed; whether anybody may, the judge knows.
fn may_change(peer: &Peer) -> Result<(), Problem> {
    if peer.uid() != 0 {
        return Err(problem(StatusCode::FORBIDDEN, "only root may change the guest"));
    }
    peer.takes_its_time();
    Ok(())
}

fn answer(done: Option<Result<Done, Refused>>) -> Result<Json<Done>, Problem> {
    match done {
        Some(Ok(done)) => Ok(Json(done)),
        Some(Err(refused)) => {
            let status = match refused.kind {
                RefusedKind::Wrong => StatusCode::BAD_REQUEST,
                RefusedKind::Forbidden => StatusCode::FORBIDDEN,
                RefusedKind::InTheWay => StatusCode::CONFLICT,
                RefusedKind::Busy => StatusCode::LOCKED,
                RefusedKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Err(problem(status, refused.why))
        }
        None => Err(no_answer()),
    }
}

fn no_answer() -> Problem {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending")
}

fn problem(status: StatusCode, error: impl Into<String>) -> Problem {
    Problem { status, error: error.into() }
}

fn text(kind: &'static str, text: Arc<str>) -> Response {
    let mut response = Response::new(Body::from(text.as_bytes().to_vec()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
