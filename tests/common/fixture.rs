//! A fixture made real: a copy of its trees in a temporary directory, with what git cannot hold.
//!
//! `fixtures/README.md` says how a guest is kept as files. What this machine or this user cannot
//! make (another owner, an immutable flag) is in [`Fixture::left_out`], and a test says so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use guestprep::guest::{Guest, Mode};
use guestprep::model::Policy;
use serde::Deserialize;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::initramfs::Image;

/// What git cannot hold of a tree: `manifest.toml` of a distribution, a part of `case.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Manifest {
    /// Directories that hold nothing.
    pub empty_dirs: Vec<PathBuf>,
    /// Permission bits in octal.
    pub modes: BTreeMap<PathBuf, String>,
    /// `uid:gid`.
    pub owners: BTreeMap<PathBuf, String>,
    /// `immutable` and `append-only`.
    pub flags: BTreeMap<PathBuf, Vec<String>>,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<PathBuf, BTreeMap<String, String>>,
    /// Initramfs images, packed from what is named.
    pub initramfs: Vec<Image>,
}

/// A copy of a fixture; it goes when this goes.
pub struct Fixture {
    /// The guest's tree.
    pub root: PathBuf,
    /// What its /proc and /sys show, where it was recorded while it ran.
    pub kernel: Option<PathBuf>,
    /// What could not be made, and why.
    pub left_out: Vec<String>,
    /// Files whose flags stand in the way of removing them.
    flagged: Vec<PathBuf>,
    _temp: TempDir,
}

/// The directory that holds the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The names of the distributions' clean guests, sorted.
pub fn distros() -> Vec<String> {
    let entries = fs::read_dir(fixtures().join("distros")).expect("the distributions");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

impl Fixture {
    /// The clean guest of a distribution, such as `debian-12`.
    pub fn distro(name: &str) -> Self {
        let mut fixture = Self::empty();
        fixture.overlay_distro(name);
        fixture
    }

    /// A fixture with nothing in it.
    pub fn empty() -> Self {
        Self::within(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A fixture with nothing in it, in memory where this machine has a place for that: much
    /// faster, for a guest that needs no file flags and no extended attributes.
    pub fn in_memory() -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::within(temp.expect("a temporary directory"))
    }

    fn within(temp: TempDir) -> Self {
        let root = temp.path().join("root");
        fs::create_dir(&root).expect("the root");
        Self { root, kernel: None, left_out: Vec::new(), flagged: Vec::new(), _temp: temp }
    }

    /// As [`Fixture::distro`], in memory.
    pub fn distro_in_memory(name: &str) -> Self {
        let mut fixture = Self::in_memory();
        fixture.overlay_distro(name);
        fixture
    }

    /// The distribution's trees on top of what is there.
    pub fn overlay_distro(&mut self, name: &str) {
        let folder = fixtures().join("distros").join(name);
        let manifest = fs::read_to_string(folder.join("manifest.toml"))
            .unwrap_or_else(|e| panic!("there is no distribution {name}: {e}"));
        let manifest: Manifest = toml::from_str(&manifest).expect("a manifest");
        self.overlay(&folder);
        self.apply(&manifest);
    }

    /// A folder's `root` and `kernel` on top of what is there.
    pub fn overlay(&mut self, folder: &Path) {
        copy_tree(&folder.join("root"), &self.root);
        let kernel = folder.join("kernel");
        if kernel.is_dir() {
            let to = self.root.with_file_name("kernel");
            copy_tree(&kernel, &to);
            self.kernel = Some(to);
        }
    }

    /// Take a path of the tree away, whatever it is.
    pub fn remove(&self, path: &Path) {
        let path = self.root.join(path);
        let is_dir = path.symlink_metadata().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if is_dir.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Make what git cannot hold.
    pub fn apply(&mut self, manifest: &Manifest) {
        for path in &manifest.empty_dirs {
            fs::create_dir_all(self.root.join(path)).expect("an empty directory");
        }
        for image in &manifest.initramfs {
            image.make(&self.root);
        }
        for (path, owner) in &manifest.owners {
            let (uid, gid) = owner.split_once(':').expect("uid:gid");
            let (uid, gid) = (uid.parse().expect("a uid"), gid.parse().expect("a gid"));
            if let Err(e) = chown(self.root.join(path), Some(uid), Some(gid)) {
                self.left_out.push(format!("owner of {}: {e}", path.display()));
            }
        }
        for (path, values) in &manifest.xattrs {
            for (name, value) in values {
                let path = self.root.join(path);
                let flags = rustix::fs::XattrFlags::empty();
                if let Err(e) = rustix::fs::setxattr(&path, name.as_str(), value.as_bytes(), flags)
                {
                    self.left_out.push(format!("{name} of {}: {e}", path.display()));
                }
            }
        }
        // After chown, which clears setuid.
        for (path, mode) in &manifest.modes {
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(mode))
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        for (path, flags) in &manifest.flags {
            let letters: String = flags
                .iter()
                .map(|flag| match flag.as_str() {
                    "immutable" => 'i',
                    "append-only" => 'a',
                    other => panic!("no such flag: {other}"),
                })
                .collect();
            let path = self.root.join(path);
            assert!(path.is_file(), "{} has to be there to be flagged", path.display());
            self.flagged.push(path.clone());
            if !chattr(&format!("+{letters}"), &path) {
                self.left_out.push(format!("chattr +{letters} {}", path.display()));
            }
        }
    }

    /// The guest of these files. A live one needs a recorded kernel.
    pub fn guest(&self, mode: Mode, policy: Policy) -> Guest {
        match mode {
            Mode::Live => {
                let kernel = self.kernel.as_ref().expect("a live case has a kernel");
                Guest::recorded(&self.root, kernel, policy)
            }
            Mode::Tree => Guest::tree(&self.root, policy),
            Mode::Image => panic!("a fixture is no disk image"),
        }
        .expect("a guest that opens")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for path in &self.flagged {
            chattr("-ia", path);
        }
    }
}

fn chattr(flags: &str, path: &Path) -> bool {
    let args = [OsStr::new(flags), path.as_os_str()];
    let status = Command::new("chattr").args(args).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Copy a tree over another. A file or link takes the place of what has its name.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the target of a copy");
    if !from.is_dir() {
        return;
    }
    for entry in WalkDir::new(from).min_depth(1) {
        let entry = entry.expect("an entry that can be walked");
        let target = to.join(entry.path().strip_prefix(from).expect("below the start"));
        let there = target.symlink_metadata().ok();
        if entry.file_type().is_dir() {
            // A link to a directory stays: `lib` of a merged /usr leads to where the files go.
            if there.is_none() {
                fs::create_dir(&target).expect("a directory");
            }
            continue;
        }
        if there.is_some_and(|there| !there.is_dir()) {
            fs::remove_file(&target).expect("the file that was there");
        }
        if entry.file_type().is_symlink() {
            let points_to = fs::read_link(entry.path()).expect("a link");
            symlink(points_to, &target).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
        } else {
            fs::copy(entry.path(), &target).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
        }
    }
}
