//! What is switched off of the kernel's mitigations of CPU defects, now and at the next boot.
//!
//! The arguments are those of x86 in admin-guide/kernel-parameters of Linux 6.1. `noibrs`, which public images of CentOS and
//! RHEL have by default, is none of them: retpolines stay on.

use super::{Fact, Guest};
use crate::parse::kernel_arguments::KernelArguments;

/// Arguments that switch a mitigation off.
pub const OFF: [&str; 23] = [
    "mitigations=off",
    "nopti",
    "pti=off",
    "nospectre_v1",
    "nospectre_v2",
    "spectre_v2=off",
    "spectre_v2_user=off",
    "spectre_bhi=off",
    "nospec_store_bypass_disable",
    "spec_store_bypass_disable=off",
    "l1tf=off",
    "mds=off",
    "tsx_async_abort=off",
    "kvm.nx_huge_pages=off",
    "srbds=off",
    "mmio_stale_data=off",
    "retbleed=off",
    "spec_rstack_overflow=off",
    "gather_data_sampling=off",
    "reg_file_data_sampling=off",
    "indirect_target_selection=off",
    "tsa=off",
    "vmscape=off",
];

/// What public images of ECS have by default, by `ID` of os-release: no choice of the guest's owner.
const SHIPPED: [(&str, &str); 4] = [
    ("alinux", "spec_rstack_overflow=off"),
    ("opensuse-leap", "spectre_v2=off"),
    ("opensuse", "spectre_v2=off"),
    ("coreos", "spectre_v2=off"),
];

/// What the kernel says of one defect of the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vulnerability {
    /// Its name: `meltdown`, `spectre_v2`.
    pub name: String,
    /// The kernel's words: `Not affected`, `Vulnerable`, `Mitigation: PTI`.
    pub state: String,
}

/// What is switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mitigations {
    /// What the running kernel says, by name; empty where none runs and on kernels that say nothing.
    pub vulnerabilities: Vec<Vulnerability>,
    /// The arguments of the running kernel that switch something off; `None` where none runs.
    pub running: Option<Vec<&'static str>>,
    /// Those that the next boot or the next kernel gets.
    pub configured: Vec<&'static str>,
}

impl Mitigations {
    /// Whether the next boot has them otherwise than the running kernel.
    pub fn is_reboot_pending(&self) -> bool {
        self.running.as_ref().is_some_and(|running| *running != self.configured)
    }
}

impl Guest {
    /// What is switched off of the mitigations, beside what the distribution's public image ships.
    ///
    /// # Errors
    /// When the command lines or /sys cannot be read.
    pub fn mitigations(&self) -> Fact<Mitigations> {
        let lines = self.command_lines()?;
        let switches = self.switches()?;
        let off = |line: &KernelArguments| -> Vec<&'static str> {
            switches.iter().copied().filter(|argument| line.has(argument)).collect()
        };
        let mut configured: Vec<&'static str> = lines.configured().flat_map(off).collect();
        configured.sort_unstable();
        configured.dedup();
        let mut running: Option<Vec<_>> = lines.running.as_ref().map(off);
        running.iter_mut().for_each(|running| running.sort_unstable());
        Ok(Mitigations { vulnerabilities: self.vulnerabilities()?, running, configured })
    }

    /// Every argument that switches a mitigation off, but for what the distribution's public image ships.
    ///
    /// # Errors
    /// When the distribution cannot be told.
    pub fn mitigation_switches(&self) -> Fact<Vec<String>> {
        Ok(self.switches()?.into_iter().map(str::to_owned).collect())
    }

    fn switches(&self) -> Fact<Vec<&'static str>> {
        let id = self.os()?.id.clone().unwrap_or_default();
        let counts = |argument: &&str| !SHIPPED.contains(&(id.as_str(), *argument));
        Ok(OFF.into_iter().filter(counts).collect())
    }

    fn vulnerabilities(&self) -> Fact<Vec<Vulnerability>> {
        const PLACE: &str = "/devices/system/cpu/vulnerabilities";
        let Some(kernel) = self.kernel() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in kernel.sys_list(PLACE)?.unwrap_or_default() {
            let name = String::from_utf8_lossy(&name).into_owned();
            let Some(state) = kernel.sys(&format!("{PLACE}/{name}"))? else { continue };
            found.push(Vulnerability {
                name,
                state: String::from_utf8_lossy(&state).trim().to_owned(),
            });
        }
        Ok(found)
    }

    /// The arguments that switch the mitigations off on this guest.
    ///
    /// `mitigations=off` is known from Linux 5.2 on; before it, and on the kernels of the distributions that took it over at
    /// some time, PTI and the mitigations of Spectre 2 are switched off one by one.
    ///
    /// # Errors
    /// When the loader's configuration cannot be read.
    pub fn mitigations_off(&self) -> Fact<&'static [&'static str]> {
        let version = self.boot_entries()?.default_entry().and_then(super::BootEntry::version);
        let mut numbers =
            version.as_deref().unwrap_or_default().split(['.', '-']).map(str::parse::<u32>);
        let number = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
        Ok(match number {
            (Some(major), Some(minor)) if (major, minor) >= (5, 2) => &["mitigations=off"],
            _ => &["nopti", "spectre_v2=off"],
        })
    }
}
