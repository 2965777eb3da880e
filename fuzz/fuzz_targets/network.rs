//! The configurations of network cards, of every tool that reads them, and the leases of DHCP.
#![no_main]

use guestprep::parse::net::ifcfg::{self, Flavour};
use guestprep::parse::net::{
    cloud_init, interfaces, keyfile, lease, netplan, networkd, persistent_net,
};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    ifcfg::read(b"eth0", text, Flavour::RedHat);
    ifcfg::read(b"eth0", text, Flavour::Suse);
    cloud_init::read(text);
    interfaces::read(text);
    keyfile::read(text);
    netplan::read(text);
    networkd::network(text);
    networkd::link(text);
    persistent_net::read(text);
    lease::dhclient(text);
    lease::systemd(text);
});
