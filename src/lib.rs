//! guestprep: make a Linux guest fit to become a custom image, prove that it is, put it back.
//!
//! This page is the map of the house. The program is `src/main.rs`, which calls [`cli::main`]; the
//! library exists so that tests and fixtures can use every room.
//!
//! | room | what it holds |
//! |---|---|
//! | [`model`] | values: checks, findings, reports, plans, edits; no I/O |
//! | [`parse`] | bytes in, values out: pure, lossless, never a panic |
//! | [`sys`] | the only door to the machine: confined files, the kernel, commands, devices |
//! | [`guest`] | what the guest is: facts, each computed once and kept |
//! | [`secrets`] | the content scan: rules as data, one pass, masks and fingerprints |
//! | [`probe`] | native judgements, one file each, named as the check |
//! | [`catalog`] | `checks/*.toml`, profiles, the operator's configuration |
//! | [`engine`] | runs checks, files what they say, gives the verdict |
//! | [`change`] | plan, execute, journal, roll back, recover: the only room that writes to a guest |
//! | [`firstboot`] | gives a clone back what was parked for the image, where it has the disks |
//! | [`report`] | renders a report; sees neither the machine nor the guest |
//! | [`fleet`] | merges the reports of many hosts from readers that it is handed, and renders the merge |
//! | [`daemon`] | a readiness that is always current, served over a unix socket |
//! | [`cli`] | what was typed, and the exit codes |
//!
//! A room may use only what stands left of it on some line (`tests/arrows.rs` reads the `use`
//! lines, `clippy.toml` bans the calls):
//!
//! ```text
//! model <- sys                parse and model import nothing else of ours and do no I/O
//! model, parse, sys <- guest <- secrets <- probe <- catalog <- engine <- change
//! model <- report <- fleet    a report renders the same tomorrow, and a merge of many
//! all but report, fleet <- firstboot
//! all but firstboot, fleet <- daemon
//! all <- cli <- main
//! ```
//!
//! What always holds:
//!
//! - A path of the guest is resolved inside the guest's root. [`sys::Root`] only reads; a writable
//!   root is obtained by [`change`] alone.
//! - Judged bad is a [`model::Finding`]; could not judge is [`model::Verdict::Unknown`]; the run
//!   broke is an `Err`. "Could not tell" is never READY.
//! - Every question to a guest goes through a door of [`sys`] that can note it and answer it again
//!   from notes (`collect`, `--bundle`); what is noted passes [`parse::reduce`] first.
//! - What a judgement rests on is known question by question ([`sys::trace`]), so that the daemon
//!   judges again what a change may concern, and nothing else.
//! - An audit writes nothing to the guest's disk, but that a run which was cut short is undone first;
//!   what it keeps of an initramfs for the next one lies in /run, in memory, root's alone.
//! - A journal is read out of the guest, and may be anybody's: nothing in it names a file outside.
//! - A command that only looks gives up beforehand what it does not need (`sys::lower`, `sys::confine`).
//! - A disk image (`guest::image`, over `sys::image`) is looked at read-only and mounted in a
//!   namespace that ends with the process; only [`cli`] asks for a copy or for the image to be changed.
//! - Nothing is changed before the disk has the intent, the original and the way back.
//! - A secret that [`secrets`] found is in no output, log, panic or core, and not in a bundle.
//! - What a guest says is text in every form of a [`report`], never markup, a directive or a terminal's
//!   escape sequence.
//! - A waiver is shown wherever its finding would be, and a finding whose waiver has ended counts.
//! - A check's words stand in its TOML file, in English and Chinese, and nowhere else.

pub mod catalog;
pub mod change;
pub mod cli;
pub mod daemon;
pub mod engine;
pub mod firstboot;
pub mod fleet;
pub mod guest;
pub mod model;
pub mod parse;
pub mod probe;
pub mod report;
pub mod secrets;
pub mod sys;
