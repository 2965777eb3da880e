//! Extended attributes: the SELinux label, ACLs, capabilities, and what programs keep beside a file.
//!
//! A name of one is bytes, as a path is: the kernel asks for nothing but a known prefix (xattr(7)).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Dir;
use crate::model::ByteString;

/// The largest value, and the longest list of names, that Linux gives (xattr(7)).
const MAX: usize = 65_536;

/// The extended attributes of a file or link, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xattrs(BTreeMap<ByteString, ByteString>);

/// What bears extended attributes.
pub(super) enum Bearer<'a> {
    /// An open file.
    File(&'a File),
    /// A symbolic link, by a path whose last component it is.
    Link(Vec<u8>),
}

impl Bearer<'_> {
    /// A link in an open directory. KERNEL(6.13): there is no call before getxattrat(2) that takes a
    /// directory and a name, nor one that takes a link which was opened; hence by way of /proc.
    pub(super) fn link(dir: &Dir, name: &[u8]) -> Self {
        let mut path = format!("/proc/self/fd/{}/", dir.fd().as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        Bearer::Link(path)
    }

    fn names(&self) -> Result<Vec<ByteString>> {
        let mut list = vec![0_u8; MAX];
        let listed = match self {
            Bearer::File(file) => rustix::fs::flistxattr(file, &mut list),
            Bearer::Link(path) => rustix::fs::llistxattr(path.as_slice(), &mut list),
        };
        let length = match listed {
            Err(Errno::OPNOTSUPP) => 0,
            listed => listed?,
        };
        let names = list[..length].split(|b| *b == 0).filter(|name| !name.is_empty());
        Ok(names.map(ByteString::from).collect())
    }

    fn value(&self, name: &ByteString) -> Result<ByteString> {
        let mut value = vec![0_u8; MAX];
        let length = match self {
            Bearer::File(file) => rustix::fs::fgetxattr(file, name.as_bytes(), &mut value),
            Bearer::Link(path) => {
                rustix::fs::lgetxattr(path.as_slice(), name.as_bytes(), &mut value)
            }
        }?;
        Ok(ByteString::from(&value[..length]))
    }

    fn set(&self, name: &ByteString, value: &ByteString) -> Result<()> {
        let (name, value, flags) = (name.as_bytes(), value.as_bytes(), XattrFlags::empty());
        match self {
            Bearer::File(file) => rustix::fs::fsetxattr(file, name, value, flags),
            Bearer::Link(path) => rustix::fs::lsetxattr(path.as_slice(), name, value, flags),
        }
    }

    fn remove(&self, name: &ByteString) -> Result<()> {
        match self {
            Bearer::File(file) => rustix::fs::fremovexattr(file, name.as_bytes()),
            Bearer::Link(path) => rustix::fs::lremovexattr(path.as_slice(), name.as_bytes()),
        }
    }
}

impl Xattrs {
    /// All that something bears; none where its filesystem has none.
    pub(super) fn of(bearer: &Bearer) -> Result<Self> {
        let mut found = BTreeMap::new();
        for name in bearer.names()? {
            match bearer.value(&name) {
                Ok(value) => _ = found.insert(name, value),
                // Listed and gone again, or listed and not readable (security modules do that).
                Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Self(found))
    }

    /// Give something these and no others. What is new has an ACL already where its directory has a
    /// default one (acl(5)), and a label where a security module gives it one.
    pub(super) fn give_to(&self, bearer: &Bearer) -> Result<()> {
        let now = Self::of(bearer)?;
        for name in now.0.keys().filter(|name| !self.0.contains_key(name)) {
            bearer.remove(name)?;
        }
        for (name, value) in self.0.iter().filter(|(name, value)| now.0.get(name) != Some(value)) {
            bearer.set(name, value)?;
        }
        Ok(())
    }
}

/// A list of pairs, in which a name has the form that every [`ByteString`] has.
impl Serialize for Xattrs {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Xattrs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Xattrs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pairs of a name and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> std::result::Result<Xattrs, A::Error> {
        let mut found = BTreeMap::new();
        while let Some((name, value)) = pairs.next_element()? {
            found.insert(name, value);
        }
        Ok(Xattrs(found))
    }

    /// As the first journals have them: an object, whose names are UTF-8 and stand as they are.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Xattrs, A::Error> {
        let mut found = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, _>()? {
            found.insert(ByteString::from(name.as_str()), value);
        }
        Ok(Xattrs(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = ByteString> {
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(ByteString::from)
    }

    proptest! {
        #[test]
        fn any_name_and_value_is_read_back(map in proptest::collection::btree_map(bytes(), bytes(), 0..5)) {
            let written = serde_json::to_string(&Xattrs(map.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Xattrs>(&written).unwrap(), Xattrs(map));
        }
    }

    #[test]
    fn a_name_of_an_earlier_journal_stands_as_it_is() {
        let read: Xattrs =
            serde_json::from_str(r#"{"user.a\\x41":"b\\x00","user.\\d":""}"#).unwrap();
        let expected = [("user.a\\x41", "b\0"), ("user.\\d", "")];
        assert_eq!(read, Xattrs(expected.map(|(name, value)| (name.into(), value.into())).into()));
    }
}
