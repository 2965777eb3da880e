//! Whether a card gets an address, as netplan, networkd, NetworkManager and ifupdown say it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use guestprep::model::Verdict;
use guestprep::probe;

use super::common::case::{Case, CaseVerdict};
use super::common::fixture::{Fixture, fixtures};
use super::readers::{ifup, networkd};
use super::{has, has_namespaces, run, said};

const CHECK: &str = "network-unconfigured";

/// What `netplan generate` starts, without its half second of Python.
const GENERATOR: &str = "/lib/netplan/generate";

fn case(name: &str) -> (Case, Fixture) {
    let folder = fixtures().join("checks").join(CHECK).join(name);
    let case = Case::read(&folder.join("case.toml"));
    let fixture = case.fixture(&folder);
    (case, fixture)
}

/// The cases whose names, behind their verdict, start so.
fn cases(start: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fixtures().join("checks").join(CHECK)).expect("the cases");
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let is_one = |name: &String| name.split_once('-').is_some_and(|(_, n)| n.starts_with(start));
    let names: BTreeSet<String> = names.filter(is_one).collect();
    assert!(names.len() > 2, "{names:?}");
    names
}

/// The ways to an address in what netplan writes for networkd: of IPv4, and of IPv6.
fn ways(root: &Path) -> (bool, bool) {
    let _ = fs::remove_dir_all(root.join("run/systemd/network"));
    let output = run(Command::new(GENERATOR).arg("--root-dir").arg(root));
    assert!(output.status.success(), "{}", said(&output));
    let files = fs::read_dir(root.join("run/systemd/network")).expect("what netplan wrote");
    let text: String =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let has = |start: &[&str]| text.lines().any(|line| start.iter().any(|s| line.starts_with(s)));
    (
        has(&["DHCP=yes", "DHCP=ipv4", "Address=10."]),
        has(&["DHCP=yes", "DHCP=ipv6", "Address=2001:", "IPv6AcceptRA=yes"]),
    )
}

#[test]
fn what_netplan_makes_of_a_card_and_what_stands_on_it() {
    if !has("netplan", &[GENERATOR]) {
        return;
    }
    let (case, fixture) = case("fail-netplan-neither");
    let mut seen = BTreeSet::new();
    for card in [
        "",
        "dhcp4: true",
        "dhcp4: no",
        "dhcp4: no, dhcp6: true",
        "accept-ra: true",
        "addresses: [10.0.0.2/24]",
        "addresses: ['fe80::5/64', 169.254.1.1/16]",
        "addresses: ['2001:db8::2/64']",
    ] {
        for above in [
            "",
            "bridges: {b0: {interfaces: [eth0], dhcp4: true}}",
            "bonds: {b0: {interfaces: [eth0]}}, vlans: {v0: {id: 7, link: b0, dhcp4: 'on'}}",
            "vlans: {v0: {id: 7, link: eth0}}, bridges: {b0: {interfaces: [v0], dhcp6: true}}",
        ] {
            let text =
                format!("network: {{version: 2, ethernets: {{eth0: {{{card}}}}}, {above}}}\n");
            fs::write(fixture.root.join("etc/netplan/01-network.yaml"), &text).expect("a file");
            let want = match ways(&fixture.root) {
                (true, _) => "given",
                (false, true) => "untold",
                (false, false) => "missing",
            };
            let probe = probe::find(CHECK).expect("a probe");
            let ours = match (probe.judge)(&case.guest(&fixture)).expect("an answer") {
                Verdict::Pass | Verdict::NotApplicable(_) => "given",
                Verdict::Unknown { .. } => "untold",
                Verdict::Fail(_) => "missing",
            };
            assert_eq!(ours, want, "{text}");
            seen.insert(want);
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    for name in cases("netplan") {
        let (case, fixture) = self::case(&name);
        let (v4, v6) = ways(&fixture.root);
        let want = match case.verdict {
            CaseVerdict::Fail => (false, false),
            CaseVerdict::Unknown => (false, true),
            CaseVerdict::Pass | CaseVerdict::NotApplicable => (true, v6),
        };
        assert_eq!((v4, v6), want, "{name}");
    }
}

#[test]
fn what_networkd_asks_for() {
    let what = "systemd-networkd";
    if !has(what, &["/lib/systemd/systemd-networkd", "setpriv", "ip"]) || !has_namespaces(what) {
        return;
    }
    // Each waits for networkd in namespaces of its own.
    std::thread::scope(|scope| {
        for (name, has_address) in [
            ("fail-networkd-neither", false),
            ("fail-networkd-drop-in-says-no", false),
            ("fail-networkd-first-file-counts", false),
            ("na-networkd-drop-in", true),
        ] {
            scope.spawn(move || {
                let said = networkd(&case(name).1.root);
                assert!(said.contains("eth0: "), "{name}: {said}");
                let asks = said.contains("eth0: DHCPv4 client: DISCOVER");
                assert_eq!(asks, has_address, "{name}: {said}");
            });
        }
    });
}

#[test]
fn what_network_manager_makes_of_a_keyfile() {
    if !has("NetworkManager", &["nmcli"]) {
        return;
    }
    for (name, want) in [
        ("fail-networkmanager-keyfile-disabled", Some(("disabled", "link-local"))),
        ("unknown-networkmanager-ipv6-alone", Some(("disabled", "auto"))),
        ("na-networkmanager-keyfile-no-group", Some(("auto", "auto"))),
        ("unknown-networkmanager-keyfile-no-method", None),
    ] {
        let (_, fixture) = case(name);
        let file = "etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection";
        let output = run(Command::new("nmcli")
            .args(["--offline", "connection", "modify", "connection.autoconnect", "yes"])
            .stdin(fs::File::open(fixture.root.join(file)).expect("a keyfile")));
        let said = said(&output);
        assert_eq!(output.status.success(), want.is_some(), "{name}: {said}");
        let mut methods = said.lines().filter_map(|line| line.strip_prefix("method="));
        assert_eq!(methods.next().zip(methods.next()), want, "{name}: {said}");
    }
}

#[test]
fn what_ifupdown_runs() {
    if !has("ifupdown", &["ifup"]) {
        return;
    }
    for (name, has_address) in [
        ("fail-interfaces-manual", false),
        ("fail-interfaces-bridge-has-none", false),
        ("pass-interfaces-vlan", true),
    ] {
        let said = ifup(&case(name).1.root, "--all");
        assert!(said.contains("ip link set"), "{name}: {said}");
        let gives = ["dhclient", "udhcpc", "ip addr"].iter().any(|word| said.contains(word));
        assert_eq!(gives, has_address, "{name}: {said}");
    }
}
