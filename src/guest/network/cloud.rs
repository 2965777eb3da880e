//! Whether cloud-init writes its network configuration anew on a clone.
//!
//! A clone has another instance id, for which cloud-init's local stage, before any manager starts,
//! asks the metadata service and writes the files that it wrote here; what they hold now does not
//! outlive the clone's first boot. It does not where it is off, or its `network:` says `config:
//! disabled`, or it trusts the instance id of this guest (`manual_cache_clean`).

use crate::guest::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::yaml;

/// The services of cloud-init's stages by release; one of them is enough (24.3 renamed them).
const SERVICES: [&str; 4] =
    ["cloud-init-local", "cloud-init", "cloud-init-network", "cloud-init-main"];

/// Whether it does. What of its configuration cannot be read goes to `doubts`, and it is taken not
/// to.
pub(super) fn rewrites(guest: &Guest, doubts: &mut Vec<String>) -> Fact<bool> {
    let Some(said) = said(guest, doubts)? else { return Ok(false) };
    Ok(said.network && !said.trusts_cache)
}

/// Whether it writes /etc/hosts from a template at every boot. `localhost` makes it see to one line
/// of the loopback alone (cc_update_etc_hosts).
pub(super) fn rewrites_hosts(guest: &Guest, doubts: &mut Vec<String>) -> Fact<bool> {
    Ok(said(guest, doubts)?.is_some_and(|said| said.hosts))
}

/// What cloud-init's configuration says.
struct Said {
    network: bool,
    trusts_cache: bool,
    hosts: bool,
}

/// What it says; `None` where cloud-init does not run, or where a file of it cannot be read.
fn said(guest: &Guest, doubts: &mut Vec<String>) -> Fact<Option<Said>> {
    let mut starts = false;
    for name in SERVICES {
        starts |= guest.service(name)?.is_some_and(|service| service.starts.is_enabled());
    }
    let disabled = GuestPath::from("/etc/cloud/cloud-init.disabled");
    if !starts || guest.stat(&disabled)?.is_some() {
        return Ok(None);
    }
    let by_kernel = said_by_kernel(guest)?;
    if by_kernel == Some("cloud-init=disabled") {
        return Ok(None);
    }
    let mut files = vec![GuestPath::from("/etc/cloud/cloud.cfg")];
    let directory = GuestPath::from("/etc/cloud/cloud.cfg.d");
    for name in guest.root().list(&directory)?.unwrap_or_default() {
        if name.ends_with(b".cfg") {
            files.push(directory.join(&name));
        }
    }
    let mut said = Said { network: true, trusts_cache: false, hosts: false };
    for path in files {
        let Some(text) = guest.file(&path)? else { continue };
        let root = match yaml::parse(&text) {
            Ok(Some(root)) => root,
            Ok(None) => continue,
            Err(error) => {
                doubts.push(format!("{path}:{}: {}", error.line, error.reason));
                return Ok(None);
            }
        };
        // Later files replace what earlier ones say (cloud-init's merge of system files).
        if let Some(network) = root.get("network") {
            let config = network.get("config").and_then(yaml::Node::as_str);
            said.network = config != Some("disabled");
        }
        if let Some(trusts) = root.get("manual_cache_clean").and_then(yaml::Node::as_bool) {
            said.trusts_cache = trusts;
        }
        if let Some(hosts) = root.get("manage_etc_hosts") {
            said.hosts = hosts.as_bool() == Some(true) || hosts.as_str() == Some("template");
        }
    }
    said.network &= by_kernel.is_none();
    Ok(Some(said))
}

/// The word of the running kernel's command line that turns it, or its network part, off.
fn said_by_kernel(guest: &Guest) -> Fact<Option<&'static str>> {
    let Some(kernel) = guest.kernel() else { return Ok(None) };
    let text = kernel.proc("/cmdline")?.unwrap_or_default();
    let has = |word: &str| text.split(u8::is_ascii_whitespace).any(|w| w == word.as_bytes());
    Ok(["cloud-init=disabled", "network-config=disabled"].into_iter().find(|word| has(word)))
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
