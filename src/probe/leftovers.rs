//! Checks that are a list of paths: whatever lies there must not go with an image.
//!
//! A file that is absent or empty is no finding; neither are links, FIFOs and directories, which
//! go along where something else is found.

use super::Answer;
use crate::guest::{Guest, Unknown};
use crate::model::{Edit, Finding, Subject, Verdict};
use crate::parse::size;

/// The message key of every such check.
pub const KEY: &str = "left";

/// Judge a check by its list. `erases` says whether it offers to take away what it finds.
pub fn judge(guest: &Guest, check: &str, erases: bool) -> Answer {
    let Some(left) = guest.leftovers(check)? else {
        return Ok(Verdict::NotApplicable("family"));
    };
    let census = &left.census;
    let doubts: Vec<String> = census.failures.iter().map(ToString::to_string).collect();
    let Some(first) = census.first.first() else {
        return match doubts.is_empty() {
            true => Ok(Verdict::Pass),
            false => Err(Unknown(doubts.join("; "))),
        };
    };
    let paths: Vec<String> = census.first.iter().map(ToString::to_string).collect();
    let unnamed = census.files - census.first.len() as u64;
    let mut named = paths.join(", ");
    if unnamed > 0 {
        named.push_str(" ...");
    }
    let finding = Finding::new(KEY, Subject::file(first))
        .with("count", census.files)
        .with("bytes", size::shown(census.bytes))
        .with("paths", named);
    let finding = match erases {
        true => finding.fix([Edit::Erase { targets: left.targets.clone() }]),
        false => finding,
    };
    Ok(Verdict::from_parts(vec![finding], doubts))
}
