//! A lease that a real dhclient gets of a real dnsmasq, over a veth pair in namespaces: its
//! lifetime as the kernel tells it, its client in /proc, and what the check says with the client
//! alive and dead.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use guestprep::guest::Guest;
use guestprep::model::{Policy, Verdict};
use guestprep::parse::net::lease;
use guestprep::probe;
use guestprep::sys::{Address, Kernel};

use super::{has, has_namespaces, run, said};

/// Says to this test program that it runs in the namespaces.
const INSIDE: &str = "GUESTPREP_TEST_NETWORK";

#[test]
fn a_real_lease_lives_and_dies_with_its_client() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let what = "a real lease";
    if !has(what, &["dhclient", "dnsmasq", "ip"]) || !has_namespaces(what) {
        return;
    }
    let output = run(Command::new("unshare")
        .args(["-n", "-m", "-p", "-f", "--mount-proc"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "lease::a_real_lease_lives_and_dies_with_its_client", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null()));
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("client-dead"), "{}", said(&output));
}

fn inside() {
    let temp = tempfile::tempdir().expect("a directory");
    let at = |name: &str| temp.path().join(name);
    // dhclient's script writes to /etc, which is a copy here.
    shell(&format!(
        "cp -a /etc {0}/etc && mount --bind {0}/etc /etc && mount -t sysfs sysfs /sys \
         && mount -t tmpfs tmpfs /run \
         && ip link set lo up && ip link add eth0 type veth peer name server \
         && ip addr add 10.77.0.1/24 dev server && ip link set server up && ip link set eth0 up",
        temp.path().display()
    ));
    let mut server = start(Command::new("dnsmasq").args([
        "--keep-in-foreground",
        "--port=0",
        "--interface=server",
        "--bind-interfaces",
        "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,3600",
        "--dhcp-authoritative",
        "--conf-file=/dev/null",
        "--user=root",
        &format!("--dhcp-leasefile={}", at("server.leases").display()),
    ]));
    let leases = at("root/var/lib/dhcp");
    fs::create_dir_all(&leases).expect("a directory");
    fs::create_dir_all(at("root/etc")).expect("a directory");
    fs::write(at("root/etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\n").expect("a file");
    let file = leases.join("dhclient.eth0.leases");
    let mut client = start(
        Command::new("dhclient")
            .args(["-d", "-4", "-lf"])
            .arg(&file)
            .args(["-pf"])
            .arg(at("pid"))
            .arg("eth0"),
    );
    let address = leased();
    let valid = address.valid.expect("an address for a time");
    assert!((3500..=3600).contains(&valid), "{address:?}");
    // The other address of the pair, which was given by hand, stays for ever.
    let all = Kernel::live().and_then(|kernel| kernel.addresses()).expect("netlink").expect("live");
    assert!(all.iter().any(|a| a.address.to_string() == "10.77.0.1" && a.valid.is_none()));
    as_iproute2_says(&all);

    // A veth has no device behind it, so that the card is noted beside the real /proc.
    let kernel = at("kernel");
    let card = kernel.join("sys/class/net/eth0");
    fs::create_dir_all(&card).expect("a directory");
    std::os::unix::fs::symlink("/proc", kernel.join("proc")).expect("a link");
    std::os::unix::fs::symlink("../../../devices/virtio0", card.join("device")).expect("a link");
    for file in ["ifindex", "address", "operstate"] {
        let text = fs::read(format!("/sys/class/net/eth0/{file}")).expect("a file of /sys");
        fs::write(card.join(file), text).expect("a file");
    }
    let line = format!("{} {}/{} {valid}\n", address.index, address.address, address.prefix);
    fs::write(kernel.join("addresses"), line).expect("a file");

    let noted = noted(&file);
    assert_eq!(noted.last().and_then(|lease| lease.address), Some(address.address), "{noted:?}");
    let expires = noted.last().and_then(|lease| lease.expires).expect("a time");
    let clock = Command::new("date").arg("+%s").output().expect("date").stdout;
    let now: i64 = String::from_utf8_lossy(&clock).trim().parse().expect("seconds");
    assert!((now + 3500..=now + 3600).contains(&expires), "{expires} at {now}");

    assert_eq!(judge(&at("root"), &kernel), Verdict::Pass, "the client runs");
    client.kill().expect("a client that runs");
    client.wait().expect("its end");
    let Verdict::Fail(findings) = judge(&at("root"), &kernel) else { panic!("the client is dead") };
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].key, "client-dead");
    assert_eq!(findings[0].values["address"], address.address.to_string());
    println!("{} {}", findings[0].key, findings[0].values["seconds"]);
    server.kill().expect("a server that runs");
    server.wait().expect("its end");
}

fn judge(root: &Path, kernel: &Path) -> Verdict {
    let guest = Guest::recorded(root, kernel, Policy::default()).expect("a guest");
    let probe = probe::find("dhcp-client-dead").expect("a probe");
    (probe.judge)(&guest).expect("an answer")
}

/// What dhclient wrote down, once it has: its script sets the address first.
fn noted(file: &Path) -> Vec<lease::Lease> {
    for _ in 0..100 {
        let leases = lease::dhclient(&fs::read(file).unwrap_or_default());
        if !leases.is_empty() {
            return leases;
        }
        sleep(Duration::from_millis(100));
    }
    Vec::new()
}

/// The address that dhclient got, once it has.
fn leased() -> Address {
    let start = Instant::now();
    loop {
        let all = Kernel::live().and_then(|kernel| kernel.addresses());
        let all = all.expect("netlink").expect("a live kernel");
        // The server's own is .1; dnsmasq gives any of .50 to .60.
        let given = |a: &&Address| a.prefix == 24 && a.valid.is_some() && a.address.is_ipv4();
        if let Some(found) = all.iter().find(given) {
            return *found;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "no lease: {all:?}");
        sleep(Duration::from_millis(100));
    }
}

/// iproute2 asks the same kernel in its own way.
fn as_iproute2_says(ours: &[Address]) {
    let output = run(Command::new("ip").args(["-j", "addr"]));
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut theirs: Vec<(u64, String, u64, Option<u64>)> = Vec::new();
    for link in links.as_array().expect("links") {
        for address in link["addr_info"].as_array().expect("addresses") {
            let valid = address["valid_life_time"].as_u64().expect("a time");
            theirs.push((
                link["ifindex"].as_u64().expect("an index"),
                address["local"].as_str().expect("an address").to_owned(),
                address["prefixlen"].as_u64().expect("a length"),
                (valid != u64::from(u32::MAX)).then_some(valid),
            ));
        }
    }
    assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
    for (index, local, prefix, valid) in theirs {
        let found = ours.iter().find(|a| a.address.to_string() == local).expect("the same address");
        assert_eq!((u64::from(found.index), u64::from(found.prefix)), (index, prefix), "{local}");
        match (found.valid, valid) {
            (Some(a), Some(b)) => assert!(u64::from(a).abs_diff(b) <= 2, "{local}: {a} {b}"),
            (a, b) => assert_eq!(a.map(u64::from), b, "{local}"),
        }
    }
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a program that starts")
}

fn shell(script: &str) {
    let output = run(Command::new("sh").args(["-ec", script]));
    assert!(output.status.success(), "{}", said(&output));
}
