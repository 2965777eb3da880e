//! The footer of a VHD, 512 bytes at its end: pure.
//!
//! Source: Virtual Hard Disk Image Format Specification 1.0 (Microsoft, 2006), "Hard Disk Footer
//! Format".

/// The size of a footer in bytes.
pub(super) const FOOTER: usize = 512;

/// The first bytes of a footer, and of the copy that a dynamic disk begins with.
pub(super) const COOKIE: &[u8] = b"conectix";

/// What kind of disk a footer describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The disk's bytes, then the footer.
    Fixed,
    /// Blocks in a table.
    Dynamic,
    /// As dynamic, and what it does not hold lies in another file.
    Differencing,
}

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) kind: Kind,
    /// The disk's size in bytes.
    pub(super) size: u64,
}

/// Read a footer; what is wrong with it is a whole clause.
pub(super) fn footer(bytes: &[u8]) -> Result<Footer, String> {
    let Some(bytes) = bytes.first_chunk::<FOOTER>() else {
        return Err("its VHD footer is cut off".to_owned());
    };
    // The one's complement of the sum of all bytes but the checksum's own.
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let own: u32 = bytes[64..68].iter().map(|byte| u32::from(*byte)).sum();
    if !(sum - own) != big_endian_32(&bytes[64..]) {
        return Err("the checksum of its VHD footer is wrong, so it is damaged".to_owned());
    }
    let kind = match big_endian_32(&bytes[60..]) {
        2 => Kind::Fixed,
        3 => Kind::Dynamic,
        4 => Kind::Differencing,
        other => return Err(format!("its VHD footer names an unknown disk type, {other}")),
    };
    Ok(Footer { kind, size: big_endian_64(&bytes[48..]) })
}

fn big_endian_32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn big_endian_64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_by_the_specification() {
        let mut bytes = [0; FOOTER];
        bytes[..8].copy_from_slice(COOKIE);
        bytes[48..56].copy_from_slice(&(5_u64 << 30).to_be_bytes());
        bytes[60..64].copy_from_slice(&2_u32.to_be_bytes());
        let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
        bytes[64..68].copy_from_slice(&(!sum).to_be_bytes());
        assert_eq!(footer(&bytes), Ok(Footer { kind: Kind::Fixed, size: 5 << 30 }));
        footer(&bytes[..511]).unwrap_err();
        for at in 0..FOOTER {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert!(footer(&damaged).is_err(), "byte {at}");
        }
    }
}
