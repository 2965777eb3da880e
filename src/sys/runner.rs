//! Commands: an argument vector, a fixed PATH, a clean environment, a time limit.
//!
//! Never a shell, never the operator's environment, never for a guest that does not run.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::record::{Notes, Record, Recorder};
use super::trace::{self, Question};
use super::{Deadline, Error, ErrorKind, Result};
use crate::model::ByteString;

/// Where commands are looked for, in this order.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The most that is kept of a command's output.
const MAX_OUTPUT: usize = 4 << 20;
/// How long the rest of its output is waited for when a command has ended.
const AFTER_ITS_END: Duration = Duration::from_secs(1);
/// What a command gets at the least where a deadline is over: what undoes a change must not be cut short with it.
const GRACE: Duration = Duration::from_secs(5);

/// Runs commands on a live guest.
#[derive(Clone, Debug)]
pub struct Runner {
    allowed: bool,
    record: Option<Record>,
    deadline: Option<Deadline>,
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; 128 + N when signal N ended it, as shells say it.
    pub code: i32,
    /// Standard output, at most 4 MiB of it.
    pub stdout: Vec<u8>,
    /// Standard error, at most 4 MiB of it.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether the command said that it succeeded.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// The first line of standard error, or the exit code, for a message.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        match text.lines().find(|line| !line.trim().is_empty()) {
            Some(line) => line.trim().to_owned(),
            None => format!("it ended with status {}", self.code),
        }
    }
}

impl Runner {
    /// Runs commands on this machine, which is the guest.
    pub fn live() -> Self {
        Self { allowed: true, record: None, deadline: None }
    }

    /// Refuses every command: the guest is a disk or a tree, and the host's answer would be wrong.
    pub fn refusing() -> Self {
        Self { allowed: false, record: None, deadline: None }
    }

    /// The same, with what commands answer noted.
    pub fn recorded_by(&self, recorder: &Recorder) -> Self {
        let record = Some(Record::Written(recorder.clone()));
        Self { record, ..self.clone() }
    }

    /// Gives again what commands answered; runs none.
    pub fn replayed(notes: &Rc<Notes>) -> Self {
        Self { allowed: false, record: Some(Record::Read(Rc::clone(notes))), deadline: None }
    }

    /// The same, with every command over by then, or some seconds after.
    pub fn until(&self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Run a command to its end, or kill it and all its children at the time limit.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] on an offline guest, [`ErrorKind::NotFound`] when there is no such
    /// command, [`ErrorKind::Timeout`] when it took too long. A command that ran and failed is an
    /// [`Output`].
    pub fn run<S: AsRef<OsStr>>(&self, argv: &[S], limit: Duration) -> Result<Output> {
        let argv: Vec<&OsStr> = argv.iter().map(AsRef::as_ref).collect();
        let program = argv.first().map(|program| program.to_string_lossy().into_owned());
        trace::asked(|| Question::Command(program.unwrap_or_default()));
        match &self.record {
            None => self.run_here(&argv, None, limit),
            Some(record) => {
                let shown: Vec<ByteString> =
                    argv.iter().map(|word| ByteString::from(word.as_bytes())).collect();
                record.run(&shown, || self.run_here(&argv, None, limit))
            }
        }
    }

    /// As [`Runner::run`], with these bytes on standard input: of a tool that judges what the operator
    /// named, not of the guest's own, so that nothing of it is noted.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run_with_input<S: AsRef<OsStr>>(
        &self,
        argv: &[S],
        input: &[u8],
        limit: Duration,
    ) -> Result<Output> {
        let argv: Vec<&OsStr> = argv.iter().map(AsRef::as_ref).collect();
        self.run_here(&argv, Some(input), limit)
    }

    fn run_here(&self, argv: &[&OsStr], input: Option<&[u8]>, limit: Duration) -> Result<Output> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Error::new("run", "", ErrorKind::Other, "there is no command"));
        };
        let name = program.display();
        if !self.allowed {
            let cause = "the guest is not running, and the host's answer would not be its own";
            return Err(Error::new("run", &name, ErrorKind::Refused, cause));
        }
        let limit = match self.deadline {
            Some(deadline) => limit.min(deadline.left().max(GRACE)),
            None => limit,
        };
        tracing::debug!(?argv, "run");
        let failed = |e: &std::io::Error| Error::io("run", &name, e);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = spawn(&mut command).map_err(|e| failed(&e))?;
        let piped = feed(child.stdin.take(), input).and_then(|()| {
            Ok((Reading::begin(child.stdout.take())?, Reading::begin(child.stderr.take())?))
        });
        let (stdout, stderr) = match piped {
            Ok(piped) => piped,
            Err(e) => {
                end(&mut child);
                return Err(failed(&e));
            }
        };
        let code = match wait(&mut child, limit) {
            Ok(Some(code)) => code,
            Ok(None) => {
                end(&mut child);
                let cause = format!("it took longer than {} s", limit.as_secs());
                return Err(Error::new("run", &name, ErrorKind::Timeout, cause));
            }
            // What is to be undone now must not be done after it.
            Err(e) => {
                end(&mut child);
                return Err(failed(&e));
            }
        };
        Ok(Output { code, stdout: stdout.of_the_ended(), stderr: stderr.of_the_ended() })
    }
}

/// Start a process. std panics where the kernel refuses it the word of its child, or the end of one
/// that could not start; to a run that is half done that is a command that failed, as any other.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    catch_unwind(AssertUnwindSafe(|| command.spawn()))
        .unwrap_or_else(|_| Err(std::io::Error::other("it cannot be told whether it started")))
}

/// Write from a thread of its own: a command that does not read must not keep the time limit waiting.
fn feed(pipe: Option<impl Write + Send + 'static>, input: Option<&[u8]>) -> std::io::Result<()> {
    if let (Some(mut pipe), Some(input)) = (pipe, input) {
        let input = input.to_vec();
        // One that ends before it has read all of it says itself why.
        thread::Builder::new().spawn(move || drop(pipe.write_all(&input)))?;
    }
    Ok(())
}

/// What a command writes, read by a thread of its own.
struct Reading {
    kept: Arc<Mutex<Vec<u8>>>,
    over: Receiver<()>,
}

impl Reading {
    /// Begin to read; the kernel may refuse the thread where no more tasks are allowed.
    fn begin(pipe: Option<impl Read + Send + 'static>) -> std::io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (end, over) = mpsc::channel();
        let into = Arc::clone(&kept);
        thread::Builder::new().spawn(move || {
            if let Some(pipe) = pipe {
                // Drained beyond the limit, so that the command does not block on a full pipe.
                read_all(pipe, &into);
            }
            drop(end);
        })?;
        Ok(Self { kept, over })
    }

    /// What a command wrote that has ended. A service that it started may have its output for good,
    /// and is not waited for.
    fn of_the_ended(self) -> Vec<u8> {
        let _ = self.over.recv_timeout(AFTER_ITS_END);
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_all(mut pipe: impl Read, into: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 8 << 10];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_OUTPUT - kept.len();
                kept.extend_from_slice(&piece[..read.min(room)]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<i32>> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            return Ok(Some(code));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// End it and all that it started.
fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offline_guest_runs_nothing() {
        let error = Runner::refusing().run(&["true"], Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }

    #[test]
    fn the_environment_is_clean_and_the_shell_absent() {
        let output = Runner::live().run(&["env"], Duration::from_secs(5)).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["LC_ALL=C", &format!("PATH={PATH}")]);
        let output = Runner::live().run(&["echo", "$(id)"], Duration::from_secs(5)).unwrap();
        assert_eq!(output.stdout, b"$(id)\n");
    }

    #[test]
    fn what_is_put_in_is_read_and_a_command_that_reads_nothing_is_not_waited_for() {
        let much = vec![b'x'; 1 << 20];
        let limit = Duration::from_secs(20);
        let output = Runner::live().run_with_input(&["cat"], &much, limit).unwrap();
        assert_eq!(output.stdout, much);
        assert!(Runner::live().run_with_input(&["true"], &much, limit).unwrap().success());
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let started = Instant::now();
        let error = Runner::live()
            .run(&["sh", "-c", "sleep 60 & sleep 60"], Duration::from_millis(200))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_service_that_a_command_leaves_behind_is_not_waited_for() {
        let started = Instant::now();
        let script = "echo said; echo complained >&2; sleep 60 & exit 3";
        let output = Runner::live().run(&["sh", "-c", script], Duration::from_secs(50)).unwrap();
        assert_eq!((output.code, output.stdout.as_slice()), (3, b"said\n".as_slice()));
        assert_eq!(output.complaint(), "complained");
        assert!(started.elapsed() < Duration::from_secs(40));
    }

    #[test]
    fn failure_and_absence_are_told_apart() {
        let output = Runner::live().run(&["false"], Duration::from_secs(5)).unwrap();
        assert_eq!(output.code, 1);
        let missing = Runner::live().run(&["no-such-command-here"], Duration::from_secs(5));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
