//! What sshd is told to do.
//!
//! For probes. Only what holds for every connection is here: a `Match` block is left out unless it
//! matches all.

mod program;

use super::{Fact, Guest, Kept, Unknown};
use crate::model::GuestPath;
use crate::parse::sshd_config::{
    SshdConfig, has_algorithms, is_global, is_keyword, is_like, is_of_some, refused,
};
use crate::parse::sshd_program::SshdProgram;

/// The main configuration.
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// sshd gives up at this depth (SERVCONF_MAX_DEPTH).
const MAX_DEPTH: usize = 16;

/// The keys that sshd looks for when no `HostKey` names one (sshd_config(5)).
const DEFAULT_KEYS: [&str; 3] =
    ["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"];

/// What was found out about it.
#[derive(Default)]
pub(super) struct Known {
    config: Kept<Fact<Option<Sshd>>>,
    program: Kept<Fact<SshdProgram>>,
}

/// One directive that holds for every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdSetting {
    /// The file that it stands in.
    pub path: GuestPath,
    /// Its line.
    pub line: usize,
    /// The keyword, in lower case.
    pub keyword: String,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Whether it stands in a `Match` of all, which goes before what stands outside.
    pub in_match: bool,
}

/// sshd's configuration, its includes in their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sshd {
    /// The directives in the order in which sshd reads them.
    pub settings: Vec<SshdSetting>,
    /// The arguments of every `AuthorizedKeysFile` in a `Match` of some.
    of_some: Vec<Vec<u8>>,
    /// Every directive that some sshd does not take, and every list of algorithms, whomever it holds for: sshd ends at one,
    /// too, that does not count.
    pub of_some_builds: Vec<SshdSetting>,
}

impl Sshd {
    fn all(&self, keyword: &str) -> impl Iterator<Item = &SshdSetting> {
        self.settings.iter().filter(move |setting| setting.keyword == keyword)
    }

    /// The directive that counts: the first in a `Match` of all, and where there is none the first.
    pub fn first(&self, keyword: &str) -> Option<&SshdSetting> {
        let mut of_matches = self.all(keyword).filter(|setting| setting.in_match);
        of_matches.next().or_else(|| self.all(keyword).next())
    }

    /// The first argument of the directive that counts, in lower case.
    pub fn value(&self, keyword: &str) -> Option<String> {
        let argument = self.first(keyword)?.arguments.first()?;
        Some(String::from_utf8_lossy(argument).to_ascii_lowercase())
    }

    /// The list of users or groups that keeps somebody out, whatever else is allowed, in the order in
    /// which sshd asks them (auth.c, `allowed_user`). A pattern with a host keeps nobody out everywhere.
    pub fn keeps_out(&self, user: &[u8], groups: &[Vec<u8>]) -> Option<&SshdSetting> {
        let names_user = |pattern: &Vec<u8>, with_host| {
            let mut parts = pattern.splitn(2, |b| *b == b'@');
            let name = parts.next().unwrap_or_default();
            is_like(user, name) && (with_host || parts.next().is_none())
        };
        let names_group = |pattern: &Vec<u8>| groups.iter().any(|group| is_like(group, pattern));
        let denied =
            |s: &&SshdSetting| s.arguments.iter().any(|pattern| names_user(pattern, false));
        let denied_by_group = |s: &&SshdSetting| s.arguments.iter().any(names_group);
        let left_out = |keyword, is_named: &dyn Fn(&Vec<u8>) -> bool| {
            let named = self.all(keyword).flat_map(|setting| &setting.arguments).any(is_named);
            self.all(keyword).next().filter(|_| !named)
        };
        self.all("denyusers")
            .find(denied)
            .or_else(|| left_out("allowusers", &|pattern| names_user(pattern, true)))
            .or_else(|| self.all("denygroups").find(denied_by_group))
            .or_else(|| left_out("allowgroups", &names_group))
    }

    /// Every port that it listens on: those of `Port`, and of `ListenAddress` with a port of its own.
    pub fn ports(&self) -> Vec<u16> {
        let number = |text: &[u8]| crate::parse::fields::unsigned::<u16>(text);
        let mut ports: Vec<u16> =
            self.all("port").filter_map(|setting| number(setting.arguments.first()?)).collect();
        if ports.is_empty() {
            ports.push(22);
        }
        let addresses: Vec<Option<u16>> = self
            .all("listenaddress")
            .filter_map(|setting| setting.arguments.first())
            .map(|address| port_of(address).and_then(number))
            .collect();
        if !addresses.is_empty() && addresses.iter().all(Option::is_some) {
            // No address uses the general ports then.
            ports.clear();
        }
        ports.extend(addresses.into_iter().flatten());
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// The addresses of every `ListenAddress`, without their ports; none where it listens on all.
    pub fn listen_addresses(&self) -> Vec<(&SshdSetting, String)> {
        let host = |setting: &SshdSetting| Some(host_of(setting.arguments.first()?));
        self.all("listenaddress").filter_map(|s| Some((s, host(s)?))).collect()
    }

    /// Every pattern of `AuthorizedKeysFile`, whomever it holds for.
    pub fn authorized_keys_files(&self) -> Vec<Vec<u8>> {
        let of_all = self.all("authorizedkeysfile");
        let patterns = of_all.flat_map(|setting| &setting.arguments).chain(&self.of_some);
        patterns.filter(|pattern| !pattern.eq_ignore_ascii_case(b"none")).cloned().collect()
    }

    /// The files of the host keys that it would load.
    pub fn host_keys(&self) -> Vec<GuestPath> {
        let named = self.all("hostkey");
        let named: Vec<GuestPath> =
            named.filter_map(|s| s.arguments.first()).map(|path| GuestPath::new(path)).collect();
        match named.is_empty() {
            true => DEFAULT_KEYS.map(GuestPath::from).to_vec(),
            false => named,
        }
    }
}

/// The port of `host:port` and `[host]:port`; none of an IPv6 address alone.
fn port_of(address: &[u8]) -> Option<&[u8]> {
    let colon = address.iter().rposition(|b| *b == b':')?;
    let (host, port) = (&address[..colon], &address[colon + 1..]);
    (!host.contains(&b':') || host.ends_with(b"]")).then_some(port)
}

/// The host of `host`, `host:port` and `[host]:port`.
fn host_of(address: &[u8]) -> String {
    let port = port_of(address).map_or(0, |port| port.len() + 1);
    let host = &address[..address.len() - port];
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    String::from_utf8_lossy(inner.unwrap_or(host)).into_owned()
}

impl Guest {
    /// What sshd is told; `None` where it has no configuration.
    ///
    /// # Errors
    /// When a file cannot be read, or has a line for which sshd would not start.
    pub fn sshd(&self) -> Fact<Option<&Sshd>> {
        let fact = self.facts.sshd.config.get_or_init(|| read(self));
        fact.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }
}

fn read(guest: &Guest) -> Fact<Option<Sshd>> {
    let path = GuestPath::from(SSHD_CONFIG);
    if guest.file(&path)?.is_none() {
        return Ok(None);
    }
    let mut sshd = Sshd::default();
    read_into(guest, &path, &mut sshd, 0, true)?;
    Ok(Some(sshd))
}

/// Reads a file into what is known. In one that a `Match` of some includes no `Match` is one of all.
fn read_into(
    guest: &Guest,
    path: &GuestPath,
    sshd: &mut Sshd,
    depth: usize,
    of_all: bool,
) -> Fact<()> {
    let Some(content) = guest.file(path)? else { return Ok(()) };
    if depth > MAX_DEPTH {
        return Err(Unknown(format!("{path}: too many files include one another")));
    }
    let file = SshdConfig::parse(&content);
    if let Some(error) = file.errors().first() {
        return Err(Unknown(format!("{path}:{}: {}", error.line, error.reason)));
    }
    // A Match goes on to the next one or to the end of its file.
    let mut is_active = of_all;
    let mut in_match = false;
    for directive in file.directives() {
        let keyword = directive.keyword.as_str();
        let at = |why: &str| Unknown(format!("{path}:{}: {why}", directive.line));
        // Inside a Match that is not met too: sshd reads the keywords of all of them when it starts.
        if !is_keyword(keyword) {
            let why = format!("no release of sshd that is known takes the keyword {keyword}");
            return Err(at(&why));
        }
        if let Some(why) = refused(directive) {
            return Err(at(&format!("{keyword} {why}")));
        }
        if !is_active && is_global(keyword) {
            return Err(at(&format!("{keyword} may not stand in a Match of some")));
        }
        let setting = || SshdSetting {
            path: path.clone(),
            line: directive.line,
            keyword: keyword.to_owned(),
            arguments: directive.arguments.clone(),
            in_match,
        };
        if has_algorithms(keyword) || is_of_some(keyword) {
            sshd.of_some_builds.push(setting());
        }
        match keyword {
            "match" => {
                in_match = true;
                is_active = of_all
                    && directive.arguments.len() == 1
                    && directive.arguments[0].eq_ignore_ascii_case(b"all");
            }
            "include" => {
                for pattern in &directive.arguments {
                    let included = matching(guest, pattern)?;
                    for included in
                        included.ok_or_else(|| at("a directory of an Include is a pattern"))?
                    {
                        read_into(guest, &included, sshd, depth + 1, is_active)?;
                    }
                }
            }
            "authorizedkeysfile" if !is_active => {
                sshd.of_some.extend(directive.arguments.iter().cloned());
            }
            _ if !is_active => {}
            "port" if crate::parse::fields::unsigned::<u16>(&directive.arguments[0]).is_none() => {
                return Err(at("not the number of a port"));
            }
            _ => sshd.settings.push(setting()),
        }
    }
    Ok(())
}

/// The files that an Include names, sorted as glob(3) sorts them; `None` where a directory in it is
/// a pattern.
fn matching(guest: &Guest, pattern: &[u8]) -> Fact<Option<Vec<GuestPath>>> {
    let path = GuestPath::from("/etc/ssh").join(pattern);
    let is_pattern = |part: &[u8]| part.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
    let directory = path.parent();
    if is_pattern(directory.as_bytes()) {
        return Ok(None);
    }
    if !is_pattern(path.name()) {
        return Ok(Some(vec![path]));
    }
    if path.name().contains(&b'[') {
        return Ok(None);
    }
    let names = guest.root().list(&directory)?.unwrap_or_default();
    let fits = |name: &&Vec<u8>| {
        // A leading dot has to be written out.
        (!name.starts_with(b".") || path.name().starts_with(b".")) && is_like(name, path.name())
    };
    Ok(Some(names.iter().filter(fits).map(|name| directory.join(name)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_kept_out() {
        let sshd = |lines: &[(&str, &str)]| {
            let setting = |(keyword, arguments): &(&str, &str)| SshdSetting {
                path: GuestPath::from(SSHD_CONFIG),
                line: 1,
                keyword: (*keyword).to_owned(),
                arguments: arguments.split(' ').map(|word| word.as_bytes().to_vec()).collect(),
                in_match: false,
            };
            Sshd { settings: lines.iter().map(setting).collect(), ..Sshd::default() }
        };
        for (lines, by) in [
            (&[("allowusers", "admin")][..], Some("allowusers")),
            (&[("allowusers", "admin"), ("allowusers", "ro*t@10.0.0.1")], None),
            (&[("denyusers", "a root")], Some("denyusers")),
            (&[("denyusers", "root@10.0.0.1")], None),
            (&[("allowgroups", "ssh wheel")], None),
            (&[("allowgroups", "ssh")], Some("allowgroups")),
            (&[("denygroups", "?heel"), ("allowusers", "root")], Some("denygroups")),
            (&[], None),
        ] {
            let sshd = sshd(lines);
            let found = sshd.keeps_out(b"root", &[b"root".to_vec(), b"wheel".to_vec()]);
            assert_eq!(found.map(|setting| setting.keyword.as_str()), by, "{lines:?}");
        }
    }

    #[test]
    fn ports_and_hosts_of_addresses() {
        for (address, port, host) in [
            ("0.0.0.0:2222", Some("2222"), "0.0.0.0"),
            ("[::]:22", Some("22"), "::"),
            ("[::1]", None, "::1"),
            ("::1", None, "::1"),
            ("10.0.0.1", None, "10.0.0.1"),
        ] {
            assert_eq!(port_of(address.as_bytes()), port.map(str::as_bytes), "{address}");
            assert_eq!(host_of(address.as_bytes()), host, "{address}");
        }
    }
}
