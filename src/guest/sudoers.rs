//! What sudo is told: /etc/sudoers and every file that it reads.
//!
//! For probes. Rules that a directory service keeps are not in an image.

use super::{Fact, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::sudoers::{Free, Sudoers};

/// The main file.
const SUDOERS: &str = "/etc/sudoers";

/// sudo gives up at this depth (MAX_SUDOERS_DEPTH).
const MAX_DEPTH: usize = 128;

impl Guest {
    /// Everything that lets somebody run commands without a password, with the file that says so.
    ///
    /// # Errors
    /// When a file cannot be read, or has a line that sudo would not take.
    pub fn sudo_without_password(&self) -> Fact<Vec<(GuestPath, Free)>> {
        let mut found = Vec::new();
        read(self, &GuestPath::from(SUDOERS), &mut found, 0)?;
        Ok(found)
    }
}

fn read(
    guest: &Guest,
    path: &GuestPath,
    found: &mut Vec<(GuestPath, Free)>,
    depth: usize,
) -> Fact<()> {
    let Some(text) = guest.file(path)? else { return Ok(()) };
    if depth > MAX_DEPTH {
        return Err(Unknown(format!("{path}: too many files include one another")));
    }
    let file = Sudoers::parse(&text);
    if let Some(error) = file.errors.first() {
        return Err(Unknown(format!("{path}:{}: {}", error.line, error.reason)));
    }
    found.extend(file.free.into_iter().map(|free| (path.clone(), free)));
    for include in file.includes {
        // `%h` is the host's name; a guest that is not named yet is nobody's host.
        let host = guest.hostname().unwrap_or_default();
        let host = host.split('.').next().unwrap_or_default();
        let named = String::from_utf8_lossy(&include.path).replace("%h", host);
        let target = path.parent().join(named.as_bytes());
        if !include.is_directory {
            read(guest, &target, found, depth + 1)?;
            continue;
        }
        for name in guest.root().list(&target)?.unwrap_or_default() {
            // sudoers(5): names with a dot in them, or a tilde at their end, are left out.
            if !name.contains(&b'.') && !name.ends_with(b"~") {
                read(guest, &target.join(&name), found, depth + 1)?;
            }
        }
    }
    Ok(())
}
