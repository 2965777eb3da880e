//! What is killed and refused: a guest, the command under strace, and what must hold afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::command::{Done, Running, until};
use crate::common::live::Live;
use crate::common::state::{self, assert_same};

/// The calls by which guestprep changes files, its own journal's among them.
pub const CALLS: [&str; 15] = [
    "fchownat",
    "write",
    "fsync",
    "renameat",
    "renameat2",
    "ftruncate",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "fchmod",
    "fchown",
    "utimensat",
    "ioctl",
    "fsetxattr",
    "lsetxattr",
];

/// More calls than any command makes: a series that does not end by itself is broken.
const MOST: usize = 500;

/// A guest that guestprep is run on.
pub enum Subject<'a> {
    /// A tree, by `--root`; its journal where `--state-dir` says.
    Tree(&'a Path, Option<&'a Path>),
    /// A running guest.
    Live(&'a Live),
}

/// What strace does to the call that it has counted to.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// End the process.
    Kill,
    /// Let this one call fail.
    Once(&'static str),
    /// Let it and all after it fail.
    Always(&'static str),
}

impl Fault {
    /// What strace(1) is told to do at the Nth call.
    pub fn injected(self, n: usize) -> String {
        match self {
            Fault::Kill => format!("signal=SIGKILL:when={n}"),
            Fault::Once(error) => format!("error={error}:when={n}"),
            Fault::Always(error) => format!("error={error}:when={n}+"),
        }
    }
}

impl Subject<'_> {
    fn root(&self) -> &Path {
        match self {
            Subject::Tree(root, _) => root,
            Subject::Live(live) => &live.root,
        }
    }

    fn state_dir(&self) -> PathBuf {
        match self {
            Subject::Tree(_, Some(dir)) => dir.to_path_buf(),
            _ => self.root().join("var/lib/guestprep"),
        }
    }

    /// Everything that rollback has to give back.
    pub fn state(&self) -> String {
        match self {
            Subject::Tree(root, _) => state::tree(root),
            Subject::Live(live) => live.state(),
        }
    }

    /// Run guestprep to its end.
    pub fn guestprep(&self, args: &[&str]) -> Done {
        self.wrapped(&[], args)
    }

    /// Run guestprep with a fault at the Nth call of a kind; and whether there were so many.
    pub fn faulty(&self, args: &[&str], call: &str, fault: Fault, n: usize) -> (Done, bool) {
        let what = fault.injected(n);
        let log = tempfile::NamedTempFile::new().expect("a file");
        let strace = format!("strace -f -qq -e trace={call} -e inject={call}:{what}");
        let mut wrapper: Vec<&str> = strace.split(' ').collect();
        wrapper.extend(["-o", log.path().to_str().expect("UTF-8")]);
        let done = self.wrapped(&wrapper, args);
        let log = std::fs::read_to_string(log.path()).expect("what strace saw");
        (done, log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL"))
    }

    pub fn wrapped(&self, wrapper: &[&str], args: &[&str]) -> Done {
        Done::of(self.command(wrapper, args).output().expect("guestprep"))
    }

    /// Start guestprep, which strace holds for two seconds as it makes a call for the Nth time. What
    /// is signalled is guestprep: strace is no parent of it.
    pub fn held(&self, args: &[&str], call: &str, n: usize, log: &Path) -> Running {
        let hold = format!("-e trace={call} -e inject={call}:delay_enter=2000000:when={n}");
        let mut wrapper: Vec<&str> = ["strace", "-D", "-qq"].into_iter().collect();
        wrapper.extend(hold.split(' '));
        wrapper.extend(["-o", log.to_str().expect("UTF-8")]);
        let mut command = self.command(&wrapper, args);
        Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let root = self.root().to_str().expect("UTF-8");
        let argv: Vec<String> = match self {
            Subject::Tree(..) => {
                let state_dir = self.state_dir();
                let target = ["--root", root, "--state-dir", state_dir.to_str().expect("UTF-8")];
                let target = if state_dir.starts_with(root) { &target[..2] } else { &target[..] };
                owned(&[wrapper, &[env!("CARGO_BIN_EXE_guestprep")], args, target])
            }
            Subject::Live(_) => {
                owned(&[wrapper, &["chroot", root, crate::common::live::GUESTPREP], args])
            }
        };
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env("LC_ALL", "C");
        command
    }

    /// Forget all runs, so that the next does not read them.
    pub fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.state_dir().join("runs"));
    }

    /// Nothing that guestprep needs for a moment may be left.
    #[track_caller]
    pub fn assert_no_temporary(&self, at: &str) {
        let state = self.state();
        let left = state.lines().find(|line| line.contains("/.guestprep-"));
        assert!(left.is_none(), "{at}: {left:?} is left");
    }
}

/// Wait until a call was made for the Nth time, at which guestprep is [`Subject::held`]: strace writes
/// its name before it holds the process.
#[track_caller]
pub fn until_held(log: &Path, call: &str, n: usize) {
    until("it is held", || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.matches(&format!("{call}(")).count() >= n
    });
    std::thread::sleep(Duration::from_millis(200));
}

fn owned(argv: &[&[&str]]) -> Vec<String> {
    argv.iter().flat_map(|words| words.iter().map(|word| (*word).to_owned())).collect()
}

/// A state without the times, which a second `prepare` cannot repeat.
pub fn without_times(state: &str) -> String {
    let line = |line: &str| -> String {
        let words = line.split(' ').enumerate();
        let is_file = line.starts_with('/');
        words.filter(|(at, _)| !(is_file && *at == 4)).map(|(_, word)| format!("{word} ")).collect()
    };
    state.lines().map(|l| line(l) + "\n").collect()
}

/// The two states that the guest may be in.
pub struct States {
    /// As found.
    pub before: String,
    /// As prepared, without times.
    pub after: String,
    /// What prepares it so.
    pub prepare: Vec<String>,
}

impl States {
    /// Prepare and roll back once, to see both.
    pub fn of(subject: &Subject) -> Self {
        Self::by(subject, &["prepare", "--yes"])
    }

    /// As [`States::of`], with the command that prepares.
    pub fn by(subject: &Subject, prepare: &[&str]) -> Self {
        let before = subject.state();
        subject.guestprep(prepare).exits(0);
        let after = without_times(&subject.state());
        subject.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &subject.state(), "a rollback without fault");
        subject.forget();
        Self { before, after, prepare: owned(&[prepare]) }
    }
}

/// Kill `prepare`, or `rollback` after a whole `prepare`, at every call of a kind. Gives how often
/// it was killed.
pub fn kill_everywhere(subject: &Subject, states: &States, victim: &str, call: &str) -> usize {
    for n in 1..MOST {
        if victim == "rollback" {
            subject.guestprep(&["prepare", "--yes"]).exits(0);
        }
        let (done, was_killed) = subject.faulty(&[victim, "--yes"], call, Fault::Kill, n);
        let at = format!("{victim} killed at {call} {n}");
        assert_eq!(done.code, if was_killed { 137 } else { 0 }, "{at}: {done:?}");

        // The next command, whichever it is, finishes or undoes the run before it answers.
        let next = if n % 2 == 0 { "audit" } else { "runs" };
        let answer = subject.guestprep(&[next]);
        subject.assert_no_temporary(&at);
        let now = subject.state();
        let is_after = without_times(&now) == states.after;
        if !is_after {
            assert_same(&states.before, &now, &at);
        }
        match next {
            "audit" => assert_eq!(answer.code, i32::from(!is_after), "{at}: {answer:?}"),
            _ => assert_eq!(answer.code, 0, "{at}: {answer:?}"),
        }

        let undone = subject.guestprep(&["rollback", "--yes"]);
        // 2: there is no run to roll back.
        assert_eq!(undone.code, if is_after { 0 } else { 2 }, "{at}: {undone:?}");
        assert_same(&states.before, &subject.state(), &at);
        subject.forget();
        if !was_killed {
            assert_eq!(is_after, victim == "prepare", "{at}");
            return n - 1;
        }
    }
    panic!("{victim} makes more than {MOST} calls of {call}");
}

/// Let a call of `prepare` or `rollback` fail, each in turn. What it says of the guest afterwards
/// has to be so. Each fault takes its turn. Gives how often one failed.
pub fn refuse_everywhere(
    subject: &Subject,
    states: &States,
    victim: &str,
    call: &str,
    faults: &[Fault],
) -> usize {
    for n in 1..MOST {
        let fault = faults[n % faults.len()];
        if victim == "rollback" {
            subject.guestprep(&["prepare", "--yes"]).exits(0);
        }
        let (done, was_refused) = subject.faulty(&[victim, "--yes"], call, fault, n);
        let at = format!("{victim} with {fault:?} at {call} {n}: {done:?}");
        let now = subject.state();
        match (done.code, victim) {
            (0, "prepare") => {
                assert_same(&states.after, &without_times(&now), &format!("{at}: says done"));
            }
            (0, _) => assert_same(&states.before, &now, &format!("{at}: says done")),
            (4, "prepare") => {
                assert_same(&states.before, &now, &format!("{at}: says undone"));
            }
            (4, _) => assert_same(&states.after, &without_times(&now), &format!("{at}: untouched")),
            // Its answer could not be written: before anything was done, or after all was.
            (2, "prepare") if call == "write" => {
                if without_times(&now) != states.after {
                    assert_same(&states.before, &now, &at);
                }
            }
            // It lists what is left, a step a line, where it can say anything.
            (5, _) => assert!(call == "write" || done.err.contains("\n  s"), "{at}: no step"),
            _ => panic!("{at}: no such exit code"),
        }
        // Once the cause is gone, whatever is left can be undone.
        let next = subject.guestprep(&["runs"]);
        assert!([0, 5].contains(&next.code), "{at}: then {next:?}");
        let undone = subject.guestprep(&["rollback", "--yes"]);
        assert!([0, 2].contains(&undone.code), "{at}: then {undone:?}");
        assert_same(&states.before, &subject.state(), &at);
        subject.assert_no_temporary(&at);
        subject.forget();
        if !was_refused {
            assert_eq!(done.code, 0, "{at}");
            return n - 1;
        }
    }
    panic!("{victim} makes more than {MOST} calls of {call}");
}
