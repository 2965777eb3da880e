//! Where a guest comes from.

use serde::{Deserialize, Serialize};

/// Where the guest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// This machine, running.
    #[serde(rename = "live")]
    Live,
    /// A directory that holds a guest's tree.
    #[serde(rename = "root")]
    Tree,
    /// A disk image.
    #[serde(rename = "image")]
    Image,
}

impl Mode {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Tree => "root",
            Mode::Image => "image",
        }
    }
}
