//! Changing a guest like a database changes its pages: plan, journal, apply, verify, roll back.
//!
//! [`compose`] turns the edits of all checks into one [`crate::model::Plan`]. [`execute`] takes
//! its steps, each behind an intent that the disk has before anything happens, and undoes all of
//! them when one fails. [`roll_back`] puts everything back and verifies that it is back; what it
//! cannot undo it lists. What nothing brings back is taken away last, in a phase of its own that is
//! finished and not undone. [`recover`] finishes whatever a killed run left. Only this module can
//! write to a guest.

mod account;
mod arguments;
mod armed;
mod clone;
mod compose;
mod diff;
mod directory;
mod erase;
mod execute;
mod going;
mod journal;
mod kin;
mod line;
mod lockout;
mod mount_order;
mod name;
mod preflight;
mod recover;
mod remount;
mod replay;
mod returned;
mod start;
mod step;
mod store;
mod swap;
mod torn;
mod undo;
mod wanted;

pub use armed::{Armed, TakenAtPowerOff, take_armed};
pub use clone::{Carried, Legacy, MaskedUnit, UnitFile};
pub use compose::{ComposeError, compose};
pub use execute::{Failure, Interrupt, Phase2, Prepared, execute};
pub use journal::{Header, RunKind, RunState};
pub use kin::{Kin, RollbackRefused, kin};
pub use lockout::obstacles as lockout;
pub use mount_order::order as order_mounts;
pub use preflight::{Obstacle, ObstacleKind, preflight, unmount_only};
pub use recover::{Recovered, recover};
pub use replay::{ReplayError, check_replay};
pub use returned::{Returned, returned};
pub use step::unmount;
pub use store::{Run, Store};
pub use undo::{NotUndone, RolledBack, forget, roll_back, roll_back_unasked};
