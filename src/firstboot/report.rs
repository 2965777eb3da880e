//! What a first boot came to (schema `guestprep.firstboot/1`).

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::sys;

/// What this guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Made from an image of another instance.
    Clone,
    /// The instance that the runs were made on.
    Source,
    /// It cannot be told, or there is nothing to tell it by.
    Untold,
}

/// What a first boot came to. Lines of fstab are named and not quoted: options may hold passwords.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `guestprep.firstboot/1`.
    pub schema: &'static str,
    /// The version of guestprep.
    pub version: &'static str,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took.
    pub duration_ms: u64,
    /// How long it might have taken.
    pub limit_s: u64,
    /// What this guest is.
    pub role: Role,
    /// Why it is held for that.
    pub reason: String,
    /// What came back.
    pub back: Vec<Back>,
    /// What stays put away.
    pub parked: Vec<Stays>,
    /// What was missing of the clone's identity and was made, or could not be.
    pub identity: Vec<Made>,
    /// What of its identity could not be judged, and why.
    pub untold: Vec<String>,
    /// The source's runs that were removed.
    pub removed: Vec<Gone>,
}

/// Something that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Back {
    /// `/etc/fstab:3`, or a unit.
    pub what: String,
    /// Where it is mounted, `swap`, or the name of an encrypted volume.
    pub target: String,
    /// What the operator named it by.
    pub source: String,
}

/// Something that stays put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stays {
    /// As of [`Back`].
    pub what: String,
    /// As of [`Back`].
    pub target: String,
    /// Why.
    pub why: String,
}

/// A part of the clone's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// `machine-id`, `ssh-host-keys`.
    pub what: &'static str,
    /// Why it could not be made; `null` where it was.
    pub trouble: Option<String>,
}

/// A run of the source that was removed with all that it saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Its id.
    pub run: String,
}

impl Report {
    /// The report of a first boot that begins now.
    pub fn new(limit: Duration) -> Self {
        Self {
            schema: "guestprep.firstboot/1",
            version: env!("CARGO_PKG_VERSION"),
            started: sys::now_rfc3339(),
            duration_ms: 0,
            limit_s: limit.as_secs(),
            role: Role::Untold,
            reason: String::new(),
            back: Vec::new(),
            parked: Vec::new(),
            identity: Vec::new(),
            untold: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// The report of a guest on which nothing is done.
    pub(super) fn ends(mut self, role: Role, reason: &str) -> Self {
        self.role = role;
        self.reason = reason.to_owned();
        self
    }

    /// For a person, and for the log of the boot.
    pub fn text(&self) -> String {
        let mut out = match self.role {
            Role::Clone => format!("This is a clone: {}.\n", self.reason),
            Role::Source => format!("This is no clone: {}. Nothing was done.\n", self.reason),
            Role::Untold => {
                format!(
                    "Whether this is a clone cannot be told: {}. Nothing was done.\n",
                    self.reason
                )
            }
        };
        for Back { what, target, source } in &self.back {
            let _ = writeln!(out, "  back: {what}: {source} on {target}");
        }
        for Stays { what, target, why } in &self.parked {
            let _ = writeln!(out, "  stays parked: {what}: {target}: {why}");
        }
        for Made { what, trouble } in &self.identity {
            let _ = match trouble {
                None => writeln!(out, "  made: {what}"),
                Some(why) => writeln!(out, "  not made: {what}: {why}"),
            };
        }
        for what in &self.untold {
            let _ = writeln!(out, "  could not tell: {what}");
        }
        for Gone { run } in &self.removed {
            let _ = writeln!(out, "  removed: the source's run {run}, with all that it saved");
        }
        out
    }
}
