//! A daemon in a guest, and a client of it that speaks HTTP by hand.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::command::{Running, until};
use crate::common::live::{GUESTPREP, Live};

/// A daemon that runs in a guest.
pub struct Daemon {
    pub running: Running,
    socket: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Daemon {
    /// Start it with a configuration, and wait until it answers.
    pub fn start(live: &Live, config: &str) -> Self {
        configure(live, config);
        let mut command = live.command(&[GUESTPREP, "daemon"]);
        Self::run(live, &mut command)
    }

    /// Start it by a command of this machine, and wait until it answers.
    pub fn run(live: &Live, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = Running::start(command);
        let socket = PathBuf::from(live.at("/run/guestprep/guestprep.sock"));
        let daemon = Self { running, socket };
        until("the daemon answers", || daemon.try_get("/healthz").is_some());
        daemon
    }

    pub fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(stream)
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        let mut stream = self.connect().ok()?;
        exchange(&mut stream, "GET", path, "").ok()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        let mut stream = self.connect().expect("a connection");
        exchange(&mut stream, "GET", path, "").expect("an answer")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        let mut stream = self.connect().expect("a connection");
        exchange(&mut stream, "POST", path, body).expect("an answer")
    }

    #[track_caller]
    pub fn readiness(&self) -> Value {
        self.get("/v1/readiness").json()
    }

    /// Whether a check stands in the way now.
    pub fn is_blocked_by(&self, check: &str) -> bool {
        self.readiness()["blockers"].as_array().is_some_and(|all| all.iter().any(|id| id == check))
    }

    /// Do something that a check shall find, or find no more; how long it took to be known.
    #[track_caller]
    pub fn sees(&self, check: &str, blocked: bool, what: impl FnOnce()) -> Duration {
        assert_ne!(self.is_blocked_by(check), blocked, "{check} before: {}", self.readiness());
        what();
        let begun = Instant::now();
        until(&format!("{check} is {blocked}"), || self.is_blocked_by(check) == blocked);
        begun.elapsed()
    }
}

/// Write the guest's configuration.
pub fn configure(live: &Live, config: &str) {
    let directory = live.root.join("etc/guestprep");
    std::fs::create_dir_all(&directory).expect("its directory");
    let file = directory.join("config.toml");
    if std::fs::read_to_string(&file).ok().as_deref() != Some(config) {
        std::fs::write(file, config).expect("the configuration");
    }
}

/// One request and its answer.
pub fn exchange(
    stream: &mut UnixStream,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
