//! What one thread of a scan does with each file.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use regex_automata::Span;

use super::finding::{Location, Raw, Secret};
use super::packing::{self, HEAD, Packing};
use super::rules::{InFile, REACH, Rules, Scratch};
use super::trust::Trusted;
use crate::model::{ByteString, GuestPath};
use crate::sys::{OpenFile, Piece, Reads};

/// What is searched at once: what fits in the processor's second cache, with the file's copy.
const WINDOW: usize = 256 * 1024;
/// In so many bytes at a file's beginning a zero says that it is no text, as grep and git judge.
const TEXT_HEAD: usize = 8 * 1024;
/// An archive in an archive in an archive is read; what lies deeper is named as unread.
const MAX_DEPTH: usize = 4;
/// So much a thread may keep of what it unpacked to unpack more: the window of `xz -6` and `zstd -19`.
/// What needs more is unpacked by one thread at a time, lest each of many threads take the most.
const SMALL_DICTIONARY: u64 = 8 << 20;
/// A file with more is a list that somebody made of them, and would fill the memory.
const MAX_FOUND: usize = 1000;

/// What a scan is held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A file that takes more bytes on the disk, or unpacks to more, is named as unread.
    pub max_file_size: u64,
    /// Whether archives and compressed files are read inside.
    pub unpacks: bool,
}

/// A thread's scanner, and what it found.
pub(super) struct Scanner<'r> {
    rules: &'r Rules,
    trusted: Option<&'r Trusted>,
    limits: Limits,
    /// Whose turn it is to unpack what needs much memory.
    turn: &'r Mutex<()>,
    /// Whether it is this thread's.
    has_turn: bool,
    scratch: Scratch,
    buffer: Vec<u8>,
    /// What was found in the window that is searched.
    window: Vec<(Span, usize)>,
    /// How many findings the files before this one have.
    of_file: usize,
    pub found: Vec<Raw>,
    pub unread: Vec<(GuestPath, String)>,
    pub trusted_files: u64,
}

/// Where a text comes from.
struct Place<'a> {
    path: &'a [u8],
    inside: Vec<ByteString>,
    inode: Option<(u64, u64)>,
}

impl Place<'_> {
    /// The name that the text itself has.
    fn name(&self) -> &[u8] {
        let name = self.inside.last().map_or(self.path, ByteString::as_bytes);
        let compressed = [&b".gz"[..], b".xz", b".zst", b".bz2"];
        compressed.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name)
    }
}

/// Something that is read piece by piece.
trait Source {
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<Piece>;
}

impl Source for OpenFile<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<Piece> {
        OpenFile::next(self, buffer)
    }
}

/// What comes out of an archive, up to what a file may unpack to.
struct Unpacked<'a> {
    inner: &'a mut dyn Read,
    left: &'a Cell<u64>,
}

impl Source for Unpacked<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<Piece> {
        Ok(Piece { skipped: 0, length: self.read(buffer)? })
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.unwrap_or(0));
        left.map(|_| read).ok_or_else(|| io::Error::other("it unpacks to more than is allowed"))
    }
}

impl<'r> Scanner<'r> {
    pub fn new(
        rules: &'r Rules,
        trusted: Option<&'r Trusted>,
        limits: Limits,
        turn: &'r Mutex<()>,
    ) -> Self {
        Self {
            rules,
            trusted,
            limits,
            turn,
            has_turn: false,
            scratch: rules.scratch(),
            buffer: vec![0; WINDOW],
            window: Vec::new(),
            of_file: 0,
            found: Vec::new(),
            unread: Vec::new(),
            trusted_files: 0,
        }
    }

    fn scan(&mut self, file: &mut OpenFile) -> io::Result<()> {
        let place = Place { path: file.path(), inside: Vec::new(), inode: file.shared_inode() };
        let (filled, skipped) = fill(file, &mut self.buffer, 0)?;
        let packing = Packing::of(&self.buffer[..filled.min(HEAD)]);
        if let Some(packing) = packing.filter(|_| self.limits.unpacks && skipped == 0) {
            let head = self.buffer[..filled].to_vec();
            let left = Cell::new(self.limits.max_file_size);
            let mut packed = head.chain(&mut *file);
            match self.unpack(packing, &mut packed, &place, &left, 1) {
                Ok(()) => return Ok(()),
                // It only begins like an archive.
                Err(error) if !is_archive(&error) && left.get() == self.limits.max_file_size => {
                    file.rewind()?;
                    let (filled, skipped) = fill(file, &mut self.buffer, 0)?;
                    return self.text(file, filled, skipped, &place);
                }
                Err(error) => return Err(error),
            }
        }
        self.text(file, filled, skipped, &place)
    }

    /// Look into what is packed.
    fn unpack(
        &mut self,
        packing: Packing,
        packed: &mut dyn Read,
        place: &Place,
        left: &Cell<u64>,
        depth: usize,
    ) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("archives lie too deep in each other"));
        }
        match packing {
            Packing::Tar | Packing::Zip => {
                let mut broken = None;
                let mut each = |name: ByteString, content: &mut dyn Read| {
                    let mut inside = place.inside.clone();
                    inside.push(name);
                    let member = Place { path: place.path, inside, inode: place.inode };
                    if broken.is_none()
                        && let Err(error) = self.member(content, &member, left, depth)
                    {
                        broken = Some(error);
                    }
                };
                let read = match packing {
                    Packing::Tar => packing::tar(packed, &mut each),
                    _ => packing::zip(packed, &mut each),
                };
                broken.map_or(read, Err)
            }
            _ if packing.dictionary() > SMALL_DICTIONARY => {
                if self.has_turn {
                    let cause = "what is packed in it needs too much memory beside it";
                    return Err(io::Error::new(io::ErrorKind::OutOfMemory, cause));
                }
                let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                self.has_turn = true;
                let read = self.unpack_one(packing, packed, place, left, depth);
                self.has_turn = false;
                read
            }
            _ => self.unpack_one(packing, packed, place, left, depth),
        }
    }

    /// Look into what is compressed and has no members.
    fn unpack_one(
        &mut self,
        packing: Packing,
        packed: &mut dyn Read,
        place: &Place,
        left: &Cell<u64>,
        depth: usize,
    ) -> io::Result<()> {
        match packing.unpacked(packed)? {
            Some(mut content) => self.member(&mut content, place, left, depth),
            None => Ok(()),
        }
    }

    /// What one member unpacks to.
    fn member(
        &mut self,
        content: &mut dyn Read,
        place: &Place,
        left: &Cell<u64>,
        depth: usize,
    ) -> io::Result<()> {
        let mut source = Unpacked { inner: content, left };
        let (filled, _) = fill(&mut source, &mut self.buffer, 0)?;
        match Packing::of(&self.buffer[..filled.min(HEAD)]) {
            Some(packing) => {
                let head = self.buffer[..filled].to_vec();
                self.unpack(packing, &mut head.chain(source), place, left, depth + 1)
            }
            None => self.text(&mut source, filled, 0, place),
        }
    }

    /// Search a text whose first bytes are in the buffer, behind so many that were skipped.
    fn text(
        &mut self,
        source: &mut dyn Source,
        mut filled: usize,
        skipped: u64,
        place: &Place,
    ) -> io::Result<()> {
        let head = &self.buffer[..filled.min(TEXT_HEAD)];
        let is_text = skipped == 0 && memchr::memchr(0, head).is_none();
        let mut line = LineCount { line: 1, column: 1 };
        line.skip(skipped);
        let mut from = 0;
        loop {
            // What could reach beyond the window is left for the next, but at the end.
            let is_last = filled < self.buffer.len();
            let until = if is_last { filled } else { filled - REACH };
            self.search(from..until, filled, is_text, place, line)?;
            if is_last {
                return Ok(());
            }
            // A byte before what is searched next says whether a word begins there.
            let kept = until - 1;
            from = 1;
            line.pass(&self.buffer[..kept]);
            self.buffer.copy_within(kept..filled, 0);
            let skipped;
            (filled, skipped) = fill(source, &mut self.buffer, filled - kept)?;
            line.skip(skipped);
        }
    }

    /// Search a range of the buffer, which holds more behind it.
    fn search(
        &mut self,
        range: Range<usize>,
        filled: usize,
        is_text: bool,
        place: &Place,
        mut line: LineCount,
    ) -> io::Result<()> {
        let Self { rules, scratch, buffer, window, .. } = self;
        let text = &buffer[..filled];
        let file = InFile { path: place.path, name: place.name(), is_text };
        window.clear();
        rules.candidates(text, Span::from(range), |at| {
            match rules.matches(scratch, text, at, &file) {
                Some(found) => {
                    window.push((found.secret, found.rule));
                    found.end
                }
                None => at,
            }
        });
        // Of what overlaps, the rule that stands first says what it is.
        window.sort_by_key(|(secret, rule)| (*rule, secret.start));
        let mut kept: Vec<(Span, usize)> = Vec::new();
        for (secret, rule) in window.drain(..) {
            if !kept.iter().any(|(other, _)| secret.start < other.end && other.start < secret.end) {
                kept.push((secret, rule));
            }
        }
        kept.sort_by_key(|(secret, _)| secret.start);
        let mut counted = 0;
        for (span, rule) in kept {
            line.pass(&text[counted..span.start]);
            counted = span.start;
            let secret = Secret::new(&text[span]);
            self.found.push(Raw {
                at: Location {
                    path: GuestPath::new(place.path),
                    inside: place.inside.clone(),
                    line: line.line,
                    column: line.column,
                },
                rule,
                mask: secret.mask(),
                digest: (!rules.rules()[rule].guessable).then(|| secret.digest()),
                inode: place.inode,
            });
        }
        if self.found.len() - self.of_file > MAX_FOUND {
            let cause =
                format!("it holds more than {MAX_FOUND} secrets; the rest was not looked for");
            return Err(io::Error::other(cause));
        }
        Ok(())
    }
}

/// Line and column of the byte that comes next, both from 1.
#[derive(Clone, Copy, Debug)]
struct LineCount {
    line: u64,
    column: u64,
}

impl LineCount {
    fn pass(&mut self, text: &[u8]) {
        let newlines = memchr::memchr_iter(b'\n', text).count() as u64;
        self.line += newlines;
        self.column = match memchr::memrchr(b'\n', text) {
            Some(last) => (text.len() - last) as u64,
            None => self.column + text.len() as u64,
        };
    }

    fn skip(&mut self, zeros: u64) {
        self.column += zeros;
    }
}

/// Fill a buffer behind what it holds; how much it holds then, and how long the holes are that were
/// passed over. A buffer that is not full says that the end is reached.
fn fill(source: &mut dyn Source, buffer: &mut [u8], held: usize) -> io::Result<(usize, u64)> {
    let mut filled = held;
    let mut skipped = 0;
    while filled < buffer.len() {
        let piece = source.next(&mut buffer[filled..])?;
        skipped += piece.skipped;
        if piece.length == 0 {
            break;
        }
        filled += piece.length;
    }
    Ok((filled, skipped))
}

impl Reads for Scanner<'_> {
    fn may_skip(&self, path: &[u8]) -> bool {
        self.trusted.is_some_and(|trusted| trusted.owns(path))
    }

    fn skips(&mut self, path: &[u8], changed: i64) -> bool {
        let is_as_unpacked = self.trusted.is_some_and(|t| t.is_as_unpacked(path, changed));
        self.trusted_files += u64::from(is_as_unpacked);
        is_as_unpacked
    }

    fn file(&mut self, file: &mut OpenFile) {
        if file.allocated() > self.limits.max_file_size {
            let cause = format!("it has more than {} bytes", self.limits.max_file_size);
            self.unread(file.path(), &cannot_read(file.path(), &cause));
            return;
        }
        self.of_file = self.found.len();
        self.has_turn = false; // A scan that broke may have left it.
        for attempt in 0.. {
            self.found.truncate(self.of_file);
            // A panic says where it happened in the program; what it says of the file is kept back.
            let scanned = catch_unwind(AssertUnwindSafe(|| self.scan(file)))
                .unwrap_or_else(|_| Err(io::Error::other("the scan broke; please report this")));
            // A file that fits in one read was read at one time.
            let is_small = file.size() <= WINDOW as u64 && file.is_at_end();
            let changed = !is_small && file.has_changed().unwrap_or(true);
            match (scanned, changed) {
                (Ok(()), false) => break,
                (_, true) if attempt == 0 && file.rewind().is_ok() => {}
                (Ok(()), true) => {
                    self.unread(
                        file.path(),
                        &cannot_read(file.path(), "it changes while it is read"),
                    );
                    break;
                }
                (Err(error), _) => {
                    self.unread(file.path(), &cannot_read(file.path(), &error.to_string()));
                    break;
                }
            }
        }
        if self.found.len() > self.of_file
            && self.trusted.is_some_and(|trusted| trusted.confirms(file))
        {
            self.found.truncate(self.of_file);
            self.trusted_files += 1;
        }
    }

    fn unread(&mut self, path: &[u8], why: &str) {
        self.unread.push((GuestPath::new(path), why.to_owned()));
    }
}

/// Whether an error is of a sound archive that cannot be read.
fn is_archive(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::Unsupported)
}

fn cannot_read(path: &[u8], cause: &str) -> String {
    format!("cannot read {}: {cause}", GuestPath::new(path))
}
