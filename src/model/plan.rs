//! A plan: the ordered steps that `prepare` would take, as data (schema `guestprep.plan/1`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteString, CheckId, Erasure, GuestPath, MountRecord};

/// The schema that this version writes and reads.
pub const SCHEMA: &str = "guestprep.plan/1";

/// What `prepare` would do, and on which guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always `guestprep.plan/1`.
    #[schemars(extend("const" = "guestprep.plan/1"))]
    pub schema: String,
    /// The profile that the plan was made under.
    pub profile: String,
    /// The guest that it was made for; another one refuses it.
    pub guest: PlanGuest,
    /// `sha256:` and the hex digest of everything else in the plan.
    pub digest: String,
    /// The steps, in the order in which they are taken.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The schema that this version writes and reads.
    pub const SCHEMA: &'static str = SCHEMA;
}

/// How a plan knows its guest again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanGuest {
    /// `live`, `root`, `image` or `bundle`.
    pub mode: String,
    /// The guest's hostname, for a reader.
    pub hostname: Option<String>,
    /// What tells this instance from a clone of it; none offline.
    pub instance_id: Option<String>,
}

/// One step: one thing that is done, verified and undone as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `s1`, `s2` ... in the order of the plan.
    pub id: String,
    /// The check that asked for it first.
    pub check: CheckId,
    /// Every check that asked for a part of it.
    pub checks: Vec<CheckId>,
    /// The file that it changes, or the target that it unmounts.
    pub path: Option<GuestPath>,
    /// One line for a person.
    pub summary: String,
    /// What must be true of the guest for the step to be taken.
    pub expects: Expects,
    /// A unified diff, where the step changes text.
    pub diff: Option<String>,
    /// Whether rollback can undo it.
    pub reversible: bool,
    /// 1 reversible, 2 not.
    pub phase: u8,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
}

/// What a step expects to find; `null` where it expects nothing of that kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expects {
    /// SHA-256 of the file before the step, in hex.
    pub sha256: Option<String>,
    /// The mount that is there, as `source on target`.
    pub mounted: Option<String>,
    /// The swap that is on.
    pub swap: Option<GuestPath>,
    /// That this path does not exist.
    pub absent: Option<GuestPath>,
    /// Where the link at the step's path points.
    #[serde(default)]
    pub link: Option<ByteString>,
}

/// What a step does. The names are those of the plan's `action` field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Replace lines of a file.
    EditFile {
        /// The lines, in ascending order.
        edits: Vec<LineEdit>,
        /// Lines that are added at its end, without line ends.
        #[serde(default)]
        append: Vec<ByteString>,
        /// SHA-256 of the file after the step, in hex.
        result_sha256: String,
    },
    /// Write a whole file.
    WriteFile {
        /// All of its content.
        content: ByteString,
        /// The permission bits of a file that is made; one that is there keeps its own.
        mode: u32,
    },
    /// Make a directory (mode 0755) that a later step needs.
    MakeDir,
    /// Remove the regular file or link at the step's path, which is saved before. With `targets`:
    /// what those name instead, whatever it is, for good; that is phase 2.
    Remove {
        /// Patterns, looked up when the step is taken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Erasure>,
    },
    /// Take the content of files away for good, or put another in its place; the files stay. Phase 2.
    Truncate {
        /// Patterns, looked up when the step is taken.
        targets: Vec<Erasure>,
    },
    /// Take an account out of passwd, shadow, group, gshadow, subuid and subgid. Phase 2.
    DropAccount {
        /// Its name.
        user: String,
    },
    /// Run one of the guest's own tools.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Every file that it writes.
        writes: Vec<GuestPath>,
        /// Run by rollback once those files are back; empty for nothing.
        undo: Vec<String>,
    },
    /// Clear inode flags.
    SetFlags {
        /// `immutable`, `append-only`.
        clear: Vec<String>,
    },
    /// Unmount one mount.
    Unmount {
        /// The mount, with all that rollback needs.
        mount: MountRecord,
    },
    /// Stop swapping to a device or file.
    SwapOff {
        /// As /proc/swaps names it.
        device: GuestPath,
        /// Its priority before.
        priority: i32,
    },
    /// Swap to a device or file.
    SwapOn {
        /// As swapon(8) takes it.
        device: GuestPath,
    },
    /// Make the file at the step's path and swap to it.
    SwapFile {
        /// Its size in bytes.
        size: u64,
    },
    /// Mount what fstab has at the step's path.
    Mount,
    /// Start a systemd unit, after it has read its files again.
    Start {
        /// The unit's full name.
        unit: String,
        /// Whether it has to be up for the step to be done.
        wait: bool,
    },
    /// Change a systemd unit's state.
    Unit {
        /// The unit's full name.
        unit: String,
        /// `mask`, `enable`, `disable`.
        change: String,
        /// Where the link at the step's path will point; `null` where it is removed.
        target: Option<ByteString>,
    },
}

impl Action {
    /// The files that the action takes away for good.
    pub fn erases(&self) -> &[Erasure] {
        match self {
            Action::Remove { targets } | Action::Truncate { targets } => targets,
            _ => &[],
        }
    }

    /// Whether nothing can undo it: it is of phase 2.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Action::DropAccount { .. }) || !self.erases().is_empty()
    }

    /// The word that plans and journals use.
    pub fn name(&self) -> &'static str {
        match self {
            Action::EditFile { .. } => "edit-file",
            Action::WriteFile { .. } => "write-file",
            Action::MakeDir => "make-dir",
            Action::Remove { .. } => "remove",
            Action::Truncate { .. } => "truncate",
            Action::DropAccount { .. } => "drop-account",
            Action::Run { .. } => "run",
            Action::SetFlags { .. } => "set-flags",
            Action::Unmount { .. } => "unmount",
            Action::SwapOff { .. } => "swap-off",
            Action::SwapOn { .. } => "swap-on",
            Action::SwapFile { .. } => "swap-file",
            Action::Mount => "mount",
            Action::Start { .. } => "start",
            Action::Unit { .. } => "unit",
        }
    }
}

/// One line before and after, without its line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineEdit {
    /// The line, counted from 1.
    pub line: usize,
    /// What must stand there.
    pub original: ByteString,
    /// What will stand there.
    pub replacement: ByteString,
}
