//! An image of another format, made raw by qemu-img.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::process::{Pid, Resource, Rlimit};

use super::super::privileges;
use super::recognise::Foreign;
use super::temporary::{ELSEWHERE, Temporary};
use super::{Error, ErrorKind, Result};

/// Where programs are looked for when the operator's PATH does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The most memory that qemu-img may map, in bytes: tables of a hostile image may be of any size.
const MOST_MEMORY: u64 = 4 << 30;

/// How long qemu-img may get no further before it is ended. A step of a conversion's progress is a
/// hundredth of a percent; a check reads tables alone, and tells of no steps.
const LONGEST_STEP: Duration = Duration::from_secs(600);

/// The most that is kept of what it says.
const MOST_WORDS: u64 = 64 << 10;

/// Convert `source` into `target`. The format is given, so that nothing is guessed from what
/// whoever made the image wrote into it. `advice` is the command for the operator, should it not
/// work; `progress` is told how much is done, in parts of 10,000.
///
/// # Errors
/// [`ErrorKind::NotFound`] without qemu-img; [`ErrorKind::NoSpace`]; [`ErrorKind::Timeout`]; what
/// qemu-img says.
pub(super) fn to_raw(
    source: &File,
    shown: &str,
    foreign: Foreign,
    target: &Temporary,
    advice: &dyn Fn() -> String,
    progress: &dyn Fn(u64, u64),
) -> Result<()> {
    let Some(program) = find("qemu-img") else {
        let cause = format!(
            "qemu-img is not installed; install qemu-utils (qemu-img on rpm systems), or \
             elsewhere {}",
            advice()
        );
        return Err(Error::new("convert", shown, ErrorKind::NotFound, cause));
    };
    let format = foreign.driver();
    let tool = Tool { program, source, shown };
    // Of a block behind the end of the file a conversion reads zeros, and does not say so. The
    // other formats are not looked through for that, or always.
    if matches!(foreign, Foreign::Qcow2 | Foreign::Vmdk) {
        let ended = tool.run(&["check", "-f", format, "--", SOURCE], &|_, _| {})?;
        // qemu-img(1): 3 is space that is not used, which harms nobody.
        if !matches!(ended.status.code(), Some(0 | 3)) {
            let cause = format!("it is damaged or cut off, says qemu-img: {}", ended.words());
            return Err(tool.error(ErrorKind::Other, cause));
        }
    }
    // A descriptor of its own, since it must stay open in the program and in no other.
    let fail = |e: std::io::Error| Error::io("convert", shown, &e);
    let output = target.file.try_clone().map_err(fail)?;
    rustix::io::fcntl_setfd(&output, FdFlags::empty()).map_err(|e| fail(e.into()))?;
    let to = format!("/proc/self/fd/{}", output.as_raw_fd());
    let ended =
        tool.run(&["convert", "-p", "-f", format, "-O", "raw", "--", SOURCE, &to], progress)?;
    if ended.status.success() {
        return Ok(());
    }
    let words = ended.words();
    if ["No space left on device", "Disk quota exceeded"].iter().any(|full| words.contains(full)) {
        let directory = target.directory.display();
        let cause = format!("there is no room for it in {directory} ({words}); {ELSEWHERE}");
        return Err(tool.error(ErrorKind::NoSpace, cause));
    }
    Err(tool.error(ErrorKind::Other, words))
}

/// What qemu-img opens: its standard input, which is the image, so that no name is looked up.
const SOURCE: &str = "/proc/self/fd/0";

/// qemu-img and the image that it is to look at.
struct Tool<'a> {
    program: PathBuf,
    source: &'a File,
    shown: &'a str,
}

/// How it ended.
struct Ended {
    status: ExitStatus,
    stderr: String,
}

impl Ended {
    /// What it said, in a line.
    fn words(&self) -> String {
        let line = self.stderr.lines().map(str::trim).find(|line| !line.is_empty());
        let line = line.map(|line| line.trim_start_matches("qemu-img: ").to_owned());
        line.unwrap_or_else(|| self.status.to_string())
    }
}

impl Tool<'_> {
    fn run(&self, arguments: &[&str], progress: &dyn Fn(u64, u64)) -> Result<Ended> {
        let fail = |e: std::io::Error| Error::io("convert", self.shown, &e);
        let mut command = with_less_power(&self.program)
            .map_err(|cause| self.error(ErrorKind::NotFound, cause))?;
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(self.source.try_clone().map_err(fail)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        tracing::debug!(?command, "run");
        let mut running = Running(command.spawn().map_err(fail)?);
        running.limit_memory();
        let steps = steps(running.0.stdout.take());
        let words = words(running.0.stderr.take());
        follow(&steps, progress).map_err(|cause| self.error(ErrorKind::Timeout, cause))?;
        let status = running.0.wait().map_err(fail)?;
        Ok(Ended { status, stderr: words.recv().unwrap_or_default() })
    }

    fn error(&self, kind: ErrorKind, cause: String) -> Error {
        Error::new("convert", self.shown, kind, cause)
    }
}

/// A program that ends when nobody waits for it any more.
struct Running(Child);

impl Running {
    fn limit_memory(&self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(MOST_MEMORY), maximum: Some(MOST_MEMORY) };
        // It is a guard beside those of the program itself; where it cannot be set it is missed.
        let _ = rustix::process::prlimit(pid, Resource::As, limit);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, in such a way that the kernel ends it with the thread that waits for it: a
/// conversion that nobody reads would go on for as long as the disk is large. It keeps none of
/// root's capabilities but the one that opens another user's image: what it reads anybody may have
/// made. The system calls for both (PR_SET_PDEATHSIG, PR_CAPBSET_DROP) have to be made in the
/// program's own process; setpriv(1) makes them. Who has no capabilities can do without it.
fn with_less_power(program: &Path) -> std::result::Result<Command, String> {
    let Some(setpriv) = find("setpriv") else {
        if privileges::can_be_lowered() {
            let cause = "setpriv is not installed; install util-linux (or setpriv), so that qemu-img \
                         keeps none of root's capabilities but one";
            return Err(cause.to_owned());
        }
        return Ok(Command::new(program));
    };
    let mut command = Command::new(&setpriv);
    if knows_pdeathsig(&setpriv) {
        command.args(["--pdeathsig", "KILL"]);
    }
    command.arg("--no-new-privs");
    if privileges::can_be_lowered() {
        command.args(["--inh-caps", "-all", "--bounding-set", "-all,+dac_read_search"]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// DISTRO(el8): setpriv of util-linux 2.32 has no `--pdeathsig`; where guestprep is killed there,
/// qemu-img goes on to its end.
fn knows_pdeathsig(setpriv: &Path) -> bool {
    let help = Command::new(setpriv).arg("--help").env_clear().env("PATH", PATH).output();
    help.is_ok_and(|help| memchr::memmem::find(&help.stdout, b"--pdeathsig").is_some())
}

/// A program on the operator's PATH; a relative directory there is none.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    std::env::split_paths(&path).filter(|directory| directory.is_absolute()).find_map(|directory| {
        let program = directory.join(name);
        let found = std::fs::metadata(&program).ok()?;
        (found.is_file() && found.permissions().mode() & 0o111 != 0).then_some(program)
    })
}

/// What the program says of its progress, as it says it: `    (12.34/100%)` and a carriage return.
fn steps(pipe: Option<impl Read + Send + 'static>) -> Receiver<u64> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut line = Vec::new();
        let mut bytes = [0; 256];
        while let Ok(read @ 1..) = pipe.read(&mut bytes) {
            for byte in &bytes[..read] {
                if *byte != b'\r' && *byte != b'\n' {
                    // What is longer than a step is none, and not kept.
                    if line.len() < 64 {
                        line.push(*byte);
                    }
                    continue;
                }
                if let Some(step) = step(&line) {
                    let _ = sender.send(step);
                }
                line.clear();
            }
        }
    });
    receiver
}

/// `(12.34/100%)` as 1234.
fn step(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let percent = text.strip_prefix('(')?.strip_suffix("/100%)")?;
    let (whole, hundredths) = percent.split_once('.')?;
    let hundredths = (hundredths.len() == 2).then(|| hundredths.parse::<u64>().ok())??;
    Some((whole.parse::<u64>().ok()?.checked_mul(100)? + hundredths).min(10_000))
}

fn words(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MOST_WORDS).read_to_end(&mut kept);
            // Drained beyond the limit, so that the program does not block on a full pipe.
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&kept).into_owned());
    });
    receiver
}

/// Tell of the progress until the program closes its output, or gets no further.
fn follow(steps: &Receiver<u64>, progress: &dyn Fn(u64, u64)) -> std::result::Result<(), String> {
    let mut last = (None, Instant::now());
    loop {
        match steps.recv_timeout(Duration::from_secs(1)) {
            Ok(step) => {
                if last.0 != Some(step) {
                    last = (Some(step), Instant::now());
                }
                progress(step, 10_000);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if last.1.elapsed() > LONGEST_STEP {
            let seconds = LONGEST_STEP.as_secs();
            return Err(format!("qemu-img got no further for {seconds} s"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_progress() {
        assert_eq!(step(b"    (12.34/100%)"), Some(1234));
        assert_eq!(step(b"    (100.00/100%)"), Some(10_000));
        for bad in
            ["", "(1.5/100%)", "(1/100%)", "(x.00/100%)", "12.34", "(99999999999999999999.00/100%)"]
        {
            assert_eq!(step(bad.as_bytes()), None, "{bad}");
        }
    }
}
