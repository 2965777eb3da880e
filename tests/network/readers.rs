//! What a repair leaves of a file, as the file's own program reads it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::common::case::Case;
use super::common::fixture::{Fixture, fixtures};
use super::{has, has_namespaces, run, said};

/// The trees of a case.
fn broken(check: &str, case: &str) -> Fixture {
    let folder = fixtures().join("checks").join(check).join(case);
    Case::read(&folder.join("case.toml")).fixture(&folder)
}

/// Have the product mend a tree, as an operator would.
fn mend(check: &str, tree: &Fixture) {
    let config = tree.root.with_file_name("config.toml");
    fs::write(&config, "[network]\nstatic = \"dhcp\"\nown-hosts = \"drop\"\n").expect("a file");
    let output = run(Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["prepare", "--yes", "--check", check, "--root"])
        .arg(&tree.root)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null()));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// What netplan writes for networkd.
fn netplan(root: &Path) -> String {
    let _ = fs::remove_dir_all(root.join("run/systemd/network"));
    let output = run(Command::new("netplan").args(["generate", "--root-dir"]).arg(root));
    assert!(output.status.success(), "{}", said(&output));
    let files = fs::read_dir(root.join("run/systemd/network")).expect("what netplan wrote");
    files.map(|file| fs::read_to_string(file.unwrap().path()).expect("text")).collect()
}

#[test]
fn netplan_generates_from_a_mended_file() {
    if !has("netplan", &["netplan"]) {
        return;
    }
    for case in ["fail-netplan", "fail-netplan-routes", "fail-netplan-bridge"] {
        let tree = broken("address-static", case);
        assert!(netplan(&tree.root).contains("Address=172.16.10.5/20"), "{case}");
        mend("address-static", &tree);
        let after = netplan(&tree.root);
        assert!(after.contains("DHCP=ipv4"), "{case}: {after}");
        assert!(!after.contains("172.16."), "{case}: {after}");
    }
    for case in ["fail-netplan", "fail-netplan-sets", "fail-netplan-cloud-init-off"] {
        let tree = broken("address-bound-to-mac", case);
        assert!(netplan(&tree.root).to_lowercase().contains("00:16:3e:"), "{case}");
        mend("address-bound-to-mac", &tree);
        let after = netplan(&tree.root);
        assert!(after.contains("DHCP=ipv4") && after.contains("Name=eth0"), "{case}: {after}");
        assert!(!after.to_lowercase().contains("00:16:3e:"), "{case}: {after}");
    }
}

/// The commands that ifup would run.
pub(crate) fn ifup(root: &Path, interface: &str) -> String {
    let output = run(Command::new("ifup")
        .args(["--no-act", "--force", "--no-scripts", "--interfaces"])
        .arg(root.join("etc/network/interfaces"))
        .arg("--state-dir")
        .arg(root)
        .arg(interface));
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn ifupdown_would_ask_by_dhcp() {
    if !has("ifupdown", &["ifup"]) {
        return;
    }
    for (case, is_alone) in [
        ("fail-interfaces", true),
        ("fail-interfaces-alias", false),
        ("fail-interfaces-ipv6", false),
    ] {
        let tree = broken("address-static", case);
        let interface = if case.ends_with("alias") { "eth0:1" } else { "eth0" };
        let before = ifup(&tree.root, interface);
        assert!(before.contains("172.16.10.") || before.contains("2408:4005:1::5"), "{before}");
        assert!(!is_alone || !before.contains("dhclient"), "{case}: {before}");
        mend("address-static", &tree);
        let after = ifup(&tree.root, "eth0");
        assert!(after.contains("dhclient") || after.contains("udhcpc"), "{case}: {after}");
        let all = ifup(&tree.root, "--all");
        assert!(!all.contains("172.16.10.") && !all.contains("2408:4005"), "{case}: {all}");
    }
}

/// A keyfile as NetworkManager reads it and would write it.
fn nmcli(file: &Path) -> String {
    let input = fs::File::open(file).expect("a keyfile");
    let output = run(Command::new("nmcli")
        .args(["--offline", "connection", "modify", "connection.autoconnect", "yes"])
        .stdin(input));
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn network_manager_reads_a_mended_keyfile() {
    if !has("NetworkManager", &["nmcli"]) {
        return;
    }
    let file = "etc/NetworkManager/system-connections/eth0.nmconnection";
    for case in ["fail-keyfile", "fail-keyfile-beside", "fail-keyfile-any-card"] {
        let tree = broken("address-static", case);
        assert!(nmcli(&tree.root.join(file)).contains("address1=172.16.10.5/20"), "{case}");
        mend("address-static", &tree);
        let after = nmcli(&tree.root.join(file));
        assert!(after.contains("method=auto") && !after.contains("172.16."), "{case}: {after}");
        assert!(after.contains("dns=100.100.2.136"), "{case}: name servers stay: {after}");
    }
    let tree = broken("address-bound-to-mac", "fail-keyfile");
    assert!(nmcli(&tree.root.join(file)).contains("mac-address=00:16:3E:01:02:03"));
    mend("address-bound-to-mac", &tree);
    let after = nmcli(&tree.root.join(file)).to_lowercase();
    assert!(!after.contains("00:16:3e"), "{after}");
}

#[test]
fn a_shell_reads_a_mended_ifcfg_file() {
    let red_hat = "etc/sysconfig/network-scripts/ifcfg-eth0";
    let suse = "etc/sysconfig/network/ifcfg-eth0";
    for (case, file) in [
        ("fail-ifcfg-centos-6", red_hat),
        ("fail-ifcfg-no-protocol", red_hat),
        ("fail-ifcfg-quoted", red_hat),
        ("fail-ifcfg-several", red_hat),
        ("fail-suse", suse),
        ("fail-suse-beside", suse),
    ] {
        let tree = broken("address-static", case);
        let read = || {
            let script = ". \"$1\"; printf '%s|%s' \"$BOOTPROTO\" \
                          \"$IPADDR$IPADDR0$IPADDR1$IPADDR_0$GATEWAY$PREFIX$PREFIX0$IPV6ADDR\"";
            said(&run(Command::new("bash").args(["-c", script, "-"]).arg(tree.root.join(file))))
        };
        assert!(read().contains("172.16.10."), "{case}: {}", read());
        mend("address-static", &tree);
        assert_eq!(read(), "dhcp|", "{case}");
    }
}

/// What networkd says while it configures a card named eth0 by the files of a tree.
pub(crate) fn networkd(root: &Path) -> String {
    // /sys is read-only, as in a container: networkd then waits for no udev.
    let script = "mount -t tmpfs tmpfs /run/systemd && mkdir -p /run/systemd/netif \
        && chown systemd-network /run/systemd/netif && mount --bind \"$1\" /etc/systemd/network \
        && mount -t sysfs -o ro sysfs /sys && ip link set lo up \
        && ip link add eth0 type veth peer name peer0 && ip link set peer0 up \
        && SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console timeout 4 \
           setpriv --reuid systemd-network --regid systemd-network --clear-groups \
           --inh-caps +net_admin,+net_raw,+net_bind_service,+net_broadcast \
           --ambient-caps +net_admin,+net_raw,+net_bind_service,+net_broadcast \
           /lib/systemd/systemd-networkd";
    // Its own user has to get at the files.
    let open = Command::new("chmod").args(["-R", "a+rX"]).arg(root.with_file_name("")).status();
    assert!(open.is_ok_and(|status| status.success()));
    let output = run(Command::new("unshare")
        .args(["-n", "-m", "-p", "-f", "bash", "-c", script, "-"])
        .arg(root.join("etc/systemd/network")));
    said(&output)
}

#[test]
fn networkd_asks_by_dhcp() {
    let what = "systemd-networkd";
    if !has(what, &["/lib/systemd/systemd-networkd", "setpriv", "ip"]) || !has_namespaces(what) {
        return;
    }
    for (check, case) in [
        ("address-static", "fail-networkd"),
        ("address-static", "fail-networkd-sections"),
        ("address-bound-to-mac", "fail-networkd"),
    ] {
        let tree = broken(check, case);
        let before = networkd(&tree.root);
        assert!(before.contains("Link 'eth0'") || before.contains("eth0: "), "{case}: {before}");
        assert!(!before.contains("DHCPv4 client: DISCOVER"), "{case}: {before}");
        mend(check, &tree);
        let after = networkd(&tree.root);
        assert!(after.contains("eth0: DHCPv4 client: DISCOVER"), "{case}: {after}");
        assert!(!after.contains("10-eth0.network:"), "{case}: it complains of a line: {after}");
    }
}
