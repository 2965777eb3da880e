//! The operator's configuration: `/etc/guestprep/config.toml`, then `conf.d/*.toml`, later files
//! over earlier ones, key by key. Unknown keys are errors with line and column.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::waivers::{WaiveWritten, WaiverSettings, waivers};
use super::{CHECKS, CheckSpec, check, nearest, profile};
use crate::model::{
    Category, DataDisks, DnsPolicy, FixedAddress, KdumpPolicy, MetadataPolicy, MitigationsPolicy,
    OwnHosts, SelinuxPolicy, Severity, SwapPolicy, Umount,
};
use crate::parse::size;

/// One configuration file, or several merged.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The profile, unless `--profile` names one.
    pub profile: Option<String>,
    /// `[mounts]`.
    #[serde(default)]
    pub mounts: Mounts,
    /// `[mitigations]`.
    #[serde(default)]
    pub mitigations: Mitigations,
    /// `[swap]`.
    #[serde(default)]
    pub swap: Swap,
    /// `[kdump]`.
    #[serde(default)]
    pub kdump: Kdump,
    /// `[dns]`.
    #[serde(default)]
    pub dns: Dns,
    /// `[metadata]`.
    #[serde(default)]
    pub metadata: MetadataSettings,
    /// `[selinux]`.
    #[serde(default)]
    pub selinux: Selinux,
    /// `[network]`.
    #[serde(default)]
    pub network: Network,
    /// `[clean]`.
    #[serde(default)]
    pub clean: Clean,
    /// `[checks.<id>]`.
    #[serde(default)]
    pub checks: BTreeMap<String, CheckSettings>,
    /// `[daemon]`.
    #[serde(default)]
    pub daemon: Daemon,
}

/// `[mounts]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mounts {
    /// What becomes of entries on data disks.
    pub data_disks: Option<DataDisks>,
    /// Whether data disks are unmounted.
    pub umount: Option<Umount>,
    /// Sources and targets that lie on the system disk.
    pub system: Option<Vec<String>>,
    /// Whether `prepare` may clear the immutable flag of a file that it has to edit.
    pub clear_flags: Option<bool>,
}

/// `[mitigations]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mitigations {
    /// `keep`, `on` or `off`.
    pub want: Option<MitigationsPolicy>,
}

/// `[swap]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Swap {
    /// `off`, `keep` or `{ size = "2GiB" }`.
    #[serde(default, deserialize_with = "swap_want")]
    #[schemars(with = "Option<SwapWant>")]
    pub want: Option<SwapPolicy>,
}

/// `want` of `[swap]`, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum SwapWant {
    /// `off` or `keep`.
    Word(String),
    /// `size`, such as `2GiB`.
    Table(BTreeMap<String, String>),
}

/// `off`, `keep` or a table with a size, which serde's own words for an enum would not explain.
fn swap_want<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SwapPolicy>, D::Error> {
    let wrong = || serde::de::Error::custom("want takes \"off\", \"keep\" or { size = \"2GiB\" }");
    match SwapWant::deserialize(from).map_err(|_| wrong())? {
        SwapWant::Word(word) if word == "off" => Ok(Some(SwapPolicy::Off)),
        SwapWant::Word(word) if word == "keep" => Ok(Some(SwapPolicy::Keep)),
        SwapWant::Table(table) if table.len() == 1 => {
            let size = table.get("size").and_then(|size| size::human(size)).ok_or_else(wrong)?;
            Ok(Some(SwapPolicy::Size(size)))
        }
        _ => Err(wrong()),
    }
}

/// `[kdump]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kdump {
    /// `keep`, `off` or `on`.
    pub want: Option<KdumpPolicy>,
}

/// `[dns]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// `auto`, `on` or `off`.
    pub single_request_reopen: Option<DnsPolicy>,
}

/// `[selinux]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Selinux {
    /// `keep`, `disabled` or `relabel`.
    pub want: Option<SelinuxPolicy>,
}

/// `[network]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// What becomes of addresses that are fixed: `keep` or `dhcp`.
    #[serde(rename = "static")]
    pub fixed: Option<FixedAddress>,
    /// What becomes of lines of /etc/hosts that name this instance: `keep` or `drop`.
    pub own_hosts: Option<OwnHosts>,
}

/// `[metadata]`: the cloud's metadata service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetadataSettings {
    /// `false`: never asked.
    pub enabled: Option<bool>,
    /// Where it is, `http://HOST[:PORT]`.
    pub address: Option<String>,
}

impl MetadataSettings {
    /// What the two keys want together.
    pub fn policy(&self) -> MetadataPolicy {
        match (self.enabled, &self.address) {
            (Some(false), _) => MetadataPolicy::Never,
            (_, Some(address)) => MetadataPolicy::At(address.clone()),
            (_, None) => MetadataPolicy::Ask,
        }
    }
}

/// `[clean]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clean {
    /// The identity and residue checks whose findings stay.
    pub keep: Option<Vec<String>>,
    /// The accounts that are not to be in the image.
    #[serde(default, deserialize_with = "removable_users")]
    pub users: Option<Vec<String>>,
}

/// Names of accounts; root is not one that an image could be without.
fn removable_users<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let users = Vec::<String>::deserialize(from)?;
    let is_name = |user: &String| !user.is_empty() && !user.contains([':', '/', '\n', ',']);
    match users.iter().find(|user| *user == "root" || !is_name(user)) {
        Some(user) => Err(serde::de::Error::custom(format!("users cannot have {user:?} in it"))),
        None => Ok(Some(users)),
    }
}

/// `[checks.<id>]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckSettings {
    /// Every finding of the check weighs this.
    pub severity: Option<Severity>,
    /// `false`: not run.
    pub enabled: Option<bool>,
    /// Which of its findings do not count, why, and until when.
    #[serde(default, deserialize_with = "waivers")]
    #[schemars(with = "Option<WaiveWritten>")]
    pub waive: Option<Vec<WaiverSettings>>,
}

/// `[daemon]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Daemon {
    /// The unix socket.
    pub socket: Option<String>,
    /// Whether it may change the guest.
    pub allow_changes: Option<bool>,
    /// Where the Prometheus text file goes.
    pub textfile: Option<String>,
}

/// A configuration that cannot be used, with the file and, where it has one, line and column.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ConfigError {
    file: String,
    reason: String,
}

impl Config {
    /// Read one file's text.
    ///
    /// # Errors
    /// Whatever is not TOML, an unknown key, a value of the wrong kind: with line and column.
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let fail = |reason: String| ConfigError { file: file.display().to_string(), reason };
        let config: Config = toml::from_str(text).map_err(|e| fail(at_position(text, &e)))?;
        for (id, settings) in &config.checks {
            let Some(spec) = check(id) else {
                let hint = nearest(id, CHECKS.iter().map(|c| c.id))
                    .map(|name| format!("; did you mean {name}?"))
                    .unwrap_or_default();
                let position = position_of(text, id);
                return Err(fail(format!("{position}there is no check {id}{hint}")));
            };
            let files = |key: &String| spec.findings.iter().any(|finding| finding.key == key);
            let mut keys = settings.waive.iter().flatten().filter_map(|waiver| waiver.key.as_ref());
            if let Some(key) = keys.find(|key| !files(key)) {
                let position = position_of(text, &format!("\"{key}\""));
                return Err(fail(format!("{position}{id} files no `{key}`")));
            }
        }
        for id in config.clean.keep.iter().flatten() {
            let is_cleaned =
                |spec: &&CheckSpec| matches!(spec.category, Category::Identity | Category::Residue);
            if CHECKS.iter().filter(is_cleaned).all(|spec| spec.id != *id) {
                let known = CHECKS.iter().filter(is_cleaned).map(|spec| spec.id);
                let hint = nearest(id, known)
                    .map(|name| format!("; did you mean {name}?"))
                    .unwrap_or_default();
                let position = position_of(text, id);
                return Err(fail(format!(
                    "{position}there is no identity or residue check {id}{hint}"
                )));
            }
        }
        if let Some(name) = &config.profile
            && profile(name).is_none()
        {
            let position = position_of(text, name);
            return Err(fail(format!(
                "{position}there is no profile {name}; there are clone, share and import"
            )));
        }
        Ok(config)
    }

    /// Put `later` over this one, key by key.
    pub fn merge(&mut self, later: Config) {
        fn over<T>(base: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *base = later;
            }
        }
        over(&mut self.profile, later.profile);
        over(&mut self.mounts.data_disks, later.mounts.data_disks);
        over(&mut self.mounts.umount, later.mounts.umount);
        over(&mut self.mounts.system, later.mounts.system);
        over(&mut self.mounts.clear_flags, later.mounts.clear_flags);
        over(&mut self.metadata.enabled, later.metadata.enabled);
        over(&mut self.metadata.address, later.metadata.address);
        over(&mut self.mitigations.want, later.mitigations.want);
        over(&mut self.swap.want, later.swap.want);
        over(&mut self.kdump.want, later.kdump.want);
        over(&mut self.dns.single_request_reopen, later.dns.single_request_reopen);
        over(&mut self.selinux.want, later.selinux.want);
        over(&mut self.network.fixed, later.network.fixed);
        over(&mut self.network.own_hosts, later.network.own_hosts);
        over(&mut self.clean.keep, later.clean.keep);
        over(&mut self.clean.users, later.clean.users);
        over(&mut self.daemon.socket, later.daemon.socket);
        over(&mut self.daemon.allow_changes, later.daemon.allow_changes);
        over(&mut self.daemon.textfile, later.daemon.textfile);
        for (id, settings) in later.checks {
            let base = self.checks.entry(id).or_default();
            over(&mut base.severity, settings.severity);
            over(&mut base.enabled, settings.enabled);
            over(&mut base.waive, settings.waive);
        }
    }
}

/// `line 3, column 5: unknown field ...`, on one line.
fn at_position(text: &str, error: &toml::de::Error) -> String {
    let position = error.span().map(|span| position(text, span.start)).unwrap_or_default();
    let message = error.message().trim().replace('\n', " ");
    format!("{position}{message}")
}

fn position_of(text: &str, word: &str) -> String {
    text.find(word).map(|at| position(text, at)).unwrap_or_default()
}

fn position(text: &str, at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(Path::new("/etc/guestprep/config.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_an_error_with_line_and_column() {
        let text = error("profile = \"clone\"\n[mounts]\n  data-disk = \"keep\"\n");
        assert!(
            text.starts_with(
                "/etc/guestprep/config.toml: line 3, column 3: unknown field `data-disk`"
            ),
            "{text}"
        );
        assert!(error("[mounts]\numount = \"always\"\n").contains("line 2, column 10"));
        assert!(error("profile = \n").contains("line 1, column"));
    }

    #[test]
    fn the_ways_to_want_swap() {
        let want = |text: &str| Config::parse(Path::new("c"), text).unwrap().swap.want;
        assert_eq!(want("[swap]\nwant = \"off\"\n"), Some(SwapPolicy::Off));
        assert_eq!(want("[swap]\nwant = \"keep\"\n"), Some(SwapPolicy::Keep));
        assert_eq!(
            want("[swap]\nwant = { size = \"1.5 GiB\" }\n"),
            Some(SwapPolicy::Size(3 << 29))
        );
        assert_eq!(want("[swap]\n"), None);
        for wrong in
            ["\"on\"", "{ size = \"some\" }", "{ size = \"1G\", file = \"/s\" }", "2", "\"report\""]
        {
            let text = error(&format!("[swap]\nwant = {wrong}\n"));
            assert!(text.contains("line 2, column 8: want takes"), "{text}");
        }
    }

    #[test]
    fn root_is_no_account_to_be_removed() {
        let users = |text: &str| Config::parse(Path::new("c"), text).unwrap().clean.users;
        assert_eq!(users("[clean]\nusers = [\"packer\"]\n"), Some(vec!["packer".to_owned()]));
        for wrong in ["root", "", "a:b", "../x"] {
            let text = error(&format!("[clean]\nusers = [{wrong:?}]\n"));
            assert!(text.contains("line 2, column 9: users cannot have"), "{text}");
        }
    }

    #[test]
    fn a_misspelt_check_is_named_with_its_place_and_its_neighbour() {
        let text = error("\n[checks.fstab-data-disc]\nenabled = false\n");
        assert!(
            text.contains(
                "line 2, column 9: there is no check fstab-data-disc; did you mean fstab-data-disk?"
            ),
            "{text}"
        );
    }

    #[test]
    fn every_key_of_the_design_is_understood() {
        let text = r#"
profile = "share"
[mounts]
data-disks = "nofail"
umount = "never"
system = ["UUID=1234", "/srv"]
[mitigations]
want = "on"
[metadata]
enabled = true
address = "http://127.0.0.1:8080"
[swap]
want = { size = "2GiB" }
[kdump]
want = "keep"
[dns]
single-request-reopen = "auto"
[selinux]
want = "relabel"
[network]
static = "dhcp"
own-hosts = "drop"
[clean]
keep = ["shell-history", "log-files"]
users = ["packer"]
[checks.image-size]
severity = "warning"
enabled = true
waive = "small on purpose, until 2027-01-01"
[daemon]
socket = "/run/guestprep/guestprep.sock"
allow-changes = false
textfile = "/var/lib/prometheus/node-exporter/guestprep.prom"
"#;
        let mut config = Config::parse(Path::new("c"), text).unwrap();
        assert_eq!(config.mounts.data_disks, Some(DataDisks::Nofail));
        let later = Config::parse(Path::new("d"), "[mounts]\ndata-disks = \"keep\"\n").unwrap();
        config.merge(later);
        assert_eq!(config.mounts.data_disks, Some(DataDisks::Keep));
        assert_eq!(config.mounts.umount, Some(Umount::Never));
        assert_eq!(
            config.metadata.policy(),
            MetadataPolicy::At("http://127.0.0.1:8080".to_owned())
        );
        let off = Config::parse(Path::new("e"), "[metadata]\nenabled = false\n").unwrap();
        config.merge(off);
        assert_eq!(config.metadata.policy(), MetadataPolicy::Never);
    }
}
