//! `guestprep kdump status`

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::args::{Format, KdumpStatusArgs};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::setup;
use crate::guest::{Asked, DumpTarget, Guest, Kdump, Place, Reservation, Stored};
use crate::model::{Policy, visible};
use crate::sys;

/// Above this much memory a dump of a RHEL guest that is asked for by ticket may fail (ECS image
/// FAQ).
const LARGE_RHEL: u64 = 16 << 30;

pub fn run(args: &KdumpStatusArgs) -> Outcome {
    let (root, _) = setup::absolute(&args.target)?;
    let policy = Policy { system_disk: args.target.system_disk.clone(), ..Policy::default() };
    let guest = setup::guest(root.as_deref(), policy)?;
    let kdump = guest.kdump()?;
    let remark = remark(&guest, kdump)?;
    let text = match args.format {
        Format::Json => format!("{:#}\n", json_of(&guest, kdump, remark)),
        Format::Text => visible(&text_of(&guest, kdump, remark)),
    };
    sys::print(text.as_bytes())?;
    Ok(if kdump.doubts.is_empty() { Exit::Done } else { Exit::Undetermined })
}

fn text_of(guest: &Guest, kdump: &Kdump, remark: Option<&str>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<14}{value}");
    };
    line("package", package(kdump));
    line("service", service(kdump));
    if let Some(reserved) = kdump.reserved {
        let loaded = match (reserved, kdump.loaded) {
            (0, _) => "",
            (_, Some(true)) => ", a crash kernel is loaded",
            (_, _) => ", no crash kernel is loaded",
        };
        line("reserved now", format!("{}{loaded}", mib(reserved)));
    }
    for (name, reservation) in [
        ("this boot", &kdump.running),
        ("next boot", &kdump.next_boot),
        ("next kernel", &kdump.next_kernel),
    ] {
        if let Some(reservation) = reservation {
            line(name, asked(kdump, reservation));
        }
    }
    if kdump.needs_reboot() {
        line("reboot", "needed: the next boot reserves other memory than this one".to_owned());
    }
    line("dumps go to", target(&kdump.target));
    line("to read them", debuginfo(guest, kdump).join(", "));
    for doubt in &kdump.doubts {
        line("not known", doubt.clone());
    }
    if let Some(remark) = remark {
        line("note", remark.to_owned());
    }
    out
}

fn json_of(guest: &Guest, kdump: &Kdump, remark: Option<&str>) -> Value {
    let of = |reservation: &Option<Reservation>| {
        reservation.as_ref().map(|reservation| {
            json!({ "arguments": reservation.shown(), "bytes": bytes(kdump, reservation) })
        })
    };
    json!({
        "schema": "guestprep.kdump/1",
        "package": kdump.way.package,
        "installed": kdump.service.is_some(),
        "install": kdump.way.install,
        "service": kdump.way.service,
        "enabled": kdump.is_enabled(),
        "reserved": kdump.reserved,
        "loaded": kdump.loaded,
        "this_boot": of(&kdump.running),
        "next_boot": of(&kdump.next_boot),
        "next_kernel": of(&kdump.next_kernel),
        "reboot_needed": kdump.needs_reboot(),
        "target": json_target(&kdump.target),
        "debuginfo": debuginfo(guest, kdump),
        "unknown": kdump.doubts,
        "note": remark,
    })
}

fn package(kdump: &Kdump) -> String {
    let way = &kdump.way;
    match kdump.service {
        Some(_) => format!("{}, installed", way.package),
        None => format!("{}, not installed: run `{}`", way.package, way.install),
    }
}

fn service(kdump: &Kdump) -> String {
    let name = kdump.way.service;
    match (&kdump.service, kdump.switch) {
        (None, _) => "-".to_owned(),
        (Some(own), _) if !own.starts.is_enabled() => format!("{name}, boot does not start it"),
        (Some(_), Some(false)) => {
            format!("{name}, boot starts it, and USE_KDUMP in {} turns it off", kdump.way.config)
        }
        (Some(_), _) => format!("{name}, boot starts it"),
    }
}

fn asked(kdump: &Kdump, reservation: &Reservation) -> String {
    let shown = reservation.shown();
    match reservation.asked(kdump.memory, kdump.way.takes_auto) {
        Asked::Nothing => "no crashkernel=".to_owned(),
        Asked::Bytes(0) => format!("{shown}: nothing on a machine of this size"),
        Asked::Bytes(bytes) => format!("{shown}: {} on a machine of this size", mib(bytes)),
        Asked::Untold => format!("{shown}: how much, the machine and its kernel decide"),
        Asked::Malformed => format!("{shown}: the kernel does not understand it"),
    }
}

fn bytes(kdump: &Kdump, reservation: &Reservation) -> Option<u64> {
    match reservation.asked(kdump.memory, kdump.way.takes_auto) {
        Asked::Nothing => Some(0),
        Asked::Bytes(bytes) => Some(bytes),
        Asked::Untold | Asked::Malformed => None,
    }
}

fn target(target: &DumpTarget) -> String {
    match target {
        DumpTarget::Directory(stored) => directory(stored),
        DumpTarget::Raw { device, place, .. } => format!("{device}, raw, {}", disk(place)),
        DumpTarget::Remote(to) => format!("another machine: {to}"),
        DumpTarget::Untold => "not known".to_owned(),
    }
}

fn directory(stored: &Stored) -> String {
    let mut shown = stored.path.to_string();
    if let Some((source, _)) = &stored.filesystem {
        let _ = write!(shown, " on {source}");
    }
    let _ = write!(shown, ", {}", disk(&stored.place));
    if stored.exists == Some(false) {
        shown.push_str(", not there yet");
    }
    if let Some(free) = stored.free {
        let _ = write!(shown, ", {} free", mib(free));
    }
    shown
}

fn disk(place: &Place) -> String {
    match place {
        Place::Data { disk, .. } => format!("on data disk {disk}"),
        Place::Missing => "which is on no disk".to_owned(),
        Place::Untold(why) => format!("on a disk that is not known ({why})"),
        Place::Closed { volume, .. } => format!("in {volume}, which boot does not open"),
        Place::System { .. } | Place::Serial { .. } | Place::Inside(_) | Place::NoDevice => {
            "on the system disk".to_owned()
        }
    }
}

fn json_target(target: &DumpTarget) -> Value {
    match target {
        DumpTarget::Directory(stored) => json!({
            "kind": "directory",
            "path": stored.path,
            "filesystem": stored.filesystem.as_ref().map(|(source, _)| source),
            "data_disk": data_disk(&stored.place),
            "exists": stored.exists,
            "free": stored.free,
        }),
        DumpTarget::Raw { device, place, .. } => {
            json!({ "kind": "raw", "device": device, "data_disk": data_disk(place) })
        }
        DumpTarget::Remote(to) => json!({ "kind": "remote", "to": to }),
        DumpTarget::Untold => Value::Null,
    }
}

fn data_disk(place: &Place) -> Option<&str> {
    match place {
        Place::Data { disk, .. } => Some(disk),
        _ => None,
    }
}

/// The packages that crash(8) needs to read a dump of this kernel.
fn debuginfo(guest: &Guest, kdump: &Kdump) -> Vec<String> {
    let release = guest.kernel_release().unwrap_or_else(|| "RELEASE".to_owned());
    let arch = ["x86_64", "aarch64"].into_iter().find(|arch| release.ends_with(arch));
    let arch = arch.unwrap_or("x86_64");
    let fill = |name: &&str| name.replace("{arch}", arch).replace("{}", &release);
    kdump.way.debuginfo.iter().map(fill).collect()
}

fn remark(guest: &Guest, kdump: &Kdump) -> Result<Option<&'static str>, Trouble> {
    let is_rhel = guest.os()?.id.as_deref() == Some("rhel");
    Ok((is_rhel && kdump.memory.is_some_and(|memory| memory > LARGE_RHEL)).then_some(
        "above 16 GiB of memory a dump of a RHEL instance that is asked for by ticket may fail",
    ))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
