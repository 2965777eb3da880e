//! What guestprep itself runs as and on: the operator's own files, terminal and commands.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::runner::spawn;
use super::{Error, ErrorKind, Result};
use crate::model::visible;

/// Whether the process may change a guest at all.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a person can answer a question.
pub fn is_terminal_in() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether a person reads standard output.
pub fn is_terminal_out() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a person reads standard error.
pub fn is_terminal_err() -> bool {
    std::io::stderr().is_terminal()
}

/// Have no core written of this process, whose memory holds what it reads: neither to a file (of no
/// byte) nor to a program that the kernel would start (core(5)).
pub fn refuse_core() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Have other processes go first, by so many steps of nice(1).
///
/// # Errors
/// What the system says.
pub fn be_nice(steps: i32) -> Result<()> {
    rustix::process::nice(steps)
        .map(|_| ())
        .map_err(|e| Error::errno("lower the priority of", "this process", e))
}

/// Where the journal lies inside a guest.
pub fn machine_state_dir() -> &'static str {
    "/var/lib/guestprep"
}

/// Memory that programs can still have without swapping (MemAvailable of proc_meminfo(5)), in
/// bytes; `None` where it cannot be told.
pub fn available_memory() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    Some(system.available_memory())
}

/// A file that the operator named; `None` when it is not there.
///
/// # Errors
/// What the system says, and a file beyond `limit` bytes.
pub fn read_named(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let shown = path.display().to_string();
    let fail = |e: &std::io::Error| Error::io("read", &shown, e);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(&e)),
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(|e| fail(&e))?;
    if content.len() as u64 > limit {
        let cause = format!("it is larger than {limit} bytes");
        return Err(Error::new("read", shown, ErrorKind::TooLarge, cause));
    }
    Ok(Some(content))
}

/// The files of a directory of this machine whose names end in `suffix`, sorted; none when there
/// is no such directory.
///
/// # Errors
/// What the system says.
pub fn list_named(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let fail = |e: &std::io::Error| Error::io("list", directory.display(), e);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(fail(&e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| fail(&e))?.path();
        if path.to_string_lossy().ends_with(suffix) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Listen on a unix socket at a path, in the place of a daemon that was killed. Root may connect,
/// and the group where one is given.
///
/// # Errors
/// What the system says, and `AddrInUse` when somebody listens there.
pub fn listen(
    path: &Path,
    group: Option<u32>,
) -> std::io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    if std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(std::io::Error::from(std::io::ErrorKind::AddrInUse));
        }
        std::fs::remove_file(path)?;
    }
    // Nobody else may connect before the mode is what it shall be.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    }
    Ok(listener)
}

/// Whether something has a name that the operator gave, a link to nothing too.
pub fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Remove a file that guestprep made. One that is not there is no error, and one that cannot be
/// removed is said.
pub fn remove_named(path: &Path) {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            say(&Error::io("remove", path.display(), &e).to_string());
        }
        _ => {}
    }
}

/// Give a file that guestprep made its name, which nothing has yet.
///
/// # Errors
/// What the system says; an existing name is never replaced.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    use rustix::io::Errno;
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // KERNEL(3.15): older ones have no renameat2(2), and some filesystems cannot refuse to
        // replace; a seccomp filter from before it says EPERM.
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) if !exists(to) => {
            std::fs::rename(from, to).map_err(|e| Error::io("rename", from.display(), &e))
        }
        done => done.map_err(|e| Error::errno("make", to.display(), e)),
    }
}

/// Write to standard output. A reader that has gone away is no error.
///
/// # Errors
/// What the system says.
pub fn print(content: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(content).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", "standard output", &e))
        }
        _ => Ok(()),
    }
}

/// Say a line on standard error, with what hides in it made [`visible`]. Where it cannot be said it
/// is lost: `eprintln!` would panic, and
/// a log on a full disk, or a reader that has gone away, must not end a run between two steps.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "guestprep: {}", visible(line));
}

/// As [`say`], on standard output: what a command did, after it did it.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", visible(line));
}

/// Ask a person a question that is answered with yes or no; no is the default.
pub fn ask(question: &str) -> bool {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{} [y/N] ", visible(question));
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Leave the number of the signal that asks the process to end in a cell, and go on.
///
/// # Errors
/// What the system says.
pub fn note_signals(cell: &Arc<AtomicUsize>) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).unwrap_or(1);
        signal_hook::flag::register_usize(signal, Arc::clone(cell), number)
            .map_err(|e| Error::io("handle", format!("signal {signal}"), &e))?;
    }
    Ok(())
}

/// Leave the working directory, which may lie on what is to be unmounted.
///
/// # Errors
/// What the system says.
pub fn leave_directory() -> Result<()> {
    std::env::set_current_dir("/").map_err(|e| Error::io("enter", "/", &e))
}

/// A path that the operator named, made absolute.
///
/// # Errors
/// When the working directory is gone.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("find", path.display(), &e))
}

/// Run the operator's own command with its environment and its terminal, to its end. A signal that
/// comes meanwhile is handed on to it. The exit code is 128 + N when signal N ended it, or came
/// before it was started: it is not started then, which is said.
///
/// # Errors
/// When it cannot be started.
pub fn run_in_foreground(argv: &[OsString], signal: &dyn Fn() -> usize) -> Result<i32> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Error::new("run", "", ErrorKind::Other, "there is no command"));
    };
    let fail = |e: &std::io::Error| Error::io("run", program.display(), e);
    let before = signal();
    if before != 0 {
        say(&format!("{} was not run: signal {before} came before", program.display()));
        return Ok(128 + i32::try_from(before).unwrap_or(0));
    }
    let mut command = Command::new(program);
    let mut child = spawn(command.args(arguments)).map_err(|e| fail(&e))?;
    let mut handed_on = 0;
    loop {
        if let Some(status) = child.try_wait().map_err(|e| fail(&e))? {
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
        let now = signal();
        if now != handed_on {
            handed_on = now;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let number = i32::try_from(now).ok().and_then(Signal::from_named_raw);
            if let (Some(pid), Some(number)) = (pid, number) {
                let _ = rustix::process::kill_process(pid, number);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
