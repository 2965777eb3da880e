//! The thread that judges: it waits, looks at what may have changed, and publishes what stands.
//!
//! Everything that touches the guest happens here, one thing after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::changes::{self, Asked, Done, Refused};
use super::drift::{self, Guarded};
use super::looking::Looking;
use super::state::{self, Drift, Own, Readiness, State};
use super::{Load, Orders};
use crate::guest::Guest;
use crate::report;
use crate::sys::watch::{Changes, Waker};
use crate::sys::{self, Result};

/// So long nothing more has to happen before what happened is looked at: an editor does many things
/// at once.
const QUIET: Duration = Duration::from_millis(10);

/// Whatever else happens, what happened first is looked at after this: a verdict is promised within
/// 200 ms of a change, a look at everything takes tens of them, and systemd goes on for as long
/// after a mount.
const PATIENCE: Duration = Duration::from_millis(50);

/// A rollback that failed when its lease ended is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// What answers a call.
type Answer = Box<dyn FnOnce()>;

/// What the thread is asked to do.
#[derive(Debug)]
pub enum Call {
    /// Look at what no event tells of.
    Look(oneshot::Sender<()>),
    /// Read the configuration anew.
    Reload(oneshot::Sender<()>),
    /// Prepare the guest.
    Prepare(Asked, oneshot::Sender<std::result::Result<Done, Refused>>),
    /// Roll the last run back.
    RollBack(oneshot::Sender<std::result::Result<Done, Refused>>),
    /// Say that the thread is alive.
    Ping(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// The thread's own.
pub struct Judge {
    load: Load,
    orders: Orders,
    publish: watch::Sender<Option<State>>,
    calls: mpsc::Receiver<Call>,
    waker: Waker,
    socket: Option<String>,
    guarded: Option<Guarded>,
    /// What happens before is looked at then, unless somebody calls: a look takes as long a rest as
    /// it took itself, so that a guest of 100,000 mounts that mounts without pause costs half of a
    /// processor and not all of it.
    rests_until: Instant,
    /// When a lease is to be ended at the earliest, where that has failed.
    not_before: Option<Instant>,
    lost: u64,
    /// What has been said once and is not said again.
    said: BTreeSet<String>,
}

impl Judge {
    /// What the thread takes with it.
    ///
    /// # Errors
    /// When the guest cannot be opened.
    pub fn new(
        load: Load,
        orders: Orders,
        publish: watch::Sender<Option<State>>,
        calls: mpsc::Receiver<Call>,
    ) -> Result<Self> {
        let socket = orders.config.daemon.socket.clone();
        let waker = Waker::new()?;
        Ok(Self {
            load,
            orders,
            publish,
            calls,
            waker,
            socket,
            guarded: None,
            rests_until: Instant::now(),
            not_before: None,
            lost: 0,
            said: BTreeSet::new(),
        })
    }

    /// What wakes the thread up to hear a call.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Judge until [`Call::Stop`].
    ///
    /// # Errors
    /// When the guest cannot be looked at, or the system gives no events.
    pub fn run(mut self) -> Result<()> {
        let mut looking = Looking::new(self.orders.guest()?.root(), self.waker.clone())?;
        for sentence in looking.deaf_to() {
            tracing::warn!("{sentence}");
        }
        self.look(&mut looking, &Changes::default())?;
        loop {
            let changes = self.wait(&mut looking)?;
            if let Some(why) = changes.lost() {
                self.lost += 1;
                let what = "everything is judged again, now and whenever it happens";
                self.say_once(format!("{why}: {what}"));
            }
            let mut answers: Vec<Answer> = Vec::new();
            while let Ok(call) = self.calls.try_recv() {
                match call {
                    Call::Stop => return Ok(()),
                    // Whoever asks whether the thread is alive need not wait for a look.
                    Call::Ping(answer) => _ = answer.send(()),
                    call => answers.push(self.hear(&mut looking, call)),
                }
            }
            let ended = self.end_lease();
            if ended {
                looking.forget();
            }
            if ended || !answers.is_empty() || !changes.is_empty() {
                self.look(&mut looking, &changes)?;
            }
            // What is answered is seen by whoever asks next.
            for answer in answers {
                answer();
            }
        }
    }

    /// Do what is asked; gives what answers it.
    fn hear(&mut self, looking: &mut Looking, call: Call) -> Answer {
        match call {
            Call::Look(answer) | Call::Ping(answer) => Box::new(|| _ = answer.send(())),
            Call::Reload(answer) => {
                if self.reload() {
                    looking.forget();
                }
                Box::new(|| _ = answer.send(()))
            }
            Call::Prepare(asked, answer) => {
                let done = changes::prepare(&self.orders, asked);
                looking.forget();
                Box::new(|| _ = answer.send(done))
            }
            Call::RollBack(answer) => {
                let done = changes::roll_back(&self.orders);
                looking.forget();
                Box::new(|| _ = answer.send(done))
            }
            Call::Stop => Box::new(|| ()),
        }
    }

    /// Roll back what a lease that has ended was for; whether anything was tried.
    fn end_lease(&mut self) -> bool {
        let Some(guarded) =
            self.guarded.as_ref().filter(|_| self.lease_left().is_some_and(|left| left.is_zero()))
        else {
            return false;
        };
        tracing::info!(run = guarded.run, "the lease has ended");
        if let Err(refused) = changes::end_lease(&self.orders, &guarded.run) {
            tracing::error!("{}; it is tried again in a minute", refused.why);
            self.not_before = Some(Instant::now() + RETRY);
        }
        true
    }

    /// How long nothing has to be done about a lease; `None` where there is none.
    fn lease_left(&self) -> Option<Duration> {
        let left = changes::left(self.guarded.as_ref()?)?;
        let pause = self.not_before.map(|time| time.saturating_duration_since(Instant::now()));
        Some(left.max(pause.unwrap_or_default()))
    }

    /// Wait until something happens, and until it has happened.
    fn wait(&self, looking: &mut Looking) -> Result<Changes> {
        let mut changes = looking.wait(self.lease_left())?;
        if changes.is_empty() {
            return Ok(changes);
        }
        let first = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(first.elapsed());
            if left.is_zero() {
                break;
            }
            let before = Instant::now();
            let more = looking.wait(Some(QUIET.min(left)))?;
            let is_quiet = more.is_empty() && before.elapsed() >= QUIET.min(left);
            changes.extend(more);
            if is_quiet {
                break;
            }
        }
        loop {
            let left = self.rests_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(changes);
            }
            let more = looking.wait(Some(left))?;
            if more.is_empty() {
                return Ok(changes); // Somebody calls, or the rest is over.
            }
            changes.extend(more);
        }
    }

    /// Judge what has no answer, what may have changed, and what no event tells of; publish it.
    fn look(&mut self, looking: &mut Looking, changes: &Changes) -> Result<()> {
        let looked = Instant::now();
        let guest = self.orders.guest()?;
        self.look_at_runs(looking, &guest);
        drop(guest);
        let audit = looking.look(&|| self.orders.guest(), &self.orders.settings(), changes)?;
        if let Some(why) = looking.limit().map(str::to_owned) {
            self.say_once(format!("{why}: what is not watched is judged again at every look"));
        }
        self.publish(&audit.report, looking, looked);
        self.rests_until = Instant::now() + looked.elapsed();
        Ok(())
    }

    fn look_at_runs(&mut self, looking: &mut Looking, guest: &Guest) {
        match drift::guarded(guest) {
            Ok((guarded, runs)) => {
                if let Some(Guarded { run, endless: Some(why), .. }) = &guarded {
                    self.say_once(format!(
                        "{why}: the end of the lease rolls nothing back; if this is no clone, \
                         `guestprep rollback {run}` does"
                    ));
                }
                self.guarded = guarded;
                looking.watch_beside(runs);
            }
            Err(error) => {
                self.say_once(format!("what came back after prepare is not known: {error}"))
            }
        }
    }

    fn publish(&self, report: &crate::model::Report, looking: &Looking, looked: Instant) {
        let before = self.publish.borrow().clone();
        let known: &[Drift] = before.as_ref().map_or(&[], |state| &state.readiness.drift);
        let drift = drift::find(self.guarded.as_ref(), report, known);
        let mut readiness = Readiness::of(report, self.orders.fail_on, drift);
        let now = sys::now_rfc3339();
        match before.as_ref().map(|state| &state.readiness) {
            None => {
                readiness.since = now;
                readiness.generation = 1;
            }
            Some(old) => {
                let same_verdict = old.verdict == readiness.verdict;
                readiness.since = if same_verdict { old.since.clone() } else { now };
                let same = old.says_the_same(&readiness);
                readiness.generation = old.generation + u64::from(!same);
            }
        }
        let is_new = before.as_ref().is_none_or(|state| *state.readiness != readiness);
        if is_new {
            tell(&readiness);
        }
        let own = Own {
            watched: looking.watched(),
            lost: self.lost,
            since: sys::seconds_of_rfc3339(&readiness.since),
        };
        let metrics: Arc<str> = state::metrics(report, &readiness, own).into();
        self.write_textfile(&metrics);
        let report = report::json(report).into();
        let readiness = Arc::new(readiness);
        let state = State { readiness, report, metrics, looked };
        // Whoever follows the readiness is woken by a new one alone.
        self.publish.send_if_modified(|held| {
            *held = Some(state);
            is_new
        });
    }

    fn write_textfile(&self, metrics: &str) {
        let Some(path) = &self.orders.config.daemon.textfile else { return };
        if let Err(error) = sys::write_published(std::path::Path::new(path), metrics.as_bytes()) {
            tracing::warn!("{error}");
        }
    }

    /// Whether there is a new configuration to judge by. A bad one changes nothing.
    fn reload(&mut self) -> bool {
        match (self.load)() {
            Ok(orders) => {
                if orders.config.daemon.socket != self.socket {
                    tracing::warn!(
                        "the socket stays where it is until the daemon is started again"
                    );
                }
                self.orders = orders;
                tracing::info!("the configuration was read anew");
                true
            }
            Err(why) => {
                tracing::error!("{why}; the configuration from before stays in force");
                false
            }
        }
    }

    fn say_once(&mut self, sentence: String) {
        if self.said.insert(sentence.clone()) {
            tracing::warn!("{sentence}");
        }
    }
}

fn tell(readiness: &Readiness) {
    tracing::info!(
        verdict = %readiness.verdict,
        generation = readiness.generation,
        blockers = readiness.blockers.join(","),
        unknown = readiness.unknown.join(","),
        drift = readiness.drift.len(),
        "{}", readiness.verdict
    );
}
