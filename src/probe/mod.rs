//! Native probes, one file each, named as the check id.
//!
//! A probe asks the guest for facts and judges them. It files message keys and values, never a
//! sentence; it never does I/O of its own, and it never changes anything.

use crate::guest::{Guest, Unknown};
use crate::model::Verdict;

/// A probe's answer: the outer error is a fact that could not be had, which is reported as
/// [`Verdict::Unknown`].
pub type Answer = Result<Verdict, Unknown>;

/// A probe and the name that a check's TOML knows it by.
#[derive(Debug)]
pub struct Probe {
    /// The check id.
    pub id: &'static str,
    /// The judgement.
    pub judge: fn(&Guest) -> Answer,
}

/// Every probe, sorted by id.
pub const PROBES: &[Probe] = &[];

/// The probe of that name.
pub fn find(id: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.id == id)
}
