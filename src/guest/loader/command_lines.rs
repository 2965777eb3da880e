//! The kernel's arguments now, at the next boot, and of the next kernel that is installed.

use super::Loader;
use crate::guest::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::kernel_arguments::KernelArguments;

/// Three command lines that should agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLines {
    /// What the running kernel was given; `None` where none runs.
    pub running: Option<KernelArguments>,
    /// What the default entry gives the next one; `None` where there is no default entry.
    pub next_boot: Option<KernelArguments>,
    /// What the tools of the distribution give a kernel that is installed next, beside `root=`; `None` where they copy
    /// the default entry.
    pub next_kernel: Option<KernelArguments>,
    /// The file that says what the next kernel gets.
    pub next_kernel_from: Option<GuestPath>,
}

impl CommandLines {
    /// What is configured: the lines that a boot to come will have.
    pub fn configured(&self) -> impl Iterator<Item = &KernelArguments> {
        self.next_boot.iter().chain(&self.next_kernel)
    }
}

impl Guest {
    /// The kernel's arguments, running and configured.
    ///
    /// # Errors
    /// When the loader's configuration or the generator's settings cannot be read.
    pub fn command_lines(&self) -> Fact<&CommandLines> {
        super::keep(&self.facts.command_lines, || read(self))
    }

    /// The kernel's arguments at the next boot; where the boot loader's menu has no default entry, those of the running
    /// kernel. `None` where neither is known.
    ///
    /// # Errors
    /// As [`Guest::command_lines`].
    pub fn boot_arguments(&self) -> Fact<Option<&KernelArguments>> {
        let lines = self.command_lines()?;
        Ok(lines.next_boot.as_ref().or(lines.running.as_ref()))
    }
}

fn read(guest: &Guest) -> Fact<CommandLines> {
    let running = match guest.kernel() {
        Some(kernel) => kernel.proc("/cmdline")?.map(|text| KernelArguments::parse(&text)),
        None => None,
    };
    let menu = guest.boot_entries()?;
    let next_boot = menu.default_entry().map(|entry| entry.arguments.clone());
    let (next_kernel, next_kernel_from) = next_kernel(guest, menu.loader)?.unzip();
    Ok(CommandLines { running, next_boot, next_kernel, next_kernel_from })
}

fn next_kernel(guest: &Guest, loader: Loader) -> Fact<Option<(KernelArguments, GuestPath)>> {
    if loader != Loader::Grub2 {
        // grubby and perl-Bootloader of that time copy the default entry.
        return Ok(None);
    }
    // kernel-install(8) takes it from here where it is there.
    let cmdline = GuestPath::from("/etc/kernel/cmdline");
    if let Some(content) = guest.file(&cmdline)?
        && !guest.bls_files()?.is_empty()
    {
        return Ok(Some((KernelArguments::parse(&content), cmdline)));
    }
    let Some(defaults) = guest.grub_defaults()? else { return Ok(None) };
    let text = [defaults.every.text(), defaults.normal.text()].join(&b' ');
    let file = defaults.files.into_iter().next();
    Ok(file.map(|file| (KernelArguments::parse(&text), file)))
}
