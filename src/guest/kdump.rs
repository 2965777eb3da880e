//! kdump: what reserves memory for a crash kernel, loads it and says where its dump goes.
//!
//! For the probe `kdump-half-on` and the command `kdump`. Reads only: nothing here, and nothing in
//! this program, makes the kernel crash.

mod target;
mod way;

use super::{Fact, Guest, Service};
use crate::model::{ByteString, GuestPath};
use crate::parse::crashkernel;
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::key_value::KeyValue;

pub use target::{DumpTarget, Stored};
pub use way::KdumpWay;

/// Everything about kdump.
#[derive(Clone, Debug, PartialEq)]
pub struct Kdump {
    /// What the distribution calls its parts.
    pub way: KdumpWay,
    /// The service; none where it is not installed.
    pub service: Option<Service>,
    /// `USE_KDUMP` of Debian's configuration, where there is that configuration.
    pub switch: Option<bool>,
    /// What the running kernel was asked for; `None` where none runs.
    pub running: Option<Reservation>,
    /// What the next boot asks for; `None` where its command line is not known.
    pub next_boot: Option<Reservation>,
    /// What a kernel that is installed next asks for; `None` where it copies the next boot's.
    pub next_kernel: Option<Reservation>,
    /// Bytes that the running kernel keeps for a crash kernel (/sys/kernel/kexec_crash_size).
    pub reserved: Option<u64>,
    /// Whether a crash kernel is loaded (/sys/kernel/kexec_crash_loaded).
    pub loaded: Option<bool>,
    /// Memory of the machine, bytes: what the kernel uses and what it keeps.
    pub memory: Option<u64>,
    /// Bytes of memory that are in use, which a dump without free and cached pages stays below.
    pub used: Option<u64>,
    /// Where dumps go.
    pub target: DumpTarget,
    /// What could not be told, and why.
    pub doubts: Vec<String>,
}

/// The `crashkernel=` of one command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The values, in order; empty where there are none.
    pub values: Vec<ByteString>,
}

/// What a reservation comes to on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There is no `crashkernel=`.
    Nothing,
    /// So many bytes; 0 where no range of memory fits.
    Bytes(u64),
    /// `auto`, or ranges on a machine whose memory is not known.
    Untold,
    /// The kernel would not take it.
    Malformed,
}

impl Reservation {
    fn of(line: &KernelArguments) -> Self {
        let values = line
            .all("crashkernel")
            .map(|argument| ByteString::from(argument.value.clone().unwrap_or_default()));
        Self { values: values.collect() }
    }

    /// Whether there is any.
    pub fn is_there(&self) -> bool {
        !self.values.is_empty()
    }

    /// As it is written.
    pub fn shown(&self) -> String {
        let values: Vec<String> =
            self.values.iter().map(|value| format!("crashkernel={value}")).collect();
        values.join(" ")
    }

    /// What it comes to with so much memory, bytes. `takes_auto` says whether the kernel knows
    /// `auto`.
    pub fn asked(&self, memory: Option<u64>, takes_auto: bool) -> Asked {
        let values: Vec<&[u8]> = self.values.iter().map(ByteString::as_bytes).collect();
        if values.is_empty() {
            return Asked::Nothing;
        }
        if values.contains(&&b"auto"[..]) && !takes_auto {
            return Asked::Malformed;
        }
        match (crashkernel::requested(&values, memory.unwrap_or(u64::MAX)), memory) {
            (Err(_), _) => Asked::Malformed,
            (Ok(Some(bytes)), Some(_)) => Asked::Bytes(bytes),
            (Ok(_), _) => Asked::Untold,
        }
    }
}

impl Kdump {
    /// Whether boot would load a crash kernel: the service starts, and no switch of its own
    /// configuration is off.
    pub fn is_enabled(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.starts.is_enabled())
            && self.switch != Some(false)
    }

    /// What the next boot asks for; the running kernel's where that is not known.
    pub fn configured(&self) -> Option<&Reservation> {
        self.next_boot.as_ref().or(self.running.as_ref())
    }

    /// Whether the next boot reserves other memory than this one did.
    pub fn needs_reboot(&self) -> bool {
        match (&self.running, &self.next_boot) {
            (Some(running), Some(next)) => running != next,
            _ => false,
        }
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Kdump> {
    let way = KdumpWay::of(guest)?;
    let lines = guest.command_lines()?;
    let mut doubts = Vec::new();
    let switch = way.switch(guest, &mut doubts)?;
    let target = target::read(guest, &way, &mut doubts)?;
    let reserved = number(guest, "/kernel/kexec_crash_size")?;
    let (total, available) = memory(guest)?;
    Ok(Kdump {
        service: guest.service(way.service)?,
        switch,
        running: lines.running.as_ref().map(Reservation::of),
        next_boot: lines.next_boot.as_ref().map(Reservation::of),
        next_kernel: lines.next_kernel.as_ref().map(Reservation::of),
        loaded: number(guest, "/kernel/kexec_crash_loaded")?.map(|loaded| loaded == 1),
        memory: total.map(|usable| usable.saturating_add(reserved.unwrap_or(0))),
        used: total.zip(available).map(|(total, available)| total.saturating_sub(available)),
        reserved,
        target,
        doubts,
        way,
    })
}

/// A file of /sys that holds a number; `None` where there is none, as on a kernel without kexec.
fn number(guest: &Guest, path: &str) -> Fact<Option<u64>> {
    let Some(kernel) = guest.kernel() else { return Ok(None) };
    let text = kernel.sys(path)?;
    Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()))
}

/// MemTotal and MemAvailable of /proc/meminfo, bytes. The first is without what the kernel keeps for
/// itself and for a crash; the second kernels before 3.14 do not say.
fn memory(guest: &Guest) -> Fact<(Option<u64>, Option<u64>)> {
    let Some(kernel) = guest.kernel() else { return Ok((None, None)) };
    let text = kernel.proc("/meminfo")?.unwrap_or_default();
    let bytes = |key: &[u8]| {
        let line = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(key))?;
        let kib = std::str::from_utf8(line).ok()?.split_whitespace().next()?;
        kib.parse::<u64>().ok()?.checked_mul(1024)
    };
    Ok((bytes(b"MemTotal:"), bytes(b"MemAvailable:")))
}

/// A file of shell variables, read; `None` where there is none.
fn shell_file(guest: &Guest, path: &str) -> Fact<Option<KeyValue>> {
    Ok(guest.file(GuestPath::from(path))?.map(|text| KeyValue::parse(&text)))
}
