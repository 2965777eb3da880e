//! A path walked inside a root a name at a time, for kernels that cannot be asked to do it.
//!
//! KERNEL(5.6): openat2(2) with RESOLVE_IN_ROOT is this in one call, and is asked first. The
//! kernels before it are those of EL 7 and 8 and of Ubuntu 20.04. libpathrs has a walk for them
//! too, which rests on fsopen(2) and faccessat2(2) and calls itself without end where both are
//! missing (0.2.6), so the walk is here.
//!
//! Each name is opened in the directory that was opened before it, links are read and not
//! followed by the kernel, and `..` goes back to a directory that is already open. Nothing that
//! happens to the tree meanwhile can lead the walk out of its root.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use rustix::io::Errno;

/// How many links a path may lead through, as in the kernel (MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// openat2 gives up with EAGAIN when something on the path was renamed meanwhile; this often it
/// is asked again.
const RACES: usize = 32;

/// Open a path in a root, which it cannot leave: no link of /proc that leads out of every root
/// ("magic links") is followed. `has_openat2` remembers whether this kernel has that call.
///
/// # Errors
/// What openat2(2) says: ENOENT, ENOTDIR, ELOOP and whatever openat(2) does.
pub(super) fn open_in_root(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    has_openat2: &Cell<bool>,
) -> Result<OwnedFd, Errno> {
    if has_openat2.get() {
        match by_kernel(root, path, flags) {
            Err(Errno::NOSYS) => has_openat2.set(false), // KERNEL(5.6): older ones lack it.
            // EPERM: a seccomp filter from before openat2. EAGAIN: the path keeps moving.
            Err(Errno::PERM | Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    by_walk(root, path, flags)
}

fn by_kernel(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    for _ in 1..RACES {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

fn by_walk(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let mut entered: Vec<OwnedFd> = Vec::new();
    let mut left = names(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        match &name[..] {
            b"." => continue,
            b".." => {
                entered.pop();
                continue;
            }
            _ => {}
        }
        let here = entered.last().map_or(root, AsFd::as_fd);
        let found = openat(here, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let is_last = left.is_empty();
        // Not fstat(2). KERNEL(3.6): it refuses what was opened with O_PATH.
        let stat = rustix::fs::statat(&found, "", AtFlags::EMPTY_PATH)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink if !is_last || !flags.contains(OFlags::NOFOLLOW) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?.into_bytes();
                let is_absolute = target.first() == Some(&b'/');
                if is_absolute && is_of_proc(&found, stat.st_size, target.len()) {
                    return Err(Errno::LOOP);
                }
                if is_absolute {
                    entered.clear();
                }
                left.extend(names(&target));
            }
            FileType::Directory => entered.push(found),
            _ if !is_last => return Err(Errno::NOTDIR),
            _ if flags.contains(OFlags::PATH) => return Ok(found),
            _ => match openat(here, &name, flags | OFlags::NOFOLLOW) {
                // It became a link since it was looked at.
                Err(Errno::LOOP) if links < MAX_LINKS => {
                    links += 1;
                    left.push(name);
                }
                opened => return opened,
            },
        }
    }
    openat(entered.last().map_or(root, AsFd::as_fd), b".", flags)
}

/// A path's names, the first at the end. What ends in a slash is a directory's.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> =
        path.split(|b| *b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect();
    if path.ends_with(b"/") {
        names.push(b".".to_vec());
    }
    names.reverse();
    names
}

/// Whether a link is one of /proc, where an absolute one does not lead where it says.
fn is_of_proc(link: &OwnedFd, size: i64, length: usize) -> bool {
    match rustix::fs::fstatfs(link) {
        Ok(filesystem) => filesystem.f_type == PROC_SUPER_MAGIC,
        // KERNEL(3.12): not answered for O_PATH before. A link of /proc does not know its length.
        Err(_) => usize::try_from(size) != Ok(length),
    }
}

fn openat(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const FLAGS: [OFlags; 4] = [
        OFlags::PATH,
        OFlags::PATH.union(OFlags::NOFOLLOW),
        OFlags::RDONLY.union(OFlags::NONBLOCK),
        OFlags::RDONLY.union(OFlags::DIRECTORY),
    ];

    fn directory(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    /// The kernel's own answer; something is renamed somewhere while it goes through `..`.
    fn by_kernel(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        loop {
            match super::by_kernel(root, path.as_bytes(), flags) {
                Err(Errno::AGAIN) => {}
                opened => return opened,
            }
        }
    }

    /// What was opened: the device and the inode.
    fn what(opened: Result<OwnedFd, Errno>) -> Result<(u64, u64), Errno> {
        opened.map(|fd| {
            let stat = rustix::fs::fstat(fd).unwrap();
            (stat.st_dev, stat.st_ino)
        })
    }

    /// Both answers for every way of opening; the kernel's is the truth. `None` on a kernel that
    /// has no answer.
    fn compare(root: &Path, path: &str) -> Option<()> {
        let root = directory(root);
        for flags in FLAGS {
            let wanted = by_kernel(root.as_fd(), path, flags);
            if matches!(wanted, Err(Errno::NOSYS | Errno::PERM)) {
                return None;
            }
            let got = by_walk(root.as_fd(), path.as_bytes(), flags);
            assert_eq!(what(got), what(wanted), "{path:?} opened with {flags:?}");
        }
        Some(())
    }

    fn path() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(&["a", "b", "c", "..", ".", "", "none"][..]);
        proptest::collection::vec(name, 1..6).prop_map(|names| names.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]
        #[test]
        fn opens_what_the_kernel_opens(
            made in proptest::collection::vec((path(), 0..3_u8, path()), 1..10),
            asked in proptest::collection::vec(path(), 8),
        ) {
            let temporary = tempfile::tempdir().unwrap();
            let root = temporary.path().join("root");
            fs::create_dir(&root).unwrap();
            for (path, kind, target) in &made {
                // Whatever stands in the way stays; nothing is made above the root.
                let path = root.join(path.replace("..", "a"));
                let target = if target.is_empty() { "/" } else { target };
                let _ = match kind {
                    0 => fs::create_dir(&path),
                    1 => fs::write(&path, "").and(Ok(())),
                    _ => symlink(target, &path),
                };
            }
            for path in asked.iter().filter(|path| !path.is_empty()) {
                let _ = compare(&root, path);
                let _ = compare(&root, &format!("/{path}/"));
            }
        }
    }

    #[test]
    fn links_without_end_and_links_of_proc() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        fs::write(root.join("0"), "").unwrap();
        for n in 1..=42 {
            symlink((n - 1).to_string(), root.join(n.to_string())).unwrap();
        }
        symlink("loop", root.join("loop")).unwrap();
        for path in ["/39", "/40", "/41", "/42", "/loop", "/0/x", "/0/", "/"] {
            let _ = compare(root, path);
        }
        let proc = Path::new("/proc");
        for path in
            ["/self/stat", "/mounts", "/self/root/etc", "/self/exe", "/self/cwd", "/self/.."]
        {
            let _ = compare(proc, path);
        }
        let sys = Path::new("/sys");
        let nets = fs::read_dir("/sys/class/net").map(Vec::from_iter).unwrap_or_default();
        for net in nets.into_iter().flatten() {
            let _ = compare(sys, &format!("/class/net/{}/address", net.file_name().display()));
        }
    }
}
