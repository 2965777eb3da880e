//! System V init: the names of links in the directories of the runlevels, what a script's head says
//! of its order, and the default runlevel of inittab(5).
//!
//! Read, never written.

/// A link's parts: whether it starts (`S`) or stops (`K`), its priority, the script's name. `None`
/// for a name that is no such link.
pub fn rc_link(name: &[u8]) -> Option<(bool, u32, &[u8])> {
    let [letter, tens, ones, service @ ..] = name else { return None };
    let is_start = match letter {
        b'S' => true,
        b'K' => false,
        _ => return None,
    };
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() || service.is_empty() {
        return None;
    }
    Some((is_start, u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), service))
}

/// The priorities for start and stop that a script's `# chkconfig: 2345 55 25` declares
/// (chkconfig(8)).
pub fn priorities(script: &[u8]) -> Option<(u32, u32)> {
    for line in script.split(|b| *b == b'\n') {
        let Some(rest) = line.strip_prefix(b"#") else { continue };
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"chkconfig:") else { continue };
        let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let _levels = words.next()?;
        let mut number = || {
            let word = std::str::from_utf8(words.next()?).ok()?;
            word.parse().ok().filter(|priority: &u32| *priority < 100)
        };
        return Some((number()?, number()?));
    }
    None
}

/// The runlevel of the line `id:3:initdefault:`; the first such line counts.
pub fn default_level(inittab: &[u8]) -> Option<char> {
    inittab.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_start).find_map(|line| {
        if line.starts_with(b"#") {
            return None;
        }
        let mut fields = line.split(|b| *b == b':').skip(1);
        let (levels, action) = (fields.next()?, fields.next()?);
        let level = char::from(*levels.first()?);
        (action == b"initdefault" && ('0'..='6').contains(&level)).then_some(level)
    })
}

/// The line, from 1, of the first `initdefault` of an inittab(5), and the runlevel that init(8) makes of its second field:
/// the last one of it in the order of ASCII, where `S` comes behind the digits. `None` where no line names one.
pub fn initdefault(inittab: &[u8]) -> Option<(usize, char)> {
    inittab.split(|b| *b == b'\n').enumerate().find_map(|(at, line)| {
        let line = line.trim_ascii_start();
        let mut fields = line.split(|b| *b == b':').skip(1);
        let (levels, action) = (fields.next()?, fields.next()?);
        if line.starts_with(b"#") || action.trim_ascii() != b"initdefault" {
            return None;
        }
        let level = char::from(*levels.iter().max()?).to_ascii_uppercase();
        matches!(level, '0'..='9' | 'S').then_some((at + 1, level))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links() {
        assert_eq!(rc_link(b"S55sshd"), Some((true, 55, &b"sshd"[..])));
        assert_eq!(rc_link(b"K05x"), Some((false, 5, &b"x"[..])));
        for none in [&b"S55"[..], b"s55sshd", b"S5sshd", b"README", b""] {
            assert_eq!(rc_link(none), None, "{none:?}");
        }
    }

    #[test]
    fn heads() {
        assert_eq!(priorities(b"#!/bin/sh\n# chkconfig: 2345 55 25\n"), Some((55, 25)));
        assert_eq!(priorities(b"#chkconfig: - 20 80\n"), Some((20, 80)));
        for none in [
            "# chkconfig: 2345 x 25",
            "# chkconfig: 345",
            "chkconfig: - 1 2",
            "# chkconfig: - 1 100",
        ] {
            assert_eq!(priorities(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn levels() {
        assert_eq!(default_level(b"# id:5:initdefault:\nid:3:initdefault:\n"), Some('3'));
        assert_eq!(default_level(b"si::sysinit:/etc/rc\nid:5:initdefault:\n"), Some('5'));
        for none in ["id:S:initdefault:", "id::initdefault:", "id:3:respawn:", ""] {
            assert_eq!(default_level(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn initdefaults() {
        for (text, found) in [
            ("# id:5:initdefault:\nid:3:initdefault:\n", Some((2, '3'))),
            ("si::sysinit:/etc/rc\nid:S:initdefault:\nid:3:initdefault:\n", Some((2, 'S'))),
            (" id:1s:initdefault:", Some((1, 'S'))),
            ("id:35:initdefault:", Some((1, '5'))),
            ("id:0:initdefault:", Some((1, '0'))),
            ("id::initdefault:", None),
            ("id:x:initdefault:", None),
            ("id:3:respawn:", None),
            ("", None),
        ] {
            assert_eq!(initdefault(text.as_bytes()), found, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>()) {
            initdefault(&text);
            rc_link(&text);
            priorities(&text);
            default_level(&text);
        }
    }
}
