//! A guest's files in filesystems that are read without being mounted.
//!
//! The walk is the kernel's (path_resolution(7)) with the guest's root for `/`: a link is followed
//! inside the root, `..` above it stays there, the fortieth link is the last.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use super::files::{Files, FsUse, MAX_NAMES};
use super::sweep::{self, Census, Reach};
use super::{Attributes, Error, ErrorKind, FileKind, InodeFlags, Result, Stream};
use crate::model::{ByteString, Erasure, GuestPath};

/// How many links a path may lead through, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What a filesystem could not answer, in words.
pub type Answer<T> = std::result::Result<T, String>;

/// A filesystem that is read by inodes.
pub trait Filesystem: Debug {
    /// The inode of its root directory.
    fn root(&self) -> u64;
    /// The inode of a name in a directory.
    ///
    /// # Errors
    /// What is damaged or not understood.
    fn child(&self, directory: u64, name: &[u8]) -> Answer<Option<u64>>;
    /// The names in a directory without `.` and `..`, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn names(&self, directory: u64, limit: usize) -> Answer<Vec<Vec<u8>>>;
    /// What an inode is; its device number is not looked at.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn attributes(&self, inode: u64) -> Answer<Attributes>;
    /// A symbolic link's target.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn link(&self, inode: u64) -> Answer<Vec<u8>>;
    /// A regular file's content from an offset on; short only at its end.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn read(&self, inode: u64, offset: u64, length: usize) -> Answer<Vec<u8>>;
    /// The immutable and append-only flags.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn flags(&self, inode: u64) -> Answer<InodeFlags>;
    /// One extended attribute.
    ///
    /// # Errors
    /// As [`Filesystem::child`].
    fn xattr(&self, inode: u64, name: &str) -> Answer<Option<Vec<u8>>>;
    /// Its space.
    fn usage(&self) -> FsUse;
}

/// Several filesystems, mounted on each other.
#[derive(Debug)]
pub(super) struct Walk {
    filesystems: Vec<Rc<dyn Filesystem>>,
    /// Which filesystem is mounted on which directory.
    mounts: BTreeMap<Node, usize>,
    /// By which path a sweep first came into each directory, as a digest of it.
    entered: RefCell<BTreeMap<Node, u64>>,
}

/// An inode of one of the filesystems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    filesystem: usize,
    inode: u64,
}

impl Walk {
    pub(super) fn new(root: Rc<dyn Filesystem>) -> Self {
        Self { filesystems: vec![root], mounts: BTreeMap::new(), entered: RefCell::default() }
    }

    /// Mount a filesystem on a directory; `false` when there is no such directory.
    pub(super) fn mount(&mut self, filesystem: Rc<dyn Filesystem>, on: &GuestPath) -> Result<bool> {
        let Some((node, about)) = self.resolve(on, true, "mount on")? else { return Ok(false) };
        if about.kind != FileKind::Directory {
            return Ok(false);
        }
        self.mounts.insert(node, self.filesystems.len());
        self.filesystems.push(filesystem);
        Ok(true)
    }

    pub(super) fn of(&self, node: Node) -> &dyn Filesystem {
        self.filesystems[node.filesystem].as_ref()
    }

    pub(super) fn top_node(&self) -> Node {
        self.covered(Node { filesystem: 0, inode: self.filesystems[0].root() })
    }

    /// How many filesystems there are.
    pub(super) fn count(&self) -> u64 {
        self.filesystems.len() as u64
    }

    /// What a name in a directory is seen to be.
    pub(super) fn child_of(&self, directory: Node, name: &[u8]) -> Answer<Option<Node>> {
        let inode = self.of(directory).child(directory.inode, name)?;
        let node = |inode| self.covered(Node { filesystem: directory.filesystem, inode });
        Ok(inode.map(node))
    }

    /// The node that is seen there: the root of what is mounted on it.
    fn covered(&self, mut node: Node) -> Node {
        while let Some(filesystem) = self.mounts.get(&node) {
            node = Node { filesystem: *filesystem, inode: self.filesystems[*filesystem].root() };
        }
        node
    }

    /// Whether a directory is met by the path that it was always met by. A directory has one parent;
    /// of two, damaged or made by hand, there are more paths below than anybody can walk.
    pub(super) fn is_the_way_to(&self, node: Node, path: &[u8]) -> bool {
        let mut digest = DefaultHasher::new();
        digest.write(path);
        let digest = digest.finish();
        *self.entered.borrow_mut().entry(node).or_insert(digest) == digest
    }

    pub(super) fn attributes(&self, node: Node) -> Answer<Attributes> {
        let mut attributes = self.of(node).attributes(node.inode)?;
        attributes.device = node.filesystem as u64;
        Ok(attributes)
    }

    /// What is seen in a directory, at most so many names.
    pub(super) fn children(&self, node: Node, limit: usize) -> Answer<Vec<(Vec<u8>, Node)>> {
        let mut children = Vec::new();
        for name in self.of(node).names(node.inode, limit)? {
            if let Some(inode) = self.of(node).child(node.inode, &name)? {
                children.push((name, self.covered(Node { filesystem: node.filesystem, inode })));
            }
        }
        Ok(children)
    }

    /// The node that a path names; `None` when it names nothing.
    pub(super) fn resolve(
        &self,
        path: &GuestPath,
        follows: bool,
        operation: &'static str,
    ) -> Result<Option<(Node, Attributes)>> {
        let fail = |cause: String| Error::new(operation, path, ErrorKind::Other, cause);
        let root = self.top_node();
        let mut above = vec![root];
        let mut left = components(path.as_bytes());
        let mut links = 0;
        while let Some(name) = left.pop() {
            let here = *above.last().unwrap_or(&root);
            if name == b".." {
                if above.len() > 1 {
                    above.pop();
                }
                continue;
            }
            let about = self.attributes(here).map_err(fail)?;
            if about.kind != FileKind::Directory {
                return Ok(None);
            }
            let child = self.of(here).child(here.inode, &name).map_err(fail)?;
            let Some(inode) = child else { return Ok(None) };
            let node = self.covered(Node { filesystem: here.filesystem, inode });
            let about = self.attributes(node).map_err(fail)?;
            if about.kind != FileKind::Symlink || (left.is_empty() && !follows) {
                above.push(node);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(fail("too many levels of symbolic links".to_owned()));
            }
            let target = self.of(node).link(node.inode).map_err(fail)?;
            if target.starts_with(b"/") {
                above.truncate(1);
            }
            left.extend(components(&target));
        }
        let node = *above.last().unwrap_or(&root);
        Ok(Some((node, self.attributes(node).map_err(fail)?)))
    }

    fn regular(&self, path: &GuestPath) -> Result<Option<(Node, Attributes)>> {
        let Some((node, about)) = self.resolve(path, true, "read")? else { return Ok(None) };
        let what = match about.kind {
            FileKind::Regular => return Ok(Some((node, about))),
            FileKind::Directory => "it is a directory",
            FileKind::Symlink | FileKind::Special => "it is a device, FIFO or socket",
        };
        Err(Error::new("read", path, ErrorKind::NotRegular, what))
    }

    fn content(&self, path: &GuestPath, limit: u64) -> Result<Option<(Vec<u8>, Attributes)>> {
        let Some((node, about)) = self.regular(path)? else { return Ok(None) };
        let too_large = || {
            let cause = format!("it is larger than {limit} bytes");
            Error::new("read", path, ErrorKind::TooLarge, cause)
        };
        if about.size > limit {
            return Err(too_large());
        }
        let length = usize::try_from(about.size).map_err(|_| too_large())?;
        let content = self
            .of(node)
            .read(node.inode, 0, length)
            .map_err(|cause| Error::new("read", path, ErrorKind::Other, cause))?;
        Ok(Some((content, about)))
    }
}

/// The components of a path, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').rev();
    parts.filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
}

impl Files for Walk {
    fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        Ok(self.resolve(path, true, "look at")?.map(|(_, about)| about))
    }

    fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        Ok(self.resolve(path, false, "look at")?.map(|(_, about)| about))
    }

    fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.content(path, limit)?.map(|(content, _)| content))
    }

    fn open_stream(&self, path: &GuestPath, limit: u64) -> Result<Option<Stream>> {
        let Some((content, about)) = self.content(path, limit)? else { return Ok(None) };
        Ok(Some(Stream::of_memory(content, &about)))
    }

    fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        match self.resolve(path, false, "read the link")? {
            Some((node, about)) if about.kind == FileKind::Symlink => {
                let target = self.of(node).link(node.inode);
                let fail = |cause| Error::new("read the link", path, ErrorKind::Other, cause);
                target.map(Some).map_err(fail)
            }
            _ => Ok(None),
        }
    }

    fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        let Some((node, about)) = self.resolve(path, true, "list")? else { return Ok(None) };
        if about.kind != FileKind::Directory {
            return Ok(None);
        }
        let names = self.of(node).names(node.inode, MAX_NAMES + 1);
        let mut names = names.map_err(|cause| Error::new("list", path, ErrorKind::Other, cause))?;
        if names.len() > MAX_NAMES {
            let cause = format!("it holds more than {MAX_NAMES} names");
            return Err(Error::new("list", path, ErrorKind::TooLarge, cause));
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        let Some((node, _)) = self.resolve(path, true, "look at")? else { return Ok(None) };
        let fail = |cause| Error::new("read the flags of", path, ErrorKind::Other, cause);
        self.of(node).flags(node.inode).map(Some).map_err(fail)
    }

    fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        let Some((node, _)) = self.resolve(path, true, "read")? else { return Ok(None) };
        let fail = |cause| Error::new("read an attribute of", path, ErrorKind::Other, cause);
        let value = self.of(node).xattr(node.inode, name).map_err(fail)?;
        Ok(value.map(ByteString::from))
    }

    fn census(&self, lists: &[&[Erasure]], reach: &Reach) -> Result<Vec<Census>> {
        sweep::census_unmounted(self, lists, reach)
    }

    fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
        let found = self.resolve(path, true, "look at")?;
        Ok(found.map(|(node, _)| self.of(node).usage()))
    }
}
