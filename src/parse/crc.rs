//! The two 32-bit cyclic redundancy checks of the on-disk formats.
//!
//! For the other modules of `parse`. Both are the reflected form: GPT and LVM use the polynomial of IEEE 802.3, ext4,
//! XFS and btrfs that of Castagnoli (RFC 3720, B.4). The formats differ in what they start from and in whether they
//! invert the result, so `update` does neither. A superblock is a few KiB; a table a byte is fast enough.

const IEEE: [u32; 256] = table(0xedb8_8320);
const CASTAGNOLI: [u32; 256] = table(0x82f6_3b78);

const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ polynomial } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

fn update(table: &[u32; 256], state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, byte| {
        let index = (state ^ u32::from(*byte)) & 0xff;
        (state >> 8) ^ table[index as usize]
    })
}

/// Continues a CRC-32 (IEEE) from `state`, inverting nothing.
pub(super) fn ieee_raw(state: u32, bytes: &[u8]) -> u32 {
    update(&IEEE, state, bytes)
}

/// The CRC-32 of GPT and of tokens that carry one: starts from all ones, inverted at the end.
pub fn ieee(bytes: &[u8]) -> u32 {
    !update(&IEEE, !0, bytes)
}

/// Continues a CRC-32C from `state`, inverting nothing.
pub(super) fn castagnoli_raw(state: u32, bytes: &[u8]) -> u32 {
    update(&CASTAGNOLI, state, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms for the nine ASCII digits.
    #[test]
    fn check_values() {
        assert_eq!(ieee(b"123456789"), 0xcbf4_3926);
        assert_eq!(!castagnoli_raw(!0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_checksum_can_be_continued() {
        assert_eq!(ieee_raw(ieee_raw(!0, b"1234"), b"56789"), !0xcbf4_3926);
        assert_eq!(castagnoli_raw(castagnoli_raw(!0, b"1234"), b"56789"), !0xe306_9283);
    }
}
