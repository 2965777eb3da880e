//! Every regular file of filesystems that are read without being mounted, by one thread.

use super::file::OpenFile;
use super::{FirstNames, Inode, Reads, Shared, Tally, Wanted};
use crate::sys::walk::{Node, Walk};
use crate::sys::{FileKind, Result};

/// More names than this in one directory are not believed; the kernel's ext4 has a limit near it.
const MAX_NAMES: usize = 10_000_000;

/// Read everything below the starts.
pub(in crate::sys) fn read<R: Reads>(
    walk: &Walk,
    wanted: &Wanted,
    reader: &mut R,
    tally: &Tally,
    tick: &dyn Fn(),
) -> Result<FirstNames> {
    let shared = Shared::default();
    let mut waiting: Vec<(Node, Vec<u8>)> = Vec::new();
    for start in &wanted.starts {
        match walk.resolve(start, true, "read")? {
            None => {
                let cause = "there is no such file";
                let kind = crate::sys::ErrorKind::NotFound;
                return Err(crate::sys::Error::new("read", start, kind, cause));
            }
            Some((node, _)) if start.as_bytes() == b"/" => waiting.push((node, Vec::new())),
            Some((node, _)) => waiting.push((node, start.as_bytes().to_vec())),
        }
    }
    while let Some((node, path)) = waiting.pop() {
        let say = |cause: String| format!("cannot read {}: {cause}", shown(&path));
        let about = match walk.attributes(node) {
            Ok(about) => about,
            Err(cause) => {
                reader.unread(&path, &say(cause));
                continue;
            }
        };
        let inode: Inode = (about.device, about.inode);
        match about.kind {
            FileKind::Regular => {
                if about.links > 1 && !shared.is_first_name(inode, &path) {
                    continue;
                }
                tally.add(about.size);
                reader.file(&mut OpenFile::unmounted(walk.of(node), &about, &path));
                tick();
            }
            // A damaged directory may lead back to one above it.
            FileKind::Directory if shared.enters(inode) => match walk.children(node, MAX_NAMES) {
                Ok(children) => {
                    for (name, child) in children {
                        let mut path = path.clone();
                        path.push(b'/');
                        path.extend_from_slice(&name);
                        waiting.push((child, path));
                    }
                }
                Err(cause) => reader.unread(&path, &say(cause)),
            },
            FileKind::Directory | FileKind::Symlink | FileKind::Special => {}
        }
    }
    Ok(shared.linked.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn shown(path: &[u8]) -> crate::model::GuestPath {
    crate::model::GuestPath::new(path)
}
