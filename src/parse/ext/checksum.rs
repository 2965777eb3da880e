//! The checksums of ext4's metadata: crc32c since metadata_csum, crc16 of group descriptors before.

use crate::parse::crc::castagnoli_raw;

/// What the checksums of a filesystem, or of what belongs to one inode, start from: identifiers stand in front of the
/// bytes, so that a block written to the wrong place, or left from an older filesystem, does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(pub u32);

impl Seed {
    /// The seed of a filesystem with this identifier.
    pub(super) fn of_uuid(uuid: &[u8; 16]) -> Self {
        Self(castagnoli_raw(!0, uuid))
    }

    /// Goes on with these bytes.
    pub(super) fn and(self, bytes: &[u8]) -> Self {
        Self(castagnoli_raw(self.0, bytes))
    }
}

/// CRC-16 as the kernel's lib/crc16.c: the reflected polynomial 0x8005, nothing inverted.
pub(super) fn crc16(state: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(state, |state, byte| {
        (0..8).fold(state ^ u16::from(*byte), |state, _| {
            if state & 1 == 1 { (state >> 1) ^ 0xa001 } else { state >> 1 }
        })
    })
}

/// The CRC-32 of the journal's first checksums (the kernel's crc32_be): the most significant bit first, nothing
/// inverted.
pub(super) fn crc32_be(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        let index = (state >> 24) ^ u32::from(*byte);
        (state << 8) ^ BIG_ENDIAN[(index & 0xff) as usize]
    })
}

const BIG_ENDIAN: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value >> 31 == 1 { (value << 1) ^ 0x04c1_1db7 } else { value << 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of CRC-16/ARC and CRC-32/MPEG-2 for the nine ASCII digits.
    #[test]
    fn check_values() {
        assert_eq!(crc16(0, b"123456789"), 0xbb3d);
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_e6e7);
    }
}
