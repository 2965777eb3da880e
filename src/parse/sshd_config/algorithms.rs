//! Lists of algorithms. sshd ends at a name that it does not know, wherever the list stands, also where another counts.
//!
//! servconf.c with the functions `ciphers_valid`, `mac_valid`, `kex_names_valid`, `sshkey_names_valid2` and
//! `kex_assemble_names`. Compared with `sshd -t` of OpenSSH 8.4, 9.2, 10.0 and 10.6.

use crate::parse::sshd_program::SshdProgram;

/// What the names of a list are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cipher,
    Mac,
    Exchange,
    /// Of keys and of the signatures that they make; alone has patterns.
    Key,
}

/// What sshd does with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It takes it.
    Yes,
    /// It ends at this name; at none where the list is empty.
    No(String),
    /// Whether it ends at this name is not the same in every release.
    Unclear(String),
}

/// The keywords with a list, in lower case.
const LISTS: [(&str, Kind); 9] = [
    ("casignaturealgorithms", Kind::Key),
    ("ciphers", Kind::Cipher),
    ("hostbasedacceptedalgorithms", Kind::Key),
    ("hostbasedacceptedkeytypes", Kind::Key),
    ("hostkeyalgorithms", Kind::Key),
    ("kexalgorithms", Kind::Exchange),
    ("macs", Kind::Mac),
    ("pubkeyacceptedalgorithms", Kind::Key),
    ("pubkeyacceptedkeytypes", Kind::Key),
];

/// How names of each kind begin. A name that begins otherwise may be of any.
const BEGINNINGS: [(&str, Kind); 18] = [
    ("aes", Kind::Cipher),
    ("3des-", Kind::Cipher),
    ("arcfour", Kind::Cipher),
    ("chacha20-", Kind::Cipher),
    ("hmac-", Kind::Mac),
    ("umac-", Kind::Mac),
    ("curve25519-", Kind::Exchange),
    ("diffie-hellman-", Kind::Exchange),
    ("ecdh-", Kind::Exchange),
    ("gss-", Kind::Exchange),
    ("mlkem", Kind::Exchange),
    ("sntrup", Kind::Exchange),
    ("ecdsa-", Kind::Key),
    ("rsa-", Kind::Key),
    ("sk-", Kind::Key),
    ("ssh-", Kind::Key),
    ("webauthn-", Kind::Key),
    ("x509v3-", Kind::Key),
];

/// What is sent among the names of key exchanges and is none: a list that was copied from a trace has it.
const SIGNALS: [&str; 2] = ["ext-info-", "kex-strict-"];

/// Keys by the names that `ssh-keygen -t` takes, in any case.
const SHORT_NAMES: [&str; 9] = [
    "rsa",
    "dsa",
    "ecdsa",
    "ed25519",
    "ecdsa-sk",
    "ed25519-sk",
    "rsa-cert",
    "ecdsa-cert",
    "ed25519-cert",
];

/// Whether a keyword, in lower case, has a list of algorithms.
pub fn has_algorithms(keyword: &str) -> bool {
    LISTS.iter().any(|(list, _)| *list == keyword)
}

/// What an sshd does with the list of a keyword, in lower case, that has one.
pub fn takes(program: &SshdProgram, keyword: &str, list: &str) -> Taken {
    let Some((_, kind)) = LISTS.iter().find(|(list, _)| *list == keyword) else {
        return Taken::Yes;
    };
    let names = match list.as_bytes().first() {
        // What is taken away from the default need not be in it.
        Some(b'-') if program.release >= (7, 5) => return Taken::Yes,
        Some(b'+') if program.release >= (7, 0) => &list[1..],
        Some(b'^') if program.release >= (8, 1) => &list[1..],
        _ => list,
    };
    if names.is_empty() {
        return Taken::No(list.to_owned());
    }
    if names.starts_with(',') {
        return Taken::Unclear(list.to_owned());
    }
    // It looks no further than to an empty one.
    let names = names.split(',').take_while(|name| !name.is_empty());
    let mut unclear = None;
    for name in names {
        match takes_name(program, keyword, *kind, name) {
            Taken::Yes => {}
            Taken::Unclear(name) => unclear = unclear.or(Some(name)),
            refused @ Taken::No(_) => return refused,
        }
    }
    unclear.map_or(Taken::Yes, Taken::Unclear)
}

fn takes_name(program: &SshdProgram, keyword: &str, kind: Kind, name: &str) -> Taken {
    let begins = |(beginning, _): &&(&str, Kind)| name.starts_with(beginning);
    let of_another = BEGINNINGS.iter().find(begins).is_some_and(|(_, of)| *of != kind);
    if of_another || SIGNALS.iter().any(|signal| name.starts_with(signal)) {
        return Taken::No(name.to_owned());
    }
    // Certificates are signed by plain keys. Up to 9.2 a list may have others beside them.
    let is_of_plain = keyword == "casignaturealgorithms";
    let is_taken = match kind {
        // Those of Kerberos have a list of their own (GSSAPIKexAlgorithms), and here they count for nothing.
        Kind::Exchange if name.starts_with("gss-") => return Taken::Unclear(name.to_owned()),
        Kind::Key if SHORT_NAMES.iter().any(|short| name.eq_ignore_ascii_case(short)) => {
            return Taken::Unclear(name.to_owned());
        }
        // From 7.8 on no list may be of what it is not.
        Kind::Key if name.starts_with('!') => return Taken::Unclear(name.to_owned()),
        Kind::Key if name.contains(['*', '?']) => {
            let is_key = |name: &&str| {
                BEGINNINGS.iter().any(|(beginning, of)| *of == kind && name.starts_with(beginning))
            };
            let mut keys = program.like(name).filter(is_key).peekable();
            let is_one = keys.peek().is_some();
            if is_one && is_of_plain && keys.all(is_certificate) {
                return Taken::Unclear(name.to_owned());
            }
            is_one
        }
        Kind::Key if is_of_plain && is_certificate(name) => {
            return Taken::Unclear(name.to_owned());
        }
        _ => program.knows(name),
    };
    match is_taken {
        true => Taken::Yes,
        false => Taken::No(name.to_owned()),
    }
}

fn is_certificate(name: &str) -> bool {
    name.contains("-cert")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(release: &str) -> SshdProgram {
        let names = "aes128-ctr\0hmac-sha1\0curve25519-sha256\0gss-gex-sha1-\0ext-info-s\0\
            ssh-ed25519\0ssh-ed25519-cert-v01@openssh.com\0ssh-askpass\0new-name@openssh.com\0";
        SshdProgram::parse(format!("OpenSSH_{release}\0{names}").as_bytes()).expect("an sshd")
    }

    #[test]
    fn names_of_every_kind() {
        let program = program("9.2");
        for (keyword, list, taken) in [
            ("ciphers", "aes128-ctr", "yes"),
            ("ciphers", "aes128-ctr,bogus-1", "no bogus-1"),
            ("ciphers", "AES128-ctr", "no AES128-ctr"),
            ("ciphers", "aes*", "no aes*"),
            ("ciphers", "hmac-sha1", "no hmac-sha1"),
            ("ciphers", "none", "no none"),
            ("ciphers", "aes128-ctr,,bogus-1", "yes"),
            ("ciphers", "aes128-ctr,", "yes"),
            ("ciphers", ",aes128-ctr", "unclear ,aes128-ctr"),
            ("ciphers", "", "no "),
            ("ciphers", "new-name@openssh.com", "yes"),
            ("macs", "hmac-sha1,sha1", "no sha1"),
            ("macs", "new-name@openssh.com", "yes"),
            ("kexalgorithms", "curve25519-sha256,ext-info-s", "no ext-info-s"),
            ("kexalgorithms", "gss-gex-sha1-,curve25519-sha256", "unclear gss-gex-sha1-"),
            ("kexalgorithms", "gss-gex-sha1-,bogus-1", "no bogus-1"),
            ("hostkeyalgorithms", "ssh-ed*,*", "yes"),
            ("hostkeyalgorithms", "ssh-d*", "no ssh-d*"),
            ("hostkeyalgorithms", "aes*", "no aes*"),
            ("hostkeyalgorithms", "c*", "no c*"),
            ("pubkeyacceptedkeytypes", "ED25519,ssh-ed25519", "unclear ED25519"),
            ("pubkeyacceptedalgorithms", "!ssh-rsa,ssh-ed25519", "unclear !ssh-rsa"),
            ("hostbasedacceptedalgorithms", "ssh-ed25519-cert-v01@openssh.com", "yes"),
            (
                "casignaturealgorithms",
                "ssh-ed25519-cert-v01@openssh.com",
                "unclear ssh-ed25519-cert-v01@openssh.com",
            ),
            ("gssapikexalgorithms", "bogus-1", "yes"),
        ] {
            assert_eq!(shown(takes(&program, keyword, list)), taken, "{keyword} {list}");
        }
    }

    #[test]
    fn what_a_list_may_begin_with() {
        for (release, list, taken) in [
            ("9.2", "-bogus", "yes"),
            ("9.2", "-", "yes"),
            ("9.2", "+", "no +"),
            ("9.2", "^", "no ^"),
            ("9.2", "+aes128-ctr", "yes"),
            ("9.2", "^aes128-ctr,bogus", "no bogus"),
            ("8.0", "^aes128-ctr", "no ^aes128-ctr"),
            ("7.4", "-aes128-ctr", "no -aes128-ctr"),
            ("7.4", "+aes128-ctr", "yes"),
            ("6.6.1", "+aes128-ctr", "no +aes128-ctr"),
        ] {
            let taken_by = shown(takes(&program(release), "ciphers", list));
            assert_eq!(taken_by, taken, "{list} of {release}");
        }
    }

    fn shown(taken: Taken) -> String {
        match taken {
            Taken::Yes => "yes".to_owned(),
            Taken::No(name) => format!("no {name}"),
            Taken::Unclear(name) => format!("unclear {name}"),
        }
    }
}
