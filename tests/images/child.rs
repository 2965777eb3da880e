//! The library in a process of its own: one that is killed, or that has another environment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use guestprep::sys::{DiskImage, Use};

/// Names the image that [`opens_what_it_is_told_to`] opens.
const IMAGE: &str = "GUESTPREP_TEST_IMAGE";
/// Says where it then waits to be killed: `progress` or `opened`.
const WAIT: &str = "GUESTPREP_TEST_WAIT";

/// Not a test by itself: the other end of [`command`].
#[test]
fn opens_what_it_is_told_to() {
    let Some(image) = std::env::var_os(IMAGE) else { return };
    let wait = std::env::var(WAIT).unwrap_or_default();
    let wait_at = |here: &str| {
        if wait == here {
            say(&format!("at {here}"));
            loop {
                std::thread::park();
            }
        }
    };
    match DiskImage::open(Path::new(&image), Use::Read, &|_, _| wait_at("progress")) {
        Ok(image) => {
            wait_at("opened");
            say(&format!("read {} {}", image.size(), image.container()));
        }
        Err(error) => say(&format!("failed {:?} {error}", error.kind())),
    }
}

fn say(line: &str) {
    // Behind a blank line: the test harness has begun one of its own.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\n> {line}").unwrap();
    stdout.flush().unwrap();
}

/// This program, told to open an image and to wait at a place, if any. What it says is a line
/// that [`answer`] reads.
pub fn command(image: &Path, wait: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child::opens_what_it_is_told_to", "--nocapture"])
        .env(IMAGE, image)
        .env(WAIT, wait);
    command
}

/// Start a command, and give what it says first.
pub fn start(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let answer = next(&mut output);
    (child, output, answer)
}

fn next(output: &mut BufReader<ChildStdout>) -> String {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "the process ended without a word");
        if let Some(answer) = line.trim_end().strip_prefix("> ") {
            return answer.to_owned();
        }
    }
}

/// What a command says, run to its end.
pub fn answer(command: &mut Command) -> String {
    let (mut child, _output, answer) = start(command);
    child.wait().unwrap();
    answer
}
