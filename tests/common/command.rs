//! Running commands in tests, and saying what could not be run.

use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// Say that a test cannot be had here, and why.
pub fn left_out(why: &str) {
    eprintln!("left out: {why}");
}

/// A command that ended.
#[derive(Debug)]
pub struct Done {
    /// The exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// What a command left behind.
    pub fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status;
        Self {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It has to have ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\nstdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// It has to have said this, on either stream.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        let said = self.out.contains(part) || self.err.contains(part);
        assert!(said, "{part:?} is not in\nstdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// A process that is killed when this goes.
pub struct Running(Child);

impl Running {
    /// Start a command.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("a command"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Send it a signal.
    pub fn signal(&self, name: &str) {
        run(&["kill", "-s", name, &self.pid().to_string()]);
    }

    /// Wait for its end.
    pub fn wait(mut self) -> Done {
        let mut out = self.0.stdout.take();
        let mut err = self.0.stderr.take();
        let status = self.0.wait().expect("the process");
        let read = |pipe: Option<&mut dyn std::io::Read>| {
            let mut bytes = Vec::new();
            pipe.map(|pipe| pipe.read_to_end(&mut bytes));
            bytes
        };
        let stdout = read(out.as_mut().map(|p| p as &mut dyn std::io::Read));
        let stderr = read(err.as_mut().map(|p| p as &mut dyn std::io::Read));
        Done::of(Output { status, stdout, stderr })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run a command of this machine that has to succeed.
#[track_caller]
pub fn run(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().expect("a command");
    let done = Done::of(output);
    assert_eq!(done.code, 0, "{argv:?}: {}{}", done.out, done.err);
    done.out.trim_end().to_owned()
}

/// Wait until something is so.
#[track_caller]
pub fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
