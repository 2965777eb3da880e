//! A walk through filesystems that are read without being mounted.

use std::collections::BTreeSet;

use super::{About, Kind, Tree};
use crate::model::GuestPath;
use crate::sys::walk::{Node, Walk};
use crate::sys::{Error, ErrorKind, FileKind, Result};

/// More names than this in one directory are not believed; the kernel's ext4 has a limit near it.
const MAX_NAMES: usize = 10_000_000;

impl Tree for Walk {
    type Directory = Node;

    fn top(&self, _: &[GuestPath]) -> Result<(Node, BTreeSet<u64>)> {
        // All of it is in the image.
        Ok((self.top_node(), (0..self.count()).collect()))
    }

    fn about(&self, at: &Node, name: &[u8], path: &[u8]) -> Result<Option<About>> {
        let fail = |cause: String| said("look at", path, cause);
        let Some(node) = self.child_of(*at, name).map_err(fail)? else { return Ok(None) };
        let about = self.attributes(node).map_err(fail)?;
        Ok(Some(About {
            kind: match about.kind {
                FileKind::Regular => Kind::Regular,
                FileKind::Directory => Kind::Directory,
                FileKind::Symlink => Kind::Link,
                FileKind::Special => Kind::Other,
            },
            size: about.size,
            changed: about.modified.seconds,
            links: about.links,
            inode: (about.device, about.inode),
            mount: about.device,
        }))
    }

    fn enter(&self, at: &Node, name: &[u8], _: &About, path: &[u8]) -> Result<Option<Node>> {
        let inside = self.child_of(*at, name).map_err(|cause| said("list", path, cause))?;
        if inside.is_some_and(|inside| !self.is_the_way_to(inside, path)) {
            let cause = "it is a directory that has another name too: the filesystem is damaged";
            return Err(said("list", path, cause.to_owned()));
        }
        Ok(inside)
    }

    fn each(&self, at: &Node, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let children = self.children(*at, MAX_NAMES).map_err(|cause| said("list", path, cause))?;
        children.iter().for_each(|(name, _)| visit(name));
        Ok(())
    }
}

fn said(operation: &'static str, path: &[u8], cause: String) -> Error {
    Error::new(operation, GuestPath::new(path), ErrorKind::Other, cause)
}
