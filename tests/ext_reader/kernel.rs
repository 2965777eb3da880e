//! Mounts in a mount namespace of one thread, which ends with it.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::tools::{command, have, run};

/// Runs a test where it may mount, or says why it is left out.
pub fn alone(test: impl FnOnce() + Send) {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("left out: mounting needs root");
    }
    if !have(&["mount", "losetup", "mke2fs", "debugfs", "setfattr", "setfacl", "setcap", "chattr"])
    {
        return;
    }
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
                return eprintln!("left out: no mount namespace: {error}");
            }
            run(&["mount", "--make-rprivate", "/"]);
            // Images in memory: what is tested is not the disk below.
            let temp = std::env::temp_dir();
            run(&["mount", "-t", "tmpfs", "tmpfs", temp.to_str().unwrap()]);
            test();
        });
        thread.join()
    });
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// A mounted image. Its loop device goes with the mount.
pub struct Mount {
    pub top: PathBuf,
}

impl Mount {
    /// Mounts an image. Err is what mount says, for what this kernel does not mount.
    pub fn try_new(image: &Path, options: &str) -> Result<Self, String> {
        let top = image.with_extension("mounted");
        fs::create_dir_all(&top).unwrap();
        let (image, target) = (image.to_str().unwrap(), top.to_str().unwrap());
        let options = format!("loop,{options}");
        let output = command(&["mount", "-t", "ext4", "-o", &options, image, target]).output();
        let output = output.unwrap();
        if output.status.success() {
            Ok(Self { top })
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    #[track_caller]
    pub fn new(image: &Path, options: &str) -> Self {
        Self::try_new(image, options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A path below the mount point as an argument.
    pub fn arg(&self, path: &str) -> String {
        self.top.join(path).to_str().unwrap().to_owned()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let top = self.top.to_str().unwrap();
        // A test beside this one that starts a command holds this one's files until the command has begun.
        let unmounted = (0..100).any(|_| {
            let done = command(&["umount", top]).output().is_ok_and(|it| it.status.success());
            if !done {
                sleep(Duration::from_millis(50));
            }
            done
        });
        assert!(unmounted || std::thread::panicking(), "cannot unmount {top}");
    }
}
