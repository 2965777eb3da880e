//! Kernel parameters: what boot sets them to, and what they are now.

use super::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::sysctl;

/// Where files of parameters lie, the operator's first: a name in one hides that name in the later
/// ones (sysctl.d(5)).
const DIRECTORIES: [&str; 4] =
    ["/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// Read last of all, as its link 99-sysctl.conf in sysctl.d and procps' `sysctl --system` have it.
const LAST: &str = "/etc/sysctl.conf";

impl Guest {
    /// The number that boot sets a parameter to; `None` where no file sets it, or not to a number.
    ///
    /// # Errors
    /// When a directory or file of parameters cannot be read.
    pub fn configured_parameter(&self, name: &str) -> Fact<Option<u64>> {
        let mut files: Vec<GuestPath> = Vec::new();
        for directory in DIRECTORIES.map(GuestPath::from) {
            for file in self.root().list(&directory)?.unwrap_or_default() {
                let is_hidden = files.iter().any(|known| known.name() == file);
                if file.ends_with(b".conf") && file != b"99-sysctl.conf" && !is_hidden {
                    files.push(directory.join(&file));
                }
            }
        }
        // /etc/sysctl.conf has the place of its link.
        let place = |path: &GuestPath| match path.as_bytes() {
            path if path == LAST.as_bytes() => b"99-sysctl.conf".to_vec(),
            _ => path.name().to_vec(),
        };
        files.push(GuestPath::from(LAST));
        files.sort_by_key(place);
        let mut found = None;
        for path in files {
            let is_masked = self.root().read_link(&path)?.is_some_and(|to| to == b"/dev/null");
            if is_masked {
                continue;
            }
            let Some(text) = self.file(&path)? else { continue };
            if let Some(value) = sysctl::value(&text, name) {
                found = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            }
        }
        Ok(found)
    }

    /// The number that a parameter is now; `None` on a guest that does not run, and where the
    /// kernel has no such number.
    ///
    /// # Errors
    /// What the system says.
    pub fn running_parameter(&self, name: &str) -> Fact<Option<u64>> {
        let Some(kernel) = self.kernel() else { return Ok(None) };
        let text = kernel.proc(&format!("/sys/{}", name.replace('.', "/")))?;
        Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()))
    }
}
