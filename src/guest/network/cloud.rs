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
    let mut starts = false;
    for name in SERVICES {
        starts |= guest.service(name)?.is_some_and(|service| service.starts.is_enabled());
    }
    let disabled = GuestPath::from("/etc/cloud/cloud-init.disabled");
    if !starts || guest.stat(&disabled)?.is_some() || said_by_kernel(guest)? {
        return Ok(false);
    }
    let mut files = vec![GuestPath::from("/etc/cloud/cloud.cfg")];
    let directory = GuestPath::from("/etc/cloud/cloud.cfg.d");
    for name in guest.root().list(&directory)?.unwrap_or_default() {
        if name.ends_with(b".cfg") {
            files.push(directory.join(&name));
        }
    }
    let (mut network, mut trusts_cache) = (true, false);
    for path in files {
        let Some(text) = guest.file(&path)? else { continue };
        match yaml::parse(&text) {
            Ok(Some(root)) => {
                // Later files replace what earlier ones say (cloud-init's merge of system files).
                if let Some(said) = root.get("network") {
                    let config = said.get("config").and_then(yaml::Node::as_str);
                    network = config != Some("disabled");
                }
                if let Some(said) = root.get("manual_cache_clean").and_then(yaml::Node::as_bool) {
                    trusts_cache = said;
                }
            }
            Ok(None) => {}
            Err(error) => {
                doubts.push(format!("{path}:{}: {}", error.line, error.reason));
                return Ok(false);
            }
        }
    }
    Ok(network && !trusts_cache)
}

/// Whether the running kernel's command line turns it off.
fn said_by_kernel(guest: &Guest) -> Fact<bool> {
    let Some(kernel) = guest.kernel() else { return Ok(false) };
    let text = kernel.proc("/cmdline")?.unwrap_or_default();
    Ok(text
        .split(u8::is_ascii_whitespace)
        .any(|word| matches!(word, b"cloud-init=disabled" | b"network-config=disabled")))
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
