//! What guestprep itself runs as and on.

use std::io::IsTerminal;

/// Whether the process may change a guest at all.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a person can answer a question.
pub fn is_terminal_in() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether a person reads standard output.
pub fn is_terminal_out() -> bool {
    std::io::stdout().is_terminal()
}

/// Where the journal lies inside a guest.
pub fn machine_state_dir() -> &'static str {
    "/var/lib/guestprep"
}

/// Memory that programs can still have without swapping (MemAvailable of proc_meminfo(5)), in
/// bytes; `None` where it cannot be told.
pub fn available_memory() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    Some(system.available_memory())
}
