//! `static-kernel-arguments`: the kernel is told something that is true of this instance alone.

use super::boot_menu::unread;
use super::{Answer, Guest};
use crate::guest::{Place, Unknown};
use crate::model::{ByteString, Edit, Finding, Subject, Verdict};
use crate::parse::kernel_arguments::{Argument, KernelArguments};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let menu = guest.boot_entries()?;
    if let Some(verdict) = unread(menu) {
        return Ok(verdict);
    }
    let mut found = Found { guest, findings: Vec::new(), doubts: menu.doubts.clone() };
    if let Some(entry) = menu.default_entry()
        && entry.kernel.is_some()
    {
        found.judge(&entry.arguments, &Subject::line(&entry.source, entry.arguments_line))?;
    }
    let lines = guest.command_lines()?;
    if let (Some(line), Some(from)) = (&lines.next_kernel, &lines.next_kernel_from) {
        found.judge(line, &Subject::file(from))?;
    }
    Ok(Verdict::from_parts(found.findings, found.doubts))
}

struct Found<'a> {
    guest: &'a Guest,
    findings: Vec<Finding>,
    doubts: Vec<String>,
}

impl Found<'_> {
    fn judge(&mut self, line: &KernelArguments, subject: &Subject) -> Result<(), Unknown> {
        for argument in line.arguments() {
            let Some(key) = self.key_of(argument, subject)? else { continue };
            let text = line.print()[argument.span.clone()].to_vec();
            let shown = ByteString::from(text.as_slice());
            let is_known = self
                .findings
                .iter()
                .any(|known| known.values.get("argument") == Some(&shown.to_string()));
            if is_known {
                continue;
            }
            // An argument that is no UTF-8 cannot be named in an edit.
            let fix = String::from_utf8(text)
                .ok()
                .map(|argument| Edit::KernelArguments { add: Vec::new(), remove: vec![argument] });
            self.findings.push(
                Finding::new(key, subject.clone())
                    .with("argument", &shown)
                    .evidence(ByteString::from(line.text()))
                    .fix(fix),
            );
        }
        Ok(())
    }

    fn key_of(
        &mut self,
        argument: &Argument,
        subject: &Subject,
    ) -> Result<Option<&'static str>, Unknown> {
        let Some(value) = argument.value.as_deref() else { return Ok(None) };
        Ok(match argument.key.as_slice() {
            b"ip" if is_static(value) => Some("static-address"),
            b"ifname" | b"BOOTIF" => Some("bound-to-mac"),
            b"resume" => match self.guest.place(&Source::parse(value), None)? {
                Place::Data { .. } | Place::Missing => Some("resume-missing"),
                Place::Serial { .. } | Place::Closed { .. } => Some("resume-missing"),
                Place::Untold(why) => {
                    self.doubts
                        .push(format!("{subject}: resume={}: {why}", ByteString::from(value)));
                    None
                }
                Place::System { .. } | Place::NoDevice | Place::Inside(_) => None,
            },
            _ => None,
        })
    }
}

/// Whether `ip=` fixes an address: `<client>:[<peer>]:<gateway>:<netmask>:<hostname>:<interface>:<method>` with a client, and
/// not `dhcp` or `<interface>:dhcp` (dracut.cmdline(7); admin-guide/nfs/nfsroot of the kernel).
fn is_static(value: &[u8]) -> bool {
    let client = value.split(|b| *b == b':').next().unwrap_or_default();
    let is_ipv4 = client.iter().filter(|b| **b == b'.').count() == 3
        && client.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    is_ipv4 || value.starts_with(b"[")
}
