//! Whether every kernel of the boot menu has drivers where it needs them: built in, or as modules in its
//! initramfs (before the root filesystem is mounted) or in /lib/modules (after).

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::{BootKernel, Driver, Fact, Unknown};
use crate::model::{ByteString, Edit, Finding, GuestPath, Severity, Subject, Verdict};

/// The drivers that a check asks for.
pub struct Wanted {
    /// Needed to find the root filesystem.
    pub early: &'static [Driver],
    /// Needed after that.
    pub late: &'static [Driver],
    /// What the file is called by that has an initramfs take them in.
    pub name: &'static str,
}

pub fn judge(guest: &Guest, wanted: &Wanted) -> Answer {
    let kernels = guest.kernels()?;
    if kernels.is_empty() {
        return Err(Unknown("/boot holds no kernel that is known".to_owned()));
    }
    let default = default_image(guest, kernels);
    let (mut findings, mut doubts) = (Vec::new(), Vec::new());
    for kernel in kernels {
        let is_booted = default.is_none_or(|image| *image == kernel.image);
        match of_kernel(guest, kernel, wanted) {
            Ok(found) if is_booted => findings.extend(found),
            // An instance starts without it; it is only there to be chosen by hand.
            Ok(found) => findings.extend(found.map(|found| found.severity(Severity::Warning))),
            Err(doubt) if is_booted => doubts.push(doubt.0),
            Err(doubt) => findings.push(
                Finding::new("not-told", Subject::file(&kernel.image))
                    .with("kernel", &kernel.release)
                    .with("why", doubt.0),
            ),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// The image that the default entry boots; `None` where the menu does not tell, and any of the kernels may be booted.
fn default_image<'a>(guest: &'a Guest, kernels: &[BootKernel]) -> Option<&'a GuestPath> {
    let menu = guest.boot_entries().ok().filter(|menu| menu.doubts.is_empty())?;
    let image = &menu.default_entry()?.kernel.as_ref()?.path;
    kernels.iter().any(|kernel| kernel.image == *image).then_some(image)
}

fn of_kernel(guest: &Guest, kernel: &BootKernel, wanted: &Wanted) -> Fact<Option<Finding>> {
    let modules = guest.kernel_modules(&kernel.release)?;
    // What the kernel has not, and what its initramfs has to have.
    let (mut lacking, mut packed) = (Vec::new(), BTreeSet::new());
    let early = wanted.early.iter().map(|driver| (driver, true));
    for (driver, is_early) in early.chain(wanted.late.iter().map(|driver| (driver, false))) {
        if modules.is_builtin(*driver)? {
            continue;
        }
        let available = modules.modules()?;
        if !available.has(driver.module) {
            lacking.push(driver.module);
        } else if is_early {
            packed.insert(driver.module.to_owned());
            // A module without those that it builds upon cannot be loaded.
            let below = available.of(driver.module).iter();
            packed.extend(below.filter(|name| !modules.lists_builtin(name)).cloned());
        }
    }
    let finding = |key, subject: &GuestPath, drivers: &str| {
        Finding::new(key, Subject::file(subject))
            .with("kernel", &kernel.release)
            .with("drivers", drivers)
    };
    if !lacking.is_empty() {
        return Ok(Some(finding("not-in-kernel", &kernel.image, &lacking.join(", "))));
    }
    if packed.is_empty() {
        return Ok(None);
    }
    let Some(path) = kernel.initramfs.last() else {
        let drivers = packed.into_iter().collect::<Vec<_>>().join(", ");
        return Ok(Some(finding("no-initramfs", &kernel.image, &drivers)));
    };
    let mut packed_root = None;
    for part in &kernel.initramfs {
        let initramfs = guest.initramfs(part)?;
        packed.retain(|module| !initramfs.has_module(&kernel.release, module));
        packed_root = packed_root.or_else(|| initramfs.packed_root.clone());
    }
    if packed.is_empty() {
        return Ok(None);
    }
    let drivers = packed.into_iter().collect::<Vec<_>>().join(", ");
    if let Some(root) = packed_root {
        let doubt = format!("{path} may have {drivers} inside {root}, which is not read");
        return Err(Unknown(doubt));
    }
    let fix = take_in(guest, kernel, path, wanted)?;
    let finding = finding("not-in-initramfs", path, &drivers).with("path", path);
    Ok(Some(finding.fix(fix)))
}

/// Have the guest's own tool make the initramfs again, with the drivers in it, and every later one
/// too. Only on a running guest: without that the file for later ones would change nothing of what
/// boots now.
fn take_in(
    guest: &Guest,
    kernel: &BootKernel,
    image: &GuestPath,
    wanted: &Wanted,
) -> Fact<Vec<Edit>> {
    let Some(rebuild) = rebuild(guest, kernel, image)? else { return Ok(Vec::new()) };
    let names = wanted.early.iter().chain(wanted.late).map(|driver| driver.module);
    let names: Vec<&str> = names.collect();
    let ask = match rebuild.tool {
        // dracut.conf(5): blanks around the names, because others append too.
        Tool::Dracut => Edit::WriteFile {
            path: format!("/etc/dracut.conf.d/guestprep-{}.conf", wanted.name).as_str().into(),
            content: format!("add_drivers+=\" {} \"\n", names.join(" ")).as_str().into(),
            mode: 0o644,
        },
        Tool::InitramfsTools => Edit::Append {
            path: "/etc/initramfs-tools/modules".into(),
            lines: names.into_iter().map(ByteString::from).collect(),
        },
    };
    Ok(vec![ask, rebuild.edit])
}

/// What makes an initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// dracut(8): Red Hat's families, Fedora, SUSE from 12 on.
    Dracut,
    /// update-initramfs(8): Debian and Ubuntu.
    InitramfsTools,
}

/// How an initramfs is made again.
pub struct Rebuild {
    /// By what.
    pub tool: Tool,
    /// The edit that runs it.
    pub edit: Edit,
}

/// How the guest makes this initramfs again; `None` where it does not run here, or has a tool that
/// we do not know (mkinitrd of EL5 and SLES 11).
pub fn rebuild(guest: &Guest, kernel: &BootKernel, image: &GuestPath) -> Fact<Option<Rebuild>> {
    if !guest.is_running_here() {
        return Ok(None);
    }
    let has = |path: &str| -> Fact<bool> { Ok(guest.stat(&path.into())?.is_some()) };
    let release = kernel.release.as_str();
    // It comes from the name of a file in /boot, and would be an option of the tool.
    if release.starts_with('-') {
        return Ok(None);
    }
    let is_debian = image.as_bytes().starts_with(b"/boot/initrd.img-");
    let (tool, argv, mut writes) = if is_debian && has("/etc/initramfs-tools/modules")? {
        let argv = vec!["update-initramfs", "-u", "-k", release];
        // DISTRO(ubuntu-18.04): it notes the image's digest there, and refuses to update an image
        // that has another.
        let note = format!("/var/lib/initramfs-tools/{release}");
        let note = has(&note)?.then(|| GuestPath::from(note.as_str()));
        (Tool::InitramfsTools, argv, Vec::from_iter(note))
    } else if guest.has_dracut()? {
        let Ok(shown) = std::str::from_utf8(image.as_bytes()) else { return Ok(None) };
        (Tool::Dracut, vec!["dracut", "--force", shown, release], Vec::new())
    } else {
        return Ok(None);
    };
    writes.push(image.clone());
    let argv = argv.into_iter().map(str::to_owned).collect();
    Ok(Some(Rebuild { tool, edit: Edit::Run { argv, writes, undo: Vec::new() } }))
}
