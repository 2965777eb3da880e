//! `clock-local-time`: the guest takes its hardware clock for local time.

use super::{Answer, Guest};
use crate::model::{ByteString, Edit, Finding, GuestPath, LineChange, Subject, Verdict};
use crate::parse::os_release::OsRelease;

/// Where the mode of the clock stands: hwclock(8), "The Adjtime File".
const ADJTIME: &str = "/etc/adjtime";

/// The line of it that says `UTC` or `LOCAL`, from 1.
const MODE_LINE: usize = 3;

/// What older releases say it in: file, key, and the values that mean local time. EL5 and EL6; SUSE
/// before 12; Debian 7 and before.
const OLDER: [(&str, &str, &[&[u8]]); 3] = [
    ("/etc/sysconfig/clock", "UTC", &[b"false", b"no"]),
    ("/etc/sysconfig/clock", "HWCLOCK", &[b"--localtime", b"-l"]),
    ("/etc/default/rcS", "UTC", &[b"no"]),
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    if let Some(text) = guest.file(ADJTIME)? {
        let line = text.split(|b| *b == b'\n').nth(MODE_LINE - 1).unwrap_or_default();
        let path = GuestPath::from(ADJTIME);
        match line {
            b"UTC" | b"" => {}
            b"LOCAL" => {
                let fix = Edit::Line {
                    path: path.clone(),
                    line: MODE_LINE,
                    original: ByteString::from(line),
                    change: LineChange::Replace(ByteString::from("UTC")),
                };
                let finding = Finding::new("local", Subject::line(&path, MODE_LINE));
                findings.push(finding.with("path", &path).fix([fix]));
            }
            _ => doubts.push(format!("{path}:{MODE_LINE}: it is neither UTC nor LOCAL")),
        }
    }
    for (path, key, local) in OLDER {
        let Some(text) = guest.file(path)? else { continue };
        let settings = OsRelease::parse(&text);
        if settings.get(key).is_some_and(|value| local.contains(&value)) {
            let path = GuestPath::from(path);
            findings.push(Finding::new("local", Subject::file(&path)).with("path", &path));
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}
