//! The kernels that the guest can boot, what is built into them and what they have as modules.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::kept::KeptBy;
use super::{BootEntries, Fact, Guest, MAX_FILE, Unknown};
use crate::model::GuestPath;
use crate::parse::initramfs::gunzip;
use crate::parse::kernel_modules::{self, Configured, Dependencies};

/// A kernel and what it is booted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootKernel {
    /// Its release, as uname(1) would say it.
    pub release: String,
    /// Its image.
    pub image: GuestPath,
    /// The parts of its initramfs that are there, in order; the kernel unpacks one over the other.
    pub initramfs: Vec<GuestPath>,
}

/// What a kernel can drive.
#[derive(Clone, Debug)]
pub struct KernelModules {
    /// `None` where the kernel has no list of them.
    builtin: Option<BTreeSet<String>>,
    /// The configuration, read where there is no such list.
    configuration: Option<Vec<u8>>,
    /// `None` where depmod(8) has not run.
    modules: Option<Dependencies>,
    directory: GuestPath,
}

/// A driver: its module, and the option that it is built in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The module's name.
    pub module: &'static str,
    /// The option, without `CONFIG_`.
    pub option: &'static str,
}

pub(super) type Modules = KeptBy<String, Fact<Rc<KernelModules>>>;

impl KernelModules {
    /// Whether the driver is built in.
    ///
    /// # Errors
    /// When there is neither `modules.builtin` nor a configuration.
    pub fn is_builtin(&self, driver: Driver) -> Fact<bool> {
        match (&self.builtin, &self.configuration) {
            (Some(builtin), _) => Ok(builtin.contains(driver.module)),
            (None, Some(text)) => {
                Ok(kernel_modules::configured(text, driver.option) == Configured::BuiltIn)
            }
            (None, None) => Err(Unknown(format!(
                "there is neither {}/modules.builtin nor a configuration of this kernel",
                self.directory
            ))),
        }
    }

    /// Whether a module is built in, by the list of those alone.
    pub fn lists_builtin(&self, module: &str) -> bool {
        self.builtin.as_ref().is_some_and(|builtin| builtin.contains(module))
    }

    /// The modules and what has to be loaded before each.
    ///
    /// # Errors
    /// When depmod(8) has not run for this kernel.
    pub fn modules(&self) -> Fact<&Dependencies> {
        self.modules.as_ref().ok_or_else(|| {
            Unknown(format!("{}/modules.dep is missing; depmod makes it", self.directory))
        })
    }
}

impl Guest {
    /// What a kernel can drive, by its release.
    ///
    /// # Errors
    /// When its lists cannot be read.
    pub fn kernel_modules(&self, release: &str) -> Fact<Rc<KernelModules>> {
        let read = |release: &String| read_modules(self, release).map(Rc::new);
        self.facts.modules.get_or_init(release.to_owned(), read)
    }
}

pub(super) fn find(guest: &Guest) -> Fact<Vec<BootKernel>> {
    match guest.boot_entries() {
        Ok(menu) if menu.kernels().next().is_some() => in_menu(guest, menu),
        _ => in_boot(guest),
    }
}

/// Those that the menu boots. A file that an entry names and that is not there is another check's.
/// Rescue entries, which nobody boots but by hand, are left out.
fn in_menu(guest: &Guest, menu: &BootEntries) -> Fact<Vec<BootKernel>> {
    let mut kernels: Vec<BootKernel> = Vec::new();
    for entry in menu.kernels() {
        let Some(image) = entry.kernel.as_ref().filter(|kernel| kernel.exists) else { continue };
        // What GRUB's `linux` starts may be a memory test.
        if !image.path.name().starts_with(b"vmlinu") {
            continue;
        }
        let release = match entry.version() {
            Some(release) => release,
            None => linked_release(guest, &image.path)?.ok_or_else(|| {
                let (source, line) = (&entry.source, entry.line);
                Unknown(format!("{source}:{line}: the release of {} is not known", image.path))
            })?,
        };
        let initrds = entry.initrds.iter().filter(|initrd| initrd.exists);
        let kernel = BootKernel {
            image: image.path.clone(),
            initramfs: initrds.map(|initrd| initrd.path.clone()).collect(),
            release,
        };
        // Several entries of one kernel differ in its arguments.
        if !kernel.release.starts_with("0-rescue") && !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
    }
    Ok(kernels)
}

/// The release in the name that a link such as /boot/vmlinuz points at.
fn linked_release(guest: &Guest, path: &GuestPath) -> Fact<Option<String>> {
    let Some(target) = guest.root().read_link(path)? else { return Ok(None) };
    let name = String::from_utf8_lossy(GuestPath::new(&target).name()).into_owned();
    Ok(name.split_once('-').map(|(_, release)| release.to_owned()))
}

/// Those in /boot by the names that distributions give them, without rescue kernels and backups.
fn in_boot(guest: &Guest) -> Fact<Vec<BootKernel>> {
    let boot = GuestPath::from("/boot");
    let names = guest.root().list(&boot)?.unwrap_or_default();
    let mut kernels = Vec::new();
    for name in &names {
        let Some(release) =
            name.strip_prefix(b"vmlinuz-").and_then(|r| std::str::from_utf8(r).ok())
        else {
            continue;
        };
        let is_backup = [".old", ".bak", ".rpmsave", ".rpmnew", ".dpkg-bak", ".dpkg-new", "~"]
            .iter()
            .any(|ending| release.ends_with(ending));
        if release.starts_with("0-rescue") || is_backup || release.is_empty() {
            continue;
        }
        let initramfs = initramfs_names(release).map(String::into_bytes);
        let initramfs = initramfs.iter().find(|name| names.contains(name));
        kernels.push(BootKernel {
            release: release.to_owned(),
            image: boot.join(name),
            initramfs: initramfs.map(|name| boot.join(name)).into_iter().collect(),
        });
    }
    Ok(kernels)
}

/// How families name the initramfs of a kernel: Red Hat's, Debian's, SUSE's, and EL5's.
fn initramfs_names(release: &str) -> [String; 4] {
    [
        format!("initramfs-{release}.img"),
        format!("initrd.img-{release}"),
        format!("initrd-{release}"),
        format!("initrd-{release}.img"),
    ]
}

fn read_modules(guest: &Guest, release: &str) -> Fact<KernelModules> {
    let directory = GuestPath::from(format!("/lib/modules/{release}").as_str());
    // A megabyte of text that nothing else asks for: read and not kept.
    let read = |path: &GuestPath| guest.root().read(path, MAX_FILE).map_err(Unknown::from);
    let builtin = read(&directory.join(b"modules.builtin"))?;
    let configuration = match builtin {
        Some(_) => None,
        None => configuration(guest, release, &directory)?,
    };
    let modules = match read(&directory.join(b"modules.dep"))? {
        Some(text) => Some(Dependencies::parse(&text)),
        // A kernel without any module has no directory for them.
        None if guest.stat(&directory)?.is_none() => Some(Dependencies::default()),
        None => None,
    };
    let builtin = builtin.map(|text| kernel_modules::builtin(&text));
    Ok(KernelModules { builtin, configuration, modules, directory })
}

/// A kernel's configuration: beside it, with its modules, or as it runs.
fn configuration(guest: &Guest, release: &str, directory: &GuestPath) -> Fact<Option<Vec<u8>>> {
    let beside = GuestPath::from(format!("/boot/config-{release}").as_str());
    for path in [beside, directory.join(b"config")] {
        if let Some(text) = guest.root().read(&path, MAX_FILE)? {
            return Ok(Some(text));
        }
    }
    if guest.kernel_release().as_deref() != Some(release) {
        return Ok(None);
    }
    let Some(kernel) = guest.kernel() else { return Ok(None) };
    let Some(packed) = kernel.proc("/config.gz")? else { return Ok(None) };
    let text = gunzip(&packed, MAX_FILE).map_err(|e| Unknown(format!("/proc/config.gz: {e}")))?;
    Ok(Some(text))
}
