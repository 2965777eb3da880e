//! The socket: who may connect, how many, for how long.
//!
//! A connection is one request. So many are served at a time; the others wait in the kernel's
//! queue, where they cost nothing. Whoever is slow to ask or slow to listen is cut off, so that a
//! place is never held for nothing.

use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::DaemonError;
use crate::guest::Guest;
use crate::sys;

/// Who may connect beside root.
const GROUP: &str = "guestprep";

/// So many connections are served at a time.
const PLACES: usize = 64;

/// So long a client may take to say what it wants.
const TO_ASK: Duration = Duration::from_secs(2);

/// So long a connection may take in all, unless it follows the events or waits for a change.
const IN_ALL: Duration = Duration::from_secs(10);

/// No request line and headers are longer, in bytes; hyper takes no less.
const MAX_HEAD: usize = 8 << 10;

/// No request has more headers.
const MAX_HEADERS: usize = 32;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    uid: u32,
    takes_its_time: Arc<AtomicBool>,
}

impl Peer {
    /// The user that connected (SO_PEERCRED of unix(7)).
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// What it asked for takes as long as it takes.
    pub fn takes_its_time(&self) {
        self.takes_its_time.store(true, Ordering::Relaxed);
    }
}

/// The socket that systemd handed over, or one of our own at a path. Root may connect to ours, and
/// the group [`GROUP`] of the guest where it has one.
///
/// # Errors
/// When there is none, or another daemon has it.
pub fn listen(path: &str, guest: &Guest) -> Result<StdListener, DaemonError> {
    let failed = |cause| DaemonError::Socket { path: path.to_owned(), cause };
    let handed_over = listenfd::ListenFd::from_env().take_unix_listener(0).map_err(failed)?;
    let listener = match handed_over {
        Some(listener) => listener,
        None => {
            let group = guest.group_id(GROUP).unwrap_or_else(|error| {
                tracing::warn!("only root may connect: {error}");
                None
            });
            sys::listen(Path::new(path), group).map_err(failed)?
        }
    };
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Serve whoever connects, for ever.
pub async fn serve(listener: StdListener, router: Router) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("cannot listen: {error}");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(stream, router).await;
                    drop(place);
                });
            }
            // No descriptors left, most likely: some will be given back.
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, router: Router) {
    let Ok(credentials) = stream.peer_cred() else { return };
    converse(TokioIo::new(stream), credentials.uid(), router).await;
}

/// One request of a user, and its answer, over whatever carries them.
pub async fn converse(stream: impl Read + Write + Unpin, uid: u32, router: Router) {
    let peer = Peer { uid, takes_its_time: Arc::default() };
    let takes_its_time = Arc::clone(&peer.takes_its_time);
    let router = TowerToHyperService::new(router);
    // With the request and not as a layer, which would be a copy of all routes for each connection.
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TO_ASK)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = tokio::time::sleep(IN_ALL) => {}
    }
    if takes_its_time.load(Ordering::Relaxed) {
        // What the client did not take, or broke off, is its own affair.
        let _ = connection.await;
    }
}
