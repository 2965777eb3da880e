//! Whether cloud-init writes its network configuration anew on a clone.
//!
//! A clone has another instance id, for which cloud-init's local stage, before any manager starts,
//! asks the metadata service and writes the files that it wrote here; what they hold now does not
//! outlive the clone's first boot. Where its configuration has a `network:` of its own, it writes that and
//! asks nobody. It does not where it is off, or its `network:` says `config:
//! disabled`, or it trusts the instance id of this guest (`manual_cache_clean`).

use crate::guest::{CloudConfig, Fact, Guest};
use crate::model::GuestPath;
use crate::parse::yaml_values::Value;

/// What it writes for a new instance.
pub(super) enum Writes {
    /// Nothing: the files stay as they are.
    Nothing,
    /// What the new instance's metadata says.
    Metadata,
    /// What this file of the guest's own says under `network:`.
    Own(GuestPath),
}

/// What it writes. What of its configuration cannot be read goes to `doubts`, and it is taken to write
/// nothing.
pub(super) fn writes(guest: &Guest, doubts: &mut Vec<String>) -> Fact<Writes> {
    let Some(config) = config(guest, doubts)? else { return Ok(Writes::Nothing) };
    let trusts_cache = config.merged.get("manual_cache_clean") == Some(&Value::Bool(true));
    if !config.manages_network() || trusts_cache || is_off_by_kernel(guest)? {
        return Ok(Writes::Nothing);
    }
    // An empty mapping says as little as none (Init._find_networking_config).
    if !matches!(config.merged.get("network"), Some(Value::Map(own)) if !own.is_empty()) {
        return Ok(Writes::Metadata);
    }
    let mut files = config.files_with("network");
    let Some(first) = files.next() else { return Ok(Writes::Metadata) };
    if let Some(other) = files.next() {
        doubts.push(format!("{first}, {other}: `network:` is put together of several files"));
    }
    Ok(Writes::Own(first.clone()))
}

/// Whether it writes /etc/hosts from a template at every boot. `localhost` makes it see to one line
/// of the loopback alone (cc_update_etc_hosts).
pub(super) fn rewrites_hosts(guest: &Guest, doubts: &mut Vec<String>) -> Fact<bool> {
    let Some(config) = config(guest, doubts)? else { return Ok(false) };
    let manages = config.merged.get("manage_etc_hosts");
    Ok(manages.is_some_and(|said| {
        *said == Value::Bool(true) || said.text().as_deref() == Some("template")
    }))
}

/// What cloud-init is told; `None` where it does not run, or where a file of it cannot be read.
fn config<'a>(guest: &'a Guest, doubts: &mut Vec<String>) -> Fact<Option<&'a CloudConfig>> {
    let Some(cloud) = guest.cloud_init()? else { return Ok(None) };
    if cloud.disabled.is_some() {
        return Ok(None);
    }
    match &cloud.config {
        Ok(config) => Ok(Some(config)),
        Err(why) => {
            doubts.push(why.0.clone());
            Ok(None)
        }
    }
}

/// Whether the running kernel's command line turns its network part off.
fn is_off_by_kernel(guest: &Guest) -> Fact<bool> {
    let running = guest.command_lines().ok().and_then(|lines| lines.running.as_ref());
    Ok(running.is_some_and(|line| line.has("network-config=disabled")))
}

/// Whether a file is one that cloud-init writes, by its name or by what it says of itself.
pub(super) fn is_written_by(path: &GuestPath, text: &[u8]) -> bool {
    let name = path.name();
    let is_named = matches!(name, b"50-cloud-init.yaml" | b"50-cloud-init" | b"50-cloud-init.cfg")
        || name.starts_with(b"cloud-init-") && name.ends_with(b".nmconnection")
        || name.starts_with(b"10-cloud-init-")
        || name.ends_with(b"persistent-net-cloud-init.rules");
    // Only the head of a file says whose it is; a comment further down may quote anything.
    let head = text.split(|b| *b == b'\n').take_while(|line| line.starts_with(b"#")).take(3);
    is_named
        || head.into_iter().any(|line| {
            line.trim_ascii().starts_with(b"# Created by cloud-init")
                || line.windows(27).any(|part| part == b"generated from information ")
        })
}
