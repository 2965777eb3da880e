//! What the kernel tells of mounts, swaps, disks and addresses.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType};

use super::Kind;
use crate::model::GuestPath;
use crate::sys::{Attributes, Error, Result, Root};

/// The files that poll(2) tells the changes of (proc_pid_mounts(5), proc_swaps(5)).
const POLLED: [(&str, Kind); 2] =
    [("/proc/self/mountinfo", Kind::Mounts), ("/proc/swaps", Kind::Swaps)];

/// The mounts of process 1, which are the guest's too where it has the guest's root and we live in a
/// namespace of our own.
const OF_INIT: (&str, Kind) = ("/proc/1/mountinfo", Kind::Mounts);

/// The multicast group of the kernel's own uevents; 2 is that of udev.
const UEVENTS: u32 = 1;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` of rtnetlink(7).
const ADDRESSES: u32 = 0x1 | 0x10 | 0x100;

/// The kernel makes no uevent longer than this (`UEVENT_BUFFER_SIZE`, with some header).
const BUFFER: usize = 8 << 10;

/// What is listened to.
#[derive(Debug)]
pub struct KernelEvents {
    tables: Vec<(File, Kind)>,
    uevents: Option<OwnedFd>,
    addresses: Option<OwnedFd>,
    deaf_to: Vec<String>,
}

impl KernelEvents {
    /// Listen to all that can be listened to. `root` is the guest's.
    pub fn listen(root: &Root) -> Self {
        let mut deaf_to = Vec::new();
        let mut heard = |what: &str, socket: Result<OwnedFd>| match socket {
            Ok(socket) => Some(socket),
            Err(error) => {
                deaf_to.push(format!("changes of {what} are not told here: {error}"));
                None
            }
        };
        let uevents = heard("disks", socket(Some(netlink::KOBJECT_UEVENT), UEVENTS));
        let addresses = heard("addresses", socket(None, ADDRESSES));
        let tables = POLLED
            .into_iter()
            .chain(is_of_init(root).then_some(OF_INIT))
            // A kernel without swap has no such file, and hidepid hides that of process 1.
            .filter_map(|(path, kind)| Some((File::open(path).ok()?, kind)))
            .collect();
        Self { tables, uevents, addresses, deaf_to }
    }

    /// What cannot be listened to here.
    pub fn deaf_to(&self) -> &[String] {
        &self.deaf_to
    }

    /// What poll(2) is to wait for, in the order that [`KernelEvents::read`] takes it in.
    pub fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        let table = PollFlags::PRI | PollFlags::ERR;
        let tables = self.tables.iter().map(move |(file, _)| PollFd::new(file, table));
        let sockets = self.uevents.iter().chain(&self.addresses);
        tables.chain(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)))
    }

    /// What happened, by what poll(2) found ready.
    pub fn read(&self, ready: &[bool]) -> BTreeSet<Kind> {
        let (tables, sockets) = ready.split_at(self.tables.len());
        let mut kinds: BTreeSet<Kind> = self
            .tables
            .iter()
            .zip(tables)
            .filter(|(_, ready)| **ready)
            .map(|((_, kind), _)| *kind)
            .collect();
        let mut sockets = sockets.iter();
        if self.uevents.is_some() && sockets.next() == Some(&true) {
            self.uevents
                .iter()
                .for_each(|socket| drain(socket, |uevent| kinds.extend(kind_of(uevent))));
        }
        if self.addresses.is_some() && sockets.next() == Some(&true) {
            self.addresses
                .iter()
                .for_each(|socket| drain(socket, |_| _ = kinds.insert(Kind::Network)));
        }
        kinds
    }
}

/// Whether process 1 has this root, and mounts that are not this process's.
fn is_of_init(root: &Root) -> bool {
    let inode = |about: &Attributes| (about.device, about.inode);
    let Ok(of_init) = Root::of_init() else { return false };
    let path = GuestPath::from("/");
    let (Ok(Some(ours)), Ok(Some(theirs))) = (root.stat(&path), of_init.stat(&path)) else {
        return false;
    };
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    inode(&ours) == inode(&theirs) && namespace("self") != namespace("1")
}

/// `NETLINK_ROUTE` is protocol 0, which has no name of its own here.
fn socket(protocol: Option<Protocol>, groups: u32) -> Result<OwnedFd> {
    let failed = |e| Error::errno("listen to", "netlink", e);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
        .map_err(failed)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups)).map_err(failed)?;
    Ok(socket)
}

/// Take every message. One that was lost (ENOBUFS) counts as one of each kind.
fn drain(socket: impl AsFd, mut take: impl FnMut(&[u8])) {
    let mut buffer = [0_u8; BUFFER];
    loop {
        match rustix::net::recv(socket.as_fd(), &mut buffer[..], RecvFlags::empty()) {
            Ok((_, 0)) => return,
            Ok((_, length)) => take(&buffer[..length.min(BUFFER)]),
            Err(rustix::io::Errno::NOBUFS) => take(b"SUBSYSTEM=block\0SUBSYSTEM=net\0"),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// What a uevent is about: `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by a zero byte.
fn kind_of(uevent: &[u8]) -> Vec<Kind> {
    uevent
        .split(|b| *b == 0)
        .filter_map(|field| match field {
            b"SUBSYSTEM=block" => Some(Kind::Disks),
            b"SUBSYSTEM=net" => Some(Kind::Network),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uevent_says_what_it_is_about() {
        let uevent = b"add@/devices/virtual/block/loop7\0ACTION=add\0SUBSYSTEM=block\0SEQNUM=7\0";
        assert_eq!(kind_of(uevent), [Kind::Disks]);
        assert_eq!(kind_of(b"add@/devices/x\0SUBSYSTEM=usb\0"), []);
    }
}
