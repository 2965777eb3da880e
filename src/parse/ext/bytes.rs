//! Fixed pieces of a slice whose length only the disk knows.

use std::io;

/// Bytes of a filesystem at offsets from its start.
pub trait ReadAt {
    /// Fills the whole buffer from `offset`.
    ///
    /// # Errors
    /// The buffer could not be filled: the bytes lie beyond the end, or the medium failed.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buffer)
    }
}

/// The `N` bytes at `at`. None if they are not all there.
pub(super) fn piece<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// The little-endian 32 bits at `at`. None if they are not all there.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    piece(bytes, at).map(|piece| u32::from_le_bytes(*piece))
}

/// A length on a machine where it fits in memory.
pub(super) fn length(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_end() {
        let bytes = vec![1, 2, 3, 4, 5];
        assert_eq!(word(&bytes, 1), Some(0x0504_0302));
        assert_eq!(word(&bytes, 2), None);
        assert_eq!(word(&bytes, usize::MAX), None);
        let mut two = [0; 2];
        assert!(bytes.read_at(3, &mut two).is_ok() && two == [4, 5]);
        assert!(bytes.read_at(4, &mut two).is_err());
        assert!(bytes.read_at(u64::MAX, &mut two).is_err());
    }
}
