//! Where swap comes from: what is on now, and everything that boot would turn on.
//!
//! For the probe `swap-enabled` and the command `swap`. Sources: /proc/swaps, fstab, `.swap`
//! units, swap partitions of the root disk's GPT (systemd-gpt-auto-generator(8)), zram
//! (zram-generator.conf(5), zram-tools), the daemons dphys-swapfile(8) and swapspace(8), rc.local
//! and its kin, cloud-init (cc_mounts), and what the kernel would resume from.

mod sources;

use super::{DeviceKind, Fact, Guest, Place};
use crate::model::{ByteString, GuestPath};
use crate::parse::source::Source;
use crate::parse::swaps::{Swap, SwapKind};

/// What turns a swap on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwapOrigin {
    /// A line of /etc/fstab.
    Fstab {
        /// Its index in [`super::Boot::items`].
        item: usize,
        /// The line, counted from 1.
        line: usize,
    },
    /// A unit file.
    Unit {
        /// Its index in [`super::Boot::items`].
        item: usize,
        /// The unit's full name.
        name: String,
    },
    /// systemd-gpt-auto-generator: the partition's type says swap.
    PartitionType,
    /// zram-generator; the file that configures the device.
    ZramGenerator(GuestPath),
    /// A service that sets swap up by itself.
    Service {
        /// Its name without a suffix.
        name: &'static str,
        /// Its configuration, where it has a file for that.
        path: GuestPath,
    },
    /// A command in a script that boot runs.
    Command {
        /// The file that holds it.
        path: GuestPath,
        /// The line, counted from 1.
        line: usize,
    },
    /// cloud-init's configuration.
    CloudInit {
        /// The file.
        path: GuestPath,
        /// The line, counted from 1.
        line: usize,
    },
}

/// A swap that boot would turn on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredSwap {
    /// What turns it on.
    pub origin: SwapOrigin,
    /// The device or file, as written.
    pub what: ByteString,
    /// The device, where it is known; an index of [`super::Disks`].
    pub device: Option<usize>,
}

/// A swap that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveSwap {
    /// As /proc/swaps has it.
    pub swap: Swap,
    /// The block device; none for a file.
    pub device: Option<usize>,
    /// Whether it is made of memory: zram.
    pub is_memory: bool,
    /// What turns it on at boot: indices of [`SwapSpace::configured`]; empty where nothing does.
    pub from: Vec<usize>,
}

/// A device that the next boot would look for a hibernated system on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The device, as written.
    pub device: ByteString,
    /// The file that names it; none for the kernel's command line.
    pub path: Option<(GuestPath, usize)>,
    /// Where it lies.
    pub place: Place,
}

/// All swap of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwapSpace {
    /// What is on now; empty on a guest that does not run.
    pub active: Vec<ActiveSwap>,
    /// What boot would turn on.
    pub configured: Vec<ConfiguredSwap>,
    /// Devices of the system disk that carry a swap signature and that nothing uses.
    pub unused: Vec<usize>,
    /// What would be resumed from.
    pub resume: Vec<Resume>,
    /// What could not be told, and why.
    pub doubts: Vec<String>,
}

impl SwapSpace {
    /// The swap that is on for a configured one, by its index.
    pub fn active_of(&self, configured: usize) -> Option<&ActiveSwap> {
        self.active.iter().find(|active| active.from.contains(&configured))
    }
}

pub(super) fn read(guest: &Guest) -> Fact<SwapSpace> {
    let mut space = SwapSpace::default();
    sources::boot_items(guest, &mut space)?;
    sources::zram_generator(guest, &mut space)?;
    sources::services(guest, &mut space)?;
    sources::commands(guest, &mut space)?;
    sources::cloud_init(guest, &mut space)?;
    if guest.kernel().is_some() {
        read_active(guest, &mut space)?;
        read_partitions(guest, &mut space)?;
    }
    sources::resume(guest, &mut space)?;
    Ok(space)
}

/// What is on, and which configured swap each is.
fn read_active(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    for swap in &guest.mounts()?.swaps {
        let device = match swap.kind {
            SwapKind::Partition => guest.find_device(&swap.path)?,
            SwapKind::File => None,
        };
        let path = GuestPath::new(&swap.path);
        let mut from = Vec::new();
        for (at, configured) in space.configured.iter().enumerate() {
            let same_path = GuestPath::new(configured.what.as_bytes()) == path;
            if same_path || device.is_some() && configured.device == device {
                from.push(at);
            }
        }
        // swapspace(8) makes its files as it needs them, below a directory of its own.
        if from.is_empty() && swap.kind == SwapKind::File {
            from.extend(space.configured.iter().position(|configured| {
                let own = GuestPath::new(configured.what.as_bytes());
                matches!(configured.origin, SwapOrigin::Service { .. }) && path.is_below(&own)
            }));
        }
        let is_memory = match device {
            Some(device) => matches!(guest.disks()?.devices[device].kind, DeviceKind::Memory),
            None => swap.path.starts_with(b"/dev/zram"),
        };
        space.active.push(ActiveSwap { swap: swap.clone(), device, is_memory, from });
    }
    Ok(())
}

/// The partition type of swap in a GPT.
const GPT_SWAP: &str = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f";
/// `SD_GPT_FLAG_NO_AUTO`: the generator passes over the partition.
const GPT_NO_AUTO: u64 = 1 << 63;

/// Swap on the system disk that no configuration names: partitions whose type is enough for
/// systemd, and signatures that nothing uses.
fn read_partitions(guest: &Guest, space: &mut SwapSpace) -> Fact<()> {
    let disks = guest.disks()?;
    let system = guest.system_disks()?;
    let by_type = sources::gpt_auto_runs(guest)?;
    let on_root = root_disks(guest)?;
    let carriers = disks.carriers();
    for (at, device) in disks.devices.iter().enumerate() {
        let is_candidate = matches!(
            device.kind,
            DeviceKind::Disk
                | DeviceKind::Partition(_)
                | DeviceKind::Mapped { .. }
                | DeviceKind::Raid
        );
        if !is_candidate || !system.hold(disks, at) || carriers.contains(&at) {
            continue;
        }
        // What cannot be read is a matter of the checks that need it; a mounted one is no swap.
        let Ok(identity) = guest.identity(at) else { continue };
        let is_known = space.configured.iter().any(|configured| configured.device == Some(at));
        let is_typed = identity.part_type.as_deref() == Some(GPT_SWAP)
            && identity.part_attributes & GPT_NO_AUTO == 0;
        let is_signed = identity.fstype.as_deref() == Some("swap");
        if is_known || !is_signed {
            continue;
        }
        let active = space.active.iter_mut().find(|active| active.device == Some(at));
        if by_type && is_typed && on_root.contains(&device.parents.first().copied().unwrap_or(at)) {
            let index = space.configured.len();
            space.configured.push(ConfiguredSwap {
                origin: SwapOrigin::PartitionType,
                what: ByteString::from(device.path().as_str()),
                device: Some(at),
            });
            if let Some(active) = active {
                active.from.push(index);
            }
        } else if active.is_none() {
            space.unused.push(at);
        }
    }
    Ok(())
}

/// The disks under `/`, whose partition table the generator reads.
fn root_disks(guest: &Guest) -> Fact<Vec<usize>> {
    let Some(root) = guest.mounts()?.own.at(b"/") else { return Ok(Vec::new()) };
    let disks = guest.disks()?;
    let devices = guest.devices_of_mount(root)?.unwrap_or_default();
    Ok(devices.into_iter().flat_map(|device| disks.disks_under(device)).collect())
}

/// A device as boot would find it.
fn device_of(guest: &Guest, what: &[u8]) -> Fact<Option<usize>> {
    Ok(guest.place(&Source::parse(what), None)?.device())
}
