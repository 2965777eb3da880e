//! The legacy frame of lz4, which is the one that the kernel reads: a magic number, then blocks of
//! up to 8 MiB, each behind its compressed size in four bytes, to the end of the file or to a
//! number that can be no size. Rule: doc/lz4_Frame_format.md of lz4, lib/decompress_unlz4.c of the
//! kernel.

use std::io::{self, BufRead, Read};

use super::read_up_to;

const MAGIC: u32 = 0x184c_2102;

/// A block decompresses to this at most, and to exactly this but for the last.
const BLOCK: usize = 8 << 20;

/// The most that lz4 makes of a block that cannot be compressed.
const MAX_COMPRESSED: u32 = (BLOCK + BLOCK / 255 + 16) as u32;

/// Decompresses frames, one behind another.
pub struct Decoder<R> {
    input: R,
    /// Room for a block. It is made once: a hostile frame has millions of blocks of one byte.
    block: Vec<u8>,
    /// How much of it the block fills.
    length: usize,
    /// How much of the block was handed on.
    given: usize,
}

impl<R: BufRead> Decoder<R> {
    pub fn new(input: R) -> Self {
        Self { input, block: Vec::new(), length: 0, given: 0 }
    }

    /// Decompress the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let size = loop {
            // A size of zero is padding behind the frame (KERNEL(6.7) says so too).
            let mut word = [0; 4];
            match read_up_to(&mut self.input, &mut word)? {
                0 => return Ok(false),
                4 => match u32::from_le_bytes(word) {
                    MAGIC => {}
                    0 => return Ok(false),
                    size if size <= MAX_COMPRESSED => break size,
                    _ => return Err(invalid("a block is larger than lz4 makes any")),
                },
                _ if word == [0; 4] => return Ok(false),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        let mut compressed = Vec::new();
        (&mut self.input).take(size.into()).read_to_end(&mut compressed)?;
        if compressed.len() as u64 != u64::from(size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.block.resize(BLOCK, 0);
        self.length = lz4_flex::block::decompress_into(&compressed, &mut self.block)
            .map_err(|error| invalid(&error.to_string()))?;
        self.given = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.length {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let part = &self.block[self.given..self.length];
        let length = part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&part[..length]);
        self.given += length;
        Ok(length)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
