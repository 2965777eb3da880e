//! What a clone makes again at its boot, so that an image need not carry it: host keys, the machine
//! id, the seed of the random number generator.
//!
//! For probes and for firstboot/. Something counts where boot starts it, its program is there and
//! nothing holds it back; all of it by what an image carries, never by what runs on this machine.

use super::services::{Started, started_by};
use super::unit_files::Unit;
use super::{CloudConfig, Fact, Guest, Init, StartedBy, Starts};
use crate::model::GuestPath;
use crate::parse::key_value::KeyValue;
use crate::parse::unit;
use crate::parse::yaml_values::Value;

/// The types of keys that sshd-keygen, sshd-gen-keys-start and `ssh-keygen -A` of every release
/// since 6.5 make.
const TYPES: [&str; 3] = ["rsa", "ecdsa", "ed25519"];

/// The services that sshd runs as.
const SSHD: [&str; 2] = ["sshd.service", "ssh.service"];

/// Where programs lie that a unit or a script names without a directory.
const PROGRAMS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The settings of `[Unit]` that may keep a unit from starting (systemd.unit(5)) and that units
/// which make keys are known to have, or might.
const CONDITIONS: [&str; 8] = [
    "ConditionPathExists",
    "ConditionFileNotEmpty",
    "ConditionPathExistsGlob",
    "ConditionFirstBoot",
    "ConditionKernelCommandLine",
    "ConditionVirtualization",
    "AssertPathExists",
    "AssertFileNotEmpty",
];

/// The unit, or init script, that runs `guestprep firstboot`.
const FIRST_BOOT: &str = "guestprep-firstboot";

/// Somebody who makes host keys where they are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyMaker {
    /// The unit or the script; `cloud-init` for its module ssh.
    pub name: String,
    /// The types of the keys, as they stand in /etc/ssh/ssh_host_TYPE_key.
    pub types: Vec<String>,
}

impl HostKeyMaker {
    /// One that makes the types that sshd looks for by itself.
    pub fn of_all_types(name: &str) -> Self {
        Self { name: name.to_owned(), types: TYPES.map(str::to_owned).to_vec() }
    }

    /// Whether it makes the key of this path.
    pub fn makes(&self, key: &GuestPath) -> bool {
        self.types
            .iter()
            .any(|kind| *key == GuestPath::from(format!("/etc/ssh/ssh_host_{kind}_key").as_str()))
    }
}

impl Guest {
    /// Who makes missing host keys on a clone before, or as, its sshd starts; guestprep's own
    /// firstboot aside. Empty where nobody is proven to.
    ///
    /// # Errors
    /// When a unit, a script or the configuration of cloud-init cannot be read.
    pub fn host_key_makers(&self) -> Fact<Vec<HostKeyMaker>> {
        let mut makers: Vec<HostKeyMaker> = cloud_init(self)?.into_iter().collect();
        if matches!(self.init()?, Init::Systemd | Init::Unknown) {
            makers.extend(units(self)?);
        }
        makers.extend(script(self)?);
        Ok(makers)
    }

    /// cloud-init's configuration, where its module ssh runs on a clone, which makes host keys and
    /// writes the keys that the metadata has for a person; `None` where it does not.
    ///
    /// # Errors
    /// When its files, its services or its configuration cannot be read.
    pub fn cloud_init_with_keys(&self) -> Fact<Option<&CloudConfig>> {
        let Some(cloud_init) = self.cloud_init()?.filter(|installed| installed.disabled.is_none())
        else {
            return Ok(None);
        };
        // Its generator found no data source at this boot, and would find none on a clone.
        if self.kernel().is_some()
            && self.stat(&GuestPath::from("/run/cloud-init/disabled"))?.is_some()
        {
            return Ok(None);
        }
        let config = cloud_init.config.as_ref().map_err(Clone::clone)?;
        // Without a data source every instance has the same id, and what ran once does not run again.
        let run = cloud_init.last_run.as_ref().map_err(Clone::clone)?;
        let source = run.as_ref().and_then(|(_, run)| run.datasource.as_deref());
        let is_none = source.is_some_and(|source| source.starts_with("DataSourceNone"));
        Ok((config.runs("ssh") && !is_none).then_some(config))
    }

    /// Whether `guestprep firstboot` would make what a clone lacks: it is started, and can tell a
    /// clone of this guest from the guest. On a tree or an image it could not: the journal does not
    /// say of which instance it is, or lies elsewhere.
    ///
    /// # Errors
    /// When its service cannot be looked at.
    pub fn runs_first_boot(&self) -> Fact<bool> {
        let service = self.service(FIRST_BOOT)?;
        let starts = service.is_some_and(|service| service.starts == Starts::AtBoot);
        Ok(starts && self.instance_id().is_some() && self.has_program("guestprep")?)
    }

    /// Whether a program is where the system's programs are.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn has_program(&self, name: &str) -> Fact<bool> {
        for directory in PROGRAMS.map(GuestPath::from) {
            if self.stat(&directory.join(name.as_bytes()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Who makes a machine id where there is an empty one or none; `None` where nobody does.
    ///
    /// # Errors
    /// When the init system or D-Bus's service cannot be looked at.
    pub fn machine_id_maker(&self) -> Fact<Option<&'static str>> {
        // Process 1 does it, before anything else (machine-id(5)).
        if self.init()? == Init::Systemd {
            return Ok(Some("systemd"));
        }
        // `dbus-uuidgen --ensure`, in the script of Debian and of Enterprise Linux, and in the job.
        for name in ["messagebus", "dbus"] {
            let starts = self.service(name)?.is_some_and(|service| service.starts.is_enabled());
            if starts && self.has_program("dbus-uuidgen")? {
                return Ok(Some("dbus"));
            }
        }
        Ok(None)
    }

    /// A service of boot that is given an encrypted credential (systemd.exec(5)); `None` where none is.
    ///
    /// # Errors
    /// When a unit cannot be read.
    pub fn unit_with_encrypted_credentials(&self) -> Fact<Option<String>> {
        let files = self.unit_files()?;
        for name in self.started()?.names().filter(|name| name.ends_with(".service")) {
            let Some(unit) = files.load(self, name)? else { continue };
            let is_given = |key| unit.settings.get_last("Service", key).is_some();
            if is_given("LoadCredentialEncrypted") || is_given("SetCredentialEncrypted") {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether something writes the seed of the random number generator again.
    ///
    /// # Errors
    /// When the service cannot be looked at.
    pub fn keeps_random_seed(&self) -> Fact<bool> {
        let is_masked = match self.service("systemd-random-seed")? {
            Some(service) if service.starts == Starts::AtBoot => return Ok(true),
            service => service.is_some_and(|service| service.starts == Starts::Masked),
        };
        // The scripts: Debian's urandom, SUSE's random; EL 6 does it in rc.sysinit and halt.
        for name in ["urandom", "random", "boot.clock"] {
            if self.service(name)?.is_some_and(|service| service.starts == Starts::AtBoot) {
                return Ok(true);
            }
        }
        let halts = self.stat(&GuestPath::from("/etc/rc.d/rc.sysinit"))?.is_some();
        Ok(halts && !is_masked && self.init()? != Init::Systemd)
    }
}

/// cloud-init's module ssh, which runs once for every instance (cloudinit/config/cc_ssh.py).
fn cloud_init(guest: &Guest) -> Fact<Option<HostKeyMaker>> {
    let Some(config) = guest.cloud_init_with_keys()? else { return Ok(None) };
    let mut maker = HostKeyMaker::of_all_types("cloud-init");
    if let Some(wanted) = config.merged.get("ssh_genkeytypes") {
        maker.types = wanted.items().iter().filter_map(Value::text).collect();
    }
    Ok(Some(maker))
}

/// The units that sshd's unit pulls in, or that boot starts before it; and sshd's own commands.
fn units(guest: &Guest) -> Fact<Vec<HostKeyMaker>> {
    // By boot, by a socket, or by hand: what sshd's unit pulls in comes before it.
    let mut sshd = Vec::new();
    for name in SSHD {
        if guest.service(name)?.is_some_and(|service| service.starts != Starts::Masked) {
            sshd.push(name.to_owned());
        }
    }
    let pulled = started_by(guest, sshd)?;
    let mut makers: Vec<HostKeyMaker> = Vec::new();
    for name in pulled.names() {
        makers.extend(unit(guest, name)?);
    }
    for name in guest.started()?.names().filter(|name| !pulled.has(name)) {
        if is_before_sshd(guest, name, &pulled)? {
            makers.extend(unit(guest, name)?);
        }
    }
    Ok(makers)
}

/// Whether a unit is ordered before sshd, by its own word.
fn is_before_sshd(guest: &Guest, name: &str, pulled: &Started) -> Fact<bool> {
    let Some(unit) = guest.unit_files()?.load(guest, name)? else { return Ok(false) };
    let values = unit.settings.get_all("Unit", "Before");
    let mut words = values.into_iter().flat_map(unit::words);
    Ok(words.any(|word| {
        let word = String::from_utf8_lossy(&word);
        SSHD.contains(&word.as_ref()) && pulled.has(&word) || word == "ssh.socket"
    }))
}

/// What a unit makes that runs a maker of keys.
fn unit(guest: &Guest, name: &str) -> Fact<Option<HostKeyMaker>> {
    let Some(unit) = guest.unit_files()?.load(guest, name)? else { return Ok(None) };
    let commands = ["ExecStartPre", "ExecStart"].into_iter();
    let mut lines = commands.flat_map(|key| unit.settings.get_all("Service", key));
    let Some(line) = lines.find(|line| names_maker(line)) else { return Ok(None) };
    if !names_program(guest, line)? || is_held_back(guest, &unit)? || is_switched_off(guest)? {
        return Ok(None);
    }
    let mut maker = HostKeyMaker::of_all_types(name);
    // DISTRO(el8): sshd-keygen@rsa.service and its kin make one each.
    if let Some((_, instance)) = name.split_once('@') {
        maker.types = instance.strip_suffix(".service").map(str::to_owned).into_iter().collect();
    }
    Ok(Some(maker))
}

fn names_maker(line: &[u8]) -> bool {
    [&b"keygen"[..], b"gen-keys"].iter().any(|part| line.windows(part.len()).any(|at| at == *part))
}

/// Whether a program that a command line names by its path, and that makes keys, is there.
fn names_program(guest: &Guest, line: &[u8]) -> Fact<bool> {
    for word in unit::words(line) {
        let path = word.trim_ascii_start();
        // systemd.service(5): a prefix of these says how the program is run.
        let prefix = path.iter().take_while(|b| b"-@:+!|".contains(b)).count();
        let path = &path[prefix..];
        if path.starts_with(b"/") && names_maker(path) {
            return Ok(guest.stat(&GuestPath::new(path))?.is_some());
        }
    }
    guest.has_program("ssh-keygen")
}

/// Whether a condition of the unit keeps it from making missing keys, or might.
fn is_held_back(guest: &Guest, unit: &Unit) -> Fact<bool> {
    for key in CONDITIONS {
        for value in unit.settings.get_all("Unit", key) {
            let text = String::from_utf8_lossy(value);
            let of_keys = text.trim_start_matches(['|', '!']).starts_with("/etc/ssh/");
            // DISTRO(el9): cloud-init's package has the units leave host keys to its own module,
            // which its generator says runs.
            let of_cloud_init = text.starts_with("!/run/systemd/") && text.contains("cloud-init");
            let holds = match (of_keys, of_cloud_init) {
                (true, _) => false,
                (_, true) => guest.cloud_init()?.is_some_and(|known| known.disabled.is_none()),
                // ConditionFirstBoot is met where there was no machine id, which an empty one is not.
                _ => true,
            };
            if holds {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// DISTRO(el6, el7): the variable that has the script of the package make no keys.
fn is_switched_off(guest: &Guest) -> Fact<bool> {
    let Some(text) = guest.file("/etc/sysconfig/sshd")? else { return Ok(false) };
    let wanted = KeyValue::parse(&text);
    Ok(wanted.get("AUTOCREATE_SERVER_KEYS").is_some_and(|value| value.eq_ignore_ascii_case(b"no")))
}

/// An init script of sshd that makes keys before it starts it.
fn script(guest: &Guest) -> Fact<Option<HostKeyMaker>> {
    for name in ["sshd", "ssh"] {
        let Some(service) = guest.service(name)? else { continue };
        let Some(path) = service.path.filter(|_| service.by == StartedBy::SysV) else { continue };
        let starts = service.starts == Starts::AtBoot;
        let makes = guest.file(&path)?.is_some_and(|text| names_maker(&text));
        if starts && makes && guest.has_program("ssh-keygen")? && !is_switched_off(guest)? {
            return Ok(Some(HostKeyMaker::of_all_types(&path.to_string())));
        }
    }
    Ok(None)
}

/// A machine id as machine-id(5) wants it: 32 hexadecimal digits, not all of them zero.
fn is_machine_id(text: &[u8]) -> bool {
    let id = text.trim_ascii_end();
    id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit) && id.iter().any(|b| *b != b'0')
}

/// What a file of a machine id holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineId {
    /// There is no file.
    Absent,
    /// An empty file: the next boot makes an id, and is no first boot to systemd.
    Empty,
    /// The word `uninitialized`: the next boot makes an id, and is a first boot to systemd since 247.
    Uninitialized,
    /// An id.
    Set,
    /// Something else, which is replaced at boot as an empty file is.
    Invalid,
}

impl Guest {
    /// What a file of a machine id holds; the id itself is nobody's business.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn machine_id(&self, path: &GuestPath) -> Fact<MachineId> {
        let Some(text) = self.file(path)? else {
            return Ok(MachineId::Absent);
        };
        Ok(match text.trim_ascii() {
            [] => MachineId::Empty,
            b"uninitialized" => MachineId::Uninitialized,
            id if is_machine_id(id) => MachineId::Set,
            _ => MachineId::Invalid,
        })
    }
}
