//! /proc/swaps (proc(5)).
//!
//! Read only: the kernel writes the file, nobody edits it. A line that cannot be read does not hide the others.

use super::fields::{self, is_blank, leading_integer, unsigned};
use super::lines::{self, LineError};
use super::octal;

/// The swaps in use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swaps {
    /// The swaps that could be read.
    pub swaps: Vec<Swap>,
    /// The lines that could not.
    pub errors: Vec<LineError>,
}

/// One swap in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The line's number, from 1; the first line is the heading.
    pub line: usize,
    /// The path, decoded, without the mark of a deleted file.
    pub path: Vec<u8>,
    /// Whether the file was removed after swapon(8).
    pub deleted: bool,
    /// What the path is.
    pub kind: SwapKind,
    /// The size in KiB.
    pub size_kib: u64,
    /// How much of it is in use, in KiB.
    pub used_kib: u64,
    /// The priority; negative unless it was set.
    pub priority: i32,
}

/// What a swap lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapKind {
    /// A block device.
    Partition,
    /// A file.
    File,
}

impl Swaps {
    /// Reads the file. The heading and empty lines are passed over.
    pub fn parse(text: &[u8]) -> Swaps {
        let mut swaps = Swaps::default();
        for (index, (raw, _)) in lines::split(text).enumerate() {
            if raw.is_empty() || (index == 0 && raw.starts_with(b"Filename")) {
                continue;
            }
            match swap(index + 1, raw) {
                Ok(swap) => swaps.swaps.push(swap),
                Err(reason) => swaps.errors.push(LineError { line: index + 1, reason }),
            }
        }
        swaps
    }
}

fn swap(line: usize, raw: &[u8]) -> Result<Swap, &'static str> {
    let spans = fields::spans(raw, is_blank);
    let [path, kind, size, used, priority] = spans.as_slice() else {
        return Err("there are not five fields");
    };
    let text = |span: &std::ops::Range<usize>| &raw[span.clone()];
    let path = octal::decode(text(path));
    // The kernel's d_path appends " (deleted)" and escapes its space with those of the name.
    let (path, deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) => (path.to_vec(), true),
        None => (path, false),
    };
    let kind = match text(kind) {
        b"partition" => SwapKind::Partition,
        b"file" => SwapKind::File,
        _ => return Err("the type is neither partition nor file"),
    };
    let priority = text(priority);
    let priority = leading_integer(priority)
        .filter(|&(_, used)| used == priority.len())
        .and_then(|(value, _)| i32::try_from(value).ok())
        .ok_or("the priority is not a number")?;
    Ok(Swap {
        line,
        path,
        deleted,
        kind,
        size_kib: unsigned(text(size)).ok_or("the size is not a number")?,
        used_kib: unsigned(text(used)).ok_or("the used size is not a number")?,
        priority,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADING: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn fields_of_a_line() {
        let text = format!(
            "{HEADING}/dev/vdb2                               partition\t2097148\t\t12\t\t-2\n\
             /my\\040swap\\040(deleted)                file\t\t1024\t0\t5\n"
        );
        let swaps = Swaps::parse(text.as_bytes());
        assert_eq!(swaps.errors, []);
        assert_eq!(
            swaps.swaps,
            [
                Swap {
                    line: 2,
                    path: b"/dev/vdb2".to_vec(),
                    deleted: false,
                    kind: SwapKind::Partition,
                    size_kib: 2_097_148,
                    used_kib: 12,
                    priority: -2,
                },
                Swap {
                    line: 3,
                    path: b"/my swap".to_vec(),
                    deleted: true,
                    kind: SwapKind::File,
                    size_kib: 1024,
                    used_kib: 0,
                    priority: 5,
                },
            ]
        );
    }

    #[test]
    fn a_bad_line_does_not_hide_the_others() {
        for (bad, reason) in [
            ("/dev/a partition 1 2", "there are not five fields"),
            ("/dev/a disk 1 2 3", "the type is neither partition nor file"),
            ("/dev/a file x 2 3", "the size is not a number"),
            ("/dev/a file 1 -2 3", "the used size is not a number"),
            ("/dev/a file 1 2 3x", "the priority is not a number"),
            ("/dev/a file 1 2 3000000000", "the priority is not a number"),
        ] {
            let swaps = Swaps::parse(format!("{HEADING}{bad}\n/dev/b file 1 0 -2\n").as_bytes());
            assert_eq!(swaps.errors, [LineError { line: 2, reason }], "{bad}");
            assert_eq!(swaps.swaps.len(), 1);
        }
        assert_eq!(Swaps::parse(HEADING.as_bytes()), Swaps::default());
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            let swaps = Swaps::parse(&text);
            prop_assert!(swaps.swaps.len() + swaps.errors.len() <= lines::split(&text).count());
        }
    }
}
