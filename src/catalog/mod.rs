//! The catalogue: every check as data, the profiles, and the operator's configuration.
//!
//! The built-in checks are constants that `build.rs` makes of `checks/*.toml`. Configuration comes
//! from the machine that runs guestprep, never from the guest that it looks at.

mod config;
pub mod schema;
mod spec;
mod waivers;

pub use config::{CheckSettings, Config, ConfigError};
pub use spec::{
    CheckSpec, FindingSpec, FixSpec, Language, Operation, Peer, Profile, Question, Rule, Texts,
};
pub use waivers::WaiverSettings;

use crate::model::{Category, Severity};

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The built-in check of that name.
pub fn check(id: &str) -> Option<&'static CheckSpec> {
    CHECKS.iter().find(|spec| spec.id == id)
}

/// The profile of that name.
pub fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

/// The name among `known` that a person most likely meant, for "did you mean".
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::normalized_damerau_levenshtein(typed, name), name))
        .filter(|(ratio, _)| *ratio > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
