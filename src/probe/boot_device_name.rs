//! `boot-device-name`: a boot entry names the root filesystem by a name that an instance of the image need not share.

use super::boot_menu::unread;
use super::{Answer, Guest};
use crate::guest::{BootEntry, Unknown, disk_of_kernel_name, is_serial_link};
use crate::model::{ByteString, Edit, Finding, LineChange, Severity, Subject, Verdict};
use crate::parse::key_value::KeyValue;
use crate::parse::lines;
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let menu = guest.boot_entries()?;
    if let Some(verdict) = unread(menu) {
        return Ok(verdict);
    }
    let uuid = guest.root_uuid()?;
    let mut findings = Vec::new();
    for entry in menu.kernels() {
        findings.extend(named(entry, uuid.as_ref()));
    }
    findings.extend(generator(guest)?);
    Ok(Verdict::from_parts(findings, menu.doubts.clone()))
}

fn named(entry: &BootEntry, uuid: Option<&ByteString>) -> Option<Finding> {
    let value = entry.arguments.value("root")?;
    entry.kernel.as_ref()?;
    let source = Source::parse(value);
    let is_serial = is_serial_link(&source);
    if !is_serial && !is_kernel_name(&source) {
        return None;
    }
    let (key, fix) = match (uuid, is_serial) {
        (Some(uuid), _) => (
            if is_serial { "hardware-id" } else { "kernel-name" },
            Some(Edit::KernelArguments {
                add: vec![format!("root=UUID={uuid}")],
                remove: Vec::new(),
            }),
        ),
        (None, true) => ("hardware-id", None),
        (None, false) => ("kernel-name-unknown", None),
    };
    let finding = Finding::new(key, Subject::line(&entry.source, entry.arguments_line))
        .with("entry", &entry.title)
        .with("root", ByteString::from(value))
        .with("uuid", uuid.map_or("?".to_owned(), ToString::to_string))
        .evidence(ByteString::from(entry.arguments.text()));
    // A kernel's name is there on most instances; a serial number is on none.
    let finding = if is_serial { finding.severity(Severity::Blocker) } else { finding };
    Some(finding.fix(fix))
}

fn is_kernel_name(source: &Source) -> bool {
    let Source::Path(path) = source else { return false };
    let name = path.strip_prefix(b"/dev/").and_then(|name| std::str::from_utf8(name).ok());
    name.is_some_and(|name| disk_of_kernel_name(name).is_some())
}

/// `GRUB_DISABLE_LINUX_UUID=true`: the next configuration that grub-mkconfig writes names the device (10_linux).
fn generator(guest: &Guest) -> Result<Vec<Finding>, Unknown> {
    let mut findings = Vec::new();
    for path in guest.grub_default_files()? {
        let content = guest.file(&path)?.unwrap_or_default();
        let settings = KeyValue::parse(&content);
        for name in ["GRUB_DISABLE_LINUX_UUID", "GRUB_DISABLE_UUID"] {
            let Some(assignment) = settings.last(name).filter(|a| a.value == b"true") else {
                continue;
            };
            let Some((raw, _)) = lines::split(&content).nth(assignment.line - 1) else { continue };
            let original = ByteString::from(raw);
            let line = assignment.line;
            findings.push(
                Finding::new("generator", Subject::line(&path, line))
                    .with("setting", name)
                    .evidence(&original)
                    .fix([Edit::Line {
                        path: path.clone(),
                        line,
                        original,
                        change: LineChange::Park,
                    }]),
            );
        }
    }
    Ok(findings)
}
