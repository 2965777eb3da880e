//! `sshd-unreachable`: nobody could log in to a clone over the network.

use std::net::IpAddr;

use super::{Answer, Guest};
use crate::guest::{Fact, SSHD_CONFIG, Sshd, SshdSetting, Starts, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict};
use crate::parse::passwd::{Entry, Kind};
use crate::parse::sshd_config::{Taken, is_of_some, takes};

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
    for found in [
        enabled(guest),
        known_to_program(guest, sshd),
        listens(guest, sshd),
        host_keys(guest, sshd),
        login(guest, sshd, has_keys),
    ] {
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

/// What lies here update-crypto-policies(8) has made for the distribution's own sshd, which is asked
/// all the same where it is there.
const POLICIES: &[u8] = b"/etc/crypto-policies/";

/// sshd ends at a keyword that its build does not know, and at the name of an algorithm, in any list.
fn known_to_program(guest: &Guest, sshd: &Sshd) -> Fact<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut unclear = None;
    for setting in &sshd.of_some_builds {
        let SshdSetting { path, line, keyword, .. } = setting;
        let program = match guest.sshd_program() {
            Ok(program) => program,
            Err(_) if path.as_bytes().starts_with(POLICIES) => continue,
            Err(Unknown(why)) => {
                let what = format!("whether sshd takes {keyword} cannot be told: {why}");
                return Err(Unknown(format!("{path}:{line}: {what}")));
            }
        };
        if is_of_some(keyword) && !program.knows(keyword) {
            let finding = Finding::new("keyword-unknown", at(setting));
            findings.push(finding.with("keyword", keyword));
            continue;
        }
        match takes(program, keyword, &String::from_utf8_lossy(&setting.arguments[0])) {
            Taken::Yes => {}
            Taken::No(name) => {
                let finding = Finding::new("algorithm-unknown", at(setting));
                findings.push(finding.with("keyword", keyword).with("name", name));
            }
            Taken::Unclear(name) => {
                let why = "not every release of sshd starts with";
                unclear = unclear.or(Some(format!("{path}:{line}: {why} {keyword} {name}")));
            }
        }
    }
    match unclear {
        Some(why) if findings.is_empty() => Err(Unknown(why)),
        _ => Ok(findings),
    }
}

/// sshd ends when it can bind none of its addresses, as a clone that has another than its source;
/// on the loopback it starts and is reached by nobody else. Its sockets of IPv6 serve no IPv4, whatever
/// net.ipv6.bindv6only says (sshd.c sets IPV6_V6ONLY), and every instance has an address of IPv4.
fn listens(guest: &Guest, sshd: &Sshd) -> Fact<Vec<Finding>> {
    let addresses = sshd.listen_addresses();
    let family = sshd.value("addressfamily").filter(|family| family != "any");
    let is_ipv6 = family.as_deref() == Some("inet6");
    if addresses.is_empty() && !is_ipv6 || is_opened_by_socket(guest)? {
        return Ok(Vec::new());
    }
    let mut on_ipv6 = sshd.first("addressfamily").filter(|_| is_ipv6);
    let mut is_reached = false;
    for (setting, address) in &addresses {
        let unclear = |why| Unknown(format!("{}:{}: {why}", setting.path, setting.line));
        match address.parse::<IpAddr>() {
            Ok(ip) if family.is_some() && ip.is_ipv6() != is_ipv6 => {
                return Err(unclear(format!("{address} is not of the AddressFamily")));
            }
            Ok(ip) if ip.is_unspecified() && ip.is_ipv6() => on_ipv6 = on_ipv6.or(Some(*setting)),
            Ok(ip) => is_reached |= ip.is_unspecified(),
            Err(_) if address == "localhost" => {}
            Err(_) => {
                let why = format!("which address {address} has on a new instance cannot be told");
                return Err(unclear(why));
            }
        }
    }
    Ok(match (on_ipv6, addresses.first()) {
        _ if is_reached => Vec::new(),
        (Some(setting), _) => vec![Finding::new("ipv6-alone", at(setting))],
        (None, Some((first, _))) => {
            let list: Vec<&str> = addresses.iter().map(|(_, address)| address.as_str()).collect();
            let finding = Finding::new("listens-elsewhere", at(first));
            vec![finding.with("addresses", list.join(", "))]
        }
        (None, None) => Vec::new(),
    })
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
