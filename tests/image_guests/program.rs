//! guestprep as it is run, and what it may leave.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::command::Done;

/// No command on the small images of these tests takes as long.
const LONGEST: Duration = Duration::from_secs(120);

/// Run `guestprep COMMAND... --image IMAGE`.
pub fn guestprep(args: &[&str], image: &Path) -> Done {
    wrapped(&[], args, image)
}

/// The same below another program, such as strace.
pub fn wrapped(wrapper: &[&str], args: &[&str], image: &Path) -> Done {
    let image = image.to_str().expect("UTF-8");
    let limit = LONGEST.as_secs().to_string();
    let timeout = ["timeout", "-s", "KILL", &limit];
    let own = [env!("CARGO_BIN_EXE_guestprep")];
    let argv = [&timeout, wrapper, &own, args, &["--image", image]].concat();
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let began = Instant::now();
    let done = Done::of(command.output().expect("guestprep"));
    assert!(began.elapsed() < LONGEST, "{args:?} of {image} hangs: {done:?}");
    done
}

/// No loop device may be bound to a file of this directory, and nothing of it be mounted.
#[track_caller]
pub fn assert_nothing_left(directory: &Path, at: &str) {
    let directory = directory.to_str().expect("UTF-8");
    // The kernel takes a namespace apart after the process is gone.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let loops = Command::new("losetup").args(["-a", "--list"]).output().expect("losetup");
        let loops = String::from_utf8_lossy(&loops.stdout).into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let left: Vec<&str> = loops
            .lines()
            .filter(|line| line.contains(directory))
            .chain(mounts.lines().filter(|line| line.contains(" /run/guestprep/mnt")))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{at}: left {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The SHA-256 of a file and its time of modification.
pub fn fingerprint(path: &Path) -> String {
    let done = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    let text = String::from_utf8(done.stdout).expect("UTF-8");
    let about = path.metadata().expect("a file");
    use std::os::unix::fs::MetadataExt;
    format!("{} {}.{:09} {}", &text[..64], about.mtime(), about.mtime_nsec(), about.len())
}
