//! cloud-init: whether it is installed and would run on a clone, what it is configured to do there,
//! and how its last run ended.
//!
//! For probes. The configuration is what /etc/cloud carries, merged as cloud-init merges it; what
//! /run, the command line and user data add is another instance's matter.

use super::{Fact, Guest, Starts, Unknown};
use crate::model::GuestPath;
use crate::parse::cloud_config::{self, LastRun};
use crate::parse::yaml_values::Value;

/// Where its command may lie.
const PROGRAMS: [&str; 3] =
    ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/opt/cloud-init/bin/cloud-init"];

/// The main configuration, and the directory that overrides it.
const CONFIG: &str = "/etc/cloud/cloud.cfg";
const CONFIG_DIRECTORY: &str = "/etc/cloud/cloud.cfg.d";

/// The file that switches it off (cloud-init's documentation, "How to disable cloud-init").
pub const SWITCH: &str = "/etc/cloud/cloud-init.disabled";

/// Its services, of all its versions: 24.3 split cloud-init.service in cloud-init-main and
/// cloud-init-network.
const SERVICES: [&str; 6] = [
    "cloud-init-local",
    "cloud-init-main",
    "cloud-init-network",
    "cloud-init",
    "cloud-config",
    "cloud-final",
];

/// Where Python keeps packages.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/local/lib", "/usr/lib64", "/opt/cloud-init/lib"];

/// cloud-init as it is installed.
#[derive(Clone, Debug)]
pub struct CloudInit {
    /// Its command.
    pub program: GuestPath,
    /// Its version, from its own files or from the package; `None` where neither tells.
    pub version: Option<String>,
    /// What keeps it from running at boot.
    pub disabled: Option<Disabled>,
    /// Its configuration; unknown where a file of it cannot be read.
    pub config: Fact<CloudConfig>,
    /// How its last run ended; `None` where it left no result.
    pub last_run: Fact<Option<(GuestPath, LastRun)>>,
}

/// What keeps cloud-init from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// The file that says so is there.
    File(GuestPath),
    /// The running kernel's command line says so.
    CommandLine,
    /// Boot does not start a service of it.
    Service {
        /// Its name, without a suffix.
        name: String,
        /// Whether it is masked.
        is_masked: bool,
    },
}

/// The merged configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudConfig {
    /// Every key, the winning value of each.
    pub merged: Value,
    /// The files, the most important first.
    files: Vec<(GuestPath, Value)>,
}

impl CloudConfig {
    /// The file whose value of a top-level key wins.
    pub fn source_of(&self, key: &str) -> Option<&GuestPath> {
        self.files_with(key).next()
    }

    /// The files that have a top-level key, the most important first.
    pub fn files_with(&self, key: &str) -> impl Iterator<Item = &GuestPath> {
        self.files.iter().filter(move |(_, file)| file.get(key).is_some()).map(|(path, _)| path)
    }

    /// `datasource_list`; `None` where it is not set and cloud-init's own list holds, which has
    /// AliYun since 0.7.9.
    pub fn datasources(&self) -> Option<Vec<String>> {
        let list = self.merged.get("datasource_list")?;
        // One name alone is understood too.
        let items = if let Value::List(items) = list {
            items.as_slice()
        } else {
            std::slice::from_ref(list)
        };
        Some(items.iter().filter_map(Value::text).collect())
    }

    /// Whether a module runs at some stage of boot; `-` and `_` are one in its name.
    pub fn runs(&self, module: &str) -> bool {
        let plain = |name: &str| name.replace('-', "_").trim_start_matches("cc_").to_owned();
        let stages = ["cloud_init_modules", "cloud_config_modules", "cloud_final_modules"];
        stages
            .iter()
            .filter_map(|stage| self.merged.get(stage))
            .flat_map(Value::items)
            .filter_map(|item| match item {
                // `[name, frequency, argument...]`, and `{name: ..., frequency: ...}`.
                Value::List(parts) => parts.first().and_then(Value::text),
                Value::Map(_) => item.get("name").and_then(Value::text),
                scalar => scalar.text(),
            })
            .any(|name| plain(&name) == plain(module))
    }

    /// Whether it grows the partition of `/` at boot: the module growpart runs, and its mode is not
    /// `off`. /etc/growroot-disabled is another matter.
    pub fn grows_partition(&self) -> bool {
        let settings = self.merged.get("growpart");
        let mode = settings.and_then(|growpart| growpart.get("mode")).and_then(Value::text);
        let is_off = matches!(mode.as_deref(), Some("off" | "false"));
        let devices = settings.and_then(|growpart| growpart.get("devices"));
        let has_root = devices.is_none_or(|devices| {
            devices.items().iter().any(|device| device.text().as_deref() == Some("/"))
        });
        self.runs("growpart") && !is_off && has_root
    }

    /// Whether it grows the filesystem of `/` at boot.
    pub fn grows_filesystem(&self) -> bool {
        self.runs("resizefs") && self.merged.get("resize_rootfs") != Some(&Value::Bool(false))
    }

    /// Whether it writes /etc/resolv.conf by its module for that.
    pub fn manages_resolv_conf(&self) -> bool {
        let is_wanted = self.merged.get("manage_resolv_conf") == Some(&Value::Bool(true));
        is_wanted && self.runs("resolv_conf")
    }

    /// Whether it writes the network configuration of a new instance.
    pub fn manages_network(&self) -> bool {
        let config = self.merged.get("network").and_then(|network| network.get("config"));
        config.and_then(Value::text).as_deref() != Some("disabled")
    }
}

impl CloudInit {
    /// The order of its version to another, digits by their value; `None` where its own is unknown.
    pub fn is_older_than(&self, version: &str) -> Option<bool> {
        let own = self.version.as_deref()?;
        Some(crate::parse::version::compare_rpm(own, version) == std::cmp::Ordering::Less)
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Option<CloudInit>> {
    let mut program = None;
    for path in PROGRAMS.map(GuestPath::from) {
        if guest.stat(&path)?.is_some() {
            program = Some(path);
            break;
        }
    }
    let Some(program) = program else { return Ok(None) };
    Ok(Some(CloudInit {
        version: version(guest)?,
        disabled: disabled(guest)?,
        config: config(guest),
        last_run: last_run(guest),
        program,
    }))
}

/// The version of the package in Python's libraries. Where there are several, as after an upgrade
/// by hand, the lowest: which one runs depends on the Python that is started.
fn version(guest: &Guest) -> Fact<Option<String>> {
    let mut found: Option<String> = None;
    for library in LIBRARIES.map(GuestPath::from) {
        for name in guest.root().list(&library)?.unwrap_or_default() {
            if !name.starts_with(b"python") {
                continue;
            }
            for packages in ["site-packages", "dist-packages"] {
                let path =
                    library.join(&name).join(packages.as_bytes()).join(b"cloudinit/version.py");
                let Some(text) = guest.file(&path)? else { continue };
                let Some(version) = cloud_config::version(&text) else {
                    return Err(Unknown(format!("{path} names no version")));
                };
                let is_lower = found.as_deref().is_none_or(|known| {
                    crate::parse::version::compare_rpm(&version, known).is_lt()
                });
                if is_lower {
                    found = Some(version);
                }
            }
        }
    }
    if found.is_none()
        && let Ok(Some(package)) = guest.package("cloud-init")
    {
        let upstream = package.rsplit_once(':').map_or(package.as_str(), |(_, rest)| rest);
        found = upstream.split('-').next().map(str::to_owned);
    }
    Ok(found)
}

fn disabled(guest: &Guest) -> Fact<Option<Disabled>> {
    let switch = GuestPath::from(SWITCH);
    if guest.root().lstat(&switch)?.is_some() {
        return Ok(Some(Disabled::File(switch)));
    }
    if let Some(kernel) = guest.kernel()
        && let Some(line) = kernel.proc("/cmdline")?
        && line.split(u8::is_ascii_whitespace).any(|word| word == b"cloud-init=disabled")
    {
        return Ok(Some(Disabled::CommandLine));
    }
    for name in SERVICES {
        let Some(service) = guest.service(name)? else { continue };
        if service.starts != Starts::AtBoot {
            let is_masked = service.starts == Starts::Masked;
            return Ok(Some(Disabled::Service { name: name.to_owned(), is_masked }));
        }
    }
    Ok(None)
}

fn config(guest: &Guest) -> Fact<CloudConfig> {
    let directory = GuestPath::from(CONFIG_DIRECTORY);
    let mut names = guest.root().list(&directory)?.unwrap_or_default();
    names.retain(|name| name.ends_with(b".cfg"));
    names.sort_unstable_by(|a, b| b.cmp(a));
    let mut paths: Vec<GuestPath> = names.iter().map(|name| directory.join(name)).collect();
    paths.push(GuestPath::from(CONFIG));
    let mut files = Vec::new();
    for path in paths {
        let Some(text) = guest.file(&path)? else { continue };
        let value = cloud_config::read(&text)
            .map_err(|error| Unknown(format!("{path}:{}: {}", error.line, error.reason)))?;
        if value.get("conf_d").is_some() {
            return Err(Unknown(format!("{path}: it names another directory (conf_d)")));
        }
        files.push((path, value));
    }
    let merged = cloud_config::merge(files.iter().map(|(_, value)| value.clone()));
    Ok(CloudConfig { merged, files })
}

/// result.json of the last run, and where that was never written, status.json. Both lie in
/// /var/lib/cloud/data, and /run/cloud-init has links to them.
fn last_run(guest: &Guest) -> Fact<Option<(GuestPath, LastRun)>> {
    for directory in ["/run/cloud-init", "/var/lib/cloud/data"] {
        for name in ["result.json", "status.json"] {
            let path = GuestPath::from(directory).join(name.as_bytes());
            let Some(text) = guest.file(&path)? else { continue };
            return match cloud_config::last_run(&text) {
                Some(run) => Ok(Some((path, run))),
                None => Err(Unknown(format!("{path}: it is no result of cloud-init"))),
            };
        }
    }
    Ok(None)
}
