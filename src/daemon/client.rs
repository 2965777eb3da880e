//! Asking the daemon, as `guestprep status` does.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::Readiness;
use crate::model::Decision;

/// So long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// No answer is longer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no guestprep daemon listens on {path}: {cause}")]
    NoDaemon {
        /// Where.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It listens, and does not answer as it should.
    #[error("the guestprep daemon on {path} gives no answer: {cause}")]
    NoAnswer {
        /// Where.
        path: String,
        /// Why.
        cause: String,
    },
}

/// What the daemon said.
#[derive(Clone, Debug)]
pub struct Told {
    /// The readiness.
    pub readiness: Readiness,
    /// The same, as it was sent.
    pub json: String,
}

/// Ask for the readiness.
///
/// # Errors
/// When no daemon answers.
pub fn ask(socket: &Path) -> Result<Told, ClientError> {
    block(
        socket,
        async {
            let response = get(socket, "/v1/readiness").await?;
            let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
            let body = body.collect().await.map_err(|e| no_answer(socket, e))?.to_bytes();
            told(socket, &body)
        },
        PATIENCE,
    )?
}

/// Follow the readiness until it is READY or the time is over (`None`: never); what it was last.
///
/// # Errors
/// When no daemon answers, or it ends meanwhile.
pub fn follow(socket: &Path, limit: Option<Duration>) -> Result<Told, ClientError> {
    let mut last = None;
    let followed =
        block(socket, follow_until_ready(socket, &mut last), limit.unwrap_or(Duration::MAX));
    match (followed, last) {
        (Ok(Err(error)), _) | (Err(error), None) => Err(error),
        (_, Some(told)) => Ok(told),
        (Ok(Ok(())), None) => Err(no_answer(socket, "it said nothing")),
    }
}

async fn follow_until_ready(socket: &Path, last: &mut Option<Told>) -> Result<(), ClientError> {
    let mut body = get(socket, "/v1/events").await?.into_body();
    let mut text = Vec::new();
    loop {
        let frame = body.frame().await.ok_or_else(|| no_answer(socket, "it ended"))?;
        let frame = frame.map_err(|e| no_answer(socket, e))?;
        text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        // An event ends with an empty line; ours have their data on one (HTML, section 9.2).
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let data = event.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"data: "));
            let Some(data) = data else { continue };
            let now = told(socket, data)?;
            let is_ready = now.readiness.verdict == Decision::Ready;
            *last = Some(now);
            if is_ready {
                return Ok(());
            }
        }
        if text.len() > MAX_ANSWER {
            return Err(no_answer(socket, "an event without end"));
        }
    }
}

/// Run a conversation of ours to its end, or to its limit.
fn block<T>(
    socket: &Path,
    conversation: impl Future<Output = T>,
    limit: Duration,
) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| no_answer(socket, e))?;
    let timed = async { tokio::time::timeout(limit, conversation).await };
    runtime.block_on(timed).map_err(|_| no_answer(socket, "it takes too long"))
}

async fn get(socket: &Path, path: &str) -> Result<Response<Incoming>, ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|cause| ClientError::NoDaemon { path: socket.display().to_string(), cause })?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| no_answer(socket, e))?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "guestprep").body(Empty::<Bytes>::new());
    let request = request.map_err(|e| no_answer(socket, e))?;
    let response = sender.send_request(request).await.map_err(|e| no_answer(socket, e))?;
    if response.status().is_success() {
        return Ok(response);
    }
    Err(no_answer(socket, response.status()))
}

fn told(socket: &Path, json: &[u8]) -> Result<Told, ClientError> {
    let readiness = serde_json::from_slice(json).map_err(|e| no_answer(socket, e))?;
    Ok(Told { readiness, json: String::from_utf8_lossy(json).into_owned() })
}

fn no_answer(socket: &Path, cause: impl std::fmt::Display) -> ClientError {
    ClientError::NoAnswer { path: socket.display().to_string(), cause: cause.to_string() }
}
