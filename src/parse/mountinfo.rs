//! /proc/PID/mountinfo (proc(5)).
//!
//! Read only: the kernel writes the file, nobody edits it. A line that cannot be read does not hide the others.

use super::fields::{Field, unsigned};
use super::lines::{self, LineError};
use super::octal;

/// The mounts of a mount namespace, in the kernel's order: of two mounts on one point the later one is on top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mountinfo {
    /// The mounts that could be read.
    pub mounts: Vec<Mount>,
    /// The lines that could not.
    pub errors: Vec<LineError>,
    /// The mounts as indices, sorted by mount point, on one point in the kernel's order: a container host has tens of
    /// thousands, and each overlay among them asks for the mount that its directory lies in.
    by_point: Vec<usize>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The line's number, from 1.
    pub line: usize,
    /// The line as the kernel wrote it; the spans of the fields stand in it.
    pub raw: Vec<u8>,
    /// The mount's id, unique while it lives.
    pub id: u32,
    /// The id of the mount that this one stands on (its own at the root of the tree).
    pub parent: u32,
    /// `st_dev` of the files in it, major and minor. Major 0 means that no block device is behind it by itself (tmpfs,
    /// but also btrfs).
    pub device: (u32, u32),
    /// The path within the filesystem that is mounted: `/`, a subvolume, the source of a bind mount.
    pub root: Field,
    /// Where it is mounted, seen from the process's root.
    pub mount_point: Field,
    /// Options of the mount (`rw,relatime`).
    pub options: Field,
    /// Propagation tags: `shared:1`, `master:2`, `propagate_from:3`, `unbindable`.
    pub optional: Vec<Field>,
    /// The filesystem's type, with its subtype (`fuse.sshfs`).
    pub fstype: Field,
    /// The source. May be empty.
    pub source: Field,
    /// Options of the superblock.
    pub super_options: Field,
}

impl Mount {
    /// Whether the mounted root was removed from its filesystem; the kernel then appends `//deleted` to it.
    pub fn is_deleted(&self) -> bool {
        self.root.value.ends_with(b"//deleted")
    }
}

impl Mountinfo {
    /// Reads the file. Empty lines are passed over.
    pub fn parse(text: &[u8]) -> Mountinfo {
        let mut info = Mountinfo::default();
        for (index, (raw, _)) in lines::split(text).enumerate() {
            if raw.is_empty() {
                continue;
            }
            match mount(index + 1, raw) {
                Ok(mount) => info.mounts.push(mount),
                Err(reason) => info.errors.push(LineError { line: index + 1, reason }),
            }
        }
        info.by_point = (0..info.mounts.len()).collect();
        info.by_point.sort_by_key(|at| info.mounts[*at].mount_point.value.as_slice());
        info
    }

    /// The mount that is on top at a mount point, if any.
    pub fn at(&self, mount_point: &[u8]) -> Option<&Mount> {
        self.all_at(mount_point).next()
    }

    /// The mounts at a mount point, the one on top first.
    pub fn all_at(&self, mount_point: &[u8]) -> impl Iterator<Item = &Mount> {
        let point = |at: &usize| self.mounts[*at].mount_point.value.as_slice();
        let begin = self.by_point.partition_point(|at| point(at) < mount_point);
        let end = self.by_point.partition_point(|at| point(at) <= mount_point);
        self.by_point[begin..end].iter().rev().map(|at| &self.mounts[*at])
    }

    /// The mounts that a path lies in or below: those on the deepest mount points first, of those on one point the one on
    /// top.
    pub fn above(&self, path: &[u8]) -> impl Iterator<Item = &Mount> {
        let slashes = (1..path.len()).rev().filter(|at| path[*at] == b'/');
        let parents = slashes.map(|at| &path[..at]).filter(|parent| *parent != b"/");
        let own = (path != b"/" && !path.is_empty()).then_some(path);
        own.into_iter().chain(parents).chain([&b"/"[..]]).flat_map(|point| self.all_at(point))
    }
}

fn mount(line: usize, raw: &[u8]) -> Result<Mount, &'static str> {
    // The kernel separates with one space, and an empty source leaves two, so that runs must not be joined.
    let mut at = 0;
    let fields: Vec<_> = raw
        .split(|&b| b == b' ')
        .map(|part| {
            let span = at..at + part.len();
            at = span.end + 1;
            span
        })
        .collect();
    let text = |index: usize| fields.get(index).map(|span| &raw[span.clone()]);
    let field = |index: usize, missing: &'static str| -> Result<Field, &'static str> {
        let span = fields.get(index).ok_or(missing)?.clone();
        Ok(Field { value: octal::decode(&raw[span.clone()]), span })
    };
    let id = text(0).and_then(unsigned).ok_or("the mount id is not a number")?;
    let parent = text(1).and_then(unsigned).ok_or("the parent id is not a number")?;
    let device = text(2).and_then(device).ok_or("the device is not major:minor")?;
    let separator = (6..fields.len())
        .find(|&index| text(index) == Some(b"-"))
        .ok_or("there is no separator \"-\"")?;
    let root = field(3, "there is no root")?;
    let mount_point = field(4, "there is no mount point")?;
    if root.value.is_empty() || mount_point.value.is_empty() {
        return Err("the root or the mount point is empty");
    }
    let fstype = field(separator + 1, "there is no filesystem type")?;
    if fstype.value.is_empty() {
        return Err("the filesystem type is empty");
    }
    let source = field(separator + 2, "there is no source")?;
    let super_options = fields.get(separator + 3).ok_or("there are no superblock options")?;
    // A filesystem that does not escape a space in its options (some FUSE and 9p versions) makes more fields of them.
    let super_span = super_options.start..raw.len();
    Ok(Mount {
        line,
        raw: raw.to_vec(),
        id,
        parent,
        device,
        root,
        mount_point,
        options: field(5, "there are no options")?,
        optional: (6..separator)
            .map(|index| field(index, "there is no optional field"))
            .collect::<Result<_, _>>()?,
        fstype,
        source,
        super_options: Field { value: octal::decode(&raw[super_span.clone()]), span: super_span },
    })
}

fn device(text: &[u8]) -> Option<(u32, u32)> {
    let colon = text.iter().position(|&b| b == b':')?;
    Some((unsigned(&text[..colon])?, unsigned(&text[colon + 1..])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_of_a_line() {
        let info = Mountinfo::parse(
            b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n",
        );
        assert_eq!(info.errors, []);
        let mount = &info.mounts[0];
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!(mount.root.value, b"/mnt1");
        assert_eq!(mount.mount_point.value, b"/mnt 2");
        assert_eq!(mount.mount_point.raw(&mount.raw), b"/mnt\\0402");
        assert_eq!(mount.options.value, b"rw,noatime");
        let optional: Vec<_> = mount.optional.iter().map(|field| field.value.as_slice()).collect();
        assert_eq!(optional, [&b"shared:1"[..], b"master:2"]);
        assert_eq!(mount.fstype.value, b"ext3");
        assert_eq!(mount.source.value, b"/dev/root");
        assert_eq!(mount.super_options.value, b"rw,errors=continue");
        assert!(!mount.is_deleted());
    }

    #[test]
    fn an_empty_source_and_a_deleted_root() {
        let info = Mountinfo::parse(b"1 1 0:5 /a//deleted /b rw - tmpfs  rw,size=4k odd\n");
        let mount = &info.mounts[0];
        assert!(mount.is_deleted());
        assert_eq!(mount.source.value, b"");
        assert_eq!(mount.super_options.value, b"rw,size=4k odd");
        assert_eq!(mount.optional, []);
    }

    #[test]
    fn a_bad_line_does_not_hide_the_others() {
        let good = "1 1 0:5 / /b rw - tmpfs none rw\n";
        for (bad, reason) in [
            ("x 1 0:5 / /b rw - tmpfs none rw", "the mount id is not a number"),
            ("1 -1 0:5 / /b rw - tmpfs none rw", "the parent id is not a number"),
            ("1 1 05 / /b rw - tmpfs none rw", "the device is not major:minor"),
            ("1 1 0:5 / /b rw tmpfs none rw", "there is no separator \"-\""),
            ("1 1 0:5 / - rw", "there is no separator \"-\""),
            ("1 1 0:5 /  rw - tmpfs none rw", "the root or the mount point is empty"),
            ("1 1 0:5 / /b rw -", "there is no filesystem type"),
            ("1 1 0:5 / /b rw -  none rw", "the filesystem type is empty"),
            ("1 1 0:5 / /b rw - tmpfs", "there is no source"),
            ("1 1 0:5 / /b rw - tmpfs none", "there are no superblock options"),
        ] {
            let info = Mountinfo::parse(format!("{good}{bad}\n\n{good}").as_bytes());
            assert_eq!(
                info.mounts.iter().map(|mount| mount.line).collect::<Vec<_>>(),
                [1, 4],
                "{bad}"
            );
            assert_eq!(info.errors, [LineError { line: 2, reason }], "{bad}");
        }
    }

    #[test]
    fn the_later_mount_is_on_top() {
        let info =
            Mountinfo::parse(b"1 1 0:5 / /b rw - tmpfs a rw\n2 1 0:6 / /b rw - tmpfs b rw\n");
        assert_eq!(info.at(b"/b").unwrap().source.value, b"b");
        assert_eq!(info.at(b"/c"), None);
    }

    #[test]
    fn a_stack_of_mounts_is_searched_as_fast_as_one() {
        let mut text = String::from("1 1 0:5 / / rw - tmpfs root rw\n");
        for id in 2..50_002 {
            text.push_str(&format!("{id} 1 0:6 / /b rw - tmpfs s{id} rw\n"));
        }
        let info = Mountinfo::parse(text.as_bytes());
        // One by one these would be looked at 2.5 thousand million times.
        for mount in &info.mounts {
            let top = info.above(b"/b/c").find(|above| above.id != mount.id).unwrap();
            assert!(top.id >= 50_000, "{}", top.id);
        }
    }

    proptest! {
        #[test]
        fn what_lies_above_a_path_is_what_a_search_of_all_finds(
            points in prop::collection::vec("(/[ab]{1,2}){0,3}/?", 0..12), path in "(/[ab]{1,2}){0,4}/?"
        ) {
            let lines = points.iter().enumerate().filter(|(_, point)| !point.is_empty());
            let text: String = lines.map(|(id, point)| format!("{id} 1 0:5 / {point} rw - t s rw\n")).collect();
            let info = Mountinfo::parse(text.as_bytes());
            let path = path.as_bytes();
            let mut expected: Vec<&Mount> = info
                .mounts
                .iter()
                .filter(|mount| {
                    let point = mount.mount_point.value.as_slice();
                    let is_below = |rest: &[u8]| rest.is_empty() || rest[0] == b'/';
                    point == b"/" || path.strip_prefix(point).is_some_and(is_below)
                })
                .collect();
            expected.sort_by_key(|mount| std::cmp::Reverse((mount.mount_point.value.len(), mount.id)));
            prop_assert_eq!(info.above(path).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            let info = Mountinfo::parse(&text);
            let lines = lines::split(&text).filter(|(raw, _)| !raw.is_empty()).count();
            prop_assert_eq!(info.mounts.len() + info.errors.len(), lines);
        }

        #[test]
        fn any_fields(fields in prop::collection::vec("[0-9:/ \\\\a-]{0,4}", 0..14)) {
            let line = fields.join(" ");
            for mount in Mountinfo::parse(line.as_bytes()).mounts {
                for field in [&mount.root, &mount.mount_point, &mount.options, &mount.fstype, &mount.source] {
                    prop_assert_eq!(octal::decode(field.raw(&mount.raw)), field.value.clone());
                }
            }
        }
    }
}
