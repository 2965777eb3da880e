//! Everything that turns swap on at boot, one function a source.

use super::{ConfiguredSwap, Resume, SwapOrigin, SwapSpace, device_of};
use crate::guest::{BootVerb, Fact, Guest, Init, ItemKind, Origin};
use crate::model::{ByteString, GuestPath};
use crate::parse::cloud_swap;
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::key_value::KeyValue;
use crate::parse::source::Source;
use crate::parse::unit::{self, UnitFile};

/// Where generators lie that the distribution ships (systemd.generator(7)).
const GENERATORS: [&str; 2] =
    ["/usr/lib/systemd/system-generators", "/lib/systemd/system-generators"];

/// Services that make swap by themselves: the service, its configuration, what it swaps to unless
/// that says otherwise, and the key that says it. From Debian's packages zram-tools, dphys-swapfile
/// and swapspace, and Ubuntu's zram-config, which has no configuration.
const SERVICES: [(&str, &str, &str, &str); 4] = [
    ("zramswap", "/etc/default/zramswap", "/dev/zram0", ""),
    ("zram-config", "/lib/systemd/system/zram-config.service", "/dev/zram0", ""),
    ("dphys-swapfile", "/etc/dphys-swapfile", "/var/swap", "CONF_SWAPFILE"),
    ("swapspace", "/etc/swapspace.conf", "/var/lib/swapspace", "swappath"),
];

/// Lines of fstab and units that boot acts on.
pub fn boot_items(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    for (item, entry) in guest.boot()?.items.iter().enumerate() {
        if entry.kind != ItemKind::Swap || !entry.is_tried() {
            continue;
        }
        let origin = match &entry.origin {
            Origin::Fstab(line) => SwapOrigin::Fstab { item, line: *line },
            Origin::Unit { name, .. } => SwapOrigin::Unit { item, name: name.clone() },
            Origin::Crypttab(_) => continue,
        };
        space.configured.push(ConfiguredSwap {
            origin,
            what: entry.source_text.clone(),
            device: entry.place.device(),
        });
    }
    Ok(())
}

/// Whether systemd-gpt-auto-generator would turn swap partitions on. It does nothing when fstab
/// has any swap, when it is masked, and under `systemd.gpt_auto=0`.
pub fn gpt_auto_runs(guest: &Guest) -> Fact<bool> {
    const NAME: &str = "systemd-gpt-auto-generator";
    if guest.init()? != Init::Systemd || !has_generator(guest, NAME)? {
        return Ok(false);
    }
    let in_fstab = guest
        .fstab()?
        .is_some_and(|fstab| fstab.entries().any(|entry| entry.fstype.value == b"swap"));
    let off: [&[u8]; 4] = [b"0", b"no", b"off", b"false"];
    let is_off = arguments(guest).value("systemd.gpt_auto").is_some_and(|v| off.contains(&v));
    Ok(!in_fstab && !is_off)
}

/// Whether a generator is there and no empty file or link to /dev/null hides it.
fn has_generator(guest: &Guest, name: &str) -> Fact<bool> {
    let own = GuestPath::from("/etc/systemd/system-generators").join(name.as_bytes());
    if guest.root().read_link(&own)?.as_deref() == Some(b"/dev/null") {
        return Ok(false);
    }
    if let Some(file) = guest.stat(&own)? {
        return Ok(file.size > 0);
    }
    for directory in GENERATORS {
        if guest.stat(&GuestPath::from(directory).join(name.as_bytes()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The devices of zram-generator that are swap: the first main file of /etc, /usr/local/lib and
/// /usr/lib, then the drop-ins of all three by name (zram-generator.conf(5)).
pub fn zram_generator(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    if !has_generator(guest, "zram-generator")? {
        return Ok(());
    }
    if arguments(guest).has("systemd.zram=0") {
        return Ok(());
    }
    let mut devices: Vec<(Vec<u8>, GuestPath)> = Vec::new();
    let mut parsed = Vec::new();
    for path in guest.conf_files("systemd/zram-generator.conf")? {
        let Some(text) = guest.file(&path)? else { continue };
        let file = UnitFile::parse(&text);
        if let Some(error) = file.errors().first() {
            space.doubts.push(format!("{path}:{}: {}", error.line, error.reason));
        }
        for line in file.lines() {
            let name =
                line.raw.trim_ascii().strip_prefix(b"[zram").and_then(|r| r.strip_suffix(b"]"));
            if let Some(number) = name.filter(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
                && !devices.iter().any(|(known, _)| known == number)
            {
                devices.push((number.to_vec(), path.clone()));
            }
        }
        parsed.push(file);
    }
    let settings = unit::merge(&UnitFile::default(), &parsed);
    for (number, path) in devices {
        let section = format!("zram{}", String::from_utf8_lossy(&number));
        let get = |key| settings.get_last(&section, key);
        let is_filesystem = get("mount-point").is_some();
        let is_other = get("fs-type").is_some_and(|fstype| fstype != b"swap");
        if is_filesystem || is_other || get("zram-size") == Some(b"0") {
            continue;
        }
        let what = format!("/dev/{section}");
        space.configured.push(ConfiguredSwap {
            origin: SwapOrigin::ZramGenerator(path),
            device: zram_device(guest, &what)?,
            what: ByteString::from(what.as_str()),
        });
    }
    Ok(())
}

/// Services that make swap by themselves.
pub fn services(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    for (name, path, what, key) in SERVICES {
        if !guest.service(name)?.is_some_and(|service| service.starts.is_enabled()) {
            continue;
        }
        let path = GuestPath::from(path);
        let mut what = ByteString::from(what);
        if !key.is_empty()
            && let Some(text) = guest.file(&path)?
        {
            let file = KeyValue::parse(&text);
            if let Some(set) = file.last(key).filter(|set| !set.value.is_empty()) {
                if set.expands {
                    space.doubts.push(format!(
                        "{path}:{}: what {name} swaps to is in a variable",
                        set.line
                    ));
                }
                what = ByteString::from(set.value.as_slice());
            }
        }
        let device = if key.is_empty() { zram_device(guest, &what.to_string())? } else { None };
        space.configured.push(ConfiguredSwap {
            origin: SwapOrigin::Service { name, path },
            what,
            device,
        });
    }
    Ok(())
}

fn zram_device(guest: &Guest, path: &str) -> Fact<Option<usize>> {
    match guest.kernel() {
        Some(_) => guest.find_device(path.as_bytes()),
        None => Ok(None),
    }
}

/// `swapon` in rc.local, `@reboot` lines and services of the operator.
pub fn commands(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    let commands = guest.boot_commands()?;
    for command in commands.commands.iter().filter(|c| c.verb == BootVerb::SwapOn) {
        let what = command.source.clone().unwrap_or_else(|| command.text.clone());
        let device = match &command.source {
            Some(source) => device_of(guest, source.as_bytes())?,
            None => None,
        };
        space.configured.push(ConfiguredSwap {
            origin: SwapOrigin::Command { path: command.path.clone(), line: command.line },
            what,
            device,
        });
    }
    space.doubts.extend(commands.unread.iter().cloned());
    Ok(())
}

/// cloud-init's own configuration, which a clone has as well; user data it does not.
pub fn cloud_init(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    let mut files = vec![GuestPath::from("/etc/cloud/cloud.cfg")];
    let directory = GuestPath::from("/etc/cloud/cloud.cfg.d");
    for name in guest.root().list(&directory)?.unwrap_or_default() {
        if name.ends_with(b".cfg") {
            files.push(directory.join(&name));
        }
    }
    for path in files {
        let Some(text) = guest.file(&path)? else { continue };
        for swap in cloud_swap::find(&text) {
            space.configured.push(ConfiguredSwap {
                device: device_of(guest, &swap.what)?,
                what: ByteString::from(swap.what),
                origin: SwapOrigin::CloudInit { path: path.clone(), line: swap.line },
            });
        }
    }
    Ok(())
}

/// `resume=` of the next boot, and `RESUME=` of initramfs-tools, where the file that sorts
/// last decides (initramfs.conf(5)).
pub fn resume(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    let arguments = arguments(guest);
    if let Some(device) = arguments.value("resume").filter(|_| !arguments.has("noresume")) {
        space.resume.push(Resume {
            device: ByteString::from(device),
            path: None,
            place: guest.place(&Source::parse(device), None)?,
        });
    }
    let mut files = vec![GuestPath::from("/etc/initramfs-tools/initramfs.conf")];
    let directory = GuestPath::from("/etc/initramfs-tools/conf.d");
    let mut names = guest.root().list(&directory)?.unwrap_or_default();
    names.sort();
    files.extend(names.iter().map(|name| directory.join(name)));
    let mut set = None;
    for path in files {
        let Some(text) = guest.file(&path)? else { continue };
        if let Some(assignment) = KeyValue::parse(&text).last("RESUME") {
            set = Some((path, assignment.line, assignment.value.clone()));
        }
    }
    if let Some((path, line, device)) = set
        && ![&b""[..], b"none", b"auto"].contains(&device.as_slice())
    {
        space.resume.push(Resume {
            place: guest.place(&Source::parse(&device), None)?,
            device: ByteString::from(device),
            path: Some((path, line)),
        });
    }
    Ok(())
}

/// The arguments of the next boot. Where the menu cannot be read, the checks of it say so.
fn arguments(guest: &Guest) -> KernelArguments {
    guest.boot_arguments().ok().flatten().cloned().unwrap_or_default()
}
