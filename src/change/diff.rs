//! A unified diff of two texts.
//!
//! `similar::TextDiff` gives the same, and has every algorithm of that crate compiled for every kind
//! of text: a quarter of a megabyte of program for a few lines of a plan.

use std::fmt::Write as _;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{DiffTag, group_diff_ops};

/// How many lines are shown around what changes.
const CONTEXT: usize = 3;

/// The changes from one text to another, below a header of two names; empty where there are none.
pub fn unified(names: [&str; 2], before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let mut found = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    let Ok(()) = myers::diff(&mut found, &old[..], 0..old.len(), &new[..], 0..new.len());
    let changes = found.into_inner().into_inner().into_ops();
    let mut out = String::new();
    for hunk in group_diff_ops(changes, CONTEXT) {
        if out.is_empty() {
            let _ = writeln!(out, "--- {}\n+++ {}", names[0], names[1]);
        }
        let _ = writeln!(out, "{}", UnifiedHunkHeader::new(&hunk));
        for (tag, was, is) in hunk.into_iter().map(|change| change.as_tag_tuple()) {
            match tag {
                DiffTag::Equal => lines(&mut out, ' ', &old[was]),
                DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                    lines(&mut out, '-', &old[was]);
                    lines(&mut out, '+', &new[is]);
                }
            }
        }
    }
    out
}

fn lines(out: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        let _ = write!(out, "{sign}{line}");
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_crate_itself_prints(before in "([abc]{0,2}\n){0,40}[ab]?", after in "([abc]{0,2}\n){0,40}[ab]?") {
            let crates = similar::TextDiff::from_lines(before.as_str(), after.as_str())
                .unified_diff()
                .context_radius(CONTEXT)
                .header("a/x", "b/x")
                .to_string();
            prop_assert_eq!(unified(["a/x", "b/x"], &before, &after), crates);
        }
    }
}
