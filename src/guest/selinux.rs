//! What SELinux does at the next boot, and whether it could.
//!
//! For probes. Judges nothing.

use super::{Fact, Family, Guest, Unknown};
use crate::model::{ByteString, GuestPath};
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::selinux_config::{Mode, SelinuxConfig};

/// The configuration.
pub const SELINUX_CONFIG: &str = "/etc/selinux/config";

/// What boot reads first: the root, the directories of the system, init, the libraries' names and the shell.
const FIRST: [&str; 8] = [
    "/",
    "/etc",
    "/usr",
    "/usr/bin",
    "/usr/lib/systemd/systemd",
    "/etc/ld.so.cache",
    "/bin/bash",
    "/etc/passwd",
];

/// What logins take. A tool that sets a password from outside writes the file anew, and leaves it without a label.
const LOGIN: [&str; 3] = [SHADOW, "/usr/sbin/sshd", "/usr/sbin/unix_chkpwd"];
const SHADOW: &str = "/etc/shadow";
/// The type that login programs may read, in every policy that is made from the reference policy.
const SHADOW_TYPE: &[u8] = b"shadow_t";

/// SELinux at the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selinux {
    /// The configuration.
    pub config: SelinuxConfig,
    /// What it does, the kernel's command line heeded.
    pub mode: Mode,
    /// The policy's directory.
    pub policy: GuestPath,
    /// Whether there is a compiled policy in it.
    pub has_policy: bool,
    /// The first of what boot reads that has no label.
    pub unlabelled: Option<GuestPath>,
    /// The first of what logins take that has no label, where boot has what it reads first.
    pub locked: Option<GuestPath>,
    /// The type of /etc/shadow, where it is another than the policy's.
    pub shadow_type: Option<ByteString>,
    /// Whether the next boot labels everything first.
    pub relabels: bool,
}

impl Guest {
    /// SELinux at the next boot; `None` where it is not installed, or where the distribution's
    /// kernel starts another security module and is not told otherwise.
    ///
    /// # Errors
    /// When the configuration says nothing that libselinux knows, or a label cannot be read.
    pub fn selinux(&self) -> Fact<Option<&Selinux>> {
        let fact = self.facts.selinux.get_or_init(|| read(self));
        fact.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }
}

fn read(guest: &Guest) -> Fact<Option<Selinux>> {
    let Some(content) = guest.file(SELINUX_CONFIG)? else { return Ok(None) };
    let config = SelinuxConfig::parse(&content);
    if let Some(error) = config.errors().first() {
        return Err(Unknown(format!("{SELINUX_CONFIG}:{}: {}", error.line, error.reason)));
    }
    let Some((_, configured)) = config.mode() else {
        return Err(Unknown(format!("{SELINUX_CONFIG}: no line says what SELinux is to do")));
    };
    let arguments = arguments(guest)?;
    let value = |key: &str| arguments.value(key);
    let is_default = matches!(guest.os()?.family, Family::El | Family::Fedora);
    let is_chosen = value("security") == Some(b"selinux")
        || value("lsm").is_some_and(|list| list.split(|b| *b == b',').any(|m| m == b"selinux"));
    if !is_default && !is_chosen {
        return Ok(None);
    }
    let mode = match (value("selinux"), value("enforcing")) {
        (Some(b"0"), _) => Mode::Disabled,
        _ if configured == Mode::Disabled => Mode::Disabled,
        (_, Some(b"0")) => Mode::Permissive,
        (_, Some(b"1")) => Mode::Enforcing,
        _ => configured,
    };
    let policy = GuestPath::from("/etc/selinux").join(config.policy());
    if mode == Mode::Disabled {
        // Nothing else is asked then.
        return Ok(Some(Selinux {
            config,
            mode,
            policy,
            has_policy: true,
            unlabelled: None,
            locked: None,
            shadow_type: None,
            relabels: false,
        }));
    }
    let compiled = guest.root().list(&policy.join(b"policy"))?.unwrap_or_default();
    let has_policy = compiled.iter().any(|name| name.starts_with(b"policy."));
    let relabels = guest.root().lstat(&GuestPath::from("/.autorelabel"))?.is_some()
        || arguments.has("autorelabel")
        || arguments.has("autorelabel=1");
    let unlabelled = first_unlabelled(guest, &FIRST)?;
    let (mut locked, mut shadow_type) = (None, None);
    if unlabelled.is_none() {
        locked = first_unlabelled(guest, &LOGIN)?;
        let shadow = GuestPath::from(SHADOW);
        if guest.stat(&shadow)?.is_some() {
            shadow_type = label_type(guest, &shadow)?.filter(|t| t.as_bytes() != SHADOW_TYPE);
        }
    }
    Ok(Some(Selinux {
        config,
        mode,
        policy,
        has_policy,
        unlabelled,
        locked,
        shadow_type,
        relabels,
    }))
}

/// The kernel's arguments at the next boot; where the loader's menu tells none, those of now.
fn arguments(guest: &Guest) -> Fact<KernelArguments> {
    let lines = guest.command_lines()?;
    Ok(lines.next_boot.as_ref().or(lines.running.as_ref()).cloned().unwrap_or_default())
}

/// The first of these that is there and has no label.
fn first_unlabelled(guest: &Guest, paths: &[&str]) -> Fact<Option<GuestPath>> {
    for path in paths.iter().copied().map(GuestPath::from) {
        if guest.stat(&path)?.is_some() && label_type(guest, &path)?.is_none() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The type of a file's label. A running SELinux shows the types of its initial contexts in the place of a label that is
/// not there.
fn label_type(guest: &Guest, path: &GuestPath) -> Fact<Option<ByteString>> {
    let label = guest.root().xattr(path, "security.selinux")?;
    let of_type = label.as_ref().and_then(|l| l.as_bytes().split(|b| *b == b':').nth(2));
    Ok(of_type.filter(|t| *t != b"unlabeled_t" && *t != b"file_t").map(ByteString::from))
}
