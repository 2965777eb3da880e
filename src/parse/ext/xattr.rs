//! Extended attributes: in the inode behind its fields, in a block of their own, or as the content of an inode (ea_inode).

use super::Ext;
use super::acl;
use super::bytes::{ReadAt, length, piece, word};
use super::cache::Use;
use super::error::{ExtError, Place, Result};
use super::inode::{FileType, Inode, flag};
use crate::parse::field::{le16, le32};

/// What a region with attributes begins with.
const MAGIC: u32 = 0xea02_0000;
/// Bytes of the header of a block with attributes.
const BLOCK_HEADER: usize = 32;
/// Bytes of an entry before its name.
const HEAD: usize = 16;
/// The largest value that a kernel hands out (XATTR_SIZE_MAX).
const MAX_VALUE: u32 = 65536;
/// The most that all attributes of an inode are: the entries of one block, each with a large value, would be 200 MiB.
const MAX_VALUES: u64 = 16 << 20;

/// The namespace whose names are not for callers.
pub(super) const SYSTEM: u8 = 7;

/// An attribute as it is stored.
pub(super) struct Entry<'a> {
    pub index: u8,
    pub name: &'a [u8],
    place: Place,
    /// Its value; None if an inode holds it.
    value: Option<&'a [u8]>,
    /// That inode, and the length of the value.
    inode: u32,
    size: u32,
}

impl<'a> Entry<'a> {
    /// Its value, which may not be in an inode of its own.
    pub(super) fn value_here(&self) -> Result<&'a [u8]> {
        self.value.ok_or_else(|| self.place.damaged("inline data lies in another inode"))
    }

    /// Its name as callers know it. None for what has no meaning outside the filesystem.
    fn full_name(&self) -> Option<Vec<u8>> {
        let prefix: &[u8] = match self.index {
            1 => b"user.",
            2 | 3 if !self.name.is_empty() => return None,
            2 => acl::ACCESS,
            3 => acl::DEFAULT,
            4 => b"trusted.",
            6 => b"security.",
            // 7 is system.data and what richacl stored; 9 the key of an encrypted inode.
            _ => return None,
        };
        Some([prefix, self.name].concat())
    }
}

impl<S: ReadAt> Ext<S> {
    /// The value of an extended attribute, as getxattr(2) gives it to root. None if the inode has none of this name.
    ///
    /// # Errors
    /// The attributes are damaged, or the value is larger than any that a kernel hands out.
    pub fn xattr(&self, inode: &Inode, name: &str) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        self.each_xattr(inode, |entry| {
            if found.is_none() && entry.full_name().is_some_and(|full| full == name.as_bytes()) {
                found = Some(self.value(entry)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All extended attributes, in the order of the disk, with the names that listxattr(2) gives to root.
    ///
    /// # Errors
    /// As [`Self::xattr`], or all together are larger than 16 MiB.
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut all = Vec::new();
        let mut bytes = 0;
        self.each_xattr(inode, |entry| {
            if let Some(name) = entry.full_name() {
                bytes += u64::from(entry.size);
                if bytes > MAX_VALUES {
                    let (place, limit) = (entry.place, MAX_VALUES);
                    return Err(ExtError::TooLarge { place, limit, unit: "bytes of attributes" });
                }
                all.push((name, self.value(entry)?));
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn each_xattr(&self, inode: &Inode, mut visit: impl FnMut(&Entry) -> Result<()>) -> Result<()> {
        for entry in in_inode(inode)? {
            visit(&entry?)?;
        }
        let number = inode.attribute_block;
        if number == 0 {
            return Ok(());
        }
        let place = Place::AttributeBlock(inode.number, number);
        place.holds(self.geometry.has(number, 1), "it lies outside the filesystem")?;
        let block = self.device.block(number, Use::Attributes, |block| {
            if self.geometry.checksums() {
                let seed = self.geometry.seed.and(&number.to_le_bytes());
                let sum = seed.and(&block[..0x10]).and(&[0; 4]).and(&block[0x14..]);
                place.matches(word(block, 0x10) == Some(sum.0))?;
            }
            Ok(())
        })?;
        place.holds(word(&block, 0) == Some(MAGIC), "it has no attributes")?;
        place.holds(word(&block, 8) == Some(1), "it claims to be several blocks")?;
        for entry in (Entries { place, region: &block, base: &block, at: BLOCK_HEADER }) {
            visit(&entry?)?;
        }
        Ok(())
    }

    fn value(&self, entry: &Entry) -> Result<Vec<u8>> {
        if entry.size > MAX_VALUE {
            let limit = MAX_VALUE.into();
            return Err(ExtError::TooLarge { place: entry.place, limit, unit: "bytes in a value" });
        }
        let value = match entry.value {
            Some(value) => value.to_vec(),
            None => self.value_in_inode(entry)?,
        };
        if matches!(entry.index, 2 | 3) {
            return acl::as_xattr(&value)
                .ok_or_else(|| entry.place.damaged("an ACL makes no sense"));
        }
        Ok(value)
    }

    fn value_in_inode(&self, entry: &Entry) -> Result<Vec<u8>> {
        let holder = self.inode(entry.inode.into())?;
        entry.place.holds(
            holder.kind == FileType::Regular
                && holder.has(flag::EA_INODE)
                && holder.size == u64::from(entry.size),
            "the inode of a value is none",
        )?;
        let mut value = vec![0; length(entry.size.into())];
        let read = self.content(&holder, 0, &mut value)?;
        entry.place.holds(read == value.len(), "the inode of a value is too short")?;
        Ok(value)
    }
}

/// The attributes in the inode.
pub(super) fn in_inode(inode: &Inode) -> Result<Entries<'_>> {
    let place = inode.place();
    // An inode without attributes has anything there, zeros as a rule.
    let (region, at) = match word(&inode.body, 0) {
        Some(MAGIC) => (&inode.body[4..], 0),
        _ => (&[][..], 0),
    };
    Ok(Entries { place, region, base: region, at })
}

/// The entries of a region; ends at the first error.
pub(super) struct Entries<'a> {
    place: Place,
    /// What entries and values may take.
    region: &'a [u8],
    /// What offsets of values count from.
    base: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        // Four zero bytes end the list, and so does the end of the region.
        word(self.region, self.at).filter(|first| *first != 0)?;
        let entry = self.entry();
        if entry.is_none() {
            self.at = self.region.len();
        }
        Some(entry.ok_or_else(|| self.place.damaged("an extended attribute is cut off")))
    }
}

impl<'a> Entries<'a> {
    fn entry(&mut self) -> Option<Entry<'a>> {
        let head = piece::<HEAD>(self.region, self.at)?;
        let name_length = usize::from(head[0]);
        let name = self.region.get(self.at + HEAD..self.at + HEAD + name_length)?;
        let (inode, size) = (le32(head, 4), le32(head, 8));
        let value = if inode == 0 {
            let start = usize::from(le16(head, 2));
            // An empty value may lie anywhere.
            let end = start.checked_add(length(size.into()))?;
            Some(if size == 0 { &[][..] } else { self.base.get(start..end)? })
        } else {
            None
        };
        // Each turn takes at least the head, so that the list ends.
        self.at += (HEAD + name_length).next_multiple_of(4);
        Some(Entry { index: head[1], name, place: self.place, value, inode, size })
    }
}
