//! `guestprep disks`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{Cli, DisksArgs, Format};
use super::exit::{Exit, Outcome};
use super::setup;
use crate::guest::{Disks, Guest, SystemDisks};
use crate::model::{ByteString, GuestPath, Policy, visible};
use crate::sys;

pub fn run(_cli: &Cli, args: &DisksArgs) -> Outcome {
    setup::finish_interrupted(None, None)?;
    let policy = Policy { system_disk: args.system_disk.clone(), ..Policy::default() };
    let guest = setup::guest(None, policy)?;
    let disks = guest.disks()?;
    let system = guest.system_disks()?;
    let rows: Vec<Row> = disks
        .disks()
        .map(|at| row(&guest, disks, system, at))
        .collect::<Result<_, crate::guest::Unknown>>()?;
    let text = match args.format {
        Format::Json => {
            let rows: Vec<Value> = rows.iter().map(Row::json).collect();
            format!("{:#}\n", json!({ "schema": "guestprep.disks/1", "disks": rows }))
        }
        Format::Text => {
            let mut out = String::new();
            for row in &rows {
                row.text(&mut out, 0);
            }
            visible(&out)
        }
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// One device, and what lies on it.
struct Row {
    device: String,
    role: &'static str,
    size: u64,
    fstype: Option<String>,
    uuid: Option<ByteString>,
    label: Option<ByteString>,
    mounts: Vec<MountRow>,
    swap: bool,
    fstab: Vec<usize>,
    children: Vec<Row>,
}

struct MountRow {
    target: GuestPath,
    used_percent: Option<u64>,
}

fn row(
    guest: &Guest,
    disks: &Disks,
    system: &SystemDisks,
    at: usize,
) -> Result<Row, crate::guest::Unknown> {
    let device = &disks.devices[at];
    let identity = guest.identity(at).unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in &guest.mounts()?.own.mounts {
        if guest.devices_of_mount(mount)?.unwrap_or_default().contains(&at) {
            let target = GuestPath::new(&mount.mount_point.value);
            let used_percent = guest.fs_use(&target).ok().flatten().and_then(|fs| {
                let used = fs.size.saturating_sub(fs.free);
                let all = used + fs.available;
                (all > 0).then(|| (used * 100).div_ceil(all))
            });
            mounts.push(MountRow { target, used_percent });
        }
    }
    let swap = guest
        .mounts()?
        .swaps
        .iter()
        .any(|swap| guest.find_device(&swap.path).is_ok_and(|device| device == Some(at)));
    let fstab = match guest.boot() {
        Ok(boot) => boot
            .fstab()
            .filter(|(_, item)| item.place.device() == Some(at))
            .filter_map(|(_, item)| item.fstab_line())
            .collect(),
        Err(_) => Vec::new(),
    };
    let children = disks
        .children(at)
        .map(|child| row(guest, disks, system, child))
        .collect::<Result<_, _>>()?;
    Ok(Row {
        device: device.known_as(),
        role: if system.hold(disks, at) { "system" } else { "data" },
        size: device.size,
        fstype: identity.fstype,
        uuid: identity.uuid.map(ByteString::from),
        label: identity.label.map(ByteString::from),
        mounts,
        swap,
        fstab,
        children,
    })
}

impl Row {
    fn text(&self, out: &mut String, depth: usize) {
        let name = format!("{}{}", "  ".repeat(depth), self.device);
        let _ = write!(out, "{name:<28} {:>10}", size(self.size));
        if depth == 0 {
            let _ = write!(out, "  {} disk", self.role);
        }
        if let Some(fstype) = &self.fstype {
            let _ = write!(out, "  {fstype}");
        }
        if let Some(label) = &self.label {
            let _ = write!(out, "  LABEL={label}");
        }
        if let Some(uuid) = &self.uuid {
            let _ = write!(out, "  UUID={uuid}");
        }
        for mount in &self.mounts {
            let _ = write!(out, "  on {}", mount.target);
            if let Some(percent) = mount.used_percent {
                let _ = write!(out, " ({percent} % used)");
            }
        }
        if self.swap {
            let _ = write!(out, "  swap on");
        }
        for line in &self.fstab {
            let _ = write!(out, "  /etc/fstab:{line}");
        }
        out.push('\n');
        for child in &self.children {
            child.text(out, depth + 1);
        }
    }

    fn json(&self) -> Value {
        let mounts: Vec<Value> = self
            .mounts
            .iter()
            .map(|m| json!({ "target": m.target, "used_percent": m.used_percent }))
            .collect();
        let children: Vec<Value> = self.children.iter().map(Row::json).collect();
        json!({
            "device": self.device,
            "role": self.role,
            "size": self.size,
            "fstype": self.fstype,
            "uuid": self.uuid,
            "label": self.label,
            "mounts": mounts,
            "swap": self.swap,
            "fstab_lines": self.fstab,
            "children": children,
        })
    }
}

/// A size in the largest unit of 1024 that it fills.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(5) as usize;
    #[allow(clippy::cast_precision_loss)] // One decimal is shown.
    let value = bytes as f64 / f64::from(1024_u32).powi(i32::try_from(unit).unwrap_or(0));
    if value >= 10.0 || unit == 0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
