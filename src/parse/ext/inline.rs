//! Small content that lies in the inode itself (inline_data).
//!
//! Its first sixty bytes stand where pointers to blocks would, the rest is the value of the attribute system.data,
//! which no caller sees as an attribute.

use super::Ext;
use super::bytes::ReadAt;
use super::directory::Block;
use super::error::Result;
use super::inode::{Inode, POINTERS};
use super::xattr::{self, SYSTEM};

impl<S: ReadAt> Ext<S> {
    /// What lies in the inode, no more than its size. The caller knows that it has inline data.
    pub(super) fn inline(&self, inode: &Inode) -> Result<Vec<u8>> {
        let mut content = inode.pointers.to_vec();
        content.extend_from_slice(rest(inode)?);
        content.truncate(super::bytes::length(inode.size));
        Ok(content)
    }

    /// The two parts of a directory that lies in the inode. Behind the parent's number, which its first four bytes
    /// are, each part is filled with entries to its own end.
    pub(super) fn inline_blocks(&self, inode: &Inode) -> Result<[Block; 2]> {
        let place = inode.place();
        let rest = rest(inode)?;
        place.holds(
            inode.size >= POINTERS as u64 && inode.size <= (POINTERS + rest.len()) as u64,
            "its size is not that of its content",
        )?;
        Ok([
            Block { place, bytes: inode.pointers[4..].into() },
            Block { place, bytes: rest.into() },
        ])
    }
}

/// What does not fit in the pointers. Empty if everything did.
fn rest(inode: &Inode) -> Result<&[u8]> {
    let found = xattr::in_inode(inode)?.find(|entry| {
        entry.as_ref().map_or(true, |entry| entry.index == SYSTEM && entry.name == b"data")
    });
    found.map_or(Ok(&[][..]), |entry| entry?.value_here())
}
