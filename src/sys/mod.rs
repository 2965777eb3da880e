//! The only door to the machine.
//!
//! A guest's files come through [`Root`], its kernel's state through [`Kernel`], commands through
//! [`Runner`], block devices through [`Devices`]. Writing is [`mod@write`]'s and only `change/` may
//! ask for it. No module outside this one names nix, rustix, std::fs or std::process;
//! `clippy.toml` bans their calls elsewhere, because a probe that read `/etc/fstab` with `std::fs`
//! would read the host's when `--root` names an image.

#![allow(clippy::disallowed_methods)]

mod addresses;
mod attributes;
mod cache;
mod clock;
mod confined;
mod contents;
mod devices;
mod dir;
mod entries;
mod error;
mod exchange;
mod file_id;
mod files;
mod host;
mod image;
mod kernel;
mod lock;
mod metadata;
mod named;
mod output;
mod private_mounts;
mod privileges;
mod processes;
mod record;
mod resolve;
mod root;
mod runner;
mod stream;
mod swap_file;
mod sweep;
pub mod trace;
mod walk;
pub mod watch;
pub mod write;
mod xattrs;

pub use addresses::Address;
pub use attributes::{Attributes, FileKind, InodeFlags, Time};
pub use cache::Cache;
pub use clock::{
    Deadline, Stopwatch, now_rfc3339, run_stamp, seconds_of_rfc3339, seconds_since_1970, today,
};
pub use contents::{FirstNames, OpenFile, Piece, Reads, Tally, Wanted};
pub use devices::Devices;
pub use dir::Dir;
pub use error::{Error, ErrorKind, Result};
pub use file_id::{FileId, file_id, remove_made};
pub use files::FsUse;
pub use host::{
    absolute, ask, available_memory, be_nice, exists, is_root, is_terminal_err, is_terminal_in,
    is_terminal_out, leave_directory, list_named, listen, machine_state_dir, note_signals, print,
    read_named, refuse_core, remove_named, rename_new, run_in_foreground, say, tell,
};
pub use image::{Container, Copied, DiskImage, Use, command_argument};
pub use kernel::Kernel;
pub use lock::Lock;
pub use metadata::{ADDRESS as METADATA_ADDRESS, Metadata, ask as ask_metadata};
pub use named::{Named, Reader, open_named};
pub use output::{write_named, write_private, write_published, write_streamed};
pub use private_mounts::{PrivateMounts, Volume};
pub use privileges::{Confinement, Power, confine, lower};
pub use processes::{Hold, Holder, MountKey, Opener};
pub use record::{
    CommandNotes, DeviceNotes, FileNotes, KernelNotes, Noted, Notes, OutputNotes, Record, Recorder,
    Reduce, Space, Stored, Whose, entry_name,
};
pub use root::Root;
pub use runner::{Output, Runner};
pub use stream::{Stamp, Stream};
pub use swap_file::Blocks;
pub use sweep::{Census, Erased, Held, Reach, held};
pub use walk::{Answer, Filesystem};
pub use xattrs::Xattrs;
