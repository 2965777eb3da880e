//! Whether boot starts a service, by the links that enabling it made.

use super::{Fact, Guest, Init};
use crate::model::GuestPath;

impl Guest {
    /// Whether boot starts a service: a unit wants or requires it, or a start link of a run level
    /// names it.
    ///
    /// # Errors
    /// When the directories of links cannot be read.
    pub(super) fn starts_service(&self, name: &str) -> Fact<bool> {
        if matches!(self.init()?, Init::Systemd | Init::Unknown) {
            let units = GuestPath::from("/etc/systemd/system");
            let unit = format!("{name}.service");
            if self.root().read_link(&units.join(unit.as_bytes()))?.as_deref() == Some(b"/dev/null")
            {
                return Ok(false);
            }
            for directory in self.root().list(&units)?.unwrap_or_default() {
                if !directory.ends_with(b".wants") && !directory.ends_with(b".requires") {
                    continue;
                }
                let link = units.join(&directory).join(unit.as_bytes());
                if self.root().lstat(&link)?.is_some() {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        for level in ["/etc/rc3.d", "/etc/rc2.d", "/etc/rc.d/rc3.d", "/etc/rc.d/boot.d"] {
            for link in self.root().list(&GuestPath::from(level))?.unwrap_or_default() {
                let starts = matches!(&link[..], [b'S', a, b, rest @ ..]
                    if a.is_ascii_digit() && b.is_ascii_digit() && rest == name.as_bytes());
                if starts {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
