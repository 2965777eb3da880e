//! Finds and reads the files of the managers that boot starts.

use super::cloud::{self, Writes};
use super::{Connection, Dialect, Network};
use crate::guest::{Fact, Family, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::net::{
    Configuration, cloud_init, ifcfg, interfaces, keyfile, netplan, networkd, persistent_net,
};

/// How deep `source` lines are followed; ifupdown itself sets no limit.
const MAX_SOURCES: usize = 8;

/// Where networkd's files lie, the operator's first; a name in one hides that name in the later
/// ones (systemd.network(5)). /run is not in an image.
const NETWORKD: [&str; 4] = [
    "/etc/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];

pub(super) fn read(guest: &Guest, network: &mut Network) -> Fact<()> {
    let writes = cloud::writes(guest, &mut network.doubts)?;
    network.is_rewritten = matches!(writes, Writes::Metadata);
    let is_rewriting = !matches!(writes, Writes::Nothing);
    let mut reader = Reader { guest, network, is_rewriting };
    if let Writes::Own(path) = &writes {
        reader.own_of_cloud_init(path);
    }
    let managers = reader.network.managers;
    let any = managers.is_unknown();
    if any || managers.network_scripts || managers.reads_ifcfg {
        reader.ifcfg("/etc/sysconfig/network-scripts", ifcfg::Flavour::RedHat);
    }
    if any && guest.os()?.family != Family::El || managers.wicked {
        reader.ifcfg("/etc/sysconfig/network", ifcfg::Flavour::Suse);
        reader.wicked();
    }
    if any || managers.network_manager {
        reader.keyfiles();
    }
    let mut renders_networkd = false;
    if any || managers.netplan {
        renders_networkd = reader.netplan();
    }
    if any || managers.networkd || renders_networkd {
        reader.networkd();
    }
    if any || managers.ifupdown {
        reader.interfaces(&GuestPath::from("/etc/network/interfaces"));
    }
    reader.udev_rules();
    reader.links();
    Ok(())
}

struct Reader<'a> {
    guest: &'a Guest,
    network: &'a mut Network,
    is_rewriting: bool,
}

impl Reader<'_> {
    /// The paths in a directory, in order; what cannot be listed is a doubt.
    fn list(&mut self, directory: &str) -> Vec<GuestPath> {
        let directory = GuestPath::from(directory);
        match self.guest.root().list(&directory) {
            Ok(names) => names.unwrap_or_default().iter().map(|n| directory.join(n)).collect(),
            Err(error) => {
                self.network.doubts.push(Unknown::from(error).0);
                Vec::new()
            }
        }
    }

    /// A file's text; what cannot be read is a doubt, and so is no regular file's.
    fn text(&mut self, path: &GuestPath) -> Option<Vec<u8>> {
        match self.guest.file(path) {
            Ok(text) => text.map(|text| text.to_vec()),
            Err(why) => {
                self.network.doubts.push(why.0);
                None
            }
        }
    }

    fn add(&mut self, path: &GuestPath, dialect: Dialect, text: &[u8], said: Configuration) {
        let is_rewritten =
            self.is_rewriting && dialect != Dialect::CloudInit && cloud::is_written_by(path, text);
        for error in said.errors {
            self.network.doubts.push(format!("{path}:{}: {}", error.line, error.reason));
        }
        for profile in said.profiles {
            let path = path.clone();
            self.network.connections.push(Connection { path, dialect, profile, is_rewritten });
        }
    }

    /// What cloud-init writes over the files that it wrote before.
    fn own_of_cloud_init(&mut self, path: &GuestPath) {
        let Some(text) = self.text(path) else { return };
        self.add(path, Dialect::CloudInit, &text, cloud_init::read(&text));
    }

    fn ifcfg(&mut self, directory: &str, flavour: ifcfg::Flavour) {
        let dialect = match flavour {
            ifcfg::Flavour::RedHat => Dialect::Ifcfg,
            ifcfg::Flavour::Suse => Dialect::SuseIfcfg,
        };
        for path in self.list(directory) {
            let name = path.name().to_vec();
            let Some(suffix) = name.strip_prefix(b"ifcfg-") else { continue };
            let is_loopback = suffix == b"lo" || suffix.starts_with(b"lo:");
            if is_loopback || ifcfg::is_ignored(&name) {
                continue;
            }
            let Some(text) = self.text(&path) else { continue };
            let mut said = ifcfg::read(suffix, &text, flavour);
            // What NetworkManager leaves alone is the network scripts', where they run.
            let managers = self.network.managers;
            if managers.network_manager && !managers.network_scripts {
                said.profiles
                    .iter_mut()
                    .for_each(|profile| profile.at_boot &= !profile.is_unmanaged);
            }
            self.add(&path, dialect, &text, said);
        }
    }

    /// wicked's own XML, which is rare beside ifcfg files, is not read.
    fn wicked(&mut self) {
        for path in self.list("/etc/wicked/ifconfig") {
            if path.name().ends_with(b".xml") {
                let doubt = format!("{path}: wicked's own configuration is not read");
                self.network.doubts.push(doubt);
            }
        }
    }

    fn keyfiles(&mut self) {
        for directory in
            ["/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"]
        {
            for path in self.list(directory) {
                if keyfile::is_ignored(path.name()) {
                    continue;
                }
                let Some(text) = self.text(&path) else { continue };
                self.add(&path, Dialect::Keyfile, &text, keyfile::read(&text));
            }
        }
    }

    /// Whether networkd is what it writes for.
    fn netplan(&mut self) -> bool {
        let mut renderer = None;
        let mut found = false;
        for directory in ["/etc/netplan", "/usr/lib/netplan", "/lib/netplan"] {
            if directory == "/lib/netplan" && self.is_merged("/lib") {
                continue;
            }
            for path in self.list(directory) {
                if !path.name().ends_with(b".yaml") {
                    continue;
                }
                let Some(text) = self.text(&path) else { continue };
                let said = netplan::read(&text);
                found = true;
                renderer = said.renderer.or(renderer);
                self.add(&path, Dialect::Netplan, &text, said.configuration);
            }
        }
        found && renderer.as_deref() != Some("NetworkManager")
    }

    /// Whether a directory of the root is a link, so that what is below it is seen below /usr.
    fn is_merged(&self, directory: &str) -> bool {
        self.guest.root().read_link(&GuestPath::from(directory)).is_ok_and(|link| link.is_some())
    }

    /// The files of an ending that systemd would read, by name, each with its drop-ins behind it.
    fn systemd(&mut self, ending: &[u8]) -> Vec<GuestPath> {
        let mut files: Vec<GuestPath> = Vec::new();
        let mut drop_ins: Vec<GuestPath> = Vec::new();
        for directory in NETWORKD {
            if directory.starts_with("/lib/") && self.is_merged("/lib") {
                continue;
            }
            for path in self.list(directory) {
                if path.name().ends_with(&[ending, b".d"].concat()) {
                    drop_ins.push(path);
                } else if path.name().ends_with(ending)
                    && !files.iter().any(|known| known.name() == path.name())
                {
                    files.push(path);
                }
            }
        }
        files.sort_by(|a, b| a.name().cmp(b.name()));
        for directory in drop_ins {
            let Ok(names) = self.guest.root().list(&directory) else { continue };
            let names = names.unwrap_or_default();
            files.extend(names.iter().filter(|n| n.ends_with(b".conf")).map(|n| directory.join(n)));
        }
        // A link to /dev/null masks a file; what it leads to is no regular file.
        files.retain(|path| {
            !matches!(self.guest.root().read_link(path), Ok(Some(target)) if target == b"/dev/null")
        });
        files
    }

    fn networkd(&mut self) {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for path in self.systemd(b".network") {
            let Some(text) = self.text(&path) else { continue };
            let mut said = networkd::network(&text);
            let is_drop_in = path.name().ends_with(b".conf");
            for profile in &mut said.profiles {
                let Some(name) = &profile.name else { continue };
                // The first file that matches a card is the only one that is used.
                if names.contains(name) && !is_drop_in {
                    profile.at_boot = false;
                }
                names.push(name.clone());
            }
            if is_drop_in {
                self.join_base(&path, &mut said);
            }
            self.add(&path, Dialect::Networkd, &text, said);
        }
    }

    /// A drop-in is about what its file is about.
    fn join_base(&self, path: &GuestPath, said: &mut Configuration) {
        let directory = path.parent();
        let base = directory.name().strip_suffix(b".d").unwrap_or_default().to_vec();
        let base = self.network.connections.iter().find(|other| other.path.name() == base);
        let (Some(base), Some(profile)) = (base, said.profiles.first_mut()) else { return };
        profile.name = profile.name.take().or_else(|| base.profile.name.clone());
        profile.kind = base.profile.kind;
        profile.dhcp = profile.dhcp.or(base.profile.dhcp);
        profile.at_boot = base.profile.at_boot;
    }

    fn interfaces(&mut self, first: &GuestPath) {
        let mut files = vec![(first.clone(), 0)];
        let mut seen: Vec<GuestPath> = Vec::new();
        let mut autos: Vec<Vec<u8>> = Vec::new();
        let start = self.network.connections.len();
        while let Some((path, depth)) = files.pop() {
            if seen.contains(&path) || depth > MAX_SOURCES {
                continue;
            }
            seen.push(path.clone());
            let Some(text) = self.text(&path) else { continue };
            let said = interfaces::read(&text);
            for (is_directory, pattern) in said.sources.into_iter().rev() {
                let found = self.sourced(&path, is_directory, &pattern);
                files.extend(found.into_iter().rev().map(|path| (path, depth + 1)));
            }
            autos.extend(said.autos);
            self.add(&path, Dialect::Interfaces, &text, said.configuration);
        }
        // What brings an interface up may stand in another file than what describes it.
        for connection in &mut self.network.connections[start..] {
            let profile = &mut connection.profile;
            profile.at_boot |= autos.iter().any(|auto| Some(auto) == profile.name.as_ref());
        }
    }

    /// The files that a `source` line means: a path with wildcards in its last part, or a directory
    /// of names without dots.
    fn sourced(&mut self, from: &GuestPath, is_directory: bool, pattern: &[u8]) -> Vec<GuestPath> {
        let path = from.parent().join(pattern);
        let is_name =
            |name: &[u8]| name.iter().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(b));
        let (directory, last) = if is_directory {
            (path.clone(), b"*".to_vec())
        } else {
            (path.parent(), path.name().to_vec())
        };
        if !is_directory && !last.iter().any(|b| b"*?[".contains(b)) {
            return vec![path];
        }
        if directory.as_bytes().iter().any(|b| b"*?[".contains(b)) || last.contains(&b'[') {
            self.network.doubts.push(format!("{from}: what `{path}` means is not told"));
            return Vec::new();
        }
        let names = self.guest.root().list(&directory).ok().flatten().unwrap_or_default();
        names
            .iter()
            .filter(|name| !name.starts_with(b".") && super::matches(&last, name))
            .filter(|name| !is_directory || is_name(name))
            .map(|name| directory.join(name))
            .collect()
    }

    fn udev_rules(&mut self) {
        for path in self.list("/etc/udev/rules.d") {
            if !path.name().ends_with(b".rules") {
                continue;
            }
            let link = self.guest.root().read_link(&path).ok().flatten();
            if link.as_deref() == Some(b"/dev/null") {
                continue;
            }
            let Some(text) = self.text(&path) else { continue };
            self.add(&path, Dialect::UdevRule, &text, persistent_net::read(&text));
        }
    }

    fn links(&mut self) {
        for path in self.systemd(b".link") {
            let Some(text) = self.text(&path) else { continue };
            self.add(&path, Dialect::Link, &text, networkd::link(&text));
        }
    }
}
