//! Values only: what a check, a finding, a report, a plan and a change are.
//!
//! Nothing here does I/O, and everything here can be written to JSON and read back. Every other
//! module may use these types; this one uses none of ours.

mod bytes;
mod check;
mod digest;
mod edit;
mod finding;
mod path_pattern;
mod plan;
mod policy;
mod report;
mod visible;
mod waiver;

pub use bytes::{ByteString, GuestPath};
pub use check::{Category, CheckId, Severity};
pub use digest::{Sha256, digest_of, sha256_hex};
pub use edit::{Edit, Erasure, ErasureKind, LineChange, MountRecord};
pub use finding::{Finding, Impact, Subject, Verdict};
pub use path_pattern::{NamePattern, Part, PathPattern};
pub use plan::{Action, Expects, LineEdit, Plan, PlanGuest, Step};
pub use policy::{
    DataDisks, DnsPolicy, FixedAddress, KdumpPolicy, MetadataPolicy, MitigationsPolicy, OwnHosts,
    Policy, SelinuxPolicy, SwapPolicy, Umount,
};
pub use report::{
    CheckResult, Decision, GuestInfo, GuestOs, ImageInfo, Remedy, RemedyKind, Report,
    ReportedFinding, Summary, Tool, VerdictName, Waived,
};
pub use visible::visible;
pub use waiver::Waiver;
