//! The boot loader's menu: its entries as the loader itself would list them, and which of them it boots.
//!
//! For probes and for `change`, which edits what is found here. It reads the loader's own configuration and evaluates it as
//! GRUB does; it never asks GRUB's tools, which look at the machine that they run on.

mod bls;
mod command_lines;
mod defaults;
mod grub2;
mod legacy;
mod menu;
mod paths;
mod test;

pub use command_lines::CommandLines;
pub use defaults::GrubDefaults;

use super::{Fact, Family, Guest, Mode, Unknown, keep};
use crate::model::{ByteString, GuestPath};
use crate::parse::kernel_arguments::KernelArguments;

/// What loads the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// GRUB 2, with grub.cfg and maybe boot loader entries.
    Grub2,
    /// GRUB 0.97, with menu.lst or grub.conf.
    GrubLegacy,
    /// Another one, of which no more is known than that its configuration is there.
    Other(&'static str),
    /// No configuration of any loader was found.
    Missing,
}

/// The menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntries {
    /// What loads the kernel.
    pub loader: Loader,
    /// The configuration that the loader starts with; where none was found, the one that was looked for.
    pub config: GuestPath,
    /// Every configuration file that was read, in order, without boot loader entries.
    pub files: Vec<GuestPath>,
    /// The entries in the order of the menu, those of submenus in their place.
    pub entries: Vec<BootEntry>,
    /// The entry that is booted when nobody is at the console, as an index; `None` where the menu is empty.
    pub default: Option<usize>,
    /// How many seconds GRUB 2 shows the menu before it boots the default entry, as it is written; `None` where it is not set.
    pub timeout: Option<ByteString>,
    /// What could not be told of the menu, with path and line.
    pub doubts: Vec<String>,
}

/// One entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The title, as the menu shows it.
    pub title: ByteString,
    /// The identifier, where it has one.
    pub id: Option<ByteString>,
    /// The file that it stands in.
    pub source: GuestPath,
    /// The line at which it begins there.
    pub line: usize,
    /// The kernel; `None` where the entry boots something else.
    pub kernel: Option<BootFile>,
    /// The initial ramdisks, in order.
    pub initrds: Vec<BootFile>,
    /// The kernel's arguments, variables of the loader put in.
    pub arguments: KernelArguments,
    /// The line that the arguments begin on.
    pub arguments_line: usize,
    /// Whether GRUB 2 boots it for none but who gives a password.
    pub asks_for_password: bool,
}

/// A file that an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFile {
    /// As the entry names it: from the root of the filesystem that the loader reads.
    pub named: ByteString,
    /// Where it lies in the guest, or would.
    pub path: GuestPath,
    /// The line that names it.
    pub line: usize,
    /// Whether it is there, as a file that is not empty.
    pub exists: bool,
}

impl BootEntries {
    /// The default entry.
    pub fn default_entry(&self) -> Option<&BootEntry> {
        self.entries.get(self.default?)
    }

    /// The entries that boot Linux.
    pub fn kernels(&self) -> impl Iterator<Item = &BootEntry> {
        self.entries.iter().filter(|entry| entry.kernel.is_some())
    }
}

impl BootEntry {
    /// The kernel's release, as the name of its file tells it: what `uname -r` would print.
    pub fn version(&self) -> Option<String> {
        let name = String::from_utf8_lossy(self.kernel.as_ref()?.path.name()).into_owned();
        let (_, version) = name.split_once('-')?;
        (!version.is_empty()).then(|| version.to_owned())
    }
}

impl Guest {
    /// The boot loader's menu.
    ///
    /// # Errors
    /// When the tree lacks the filesystem that holds it, or a configuration file cannot be read as one.
    pub fn boot_entries(&self) -> Fact<&BootEntries> {
        keep(&self.facts.boot_entries, || read(self))
    }

    /// Whether it was booted by UEFI firmware; `None` where it does not run.
    ///
    /// # Errors
    /// When /sys cannot be read.
    pub fn booted_by_efi(&self) -> Fact<Option<bool>> {
        let Some(kernel) = self.kernel() else { return Ok(None) };
        Ok(Some(kernel.sys_list("/firmware/efi")?.is_some()))
    }

    /// The files of GRUB 2 on the EFI system partition, that of the distribution first.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn efi_configs(&self) -> Fact<Vec<GuestPath>> {
        let id = self.os()?.id.clone().unwrap_or_default();
        let mut found = Vec::new();
        for top in ["/boot/efi/EFI", "/efi/EFI"].map(GuestPath::from) {
            for vendor in self.list(&top)? {
                let path = top.join(&vendor).join(b"grub.cfg");
                if self.stat(&path)?.is_some() {
                    found.push((
                        vendor.eq_ignore_ascii_case(b"BOOT"),
                        vendor != id.as_bytes(),
                        path,
                    ));
                }
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(.., path)| path).collect())
    }

    /// The names in a directory; none where there is no such directory.
    fn list(&self, path: &GuestPath) -> Fact<Vec<Vec<u8>>> {
        match self.stat(path)? {
            Some(about) if about.kind == super::FileKind::Directory => {
                Ok(self.root().list(path)?.unwrap_or_default())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Where GRUB 2 keeps its configuration: Red Hat, Fedora and SUSE first.
const GRUB2: [&str; 2] = ["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"];

/// Loaders whose configuration is known by its place alone.
const OTHERS: [(&str, &str); 6] = [
    ("/boot/efi/loader/loader.conf", "systemd-boot"),
    ("/efi/loader/loader.conf", "systemd-boot"),
    ("/boot/loader/loader.conf", "systemd-boot"),
    ("/boot/extlinux/extlinux.conf", "extlinux"),
    ("/boot/syslinux/syslinux.cfg", "syslinux"),
    ("/etc/lilo.conf", "lilo"),
];

fn read(guest: &Guest) -> Fact<BootEntries> {
    let paths = paths::BootPaths::read(guest)?;
    let efi = guest.efi_configs()?;
    let is_efi = guest.booted_by_efi()?;
    let mut candidates: Vec<GuestPath> = GRUB2.into_iter().map(GuestPath::from).collect();
    // What is on the ESP counts where the firmware starts from there; it may be a leftover elsewhere.
    match is_efi {
        Some(true) => candidates.splice(0..0, efi),
        _ => candidates.splice(2..2, efi),
    };
    for config in &candidates {
        if guest.stat(config)?.is_some() {
            return grub2::read(guest, &paths, config, is_efi.unwrap_or(false));
        }
    }
    // Red Hat's GRUB 0.97 reads grub.conf, everybody else's menu.lst.
    let mut legacy = ["/boot/grub/menu.lst", "/boot/grub/grub.conf"];
    if guest.os()?.family == Family::El {
        legacy.reverse();
    }
    for config in legacy.map(GuestPath::from) {
        if guest.stat(&config)?.is_some() {
            return legacy::read(guest, &paths, &config);
        }
    }
    let empty = |loader, config: &str| BootEntries {
        loader,
        config: GuestPath::from(config),
        files: Vec::new(),
        entries: Vec::new(),
        default: None,
        timeout: None,
        doubts: Vec::new(),
    };
    for (config, name) in OTHERS {
        if guest.stat(&GuestPath::from(config))?.is_some() {
            return Ok(empty(Loader::Other(name), config));
        }
    }
    if guest.mode() != Mode::Live && paths.lacks_boot(guest)? {
        return Err(Unknown(
            "/boot is a filesystem of its own, and it is not mounted in this tree".to_owned(),
        ));
    }
    let expected = match guest.os()?.family {
        Family::Deb => GRUB2[1],
        _ => GRUB2[0],
    };
    Ok(empty(Loader::Missing, expected))
}
