//! The addresses of the network interfaces, with how long each is valid.
//!
//! Asked of the running kernel by rtnetlink(7), because no file of /proc or /sys says how long an
//! address is valid. A recorded kernel has them in a file `addresses`, a line an address: the
//! interface's index, the address with its prefix length, and the seconds that it is valid for, or
//! `forever`. Nothing here ever changes an address.

use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, Parseable,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind, Result};

/// What errors call the thing that is asked.
const SHOWN: &str = "the addresses of the network interfaces";

/// One answer of a dump fits in this; iproute2 reads with as much.
const BUFFER: usize = 32 * 1024;

/// `IFA_CACHEINFO`'s validity of an address without end.
const FOREVER: u32 = u32::MAX;

/// `RTM_NEWADDR` and `RTM_GETADDR` of rtnetlink(7).
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;

/// An address that an interface has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface's index, as /sys/class/net/NAME/ifindex has it.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix in bits.
    pub prefix: u8,
    /// Seconds from now until the kernel takes it away; `None` for never.
    pub valid: Option<u32>,
}

/// Every address of this machine.
pub(super) fn live() -> Result<Vec<Address>> {
    let failed = |errno| Error::errno("ask for", SHOWN, errno);
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE is protocol 0.
    )
    .map_err(failed)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &request(), SendFlags::empty(), &kernel).map_err(failed)?;
    let mut buffer = vec![0; BUFFER];
    let mut addresses = Vec::new();
    loop {
        let (length, _) =
            rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty()).map_err(failed)?;
        if length == 0 || take(&buffer[..length.min(BUFFER)], &mut addresses)? {
            return Ok(addresses);
        }
    }
}

/// The messages of rtnetlink(7) that are understood here. `RouteNetlinkMessage` is all of them, and
/// brings half a megabyte of parsers of links and of traffic control with it.
enum Message {
    Get(AddressMessage),
    New(AddressMessage),
    Other,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        match self {
            Self::New(_) => NEW_ADDRESS,
            Self::Get(_) | Self::Other => GET_ADDRESS,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Get(message) | Self::New(message) => message.buffer_len(),
            Self::Other => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        match self {
            Self::Get(message) | Self::New(message) => message.emit(buffer),
            Self::Other => {}
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(
        header: &NetlinkHeader,
        payload: &[u8],
    ) -> std::result::Result<Self, DecodeError> {
        match header.message_type {
            NEW_ADDRESS => AddressMessage::parse(payload).map(Self::New),
            _ => Ok(Self::Other),
        }
    }
}

fn request() -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let wanted = Message::Get(AddressMessage::default());
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(wanted));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Take the addresses out of one answer; whether it was the last.
fn take(mut answer: &[u8], addresses: &mut Vec<Address>) -> Result<bool> {
    while !answer.is_empty() {
        let message = NetlinkMessage::<Message>::deserialize(answer)
            .map_err(|e| Error::new("ask for", SHOWN, ErrorKind::Other, e))?;
        // Messages start at multiples of four bytes (netlink(7), NLMSG_ALIGN).
        let length = (message.header.length as usize).next_multiple_of(4).max(16);
        answer = answer.get(length..).unwrap_or_default();
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(e) => {
                return Err(Error::new("ask for", SHOWN, ErrorKind::Other, e));
            }
            NetlinkPayload::InnerMessage(Message::New(found)) => {
                addresses.extend(address(&found));
            }
            _ => {}
        }
    }
    Ok(false)
}

fn address(message: &AddressMessage) -> Option<Address> {
    let (mut peer, mut local, mut valid) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(address) => peer = Some(*address),
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::CacheInfo(info) if info.ifa_valid != FOREVER => {
                valid = Some(info.ifa_valid);
            }
            _ => {}
        }
    }
    // Of a point-to-point link IFA_ADDRESS is the other end; IPv6 has no IFA_LOCAL without one.
    let address = local.or(peer)?;
    Some(Address { index: message.header.index, address, prefix: message.header.prefix_len, valid })
}

/// The addresses of a recorded kernel.
pub(super) fn recorded(text: &[u8]) -> Result<Vec<Address>> {
    String::from_utf8_lossy(text)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let broken = || Error::new("read", SHOWN, ErrorKind::Other, format!("bad line {line}"));
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [index, address, valid] = fields[..] else { return Err(broken()) };
            let (address, prefix) = address.split_once('/').ok_or_else(broken)?;
            let valid = match valid {
                "forever" => None,
                seconds => Some(seconds.parse().map_err(|_| broken())?),
            };
            Ok(Address {
                index: index.parse().map_err(|_| broken())?,
                address: address.parse().map_err(|_| broken())?,
                prefix: prefix.parse().map_err(|_| broken())?,
                valid,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_machine_has_its_loopback() {
        let addresses = live().unwrap();
        let loopback = addresses.iter().find(|a| a.address == IpAddr::from([127, 0, 0, 1]));
        assert_eq!(loopback.map(|a| (a.prefix, a.valid)), Some((8, None)), "{addresses:?}");
    }

    #[test]
    fn what_was_recorded_is_read() {
        let text = b"1 127.0.0.1/8 forever\n2 172.16.10.5/20 315359998\n2 fe80::1/64 forever\n";
        let addresses = recorded(text).unwrap();
        assert_eq!(addresses.len(), 3);
        assert_eq!(addresses[1].valid, Some(315_359_998));
        assert!(recorded(b"eth0 1.2.3.4/20 forever\n").is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_without_a_panic(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&answer, &mut Vec::new());
        }

        #[test]
        fn an_answer_cut_short_is_taken_without_a_panic(cut in 0usize..200, flip in any::<(usize, u8)>()) {
            let mut bytes = request();
            // RTM_NEWADDR, so that it is taken for an answer.
            bytes[4] = 20;
            bytes.extend([0; 16]);
            let at = flip.0 % bytes.len();
            bytes[at] ^= flip.1;
            bytes.truncate(cut);
            let _ = take(&bytes, &mut Vec::new());
        }
    }
}
