//! The reading of getmntent(3), which systemd-fstab-generator boots by.
//!
//! Modelled on glibc 2.36 as observed; see the differences in [`super::Problem`].

use super::Line;
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

impl Line {
    /// What getmntent(3) returns for this line, or `None` when it skips the line.
    ///
    /// A line alone is considered. The real function also looks beyond it, by two faults: after a NUL byte
    /// ([`super::Problem::Nul`]) it swallows the following line, and for a file that ends in a blank instead of a newline
    /// it reports the numbers of the entry before.
    pub fn getmntent(&self) -> Option<Mntent> {
        let mut text = self.raw.clone();
        if self.ending == LineEnding::CrLf {
            text.push(b'\r');
        }
        text.truncate(BUFFER);
        if let Some(nul) = text.iter().position(|&b| b == 0) {
            text.truncate(nul);
        }
        let mut rest = skip(&text, is_blank);
        if rest.is_empty() || rest.starts_with(b"#") {
            return None;
        }
        let mut word = || {
            let end = rest.iter().position(|&b| is_blank(b)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = skip(after, is_blank);
            octal::decode_getmntent(word)
        };
        let (fsname, dir, fstype, opts) = (word(), word(), word(), word());
        // The numbers are scanned as " %d %d ", so that they need not be fields: "1+2" is 1 and 2.
        let freq = leading_integer(rest);
        let passno = freq.and_then(|(_, used)| leading_integer(skip(&rest[used..], is_c_space)));
        let as_int = |number: Option<(i64, usize)>| number.map_or(0, |(value, _)| value as i32);
        Some(Mntent { fsname, dir, fstype, opts, freq: as_int(freq), passno: as_int(passno) })
    }
}

fn skip(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let start = text.iter().position(|&b| !is_skipped(b)).unwrap_or(text.len());
    &text[start..]
}
