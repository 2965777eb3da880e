//! The reading of getmntent(3), which systemd-fstab-generator boots by.
//!
//! Modelled on glibc 2.36 as observed; see the differences in [`super::Problem`].

use super::{Fstab, Line};
use crate::parse::fields::{is_blank, is_c_space, leading_integer};
use crate::parse::lines::LineEnding;
use crate::parse::octal;

/// How many bytes of a line, newline included, getmntent's buffer holds (4096 with the terminating NUL).
pub(super) const BUFFER: usize = 4095;

/// A line as getmntent(3) returns it. Fields that the line lacks are empty, numbers that it lacks are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mntent {
    /// `mnt_fsname`
    pub fsname: Vec<u8>,
    /// `mnt_dir`. Empty when the line has no second field; systemd then ignores the line with a warning.
    pub dir: Vec<u8>,
    /// `mnt_type`. Empty when the line has no third field; systemd then lets mount(8) find the type.
    pub fstype: Vec<u8>,
    /// `mnt_opts`
    pub opts: Vec<u8>,
    /// `mnt_freq`
    pub freq: i32,
    /// `mnt_passno`
    pub passno: i32,
}

impl Fstab {
    /// What getmntent(3) returns for this file, one call after the other, each with the number of its line.
    ///
    /// Unlike [`Line::getmntent`] this models what the function does beyond a line, by two faults. After a NUL byte
    /// ([`super::Problem::Nul`]) it swallows the following line. And where only white space follows the fourth field, as
    /// in `defaults \r\n` or at the end of a file without a newline, it reports **the numbers of the entry before**: fsck(8)
    /// then checks a filesystem whose line never asked for it.
    pub fn getmntent(&self) -> Vec<(usize, Mntent)> {
        let mut entries: Vec<(usize, Mntent)> = Vec::new();
        let mut swallowed = false;
        for line in self.lines() {
            let has_nul = line.raw.contains(&0);
            if std::mem::replace(&mut swallowed, has_nul) {
                continue;
            }
            let Some(reading) = read(line) else { continue };
            let mut entry = reading.entry;
            if reading.keeps_numbers
                && let Some((_, before)) = entries.last()
            {
                (entry.freq, entry.passno) = (before.freq, before.passno);
            }
            entries.push((line.number, entry));
        }
        entries
    }
}

impl Line {
    /// What getmntent(3) returns for this line, or `None` when it skips the line. The line alone is considered; see
    /// [`Fstab::getmntent`].
    pub fn getmntent(&self) -> Option<Mntent> {
        read(self).map(|reading| reading.entry)
    }
}

struct Reading {
    entry: Mntent,
    /// Whether the function leaves the numbers of the entry before in its buffer.
    keeps_numbers: bool,
}

fn read(line: &Line) -> Option<Reading> {
    let mut text = line.raw.clone();
    if line.ending == LineEnding::CrLf {
        text.push(b'\r');
    }
    let is_whole = line.ending != LineEnding::None && text.len() < BUFFER && !text.contains(&0);
    text.truncate(BUFFER);
    if let Some(nul) = text.iter().position(|&b| b == 0) {
        text.truncate(nul);
    }
    // Blanks at the end are dropped together with the newline, so only where there is one.
    while is_whole && text.last().is_some_and(|&b| is_blank(b)) {
        text.pop();
    }
    let mut rest = skip(&text, is_blank);
    if rest.is_empty() || rest.starts_with(b"#") {
        return None;
    }
    let mut is_separated = false;
    let mut word = || {
        let end = rest.iter().position(|&b| is_blank(b)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        is_separated = !after.is_empty();
        rest = skip(after, is_blank);
        octal::decode_getmntent(word)
    };
    let (fsname, dir, fstype, opts) = (word(), word(), word(), word());
    // The numbers are scanned as " %d %d ", so that they need not be fields: "1+2" is 1 and 2.
    let keeps_numbers = is_separated && rest.iter().all(|&b| is_c_space(b));
    let freq = leading_integer(rest);
    let passno = freq.and_then(|(_, used)| leading_integer(skip(&rest[used..], is_c_space)));
    let as_int = |number: Option<(i64, usize)>| number.map_or(0, |(value, _)| value as i32);
    let entry = Mntent { fsname, dir, fstype, opts, freq: as_int(freq), passno: as_int(passno) };
    Some(Reading { entry, keeps_numbers })
}

fn skip(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let start = text.iter().position(|&b| !is_skipped(b)).unwrap_or(text.len());
    &text[start..]
}
