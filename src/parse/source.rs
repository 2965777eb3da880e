//! What the first field of fstab(5), or the device field of crypttab(5), names.
//!
//! Classifies text. It never looks whether the thing exists; `guest` does that with the facts about the disks.

use std::fmt::Write as _;

/// What a mount source names.
///
/// Values are the bytes that have to be equal for the device to be found: systemd waits for the link
/// `/dev/disk/by-uuid/<value>` and libblkid compares with strcmp(3), so that neither folds case. `UUID=3E6B...` for an
/// ext4 whose UUID blkid(8) prints in lower case is found by neither, and boot waits for it in vain;
/// [`Source::differs_in_case_only`] tells such a case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `UUID=`: of a filesystem or swap, as blkid(8) prints it (lower case; upper case for FAT and NTFS).
    Uuid(Vec<u8>),
    /// `LABEL=`
    Label(Vec<u8>),
    /// `PARTUUID=`: of a partition, as blkid(8) prints it (lower case).
    PartUuid(Vec<u8>),
    /// `PARTLABEL=`
    PartLabel(Vec<u8>),
    /// `ID=`: a name below `/dev/disk/by-id`, known to libmount. systemd 252 does not know the tag, and makes a mount
    /// unit that waits for no device.
    Id(Vec<u8>),
    /// A device below `/dev` that is not one of [`Source::DiskLink`], with repeated slashes and `.` removed.
    Path(Vec<u8>),
    /// A link below `/dev/disk`.
    DiskLink {
        /// Which of its directories.
        kind: LinkKind,
        /// The link's name with udev's `\xHH` decoded: the UUID, label or id itself.
        value: Vec<u8>,
    },
    /// Another absolute path: a swap file, an image for a loop device, the source of a bind mount.
    File(Vec<u8>),
    /// A remote: `host:/path`, `//host/share`, `user@host:path`, a list of hosts. Any source with a colon that is not a
    /// path counts as one.
    Network(Vec<u8>),
    /// Everything else: `none`, `tmpfs`, `proc`, `overlay`, a ZFS data set, a tag that nobody knows.
    Keyword(Vec<u8>),
}

/// A directory of `/dev/disk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// `/dev/disk/by-uuid`
    Uuid,
    /// `/dev/disk/by-label`
    Label,
    /// `/dev/disk/by-partuuid`
    PartUuid,
    /// `/dev/disk/by-partlabel`
    PartLabel,
    /// `/dev/disk/by-id`
    Id,
    /// `/dev/disk/by-path`
    Path,
}

impl LinkKind {
    const ALL: [LinkKind; 6] = [
        LinkKind::Uuid,
        LinkKind::Label,
        LinkKind::PartUuid,
        LinkKind::PartLabel,
        LinkKind::Id,
        LinkKind::Path,
    ];

    /// The directory's name below `/dev/disk`.
    pub fn directory(self) -> &'static str {
        match self {
            LinkKind::Uuid => "by-uuid",
            LinkKind::Label => "by-label",
            LinkKind::PartUuid => "by-partuuid",
            LinkKind::PartLabel => "by-partlabel",
            LinkKind::Id => "by-id",
            LinkKind::Path => "by-path",
        }
    }
}

impl Source {
    /// Classifies a decoded source field.
    ///
    /// Tags are in upper case and may be quoted, `UUID="..."`, with either kind of quote: libblkid and systemd agree.
    /// `uuid=` is no tag for either.
    pub fn parse(text: &[u8]) -> Source {
        type Make = fn(Vec<u8>) -> Source;
        const TAGS: [(&[u8], Make); 5] = [
            (b"UUID=", Source::Uuid),
            (b"LABEL=", Source::Label),
            (b"PARTUUID=", Source::PartUuid),
            (b"PARTLABEL=", Source::PartLabel),
            (b"ID=", Source::Id),
        ];
        for (tag, make) in TAGS {
            if let Some(value) = text.strip_prefix(tag) {
                return make(unquote(value).to_vec());
            }
        }
        if text.starts_with(b"//") && !text.starts_with(b"//dev/") {
            return Source::Network(text.to_vec());
        }
        if text.starts_with(b"/") {
            return path(simplify(text));
        }
        if text.contains(&b':') {
            Source::Network(text.to_vec())
        } else {
            Source::Keyword(text.to_vec())
        }
    }

    /// The path below `/dev` that systemd's unit for this source waits for; `None` for what is no block device, and for
    /// `ID=`, which systemd 252 takes for a keyword.
    ///
    /// A `File` is not waited for either: systemd orders the mount after the filesystem that holds it.
    pub fn device_path(&self) -> Option<Vec<u8>> {
        let link = |kind: LinkKind, value: &[u8]| {
            Some(format!("/dev/disk/{}/{}", kind.directory(), udev_encode(value)).into_bytes())
        };
        match self {
            Source::Uuid(value) => link(LinkKind::Uuid, value),
            Source::Label(value) => link(LinkKind::Label, value),
            Source::PartUuid(value) => link(LinkKind::PartUuid, value),
            Source::PartLabel(value) => link(LinkKind::PartLabel, value),
            Source::DiskLink { kind, value } => link(*kind, value),
            Source::Path(path) => Some(path.clone()),
            Source::Id(_) | Source::File(_) | Source::Network(_) | Source::Keyword(_) => None,
        }
    }

    /// The filesystem UUID that this names, by tag or by link.
    pub fn uuid(&self) -> Option<&[u8]> {
        match self {
            Source::Uuid(value) | Source::DiskLink { kind: LinkKind::Uuid, value } => Some(value),
            _ => None,
        }
    }

    /// The filesystem label that this names, by tag or by link.
    pub fn label(&self) -> Option<&[u8]> {
        match self {
            Source::Label(value) | Source::DiskLink { kind: LinkKind::Label, value } => Some(value),
            _ => None,
        }
    }

    /// The partition UUID that this names, by tag or by link.
    pub fn part_uuid(&self) -> Option<&[u8]> {
        match self {
            Source::PartUuid(value) | Source::DiskLink { kind: LinkKind::PartUuid, value } => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The partition label that this names, by tag or by link.
    pub fn part_label(&self) -> Option<&[u8]> {
        match self {
            Source::PartLabel(value) | Source::DiskLink { kind: LinkKind::PartLabel, value } => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Whether both name one thing: written alike, or a tag and udev's link of the same value.
    pub fn is_same(&self, other: &Source) -> bool {
        let tag = |get: fn(&Source) -> Option<&[u8]>| {
            get(self).is_some_and(|own| get(other) == Some(own))
        };
        self == other
            || [Source::uuid, Source::label, Source::part_uuid, Source::part_label]
                .into_iter()
                .any(tag)
    }

    /// Whether this names a UUID of a filesystem or partition that is `uuid` but for the case of its letters, so that it
    /// is *not* found at boot, though its writer meant it.
    pub fn differs_in_case_only(&self, uuid: &[u8]) -> bool {
        let own = self.uuid().or_else(|| self.part_uuid());
        own.is_some_and(|own| own != uuid && own.eq_ignore_ascii_case(uuid))
    }
}

fn path(path: Vec<u8>) -> Source {
    if let Some(link) = path.strip_prefix(b"/dev/disk/") {
        for kind in LinkKind::ALL {
            let name = link
                .strip_prefix(kind.directory().as_bytes())
                .and_then(|rest| rest.strip_prefix(b"/"));
            // udev escapes what would be a slash, so that a link's name has none.
            if let Some(name) = name.filter(|name| !name.is_empty() && !name.contains(&b'/')) {
                return Source::DiskLink { kind, value: udev_decode(name) };
            }
        }
    }
    if path.starts_with(b"/dev/") { Source::Path(path) } else { Source::File(path) }
}

/// Drops repeated and trailing slashes and `.` components, as systemd's `path_simplify` does. `..` stays.
pub fn simplify(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if !out.is_empty() || path.starts_with(b"/") {
            out.push(b'/');
        }
        out.extend_from_slice(part);
    }
    if out.is_empty() && path.starts_with(b"/") {
        out.push(b'/');
    }
    out
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [open @ (b'"' | b'\''), inner @ .., close] if open == close => inner,
        _ => value,
    }
}

/// Encodes a tag's value as the name of its link below `/dev/disk`, as udev and systemd do (`encode_devnode_name`).
///
/// ASCII letters, digits and `#+-.:=@_` stay, and so does valid UTF-8 beyond ASCII; every other byte becomes `\xHH`.
pub fn udev_encode(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    let escape = |out: &mut String, byte: u8| {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    };
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte)
                    if byte.is_ascii()
                        && !byte.is_ascii_alphanumeric()
                        && !b"#+-.:=@_".contains(&byte) =>
                {
                    escape(&mut out, byte);
                }
                _ => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            escape(&mut out, byte);
        }
    }
    out
}

/// Decodes udev's `\xHH`; what is no such escape stays.
pub fn udev_decode(name: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', b'x', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            out.push(high << 4 | low);
            rest = &rest[4..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(kind: LinkKind, value: &str) -> Source {
        Source::DiskLink { kind, value: value.as_bytes().to_vec() }
    }

    #[test]
    fn each_kind() {
        let b = |s: &str| s.as_bytes().to_vec();
        for (text, want) in [
            ("UUID=A40D-85E7", Source::Uuid(b("A40D-85E7"))),
            ("UUID=\"a4\"", Source::Uuid(b("a4"))),
            ("UUID='a4'", Source::Uuid(b("a4"))),
            ("UUID=\"a4", Source::Uuid(b("\"a4"))),
            ("UUID=\"", Source::Uuid(b("\""))),
            ("uuid=a4", Source::Keyword(b("uuid=a4"))),
            ("LABEL=my disk", Source::Label(b("my disk"))),
            ("PARTUUID=abc-01", Source::PartUuid(b("abc-01"))),
            ("PARTLABEL=EFI", Source::PartLabel(b("EFI"))),
            ("ID=virtio-abc", Source::Id(b("virtio-abc"))),
            ("/dev/vdb1", Source::Path(b("/dev/vdb1"))),
            ("//dev//./vdb1/", Source::Path(b("/dev/vdb1"))),
            ("/dev/mapper/vg-lv", Source::Path(b("/dev/mapper/vg-lv"))),
            ("/dev/disk/by-uuid/a4", link(LinkKind::Uuid, "a4")),
            ("/dev/disk/by-label/my\\x20disk", link(LinkKind::Label, "my disk")),
            ("/dev/disk/by-id/virtio-abc-part1", link(LinkKind::Id, "virtio-abc-part1")),
            ("/dev/disk/by-path/pci-0", link(LinkKind::Path, "pci-0")),
            ("/dev/disk/by-partuuid/x", link(LinkKind::PartUuid, "x")),
            ("/dev/disk/by-partlabel/x", link(LinkKind::PartLabel, "x")),
            ("/dev/disk/by-other/x", Source::Path(b("/dev/disk/by-other/x"))),
            ("/dev/disk/by-uuid", Source::Path(b("/dev/disk/by-uuid"))),
            ("/devices", Source::File(b("/devices"))),
            ("/swap.img", Source::File(b("/swap.img"))),
            ("/", Source::File(b("/"))),
            ("nas:/export", Source::Network(b("nas:/export"))),
            ("[fe80::1]:/x", Source::Network(b("[fe80::1]:/x"))),
            ("//nas/share", Source::Network(b("//nas/share"))),
            ("user@host:dir", Source::Network(b("user@host:dir"))),
            ("tmpfs", Source::Keyword(b("tmpfs"))),
            ("", Source::Keyword(b(""))),
        ] {
            assert_eq!(Source::parse(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn case_is_told_not_folded() {
        let source = Source::parse(b"UUID=3E6BE9DE-8139-11D1-9106-A43F08D823A6");
        assert!(source.differs_in_case_only(b"3e6be9de-8139-11d1-9106-a43f08d823a6"));
        assert!(!source.differs_in_case_only(b"3E6BE9DE-8139-11D1-9106-A43F08D823A6"));
        assert!(!source.differs_in_case_only(b"x"));
        assert_eq!(source.uuid(), Some(&b"3E6BE9DE-8139-11D1-9106-A43F08D823A6"[..]));
    }

    #[test]
    fn devices_that_systemd_waits_for() {
        for (text, want) in [
            ("LABEL=a/b c", Some("/dev/disk/by-label/a\\x2fb\\x20c")),
            ("/dev/disk/by-label/my\\x20disk", Some("/dev/disk/by-label/my\\x20disk")),
            ("/dev//vdb1", Some("/dev/vdb1")),
            ("ID=x", None),
            ("/swapfile", None),
            ("nas:/x", None),
            ("none", None),
        ] {
            let got = Source::parse(text.as_bytes()).device_path();
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn a_tag_and_its_link_are_the_same() {
        let same =
            |a: &str, b: &str| Source::parse(a.as_bytes()).is_same(&Source::parse(b.as_bytes()));
        assert!(same("UUID=a4", "/dev/disk/by-uuid/a4"));
        assert!(same("/dev/disk/by-label/a\\x20b", "LABEL=a b"));
        assert!(same("PARTUUID=x", "/dev/disk/by-partuuid/x"));
        assert!(same("/dev/mapper/a-b", "/dev//mapper/a-b"));
        for (a, b) in [("UUID=a4", "LABEL=a4"), ("UUID=a4", "UUID=A4"), ("/dev/vda1", "/dev/vda2")]
        {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn udev_names_come_back(value: Vec<u8>) {
            let name = udev_encode(&value);
            prop_assert!(!name.contains(['/', ' ', '\n', '"']));
            prop_assert_eq!(udev_decode(name.as_bytes()), value.clone());
            if !value.is_empty() {
                let path = format!("/dev/disk/by-label/{name}");
                // "." and ".." are names that a directory cannot hold.
                if value != b"." && value != b".." {
                    prop_assert_eq!(Source::parse(path.as_bytes()), Source::DiskLink { kind: LinkKind::Label, value });
                }
            }
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            let source = Source::parse(&text);
            source.device_path();
            source.differs_in_case_only(&text);
            let simple = simplify(&text);
            prop_assert_eq!(simplify(&simple), simple);
        }
    }
}
