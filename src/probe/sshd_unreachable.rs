//! `sshd-unreachable`: nobody could log in to a clone over the network.

use std::net::IpAddr;

use super::{Answer, Guest};
use crate::guest::{Fact, SSHD_CONFIG, Sshd, SshdSetting, Starts, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict};
use crate::parse::passwd::{Entry, Kind};

/// The names of the service and of the socket that starts it.
const UNITS: [&str; 4] = ["sshd", "ssh", "sshd.socket", "ssh.socket"];

/// Debian's unit does not start while this file is there.
const HELD_BACK: &str = "/etc/ssh/sshd_not_to_be_run";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(sshd) = guest.sshd()? else {
        let path = GuestPath::from(SSHD_CONFIG);
        let finding = Finding::new("not-installed", Subject::file(&path)).with("path", &path);
        return Ok(Verdict::Fail(vec![finding]));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let has_keys = key_provision(guest)?;
    for found in
        [enabled(guest), listens(guest, sshd), host_keys(guest, sshd), login(guest, sshd, has_keys)]
    {
        match found {
            Ok(found) => findings.extend(found),
            Err(why) => doubts.push(why.0),
        }
    }
    let ports = sshd.ports();
    if !ports.contains(&22) {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let setting = sshd.first("port").or_else(|| sshd.first("listenaddress"));
        let subject = setting.map_or_else(|| Subject::file(&GuestPath::from(SSHD_CONFIG)), at);
        findings.push(Finding::new("port-moved", subject).with("ports", ports.join(", ")));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn at(setting: &SshdSetting) -> Subject {
    Subject::line(&setting.path, setting.line)
}

fn enabled(guest: &Guest) -> Fact<Vec<Finding>> {
    let held_back = GuestPath::from(HELD_BACK);
    if guest.root().lstat(&held_back)?.is_some() {
        let finding = Finding::new("held-back", Subject::file(&held_back));
        return Ok(vec![finding.with("path", &held_back)]);
    }
    let mut known = None;
    for name in UNITS {
        let Some(service) = guest.service(name)? else { continue };
        if service.starts.is_enabled() {
            return Ok(Vec::new());
        }
        known = known.or(Some((name, service.starts)));
    }
    let (name, key) = match known {
        Some((name, Starts::Masked)) => (name, "masked"),
        Some((name, _)) => (name, "not-enabled"),
        None => ("sshd", "no-service"),
    };
    let subject = Subject::Unit { unit: format!("{name}.service") };
    Ok(vec![Finding::new(key, subject).with("service", name)])
}

/// sshd ends when it can bind none of its addresses, as a clone that has another than its source;
/// on the loopback it starts and is reached by nobody else.
fn listens(guest: &Guest, sshd: &Sshd) -> Fact<Vec<Finding>> {
    let addresses = sshd.listen_addresses();
    let Some((first, _)) = addresses.first() else { return Ok(Vec::new()) };
    if is_opened_by_socket(guest)? {
        return Ok(Vec::new());
    }
    for (setting, address) in &addresses {
        match address.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => return Ok(Vec::new()),
            Ok(_) => {}
            Err(_) if address == "localhost" => {}
            Err(_) => {
                let SshdSetting { path, line, .. } = setting;
                let why = format!(
                    "{path}:{line}: which address {address} has on a new instance cannot be told"
                );
                return Err(Unknown(why));
            }
        }
    }
    let list: Vec<&str> = addresses.iter().map(|(_, address)| address.as_str()).collect();
    Ok(vec![Finding::new("listens-elsewhere", at(first)).with("addresses", list.join(", "))])
}

/// Whether systemd listens in sshd's place, and does not ask what its configuration says.
/// DISTRO(ubuntu-24.04): a generator writes ListenAddress into the socket.
fn is_opened_by_socket(guest: &Guest) -> Fact<bool> {
    let starts = |name: &str| -> Fact<bool> {
        Ok(guest.service(name)?.is_some_and(|service| service.starts.is_enabled()))
    };
    let by_socket = starts("ssh.socket")? || starts("sshd.socket")?;
    let generator = GuestPath::from("/usr/lib/systemd/system-generators/sshd-socket-generator");
    Ok(by_socket && guest.stat(&generator)?.is_none())
}

/// sshd ends at once when it can load no host key. A key that everybody may read it refuses, and an
/// empty file, which a crash leaves, is none.
fn host_keys(guest: &Guest, sshd: &Sshd) -> Fact<Vec<Finding>> {
    let mut unusable = None;
    for path in sshd.host_keys() {
        match guest.stat(&path)? {
            Some(key) if key.size > 0 && key.mode & 0o007 == 0 => return Ok(Vec::new()),
            Some(_) => unusable = unusable.or(Some(path)),
            None => {}
        }
    }
    if let Some(path) = unusable {
        return Ok(vec![
            Finding::new("host-key-unusable", Subject::file(&path)).with("path", &path),
        ]);
    }
    if !guest.host_key_makers()?.is_empty() || guest.runs_first_boot()? {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new("no-host-keys", Subject::file(&GuestPath::from("/etc/ssh")))])
}

/// Whether a person could log in as root by password or by a key.
fn login(guest: &Guest, sshd: &Sshd, has_keys: bool) -> Fact<Vec<Finding>> {
    let root = sshd.first("permitrootlogin");
    let value = sshd.value("permitrootlogin").unwrap_or_default();
    let mut findings = Vec::new();
    if let Some(setting) = root {
        let is_known =
            ["yes", "no", "prohibit-password", "without-password", "forced-commands-only"];
        if !is_known.contains(&value.as_str()) {
            let SshdSetting { path, line, .. } = setting;
            return Err(Unknown(format!("{path}:{line}: not a value of PermitRootLogin")));
        }
        if value == "no" {
            findings.push(Finding::new("root-refused", at(setting)));
            return Ok(findings);
        }
    }
    if let Some(setting) = sshd.keeps_out(b"root", &groups_of_root(guest)?) {
        let list: Vec<_> = setting.arguments.iter().map(|a| String::from_utf8_lossy(a)).collect();
        let finding = Finding::new("root-not-listed", at(setting));
        return Ok(vec![
            finding.with("setting", format!("{} {}", setting.keyword, list.join(" "))),
        ]);
    }
    let is_no = |keyword: &str| sshd.value(keyword).as_deref() == Some("no");
    if has_keys && !is_no("pubkeyauthentication") || guest.os()?.id.is_none() {
        return Ok(findings);
    }
    // Through PAM a password is also asked for by the keyboard-interactive method.
    let asks_otherwise = sshd.value("usepam").as_deref() == Some("yes")
        && !is_no("kbdinteractiveauthentication")
        && !is_no("challengeresponseauthentication");
    let refusing = match sshd.first("passwordauthentication") {
        Some(setting) if is_no("passwordauthentication") && !asks_otherwise => Some(setting),
        _ => root.filter(|_| value != "yes"),
    };
    findings.extend(refusing.map(|setting| Finding::new("password-refused", at(setting))));
    Ok(findings)
}

fn groups_of_root(guest: &Guest) -> Fact<Vec<Vec<u8>>> {
    let Some(table) = guest.accounts(Kind::Group)? else { return Ok(Vec::new()) };
    let has_root =
        |group: &&Entry| group.gid() == Some(0) || group.members().any(|member| member == b"root");
    Ok(table.entries().filter(has_root).map(|group| group.name.clone()).collect())
}

/// Whether a clone gets a key to log in with: from cloud-init, or from the image itself.
fn key_provision(guest: &Guest) -> Fact<bool> {
    let keys = guest.file("/root/.ssh/authorized_keys").ok().flatten();
    let is_key =
        |line: &[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii().starts_with(b"#");
    let of_image = keys.is_some_and(|keys| keys.split(|b| *b == b'\n').any(is_key));
    Ok(of_image || guest.cloud_init_with_keys()?.is_some())
}
