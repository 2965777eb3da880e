//! cloud-init's configuration is merged as cloud-init itself merges it.
//!
//! Needs python3-yaml and the Python package of the Debian package cloud-init, installed or
//! unpacked (the variable CLOUD_INIT_LIBRARY names the directory that holds `cloudinit`).

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::Path;
use std::process::Command;

use guestprep::parse::cloud_config;
use guestprep::parse::net::cloud_init;
use guestprep::parse::yaml_values::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Prints the merged configuration of every directory that it is given, one JSON a line.
const MERGE: &str = "
import json, logging, sys
logging.disable(logging.CRITICAL)
from cloudinit import util
for directory in sys.argv[1:]:
    print(json.dumps(util.read_conf_with_confd(directory + '/cloud.cfg'), default=str))
";

/// Prints the interfaces of every network configuration that it is given, one JSON a line.
const NETWORK: &str = "
import json, logging, sys, yaml
logging.disable(logging.CRITICAL)
from cloudinit.net.network_state import parse_net_config_data
for text in sys.argv[1:]:
    state = parse_net_config_data(yaml.safe_load(text)['network'])
    print(json.dumps(list(state.iter_interfaces())))
";

/// A Python that has cloud-init, with the library to find it in.
fn python() -> Option<(String, String)> {
    let library = std::env::var("CLOUD_INIT_LIBRARY")
        .unwrap_or_else(|_| "/usr/lib/python3/dist-packages".to_owned());
    ["/usr/bin/python3", "python3"].into_iter().find_map(|python| {
        let tried = Command::new(python)
            .env("PYTHONPATH", &library)
            .args(["-c", "import cloudinit.util"])
            .output();
        let is_fit = tried.is_ok_and(|output| output.status.success());
        is_fit.then(|| (python.to_owned(), library.clone()))
    })
}

fn merged_by_cloud_init(directories: &[String]) -> Option<Vec<serde_json::Value>> {
    told_by_cloud_init(MERGE, directories)
}

/// What a script says of its arguments, each on a line.
fn told_by_cloud_init(script: &str, arguments: &[String]) -> Option<Vec<serde_json::Value>> {
    let (python, library) = python()?;
    let output = Command::new(python)
        .env("PYTHONPATH", library)
        .args(["-c", script])
        .args(arguments)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn merged_by_us(directory: &Path) -> serde_json::Value {
    let mut names: Vec<_> = fs::read_dir(directory.join("cloud.cfg.d"))
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cfg"))
        .collect();
    names.sort();
    names.reverse();
    names.push(directory.join("cloud.cfg"));
    let read = |path: &std::path::PathBuf| {
        let text = fs::read(path).expect("a file");
        cloud_config::read(&text).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()))
    };
    json(&cloud_config::merge(names.iter().map(read)))
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}

/// A value in flow style, of the kinds that configuration has.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "(yes|no|on|off|true|False|~|null|0|17|0644|0x1f|abc|AliYun|1_000|'off'|\"a b\"|x-y)",
        "[a-z]{1,4}"
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map("[a-d]", inner, 0..3).prop_map(|map| {
                let items: Vec<_> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", items.join(", "))
            }),
        ]
    })
}

fn file() -> impl Strategy<Value = String> {
    proptest::collection::btree_map("[a-d]", value(), 0..4).prop_map(|map| {
        map.iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>()
    })
}

#[test]
fn files_are_merged_as_cloud_init_merges_them() {
    if python().is_none() {
        println!("left out: cloud-init as the oracle: there is no Python that has it");
        return;
    }
    let temp = tempfile::tempdir().expect("a temporary directory");
    let mut runner = TestRunner::deterministic();
    let mut directories = Vec::new();
    for at in 0..200 {
        let directory = temp.path().join(at.to_string());
        fs::create_dir_all(directory.join("cloud.cfg.d")).expect("a directory");
        for name in ["cloud.cfg", "cloud.cfg.d/05_a.cfg", "cloud.cfg.d/99-b.cfg", "cloud.cfg.d/x"] {
            let text = file().new_tree(&mut runner).expect("a file").current();
            fs::write(directory.join(name), text).expect("a file");
        }
        directories.push(directory.display().to_string());
    }
    // The configuration that the package installs, with its anchors and block scalars.
    if Path::new("/etc/cloud/cloud.cfg").exists() {
        directories.push("/etc/cloud".to_owned());
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/distros");
    for entry in fs::read_dir(fixtures).expect("the skeletons") {
        let directory = entry.expect("an entry").path().join("root/etc/cloud");
        directories.push(directory.display().to_string());
    }
    let theirs = merged_by_cloud_init(&directories).expect("an oracle");
    assert_eq!(theirs.len(), directories.len());
    for (directory, theirs) in directories.iter().zip(theirs) {
        let shown = || fs::read_to_string(format!("{directory}/cloud.cfg.d/99-b.cfg"));
        assert_eq!(merged_by_us(Path::new(directory)), theirs, "{directory}: {:?}", shown());
    }
}

/// An interface: its name, whether it has DHCP for IPv4, any way to an address of IPv6, and what it has fixed.
type Interface = (String, bool, bool, Vec<String>);

fn interfaces_by_us(text: &str) -> Vec<Interface> {
    let read = cloud_init::read(text.as_bytes());
    assert_eq!(read.errors, [], "{text}");
    let interface = |profile: &guestprep::parse::net::Profile| {
        let name = String::from_utf8(profile.name.clone().expect("a name")).expect("UTF-8");
        let fixed = profile.fixed.iter().map(|fixed| fixed.address().expect("an address"));
        let mut fixed: Vec<String> = fixed.map(|address| address.to_string()).collect();
        fixed.sort();
        (name, profile.dhcp == Some(true), profile.asks_v6 == Some(true), fixed)
    };
    let mut found: Vec<Interface> = read.profiles.iter().map(interface).collect();
    found.sort();
    found
}

fn interfaces_by_cloud_init(state: &serde_json::Value) -> Vec<Interface> {
    let interface = |interface: &serde_json::Value| {
        let subnets = interface["subnets"].as_array().expect("subnets");
        let asks = |words: &[&str]| {
            subnets.iter().any(|s| words.contains(&s["type"].as_str().expect("a type")))
        };
        let fixed = subnets.iter().filter_map(|s| Some(s["address"].as_str()?.to_owned()));
        let mut fixed: Vec<String> = fixed.collect();
        fixed.sort();
        let v6 = ["dhcp6", "ipv6_slaac", "ipv6_dhcpv6-stateful", "ipv6_dhcpv6-stateless"];
        let name = interface["name"].as_str().expect("a name").to_owned();
        let asks_v6 = asks(&v6) || interface["accept-ra"] == true;
        (name, asks(&["dhcp", "dhcp4"]), asks_v6, fixed)
    };
    let mut found: Vec<Interface> =
        state.as_array().expect("a list").iter().map(interface).collect();
    found.sort();
    found
}

#[test]
fn a_network_configuration_is_read_as_cloud_init_reads_it() {
    if python().is_none() {
        println!("left out: cloud-init as the oracle: there is no Python that has it");
        return;
    }
    let physical = "type: physical, name: eth0, mac_address: '00:16:3e:01:02:03'";
    let mut texts: Vec<String> = Vec::new();
    for subnet in [
        "{type: dhcp}",
        "{type: dhcp4}, {type: ipv6_slaac}",
        "{type: dhcp6}",
        "{type: ipv6_dhcpv6-stateful}",
        "{type: manual}",
        "{type: static, address: 172.16.10.5/20}, {type: static6, address: '2001:db8::5/64'}",
        "",
    ] {
        texts.push(format!(
            "network: {{version: 1, config: [{{{physical}, subnets: [{subnet}]}}, \
             {{type: vlan, name: eth0.7, vlan_link: eth0, vlan_id: 7, subnets: [{{type: dhcp}}]}}, \
             {{type: nameserver, address: 100.100.2.136}}]}}"
        ));
    }
    for definition in [
        "",
        "dhcp4: true",
        "dhcp4: no, dhcp6: yes",
        "accept-ra: true",
        "addresses: [172.16.10.5/20, '2001:db8::5/64']",
    ] {
        texts.push(format!("network: {{version: 2, ethernets: {{eth0: {{{definition}}}}}}}"));
    }
    let theirs = told_by_cloud_init(NETWORK, &texts).expect("an oracle");
    assert_eq!(theirs.len(), texts.len());
    for (text, theirs) in texts.iter().zip(&theirs) {
        assert_eq!(interfaces_by_us(text), interfaces_by_cloud_init(theirs), "{text}");
    }
}
