//! A readiness that is always current, served over a unix socket.
//!
//! One thread judges ([`judge`]): it watches what the checks read, judges again those whose
//! answers may have changed, and publishes what stands ([`state`]). It is also the only one that
//! changes the guest ([`changes`]), so that nothing is judged half changed. The other thread serves
//! HTTP ([`http`], [`serve`]) and never looks at the guest. Nothing wakes either up while nothing
//! happens.

mod changes;
mod client;
mod drift;
mod http;
mod journald;
mod judge;
mod looking;
mod serve;
mod state;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod surface;

use std::sync::mpsc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::catalog::{Config, Language, Profile};
use crate::engine::{Selection, Settings};
use crate::guest::Guest;
use crate::model::{Policy, Severity};
use crate::sys::watch::Waker;

pub use client::{ClientError, Told, ask, follow};
pub use journald::layer as journald;
pub use looking::Looking;
pub use state::{Drift, Readiness};

use judge::{Call, Judge};

/// Where the socket is unless the configuration says otherwise.
pub const SOCKET: &str = "/run/guestprep/guestprep.sock";

/// What the operator wants, as it is configured.
#[derive(Debug)]
pub struct Orders {
    /// The configuration.
    pub config: Config,
    /// The profile.
    pub profile: &'static Profile,
    /// The language of titles and messages.
    pub language: Language,
    /// Findings of this weight and above make the guest not ready.
    pub fail_on: Severity,
    /// What is wanted of the guest.
    pub policy: Policy,
    /// Look at the machine as process 1 sees it, not as this process does.
    pub as_init_sees: bool,
}

impl Orders {
    /// This machine, with none of its facts known.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn guest(&self) -> crate::sys::Result<Guest> {
        match self.as_init_sees {
            true => Guest::live_of_init(self.policy.clone()),
            false => Guest::live(self.policy.clone()),
        }
    }

    /// How an audit is to be made.
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            profile: self.profile,
            config: &self.config,
            language: self.language,
            fail_on: self.fail_on,
            selection: Selection::default(),
        }
    }
}

/// Reads the configuration anew; the error is a sentence.
pub type Load = Box<dyn Fn() -> Result<Orders, String> + Send>;

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// The system refuses what the daemon cannot do without.
    #[error(transparent)]
    System(#[from] crate::sys::Error),
    /// The socket cannot be had.
    #[error("cannot listen on {path}: {cause}")]
    Socket {
        /// Where.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The thread that judges has ended.
    #[error("judging ended: {0}")]
    Judge(String),
    /// The runtime cannot be made.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

/// Speaks to the thread that judges.
#[derive(Clone, Debug)]
struct Line {
    calls: mpsc::Sender<Call>,
    waker: Waker,
}

impl Line {
    /// Say something that wants no answer.
    fn tell(&self, call: Call) {
        // Where nobody listens the thread has ended, which ends the daemon.
        let _ = self.calls.send(call);
        self.waker.wake();
    }

    /// Say something and wait for the answer; `None` when there will be none.
    async fn ask<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> Call) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.tell(call(answer));
        answered.await.ok()
    }
}

/// Run until a signal ends it.
///
/// # Errors
/// What keeps the daemon from starting, and what ends it otherwise than by a signal.
pub fn run(load: Load) -> Result<(), DaemonError> {
    let orders = load().map_err(DaemonError::Config)?;
    let socket = orders.config.daemon.socket.clone().unwrap_or_else(|| SOCKET.to_owned());
    let listener = serve::listen(&socket, &orders.guest()?)?;
    let (publish, state) = watch::channel(None);
    let (calls, heard) = mpsc::channel();
    let judge = Judge::new(load, orders, publish, heard)?;
    let line = Line { calls, waker: judge.waker() };
    let (ended, end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("judge".to_owned());
    thread
        .spawn(move || {
            let _ = ended.send(judge.run());
        })
        .map_err(DaemonError::Runtime)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // None is used; should a dependency ask for one, one is enough.
        .max_blocking_threads(1)
        .build()
        .map_err(DaemonError::Runtime)?;
    runtime.block_on(serve_until_end(listener, state, &line, end))
}

async fn serve_until_end(
    listener: std::os::unix::net::UnixListener,
    mut state: watch::Receiver<Option<state::State>>,
    line: &Line,
    end: oneshot::Receiver<Result<(), crate::sys::Error>>,
) -> Result<(), DaemonError> {
    let mut end = std::pin::pin!(end);
    // What is served is what stands: nobody is answered before the first audit is made.
    tokio::select! {
        ready = state.wait_for(Option::is_some) => drop(ready),
        ended = &mut end => return Err(ended_by_itself(ended)),
    }
    notify(&[sd_notify::NotifyState::Ready]);
    let served = tokio::spawn(serve::serve(listener, http::router(state, line.clone())));
    let listen = |kind| signal(kind).map_err(DaemonError::Runtime);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let watchdog = tokio::spawn(feed_watchdog(line.clone()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(line).await,
            ended = &mut end => return Err(ended_by_itself(ended)),
        }
    }
    tracing::info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
    watchdog.abort();
    served.abort();
    // A change that is under way is finished, or undone, before the process ends.
    line.tell(Call::Stop);
    match end.await {
        Ok(result) => Ok(result?),
        Err(_) => Err(DaemonError::Judge("it broke".to_owned())),
    }
}

async fn reload(line: &Line) {
    let started = sd_notify::NotifyState::monotonic_usec_now();
    let mut states = vec![sd_notify::NotifyState::Reloading];
    states.extend(started);
    notify(&states);
    // The judge says what came of it.
    let _ = line.ask(Call::Reload).await;
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Tell systemd that both threads are alive, where it wants to know (`WatchdogSec=`).
async fn feed_watchdog(line: Line) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Half of the limit, as sd_watchdog_enabled(3) recommends.
    let mut beat = tokio::time::interval(limit / 2);
    loop {
        beat.tick().await;
        if line.ask(Call::Ping).await.is_some() {
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}

fn ended_by_itself(
    ended: Result<Result<(), crate::sys::Error>, oneshot::error::RecvError>,
) -> DaemonError {
    match ended {
        Ok(Ok(())) => DaemonError::Judge("nobody asked it to".to_owned()),
        Ok(Err(error)) => error.into(),
        Err(_) => DaemonError::Judge("it broke; please report this".to_owned()),
    }
}
