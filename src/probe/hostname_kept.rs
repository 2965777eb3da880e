//! `hostname-kept`: clones would have the name of the instance that the image was made from.

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::model::{ByteString, Edit, Finding, GuestPath, LineChange, Subject, Verdict};
use crate::parse::key_value::KeyValue;
use crate::parse::lines;
use crate::parse::yaml_values::Value;

/// The modules of cloud-init that give an instance its name.
const MODULES: [&str; 2] = ["set_hostname", "update_hostname"];

/// Names that are nobody's (hostname(5)).
const NOBODYS: [&str; 3] = ["localhost", "localhost.localdomain", "localhost.local"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    if is_set_by_cloud_init(guest)? {
        return Ok(Verdict::NotApplicable("named-by-cloud-init"));
    }
    let mut findings = Vec::new();
    let path = GuestPath::from("/etc/hostname");
    if let Some(text) = guest.file(&path)?
        && let Some(name) = name(&text)
    {
        let finding = Finding::new("kept", Subject::file(&path)).with("name", name);
        findings.push(finding.with("path", &path).fix([Edit::Remove { path: path.clone() }]));
    }
    findings.extend(of_network_scripts(guest)?);
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// The name in /etc/hostname: the first line that is no comment.
fn name(text: &[u8]) -> Option<String> {
    let mut lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    somebodys(line)
}

fn somebodys(name: &[u8]) -> Option<String> {
    let name = String::from_utf8_lossy(name).into_owned();
    (!name.is_empty() && !NOBODYS.contains(&name.as_str())).then_some(name)
}

/// DISTRO(el6): `HOSTNAME=` in /etc/sysconfig/network; without it the init scripts take
/// `localhost.localdomain`, and a name from DHCP over that.
fn of_network_scripts(guest: &Guest) -> Fact<Option<Finding>> {
    let path = GuestPath::from("/etc/sysconfig/network");
    let Some(text) = guest.file(&path)? else { return Ok(None) };
    let file = KeyValue::parse(&text);
    let Some(set) = file.last("HOSTNAME") else { return Ok(None) };
    let Some(name) = somebodys(&set.value) else { return Ok(None) };
    let Some((original, _)) = lines::split(&text).nth(set.line - 1) else { return Ok(None) };
    let change = LineChange::Replace(ByteString::from("HOSTNAME=localhost.localdomain"));
    let original = ByteString::from(original);
    let fix = Edit::Line { path: path.clone(), line: set.line, original, change };
    let finding = Finding::new("kept", Subject::line(&path, set.line)).with("name", name);
    Ok(Some(finding.with("path", &path).fix([fix])))
}

/// Whether cloud-init gives every instance a name of its own: that of the metadata.
fn is_set_by_cloud_init(guest: &Guest) -> Fact<bool> {
    let Some(cloud_init) = guest.cloud_init()?.filter(|known| known.disabled.is_none()) else {
        return Ok(false);
    };
    let config = cloud_init.config.as_ref().map_err(Clone::clone)?;
    let is_kept = config.merged.get("preserve_hostname") == Some(&Value::Bool(true));
    // One that the configuration names is the same on every instance.
    let is_fixed = ["hostname", "fqdn"].iter().any(|key| config.merged.get(key).is_some());
    Ok(!is_kept && !is_fixed && MODULES.iter().any(|module| config.runs(module)))
}
