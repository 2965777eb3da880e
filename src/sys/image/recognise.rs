//! Which container a file is, by its first and last bytes: pure.

use super::tar;
use super::vhd::{self, Footer, Kind};

/// How many of a file's first bytes are looked at.
pub(super) const HEAD: usize = 1024;

/// What a file is by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing that is known here, so a raw disk.
    Raw,
    /// A fixed VHD with a disk of so many bytes.
    FixedVhd(u64),
    /// What qemu-img converts.
    Foreign(Foreign),
    /// A tar archive.
    Tar,
    /// Compressed with gzip.
    Gzip,
    /// Packed otherwise.
    Packed {
        /// What with, as a person calls it.
        with: &'static str,
        /// The command that unpacks it, before the file's name.
        unpack: &'static str,
    },
}

/// The formats that keep a disk's blocks in tables of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    Qcow2,
    DynamicVhd,
    Vhdx,
    Vmdk,
    Vdi,
}

impl Foreign {
    /// Its name for `qemu-img -f`.
    pub(super) fn driver(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::DynamicVhd => "vpc",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
        }
    }
}

/// Files that are packed with something that is not unpacked here, by their first bytes.
const PACKED: &[(&[u8], &str, &str)] = &[
    (b"\xfd7zXZ\0", "xz", "xz --decompress --keep"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd --decompress"),
    (b"BZh91AY&SY", "bzip2", "bzip2 --decompress --keep"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
];

/// Say what a file is. `head` are its first [`HEAD`] bytes and `tail` its last [`vhd::FOOTER`],
/// or all of it where it has fewer, and `size` is its size in bytes. What is wrong with a file
/// that is recognised and cannot be used is a whole clause.
pub(super) fn recognise(head: &[u8], tail: &[u8], size: u64) -> Result<Format, String> {
    for (magic, with, unpack) in PACKED {
        if head.starts_with(magic) {
            return Ok(Format::Packed { with, unpack });
        }
    }
    if head.starts_with(b"QFI\xfb") {
        return Ok(Format::Foreign(Foreign::Qcow2));
    }
    if head.starts_with(b"KDMV") {
        return Ok(Format::Foreign(Foreign::Vmdk));
    }
    if head.starts_with(b"COWD") || is_vmdk_descriptor(head) {
        let cause = "it is a VMDK that names other files, in which the disk's content lies";
        return Err(cause.to_owned());
    }
    if head.starts_with(b"vhdxfile") {
        return Ok(Format::Foreign(Foreign::Vhdx));
    }
    if head.get(0x40..0x44) == Some(&0xbeda_107f_u32.to_le_bytes()) {
        return Ok(Format::Foreign(Foreign::Vdi));
    }
    if head.starts_with(b"\x1f\x8b\x08") {
        return Ok(Format::Gzip);
    }
    if tar::is_header(head) {
        return Ok(Format::Tar);
    }
    // The copy of a dynamic disk's footer comes first: what is cut off at its end still has it.
    for (bytes, at_end) in [(head, false), (tail, true)] {
        if bytes.starts_with(vhd::COOKIE) {
            let footer = vhd::footer(bytes)?;
            if !tail.starts_with(vhd::COOKIE) {
                return Err("it is a VHD that is cut off: it ends without its footer".to_owned());
            }
            return vhd_format(footer, at_end, size);
        }
    }
    Ok(Format::Raw)
}

fn vhd_format(footer: Footer, at_end: bool, size: u64) -> Result<Format, String> {
    match footer.kind {
        Kind::Differencing => {
            Err("it is a differencing VHD, whose content lies partly in another file".to_owned())
        }
        Kind::Dynamic => Ok(Format::Foreign(Foreign::DynamicVhd)),
        Kind::Fixed if !at_end => {
            Err("it begins with the footer of a fixed VHD, which stands at the end of one"
                .to_owned())
        }
        Kind::Fixed => {
            let room = size.saturating_sub(vhd::FOOTER as u64);
            if footer.size == 0 || footer.size > room {
                let told = footer.size;
                return Err(format!(
                    "its VHD footer tells of a disk of {told} bytes, and there are {room}"
                ));
            }
            Ok(Format::FixedVhd(footer.size))
        }
    }
}

/// The text that names the files of a VMDK: comments and settings, the first of them this one.
fn is_vmdk_descriptor(head: &[u8]) -> bool {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let title = b"# disk descriptorfile";
    head[start..].get(..title.len()).is_some_and(|text| text.eq_ignore_ascii_case(title))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        let format = |head: &[u8]| recognise(head, b"", head.len() as u64);
        assert_eq!(format(b"QFI\xfb"), Ok(Format::Foreign(Foreign::Qcow2)));
        assert_eq!(format(b"vhdxfile"), Ok(Format::Foreign(Foreign::Vhdx)));
        assert_eq!(format(b"\x1f\x8b\x08"), Ok(Format::Gzip));
        assert_eq!(format(b"\x1f\x8b"), Ok(Format::Raw));
        assert_eq!(format(&[0; HEAD]), Ok(Format::Raw));
        assert_eq!(format(b"BZh9, a disk that begins so"), Ok(Format::Raw));
        assert!(format(b"COWD").is_err());
        assert!(format(b"\n# disk DescriptorFile\n").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_recognised_or_refused(
            head in prop::collection::vec(any::<u8>(), 0..HEAD),
            tail in prop::collection::vec(any::<u8>(), 0..600),
            footer in any::<bool>(),
            size in any::<u64>(),
        ) {
            let tail = if footer { [vhd::COOKIE, &tail].concat() } else { tail };
            let _ = recognise(&head, &tail, size);
        }
    }
}
