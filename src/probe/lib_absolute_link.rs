//! `lib-absolute-link`: /lib or another of the merged directories is a link that begins with `/`.

use super::{Answer, Guest};
use crate::guest::Unknown;
use crate::model::{ByteString, Finding, GuestPath, Subject, Verdict};

/// What the merge of / and /usr makes links of (file-hierarchy(7), "Compatibility symlinks").
const MERGED: [&str; 6] = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    for name in MERGED {
        let path = GuestPath::from(name);
        let Some(target) = guest.root().read_link(&path).map_err(Unknown::from)? else { continue };
        if target.starts_with(b"/") {
            let relative =
                target.iter().position(|b| *b != b'/').map_or(&[][..], |at| &target[at..]);
            findings.push(
                Finding::new("absolute", Subject::file(&path))
                    .with("path", &path)
                    .with("target", ByteString::from(target.as_slice()))
                    .with("relative", ByteString::from(relative)),
            );
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}
