//! passwd(5), group(5), shadow(5), gshadow(5).
//!
//! Lossless. A password, hashed or not, is a secret: nothing here gives one out but [`Table::print`], which gives the whole
//! file, and no type here shows one under Debug.

use super::fields::unsigned;
use super::lines::{self, LineEnding, LineError};
use std::fmt;

/// Which of the four files a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// /etc/passwd: name, password, uid, gid, comment, home, shell.
    Passwd,
    /// /etc/group: name, password, gid, members.
    Group,
    /// /etc/shadow: name, password, five ages in days, expiry in days since 1970, a reserved field.
    Shadow,
    /// /etc/gshadow: name, password, administrators, members.
    Gshadow,
}

impl Kind {
    /// How many fields a line has.
    pub fn fields(self) -> usize {
        match self {
            Kind::Passwd => 7,
            Kind::Group | Kind::Gshadow => 4,
            Kind::Shadow => 9,
        }
    }
}

/// Whether and how a password lets somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordState {
    /// The field is empty: no password is asked for.
    Empty,
    /// The field is `x` in passwd or group: the password is in shadow or gshadow.
    Shadowed,
    /// The field starts with `!` or `*`: no password fits. A hash may stand behind it.
    Locked,
    /// A hash of crypt(5), by its scheme: `6` (SHA-512), `y` (yescrypt), `1` (MD5), `des`, ...
    Hash(&'static str),
    /// Anything else. crypt(3) can yield no such string, so that no password fits.
    Invalid,
}

/// A parsed file, lossless.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    kind: Kind,
    lines: Vec<lines::Line<Option<Entry>>>,
    errors: Vec<LineError>,
}

/// One line that has as many fields as it should.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The name of the user or group.
    pub name: Vec<u8>,
    /// What the password field says.
    pub password: PasswordState,
    kind: Kind,
    /// The fields behind the password.
    rest: Vec<Vec<u8>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The lines hold hashes.
        f.debug_struct("Table")
            .field("kind", &self.kind)
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("line", &self.line)
            .field("name", &self.name.escape_ascii().to_string())
            .field("password", &self.password)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// The user's id. Of passwd alone.
    pub fn uid(&self) -> Option<u32> {
        self.number(Kind::Passwd, 0)
    }

    /// The group's id. Of passwd and group.
    pub fn gid(&self) -> Option<u32> {
        self.number(Kind::Passwd, 1).or_else(|| self.number(Kind::Group, 0))
    }

    /// The home directory. Of passwd alone.
    pub fn home(&self) -> Option<&[u8]> {
        self.text(Kind::Passwd, 3)
    }

    /// The shell; empty means /bin/sh. Of passwd alone.
    pub fn shell(&self) -> Option<&[u8]> {
        self.text(Kind::Passwd, 4)
    }

    /// The members. Of group and gshadow; empty for the others.
    pub fn members(&self) -> impl Iterator<Item = &[u8]> {
        let members =
            self.text(Kind::Group, 1).or_else(|| self.text(Kind::Gshadow, 1)).unwrap_or_default();
        members.split(|&b| b == b',').filter(|member| !member.is_empty())
    }

    /// When the password was changed last, in days since 1970. Of shadow alone. `Some(0)` asks for a new one at login.
    pub fn last_change(&self) -> Option<u32> {
        self.number(Kind::Shadow, 0)
    }

    /// When the account expires, in days since 1970. Of shadow alone.
    pub fn expires(&self) -> Option<u32> {
        self.number(Kind::Shadow, 5)
    }

    fn text(&self, kind: Kind, index: usize) -> Option<&[u8]> {
        (self.kind == kind).then(|| self.rest.get(index).map(Vec::as_slice))?
    }

    fn number(&self, kind: Kind, index: usize) -> Option<u32> {
        unsigned(self.text(kind, index)?)
    }
}

impl Table {
    /// Reads a file of a kind. Never fails: see [`Table::errors`].
    ///
    /// Blank lines and lines that start with `#` are passed over, as glibc does; so are the `+` and `-` lines of NIS.
    pub fn parse(kind: Kind, text: &[u8]) -> Table {
        let mut errors = Vec::new();
        let lines = lines::parse(text, |number, raw, ending| {
            read(kind, number, raw, ending).unwrap_or_else(|reason| {
                errors.push(LineError { line: number, reason });
                None
            })
        });
        Table { kind, lines, errors }
    }

    /// The bytes that were parsed, hashes included.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// The entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| line.content.as_ref())
    }

    /// The entry of a name; the first one counts.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.name == name.as_bytes())
    }

    /// Lines that are not well formed.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }
}

fn read(
    kind: Kind,
    number: usize,
    raw: &[u8],
    ending: LineEnding,
) -> Result<Option<Entry>, &'static str> {
    let start = raw.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(raw.len());
    if matches!(raw.get(start), None | Some(b'#' | b'+' | b'-')) {
        return Ok(None);
    }
    let mut fields = raw.split(|&b| b == b':');
    let (name, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let rest: Vec<Vec<u8>> = fields.map(<[u8]>::to_vec).collect();
    if rest.len() + 2 != kind.fields() {
        return Err("the number of fields is wrong");
    }
    if name.is_empty() {
        return Err("the name is empty");
    }
    if ending == LineEnding::CrLf {
        return Err("a carriage return ends the line and is part of its last field");
    }
    let entry =
        Entry { line: number, name: name.to_vec(), password: state(kind, password), kind, rest };
    if (kind == Kind::Passwd && (entry.uid().is_none() || entry.gid().is_none()))
        || (kind == Kind::Group && entry.gid().is_none())
    {
        return Err("an id is not a number");
    }
    Ok(Some(entry))
}

fn state(kind: Kind, field: &[u8]) -> PasswordState {
    /// The schemes of crypt(5) by their prefix.
    const SCHEMES: [&str; 13] =
        ["1", "2a", "2b", "2x", "2y", "3", "5", "6", "7", "gy", "y", "md5", "sha1"];
    match field {
        [] => PasswordState::Empty,
        [b'!' | b'*', ..] => PasswordState::Locked,
        b"x" if matches!(kind, Kind::Passwd | Kind::Group) => PasswordState::Shadowed,
        [b'$', rest @ ..] => SCHEMES
            .iter()
            .find(|scheme| {
                rest.strip_prefix(scheme.as_bytes())
                    .is_some_and(|rest| matches!(rest, [b'$' | b',', _, ..]))
            })
            .map_or(PasswordState::Invalid, |scheme| PasswordState::Hash(scheme)),
        [b'_', rest @ ..] if rest.len() == 19 && rest.iter().all(is_hash_byte) => {
            PasswordState::Hash("bsdi")
        }
        _ if field.len() == 13 && field.iter().all(is_hash_byte) => PasswordState::Hash("des"),
        _ => PasswordState::Invalid,
    }
}

fn is_hash_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_of_each_file() {
        let passwd = Table::parse(
            Kind::Passwd,
            b"root:x:0:0:root:/root:/bin/bash\n# c\n\n+::::::\nnp::1000:100::/home/np:\n",
        );
        assert_eq!(passwd.errors(), []);
        let root = passwd.get("root").unwrap();
        assert_eq!(
            (root.uid(), root.gid(), root.password),
            (Some(0), Some(0), PasswordState::Shadowed)
        );
        assert_eq!((root.home(), root.shell()), (Some(&b"/root"[..]), Some(&b"/bin/bash"[..])));
        let np = passwd.get("np").unwrap();
        assert_eq!((np.line, np.password, np.shell()), (5, PasswordState::Empty, Some(&b""[..])));

        let group = Table::parse(Kind::Group, b"wheel:x:10:a,b\nempty:x:11:\n");
        assert_eq!(group.get("wheel").unwrap().members().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(group.get("wheel").unwrap().gid(), Some(10));
        assert_eq!(group.get("wheel").unwrap().uid(), None);
        assert_eq!(group.get("empty").unwrap().members().count(), 0);

        let shadow = Table::parse(
            Kind::Shadow,
            b"root:$6$salt$hash:19000:0:99999:7::20000:\nbin:*:19000:0:99999:7:::\n",
        );
        assert_eq!(shadow.get("root").unwrap().password, PasswordState::Hash("6"));
        assert_eq!(shadow.get("root").unwrap().last_change(), Some(19000));
        assert_eq!(shadow.get("root").unwrap().expires(), Some(20000));
        assert_eq!(shadow.get("bin").unwrap().expires(), None);

        let gshadow = Table::parse(Kind::Gshadow, b"wheel:!:root:a\n");
        assert_eq!(gshadow.get("wheel").unwrap().password, PasswordState::Locked);
        assert_eq!(gshadow.get("wheel").unwrap().members().collect::<Vec<_>>(), [b"a"]);
    }

    #[test]
    fn password_states() {
        use PasswordState::*;
        for (field, want) in [
            ("", Empty),
            ("*", Locked),
            ("!!", Locked),
            ("!$6$a$b", Locked),
            ("x", Invalid),
            ("$6$salt$hash", Hash("6")),
            ("$y$j9T$salt$hash", Hash("y")),
            ("$gy$j9T$salt$hash", Hash("gy")),
            ("$1$salt$hash", Hash("1")),
            ("$2b$10$hash", Hash("2b")),
            ("$md5,rounds=5$salt$hash", Hash("md5")),
            ("abJnggxhB/yWI", Hash("des")),
            ("_9G..8147mpcfKT8g0U.", Hash("bsdi")),
            ("$6", Invalid),
            ("$6$", Invalid),
            ("$secret$x", Invalid),
            ("secret", Invalid),
        ] {
            assert_eq!(state(Kind::Shadow, field.as_bytes()), want, "{field}");
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (kind, text, reason) in [
            (Kind::Passwd, "a:x:0:0::/", "the number of fields is wrong"),
            (Kind::Shadow, "a:*:1:2:3:4:5:6:7:8", "the number of fields is wrong"),
            (Kind::Group, "a", "the number of fields is wrong"),
            (Kind::Gshadow, ":!::", "the name is empty"),
            (Kind::Passwd, "a:x:-1:0::/:", "an id is not a number"),
            (Kind::Passwd, "a:x:0:4294967296::/:", "an id is not a number"),
            (Kind::Group, "a:x::", "an id is not a number"),
            (
                Kind::Group,
                "a:x:1:\r",
                "a carriage return ends the line and is part of its last field",
            ),
        ] {
            let table = Table::parse(kind, format!("\n{text}\n").as_bytes());
            assert_eq!(table.errors(), [LineError { line: 2, reason }], "{text}");
            assert_eq!(table.entries().count(), 0);
        }
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "[a-c0:!*$\n\r#x]{0,60}".prop_map(String::into_bytes)]) {
            for kind in [Kind::Passwd, Kind::Group, Kind::Shadow, Kind::Gshadow] {
                prop_assert_eq!(Table::parse(kind, &text).print(), text.clone());
            }
        }

        #[test]
        fn debug_shows_no_secret(secret in "[QZ]{8,40}") {
            for field in [secret.clone(), format!("$6$salt${secret}"), format!("!{secret}"), format!("${secret}$x")] {
                for (kind, text) in [
                    (Kind::Passwd, format!("a:{field}:0:0::/:\nbad:{field}\n")),
                    (Kind::Group, format!("a:{field}:0:\nbad:{field}\n")),
                    (Kind::Shadow, format!("a:{field}:1:2:3:4:5:6:\nbad:{field}\n")),
                    (Kind::Gshadow, format!("a:{field}::\nbad:{field}\n")),
                ] {
                    let table = Table::parse(kind, text.as_bytes());
                    prop_assert_eq!(table.entries().count(), 1);
                    let shown = format!("{table:?} {:?} {:?}", table.entries().collect::<Vec<_>>(), table.errors());
                    prop_assert!(!shown.contains(&secret), "{}", shown);
                }
            }
        }
    }
}
