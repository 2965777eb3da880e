//! What a command that only looks gives up before it looks.

use std::path::Path;

use crate::guest::{Guest, Mode};
use crate::sys::{self, Confinement, Power};

/// What a process says of itself, and how much memory there is: nothing of anybody else.
const OWN: [&str; 3] = ["/proc/self", "/proc/meminfo", "/sys/fs/cgroup"];
/// Where the machine says which disk a mounted tree lies on, and where that disk is read.
const DISKS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What the command does when it has looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Later<'a> {
    /// The file that it writes.
    pub output: Option<&'a Path>,
    /// Whether it starts a program: the one that signs.
    pub starts_programs: bool,
}

impl<'a> Later<'a> {
    /// It writes this file, or to standard output.
    pub fn writes(output: Option<&'a Path>) -> Self {
        Self { output, starts_programs: false }
    }
}

/// Give up whatever the look at this guest does not need. Of a guest that is not this machine,
/// whose bytes anybody may have made, nothing is read but that guest, nothing is written but
/// what `later` names, and no program is started. This machine's own tools are asked about it, and its
/// processes are looked at, which Landlock does not allow: there the capabilities alone go.
///
/// To be called when the guest is open, and before there is another thread.
pub fn to_look(guest: &Guest, later: Later) {
    let is_machine = guest.mode() == Mode::Live && !guest.is_collected();
    let power = if is_machine { Power::ReadProcesses } else { Power::Read };
    if let Err(why) = sys::lower(power, later.output.is_some()) {
        tracing::info!("the capabilities of this process stay what they are: {why}");
    }
    if is_machine {
        return;
    }
    if later.starts_programs {
        tracing::info!("Landlock does not confine this process: it starts a program afterwards");
        return;
    }
    let mut reads = Vec::new();
    // A bundle is in memory.
    if !guest.is_collected() {
        reads.push(guest.root().path());
        reads.extend(OWN.map(Path::new));
    }
    if guest.lies_on_a_disk_of_this_machine() {
        reads.extend(DISKS.map(Path::new));
    }
    match sys::confine(&reads, later.output) {
        Ok(Confinement::Whole) => tracing::info!("Landlock confines this process to the guest"),
        Ok(Confinement::Partial) => {
            tracing::info!("an older Landlock confines this process to the guest's files");
        }
        Ok(Confinement::None) => {
            tracing::info!("this kernel has no Landlock; guestprep alone confines what it reads");
        }
        Err(why) => tracing::info!("Landlock does not confine this process: {why}"),
    }
}
