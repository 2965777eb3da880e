//! The daemon's HTTP on bytes in memory, for `fuzz/` and the tests below.
//!
//! Everything between the bytes of a connection and what the judge is asked is the daemon's own:
//! limits, routes, who may do what, the answer's form. The judge's place is taken by one that says
//! it lives, and that asks the configuration about a change and never makes it.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake};
use std::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::watch;

use super::judge::Call;
use super::state::{Readiness, State};
use super::{Line, Orders, changes, http, serve};
use crate::catalog::{Config, Language, PROFILES};
use crate::model::{Decision, Policy, Severity};
use crate::sys::watch::Waker;

/// A daemon that serves nothing but what it is handed, of a guest that is not ready.
pub struct Surface {
    router: axum::Router,
    calls: mpsc::Receiver<Call>,
    orders: Orders,
    runtime: tokio::runtime::Runtime,
    publish: watch::Sender<Option<State>>,
}

/// What came of a connection.
#[derive(Debug)]
pub struct Exchange {
    /// Every byte of the answer; none where there was none.
    pub answer: Vec<u8>,
    /// Whether the judge was asked to change the guest.
    pub asked_to_change: bool,
}

impl Default for Surface {
    fn default() -> Self {
        let orders = Orders {
            config: Config::default(),
            profile: &PROFILES[0],
            language: Language::En,
            fail_on: Severity::Blocker,
            policy: Policy::default(),
            as_init_sees: false,
        };
        let readiness = Readiness {
            verdict: Decision::NotReady,
            since: "2027-01-01T00:00:00Z".to_owned(),
            generation: 1,
            blockers: vec!["data-disk-mounted".to_owned()],
            unknown: Vec::new(),
            drift: Vec::new(),
        };
        let state = State {
            readiness: readiness.into(),
            report: "{}".into(),
            metrics: "# EOF\n".into(),
            looked: Instant::now(),
        };
        let (publish, state) = watch::channel(Some(state));
        let (sender, calls) = mpsc::channel();
        let line = Line { calls: sender, waker: Waker::new().expect("an eventfd") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            router: http::router(state, line),
            calls,
            orders,
            runtime: runtime.expect("a runtime"),
            publish,
        }
    }
}

impl Surface {
    /// What a user is answered who sends these bytes, so many at a time, and then waits until
    /// nothing more happens before it hangs up.
    ///
    /// # Panics
    /// When a change is allowed, and when the connection does not end with the client's.
    pub fn converse(&self, uid: u32, bytes: &[u8], piece: usize) -> Exchange {
        // Nothing waits for the runtime: it is there for the timers, which are never due.
        let _context = self.runtime.enter();
        let wire = RefCell::new(Wire {
            unread: bytes,
            piece,
            hung_up: false,
            gone: false,
            answer: Vec::new(),
        });
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        let mut context = Context::from_waker(&waker);
        let mut asked_to_change = false;
        let mut conversation = pin!(serve::converse(End(&wire), uid, self.router.clone()));
        while conversation.as_mut().poll(&mut context).is_pending() {
            while let Ok(call) = self.calls.try_recv() {
                asked_to_change |= self.hear(call);
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                self.hang_up(&wire);
            }
        }
        let answer = std::mem::take(&mut wire.borrow_mut().answer);
        Exchange { answer, asked_to_change }
    }

    /// The client says no more; when that ends nothing, it is gone, as whoever sends it the next event
    /// is told.
    fn hang_up(&self, wire: &RefCell<Wire>) {
        let mut end = wire.borrow_mut();
        if !end.hung_up {
            end.hung_up = true;
            return;
        }
        assert!(!end.gone, "nobody is there, but it does not end");
        end.gone = true;
        drop(end);
        self.publish.send_modify(|_| ());
    }

    /// Answers as the judge would; gives whether it was asked to change the guest.
    fn hear(&self, call: Call) -> bool {
        let refused = || changes::allowed(&self.orders).expect_err("nobody allowed a change");
        match call {
            Call::Look(answer) | Call::Reload(answer) | Call::Ping(answer) => {
                _ = answer.send(());
                false
            }
            Call::Prepare(_, answer) | Call::RollBack(answer) => {
                _ = answer.send(Err(refused()));
                true
            }
            Call::Stop => false,
        }
    }
}

/// Whether there is more to do before anything else happens.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection in memory.
struct Wire<'a> {
    unread: &'a [u8],
    piece: usize,
    hung_up: bool,
    gone: bool,
    answer: Vec<u8>,
}

/// The daemon's end of it.
struct End<'a>(&'a RefCell<Wire<'a>>);

impl Read for End<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        let length = wire.unread.len().min(wire.piece.max(1)).min(buffer.remaining());
        let (piece, left) = wire.unread.split_at(length);
        if piece.is_empty() && !wire.hung_up {
            // Whoever hangs up polls again.
            return Poll::Pending;
        }
        buffer.put_slice(piece);
        wire.unread = left;
        Poll::Ready(Ok(()))
    }
}

impl Write for End<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        if wire.gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        wire.answer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of the answer, and whether the judge was asked to change the guest.
    fn ask(uid: u32, request: &str, piece: usize) -> (String, bool) {
        let exchange = Surface::default().converse(uid, request.as_bytes(), piece);
        let answer = String::from_utf8(exchange.answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, exchange.asked_to_change)
    }

    #[test]
    fn everybody_is_told_and_nobody_changes() {
        let cases = [
            (1000, "GET /v1/readiness", "200", false),
            (1000, "HEAD /metrics", "200", false),
            (1000, "GET /healthz", "200", false),
            (1000, "GET /v1/events", "200", false),
            (1000, "GET /v1/readiness/", "404", false),
            (1000, "POST /v1/prepare", "403", false),
            (1000, "POST /v1/rollback", "403", false),
            (0, "POST /v1/prepare", "403", true),
            (0, "POST /v1/rollback", "403", true),
            (0, "GET /v1/prepare", "405", false),
            (0, "PUT /v1/rollback", "405", false),
        ];
        for (uid, line, status, asked) in cases {
            for piece in [1, 7, usize::MAX] {
                let request = format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n");
                assert_eq!(ask(uid, &request, piece), (status.to_owned(), asked), "{uid}: {line}");
            }
        }
    }

    /// Which hides its end until something is sent to it.
    #[test]
    fn a_follower_that_says_more_than_its_request_is_not_followed_for_ever() {
        let request = "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\nand more";
        assert_eq!(ask(1000, request, usize::MAX), ("200".to_owned(), false));
    }

    #[test]
    fn what_is_half_said_or_too_long_asks_nothing() {
        let head = "POST /v1/prepare HTTP/1.1\r\nhost: x\r\n";
        let cases = [
            ("", ""),
            (head, ""),
            (&format!("{head}content-length: 2\r\n\r\n{{"), "400"),
            (&format!("{head}content-length: 5000\r\n\r\n{}", "x".repeat(5000)), "413"),
            (&format!("{head}{}\r\n", "a: b\r\n".repeat(40)), "431"),
            (&format!("{head}a: {}\r\n\r\n", "b".repeat(10_000)), "431"),
            (&format!("{head}content-length: 1\r\ncontent-length: 2\r\n\r\n"), "400"),
        ];
        for (request, status) in cases {
            assert_eq!(ask(0, request, usize::MAX), (status.to_owned(), false), "{request}");
        }
    }
}
