//! Commands: an argument vector, a fixed PATH, a clean environment, a time limit.
//!
//! Never a shell, never the operator's environment, never for a guest that does not run.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::record::{Notes, Record, Recorder};
use super::trace::{self, Question};
use super::{Deadline, Error, ErrorKind, Result};
use crate::model::ByteString;

/// Where commands are looked for, in this order.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The most that is kept of a command's output.
const MAX_OUTPUT: usize = 4 << 20;
/// No pipe holds more (pipe-max-size of proc(5)), but root's, which asks for more by name.
const MOST_IN_A_PIPE: usize = 1 << 20;
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
        match attend(&mut child, input.unwrap_or_default(), limit) {
            Ok(Some(output)) => Ok(output),
            Ok(None) => {
                end(&mut child);
                let cause = format!("it took longer than {} s", limit.as_secs());
                Err(Error::new("run", &name, ErrorKind::Timeout, cause))
            }
            // What is to be undone now must not be done after it.
            Err(e) => {
                end(&mut child);
                Err(failed(&e))
            }
        }
    }
}

/// Start a process. std panics where the kernel refuses it the word of its child, or the end of one
/// that could not start; to a run that is half done that is a command that failed, as any other.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    catch_unwind(AssertUnwindSafe(|| command.spawn()))
        .unwrap_or_else(|_| Err(std::io::Error::other("it cannot be told whether it started")))
}

/// Hand a command its input and take what it writes, until it ends; `None` at the time limit.
///
/// By one thread: the kernel may refuse another, and a service that the command leaves behind may keep
/// its output open for ever. What the command itself wrote is in the pipes when it has ended.
fn attend(child: &mut Child, input: &[u8], limit: Duration) -> std::io::Result<Option<Output>> {
    let until = Instant::now() + limit;
    let mut stdin = Feed { pipe: unblocked(child.stdin.take())?, left: input };
    let mut stdout = Kept { pipe: unblocked(child.stdout.take())?, bytes: Vec::new() };
    let mut stderr = Kept { pipe: unblocked(child.stderr.take())?, bytes: Vec::new() };
    let mut pause = Duration::from_micros(200);
    loop {
        let status = child.try_wait()?;
        stdin.hand_on()?;
        stdout.take()?;
        stderr.take()?;
        if let Some(status) = status {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            return Ok(Some(Output { code, stdout: stdout.bytes, stderr: stderr.bytes }));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        let mut pipes = Vec::new();
        pipes.extend(stdin.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        pipes.extend(stdout.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        pipes.extend(stderr.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let left = until.saturating_duration_since(Instant::now());
        let wait = Timespec::try_from(pause.min(left)).map_err(std::io::Error::other)?;
        match rustix::event::poll(&mut pipes, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Our end of a pipe, which is never waited for.
fn unblocked(pipe: Option<impl Into<OwnedFd>>) -> std::io::Result<Option<File>> {
    let Some(pipe) = pipe.map(Into::into) else { return Ok(None) };
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Ok(Some(File::from(pipe)))
}

/// What a command is still to read.
struct Feed<'a> {
    pipe: Option<File>,
    left: &'a [u8],
}

impl Feed<'_> {
    fn hand_on(&mut self) -> std::io::Result<()> {
        while let Some(pipe) = &mut self.pipe {
            if self.left.is_empty() {
                self.pipe = None; // What says that there is no more.
                return Ok(());
            }
            match pipe.write(self.left) {
                Ok(written) => self.left = &self.left[written..],
                Err(e) if e.kind() == IoErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == IoErrorKind::Interrupted => {}
                // One that ends before it has read all of it says itself why.
                Err(e) if e.kind() == IoErrorKind::BrokenPipe => self.pipe = None,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// What a command has written.
struct Kept {
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl Kept {
    /// Take what is in the pipe. Beyond the limit it is drained, so that the command does not block.
    fn take(&mut self) -> std::io::Result<()> {
        let mut piece = [0; 8 << 10];
        let mut taken = 0;
        // Somebody who writes without end must not keep the time limit waiting.
        while let Some(pipe) = self.pipe.as_mut().filter(|_| taken < MOST_IN_A_PIPE) {
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(read) => {
                    taken += read;
                    let room = MAX_OUTPUT - self.bytes.len();
                    self.bytes.extend_from_slice(&piece[..read.min(room)]);
                }
                Err(e) if e.kind() == IoErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == IoErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
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
        // Nor is one that says more without end.
        let script = "yes & sleep 0.2; exit 3";
        let output = Runner::live().run(&["sh", "-c", script], Duration::from_secs(50)).unwrap();
        assert_eq!(output.code, 3);
        assert!(output.stdout.starts_with(b"y\ny\n"));
    }

    #[test]
    fn what_is_written_at_once_is_whole_to_the_limit() {
        for (bytes, kept) in [(70_000, 70_000), (MAX_OUTPUT, MAX_OUTPUT), (9_000_000, MAX_OUTPUT)] {
            let script = format!("head -c {bytes} /dev/zero; head -c {bytes} /dev/zero >&2");
            let output =
                Runner::live().run(&["sh", "-c", &script], Duration::from_secs(50)).unwrap();
            assert_eq!((output.stdout.len(), output.stderr.len()), (kept, kept));
        }
    }

    #[test]
    fn failure_and_absence_are_told_apart() {
        let output = Runner::live().run(&["false"], Duration::from_secs(5)).unwrap();
        assert_eq!(output.code, 1);
        let missing = Runner::live().run(&["no-such-command-here"], Duration::from_secs(5));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
