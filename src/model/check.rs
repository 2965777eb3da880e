//! The name, the weight and the room of a check.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The one name of a check: its TOML file's stem, its probe's file, its fixture folder.
///
/// Lower-case words joined by `-`, saying the bad thing, never the repair.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct CheckId(String);

impl CheckId {
    /// Name a check.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CheckId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a finding means for an instance made from the image.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Advice,
    /// It boots, and loses a function, speed, or its separate identity.
    Warning,
    /// It would not boot, could not be reached, or could not be created.
    Blocker,
}

impl Severity {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Advice => "advice",
            Severity::Warning => "warning",
            Severity::Blocker => "blocker",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which question of the catalogue a check belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Will the clone boot without the data disks?
    Storage,
    /// Is the boot chain whole?
    Boot,
    /// Files that the cloud reads and nobody may change.
    CriticalFiles,
    /// Addresses, names, reachability.
    Network,
    /// Services and kernel state.
    Services,
    /// What two clones must not share.
    Identity,
    /// What must not leave with a shared image.
    Residue,
}

impl Category {
    /// The word that reports and `--category` use.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Storage => "storage",
            Category::Boot => "boot",
            Category::CriticalFiles => "critical-files",
            Category::Network => "network",
            Category::Services => "services",
            Category::Identity => "identity",
            Category::Residue => "residue",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
