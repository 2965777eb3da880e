//! This machine with another kernel: /boot and /lib/modules of a kernel package of Debian's in
//! their place, in a mount namespace that belongs to one thread and ends with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::common::command::{Done, left_out};

/// A kernel package, unpacked.
pub struct Kernel {
    /// Its release.
    pub release: String,
    /// Where it is unpacked.
    pub tree: PathBuf,
}

/// Run a test on this machine with a kernel of the package, or say why it is left out. Its
/// argument is an empty directory of its own.
pub fn with_kernel(tools: &[&str], test: impl FnOnce(&Kernel, &Path) + Send) {
    let kernel = match missing(tools).map_or_else(kernel, Err) {
        Ok(kernel) => kernel,
        Err(why) => return left_out(&why),
    };
    let temp = tempfile::tempdir().expect("a temporary directory");
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
                return left_out(&format!("no mount namespace: {error}"));
            }
            run(&["mount", "--make-rprivate", "/"]);
            for directory in ["/boot", "/lib/modules", "/run"] {
                run(&["mount", "-t", "tmpfs", "-o", "mode=755", "none", directory]);
            }
            let modules = format!("/lib/modules/{}", kernel.release);
            fs::create_dir(&modules).expect("the directory of modules");
            let own = kernel.tree.join(&modules[1..]);
            run(&["mount", "--bind", own.to_str().expect("a path"), &modules]);
            let config = format!("boot/config-{}", kernel.release);
            fs::copy(kernel.tree.join(&config), Path::new("/").join(config)).expect("a config");
            fs::write(format!("/boot/vmlinuz-{}", kernel.release), "a kernel").expect("a kernel");
            test(&kernel, temp.path());
        });
        thread.join()
    });
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// What a test needs and this machine does not have.
pub fn missing(tools: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let has = |tool: &str| path.split(':').any(|dir| Path::new(dir).join(tool).is_file());
    let mut tools = ["mount", "apt-get", "dpkg", "depmod"].iter().chain(tools);
    let tool = tools.find(|tool| !has(tool));
    let place = || {
        // kmod makes it, and no file of this machine is touched below it.
        fs::create_dir_all("/lib/modules").err().map(|error| format!("/lib/modules: {error}"))
    };
    tool.map(|tool| format!("there is no {tool}")).or_else(place)
}

/// The kernel package that Debian has for clouds, downloaded and unpacked once.
fn kernel() -> Result<Kernel, String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let depends = try_run(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .ok_or("no archive has linux-image-cloud-amd64")?;
    let release = package.strip_prefix("linux-image-").ok_or("a package of another name")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    let tree = folder.join("tree");
    if !folder.join("complete").exists() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&tree).map_err(|error| error.to_string())?;
        // apt-get would download as a user who may not write here.
        let download = ["-o", "APT::Sandbox::User=root", "download", package];
        try_run(Command::new("apt-get").args(download).current_dir(&folder))?;
        let entries = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let file = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .ok_or("nothing was downloaded")?;
        try_run(Command::new("dpkg").arg("-x").arg(file).arg(&tree))?;
        try_run(Command::new("depmod").arg("-b").arg(&tree).arg(release))?;
        fs::write(folder.join("complete"), "").map_err(|error| error.to_string())?;
    }
    Ok(Kernel { release: release.to_owned(), tree })
}

/// Put a file or directory in the place of one of this machine's, in the namespace alone.
pub fn stand_in(source: &Path, target: &str) {
    run(&["mount", "--bind", source.to_str().expect("a path"), target]);
}

/// A command that has to succeed; what it printed.
#[track_caller]
pub fn run(argv: &[&str]) -> String {
    try_run(Command::new(argv[0]).args(&argv[1..])).unwrap_or_else(|why| panic!("{why}"))
}

fn try_run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Run guestprep on this machine.
pub fn guestprep(args: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestprep"));
    Done::of(command.args(args).env("LC_ALL", "C").output().expect("guestprep"))
}
