//! Cuts what is read into blocks of whole documents.
//!
//! A document begins where a line begins with `{`. That holds for one document a line as for indented ones, ours and
//! those of jq, whose inner lines begin with a space; so a file may hold either, or both, and a broken document ends
//! where the next begins.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use memchr::{memchr_iter, memrchr_iter};

/// What a thread takes at a time: long enough that taking it costs nothing, short enough to lie in a cache.
const BLOCK: usize = 512 << 10;
/// A document that is longer is none of ours: a report has some ten KiB.
const LONGEST: usize = 16 << 20;

/// Something to read, with the name that messages use.
pub struct Input {
    /// A path, or what stands for standard input.
    pub name: String,
    /// Its bytes, plain or compressed by gzip or zstd; or why it could not be opened.
    pub reader: io::Result<Box<dyn Read + Send>>,
}

/// Where a block comes from.
pub(super) struct Block {
    /// Its number among all blocks.
    pub number: u64,
    /// The input's name.
    pub source: Arc<str>,
    /// The number of its first line there, from 1.
    pub line: u64,
    /// Why the input ends with it, where that is not its end.
    pub fault: Option<String>,
}

/// All blocks of all inputs.
pub(super) struct Blocks<I> {
    inputs: I,
    open: Option<Open>,
    number: u64,
}

struct Open {
    source: Arc<str>,
    reader: Box<dyn Read + Send>,
    /// What was read beyond the last block.
    rest: Vec<u8>,
    line: u64,
}

impl<I: Iterator<Item = Input>> Blocks<I> {
    pub(super) fn new(inputs: I) -> Self {
        Self { inputs, open: None, number: 0 }
    }

    /// The next block, read into a buffer; none at the end.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Block> {
        buffer.clear();
        let number = self.number;
        if self.open.is_none() {
            let input = self.inputs.next()?;
            let source: Arc<str> = input.name.into();
            match input.reader.and_then(unpacked) {
                Ok(reader) => {
                    self.open = Some(Open { source, reader, rest: Vec::new(), line: 1 });
                }
                Err(e) => {
                    let fault = Some(format!("cannot read it: {}", without_number(&e)));
                    self.number += 1;
                    return Some(Block { number, source, line: 0, fault });
                }
            }
        }
        self.number += 1;
        let open = self.open.as_mut()?;
        let (source, line) = (Arc::clone(&open.source), open.line);
        let (fault, is_end) = match open.fill(buffer) {
            Ok(is_end) => (None, is_end),
            Err(e) => (Some(format!("cannot read on: {}", without_number(&e))), true),
        };
        if is_end {
            self.open = None;
        }
        Some(Block { number, source, line, fault })
    }
}

impl Open {
    /// Read up to the begin of a document that is left for the next block, or to the end.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        std::mem::swap(buffer, &mut self.rest);
        self.rest.clear();
        let mut wanted = BLOCK;
        loop {
            let missing = wanted.saturating_sub(buffer.len()) as u64;
            let read = self.reader.by_ref().take(missing).read_to_end(buffer)?;
            if (read as u64) < missing {
                return Ok(true);
            }
            if let Some(at) = last_begin(buffer) {
                self.rest.extend_from_slice(&buffer[at..]);
                buffer.truncate(at);
                self.line += memchr_iter(b'\n', buffer).count() as u64;
                return Ok(false);
            }
            if wanted >= LONGEST {
                buffer.clear();
                let why = format!("a document is longer than {} MiB", LONGEST >> 20);
                return Err(io::Error::other(why));
            }
            wanted *= 2;
        }
    }
}

/// Where the last document begins, unless that is the first byte.
fn last_begin(buffer: &[u8]) -> Option<usize> {
    memrchr_iter(b'\n', buffer).map(|at| at + 1).find(|at| buffer.get(*at) == Some(&b'{'))
}

/// An error's words, without the number that says the same.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_owned()
}

/// The bytes that compressed ones stand for, told by their magic.
fn unpacked(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let packed = BufReader::with_capacity(64 << 10, Cursor::new(head.clone()).chain(reader));
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        _ => Box::new(packed),
    })
}

/// The documents of a block, each with the number of its first line, and lines that belong to none.
pub(super) fn documents(block: &[u8], first_line: u64) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut line) = (0, first_line);
    std::iter::from_fn(move || {
        let rest = block.get(at..).filter(|rest| !rest.is_empty())?;
        let (mut end, mut lines) = (rest.len(), 0);
        for newline in memchr_iter(b'\n', rest) {
            lines += 1;
            // What begins with another byte is a line by itself.
            if rest[0] != b'{' || rest.get(newline + 1) == Some(&b'{') {
                end = newline + 1;
                break;
            }
        }
        let document = (line, &rest[..end]);
        at += end;
        line += lines;
        Some(document)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// Gives as little at a time as it was made for.
    struct Slow(Cursor<Vec<u8>>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn input(bytes: Vec<u8>, step: usize) -> Input {
        Input { name: "x".to_owned(), reader: Ok(Box::new(Slow(Cursor::new(bytes), step))) }
    }

    fn all(bytes: Vec<u8>, step: usize) -> Vec<(u64, Vec<u8>)> {
        let mut blocks = Blocks::new(std::iter::once(input(bytes, step)));
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        while let Some(block) = blocks.next(&mut buffer) {
            assert_eq!(block.fault, None);
            found.extend(documents(&buffer, block.line).map(|(line, text)| (line, text.to_vec())));
        }
        found
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    proptest! {
        /// However it is packed, cut and handed over: the same documents at the same lines, and no byte lost.
        #[test]
        fn nothing_is_lost_at_a_cut(
            parts in proptest::collection::vec("(\\{[a-z\n ]{0,9}|[a-z ]{0,5})\n", 0..40),
            repeat in 1_usize..3000,
            step in 1_usize..100_000,
        ) {
            let text = parts.concat().repeat(repeat).into_bytes();
            let expected: Vec<(u64, Vec<u8>)> =
                documents(&text, 1).map(|(line, part)| (line, part.to_vec())).collect();
            let whole: Vec<u8> = expected.iter().flat_map(|(_, part)| part.clone()).collect();
            prop_assert_eq!(&whole, &text);
            let lines = |part: &[u8]| part.iter().filter(|byte| **byte == b'\n').count() as u64;
            let mut line = 1;
            for (at, part) in &expected {
                prop_assert_eq!(*at, line);
                line += lines(part);
            }
            prop_assert_eq!(&all(text.clone(), step.max(repeat)), &expected);
            prop_assert_eq!(&all(gzip(&text), 100_000), &expected);
            prop_assert_eq!(&all(zstd::encode_all(text.as_slice(), 1).unwrap(), 100_000), &expected);
        }
    }

    #[test]
    fn members_of_gzip_follow_each_other() {
        let packed = [gzip(b"{1}\n"), gzip(b"{2}\n")].concat();
        assert_eq!(all(packed, 7), [(1, b"{1}\n".to_vec()), (2, b"{2}\n".to_vec())]);
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_said() {
        let mut blocks = Blocks::new(
            [vec![b'x'; LONGEST + 1], gzip(&[b'{'; 4000])[..20].to_vec()]
                .map(|bytes| input(bytes, 1 << 20))
                .into_iter(),
        );
        let mut buffer = Vec::new();
        let fault = blocks.next(&mut buffer).unwrap().fault.unwrap();
        assert_eq!(fault, "cannot read on: a document is longer than 16 MiB");
        assert!(blocks.next(&mut buffer).unwrap().fault.is_some());
        assert!(blocks.next(&mut buffer).is_none());
    }
}
