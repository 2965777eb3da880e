//! A guest on real parts: a root filesystem, data disks and mounts of its own, in a mount
//! namespace of its own.
//!
//! The namespace belongs to one thread and ends with it, so that no mount outlives a test that
//! panics, and tests run side by side. The guest is the skeleton of Debian 12 with the programs
//! that guestprep calls copied from the machine; nothing of the machine is mounted into it but
//! /proc and /sys, so that nothing of the machine can be changed through it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::command::{Done, Running, left_out, run};
use super::fixture::Fixture;
use super::state;

/// What guestprep and the tests call inside the guest.
const PROGRAMS: [&str; 13] = [
    "sh", "mount", "umount", "mkswap", "swapon", "swapoff", "losetup", "sleep", "cat", "true",
    "false", "touch", "kill",
];

/// Where guestprep lies in the guest.
pub const GUESTPREP: &str = "/opt/guestprep";

/// Run a test on a guest of its own, or say why it is left out.
pub fn alone(tools: &[&str], test: impl FnOnce(&mut Live) + Send) {
    if let Some(why) = missing(tools) {
        return left_out(&why);
    }
    let temp = tempfile::tempdir().expect("a temporary directory");
    // A thread, because a mount namespace is a thread's: the tests beside this one keep theirs.
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
                return left_out(&format!("no mount namespace: {error}"));
            }
            run(&["mount", "--make-rprivate", "/"]);
            test(&mut Live::new(temp.path()));
        });
        thread.join()
    });
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// What a test of real parts needs and this machine does not have.
pub fn missing(tools: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    for tool in ["losetup", "mkfs.ext4", "blkid", "strip"].iter().chain(tools) {
        if which(tool).is_none() {
            return Some(format!("there is no {tool}"));
        }
    }
    let free = Command::new("losetup").arg("-f").output().expect("losetup");
    (!free.status.success())
        .then(|| format!("no loop device: {}", String::from_utf8_lossy(&free.stderr).trim()))
}

/// Whether the kernel has a filesystem; it is left out when not.
pub fn has_filesystem(name: &str) -> bool {
    let list = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has = list.lines().any(|line| line.split_whitespace().last() == Some(name));
    if !has {
        left_out(&format!("this kernel has no {name}"));
    }
    has
}

/// A guest.
pub struct Live {
    /// Its root directory.
    pub root: PathBuf,
    /// The UUID of its root filesystem.
    pub uuid: String,
    work: PathBuf,
    loops: Vec<String>,
    flagged: Vec<PathBuf>,
}

/// A disk of a guest.
pub struct Disk {
    /// Its kernel name.
    pub device: String,
    /// Its filesystem's UUID.
    pub uuid: String,
}

impl Live {
    fn new(work: &Path) -> Self {
        let root = work.join("root");
        fs::create_dir(&root).expect("the root");
        let mut live = Self {
            root,
            uuid: String::new(),
            work: work.to_owned(),
            loops: Vec::new(),
            flagged: Vec::new(),
        };
        let disk = live.disk("root", "128M", &["mkfs.ext4", "-q", "-F", "-m", "0"]);
        live.uuid = disk.uuid;
        run(&["mount", &disk.device, &live.at("/")]);
        super::fixture::copy_tree(&Fixture::distro("debian-12").root, &live.root);
        for dir in ["proc", "sys", "dev", "run", "tmp", "opt", "root", "usr/lib64"] {
            fs::create_dir_all(live.root.join(dir)).expect("a directory");
        }
        // As the package has it: `prepare` making it would be a change of /var/lib.
        fs::create_dir_all(live.root.join("var/lib/guestprep")).expect("the state directory");
        run(&["mount", "-t", "tmpfs", "run", &live.at("/run")]);
        run(&["mount", "-t", "proc", "proc", &live.at("/proc")]);
        run(&["mount", "-t", "sysfs", "-o", "ro", "sysfs", &live.at("/sys")]);
        fs::remove_dir_all(live.root.join("dev")).expect("the skeleton's /dev");
        fs::create_dir(live.root.join("dev")).expect("/dev");
        run(&["mount", "-t", "tmpfs", "dev", &live.at("/dev")]);
        for (name, kind, major, minor) in [
            ("null", "c", "1", "3"),
            ("urandom", "c", "1", "9"),
            ("loop-control", "c", "10", "237"),
        ] {
            run(&["mknod", &live.at(&format!("/dev/{name}")), kind, major, minor]);
        }
        for number in 0..64 {
            let number = number.to_string();
            run(&["mknod", &live.at(&format!("/dev/loop{number}")), "b", "7", &number]);
        }
        live.copy_programs();
        live.name_the_root();
        live
    }

    /// A path of the guest as this machine has it.
    pub fn at(&self, path: &str) -> String {
        let path = self.root.join(path.trim_start_matches('/'));
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// Have fstab and the boot loader name the filesystem that was made for it.
    fn name_the_root(&self) {
        let (fstab, menu) = (self.root.join("etc/fstab"), self.root.join("boot/grub/grub.cfg"));
        let old = fs::read_to_string(&fstab).expect("fstab");
        let old = old.split("UUID=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let text = fs::read_to_string(&menu).expect("grub.cfg");
        fs::write(menu, text.replace(old.expect("the root by its UUID"), &self.uuid)).expect("it");
        fs::write(fstab, self.root_line()).expect("fstab");
    }

    /// The first lines of its fstab.
    pub fn root_line(&self) -> String {
        format!("# made by hand\nUUID={}\t/\text4\tdefaults 0 1\n", self.uuid)
    }

    /// A new disk with a filesystem.
    pub fn disk(&mut self, name: &str, size: &str, mkfs: &[&str]) -> Disk {
        let image = self.image(name, size, mkfs);
        let device = loop_device(&image);
        self.loops.push(device.clone());
        Disk { uuid: uuid_of(&image), device }
    }

    /// A file with a filesystem, outside the guest.
    pub fn image(&self, name: &str, size: &str, mkfs: &[&str]) -> PathBuf {
        let image = self.work.join(format!("{name}.img"));
        run(&["truncate", "-s", size, image.to_str().expect("UTF-8")]);
        let mut argv = mkfs.to_vec();
        argv.push(image.to_str().expect("UTF-8"));
        run(&argv);
        image
    }

    /// An empty file outside the guest.
    pub fn work_image(&self, name: &str, size: &str) -> String {
        let image = self.work.join(format!("{name}.img"));
        let image = image.to_str().expect("UTF-8").to_owned();
        run(&["truncate", "-s", size, &image]);
        image
    }

    /// A data disk that is in fstab by UUID and mounted on /data.
    pub fn data(&mut self) -> Disk {
        let disk = self.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        let line = format!("UUID={}  /data ext4 defaults,noatime 0 2\n", disk.uuid);
        self.append_fstab(&line);
        fs::create_dir(self.root.join("data")).expect("/data");
        self.chroot(&["mount", "-o", "noatime", &disk.device, "/data"]).exits(0);
        disk
    }

    /// Add to the guest's fstab.
    pub fn append_fstab(&self, text: &str) {
        let mut fstab = self.fstab();
        fstab.push_str(text);
        fs::write(self.root.join("etc/fstab"), fstab).expect("fstab");
    }

    /// The guest's fstab.
    pub fn fstab(&self) -> String {
        fs::read_to_string(self.root.join("etc/fstab")).expect("fstab")
    }

    /// Run a command in the guest.
    pub fn chroot(&self, argv: &[&str]) -> Done {
        Done::of(self.command(argv).output().expect("chroot"))
    }

    /// Run guestprep in the guest.
    pub fn guestprep(&self, args: &[&str]) -> Done {
        self.chroot(&[&[GUESTPREP], args].concat())
    }

    /// Start a command in the guest; it runs until it is waited for or let go.
    pub fn start(&self, argv: &[&str]) -> Running {
        let mut command = self.command(argv);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(&mut command)
    }

    /// A command in the guest, not yet run.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(argv).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }

    /// Everything of the guest that rollback has to give back: its files, mounts and swaps.
    pub fn state(&self) -> String {
        format!("{}{}{}", state::tree(&self.root), self.mounts(), state::swaps(&self.root))
    }

    /// Its mounts, without the ids that the kernel gives anew.
    pub fn mounts(&self) -> String {
        state::mounts(&self.root)
    }

    /// Let firmware not name it. A machine that tests is one machine; its own DMI UUID is not to be seen.
    pub fn nameless(&self) {
        let dmi = self.at("/sys/devices/virtual/dmi/id");
        if fs::exists(format!("{dmi}/product_uuid")).unwrap_or(false) {
            run(&["mount", "-t", "tmpfs", "none", &dmi]);
        }
    }

    /// Let it be in a boot of its own, as after a restart, or on a clone.
    pub fn boots_anew(&self) {
        let random = self.at("/proc/sys/kernel/random");
        run(&["mount", "-t", "tmpfs", "none", &random]);
        let id = fs::read("/proc/sys/kernel/random/uuid").expect("a UUID");
        fs::write(format!("{random}/boot_id"), id).expect("a boot");
    }

    /// Name the instance.
    pub fn instance(&self, id: &str) {
        self.nameless();
        fs::create_dir_all(self.at("/var/lib/cloud/data")).expect("a directory");
        fs::write(self.at("/var/lib/cloud/data/instance-id"), format!("{id}\n")).expect("an id");
    }

    /// Have one more program of the machine in it.
    pub fn bring(&self, program: &str) {
        let path = which(program).unwrap_or_else(|| panic!("there is no {program}"));
        self.copy_program(&path, &format!("usr/bin/{program}"));
    }

    /// Set flags of a file; they are taken away when the guest goes.
    pub fn chattr(&mut self, flags: &str, path: &str) {
        run(&["chattr", flags, &self.at(path)]);
        self.flagged.push(self.root.join(path.trim_start_matches('/')));
    }

    fn copy_programs(&self) {
        for program in PROGRAMS {
            self.bring(program);
        }
        self.copy_program(stripped(), GUESTPREP.trim_start_matches('/'));
    }

    fn copy_program(&self, from: &Path, to: &str) {
        let to = self.root.join(to);
        let _ = fs::remove_file(&to);
        fs::copy(from, &to).expect("a program");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("its mode");
        for library in libraries(from) {
            let to = self.root.join(library.trim_start_matches('/'));
            if to.exists() {
                continue;
            }
            fs::create_dir_all(to.parent().expect("a directory")).expect("its directory");
            fs::copy(&library, &to).expect("a library");
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for path in &self.flagged {
            let _ = Command::new("chattr").arg("-ia").arg(path).stderr(Stdio::null()).status();
        }
        let _ = Command::new("swapoff").arg(self.root.join("data/swap")).output();
        // A mounted one goes when the namespace, and with it the mount, has gone (losetup(8)).
        for device in &self.loops {
            let _ = Command::new("losetup").args(["-d", device]).output();
        }
    }
}

fn loop_device(image: &Path) -> String {
    // Between finding a free device and taking it, another test may take it.
    for _ in 0..20 {
        let output = Command::new("losetup").args(["-f", "--show"]).arg(image).output();
        let done = Done::of(output.expect("losetup"));
        if done.code == 0 {
            return done.out.trim().to_owned();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no loop device for {}", image.display());
}

/// The UUID of the filesystem in a file.
pub fn uuid_of(image: &Path) -> String {
    run(&["blkid", "-p", "-o", "value", "-s", "UUID", image.to_str().expect("UTF-8")])
}

fn which(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.exists())
}

/// guestprep without its debugging information, of which a copy for each guest would be large: the one
/// that was built with the test, or what `GUESTPREP_PROGRAM` names.
fn stripped() -> &'static Path {
    static PATH: OnceLock<(PathBuf, tempfile::TempDir)> = OnceLock::new();
    let (path, _) = PATH.get_or_init(|| {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let path = temp.path().join("guestprep");
        let shown = path.to_str().expect("UTF-8");
        let program = std::env::var("GUESTPREP_PROGRAM");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_guestprep"));
        run(&["strip", "-o", shown, program]);
        (path, temp)
    });
    path
}

fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}
