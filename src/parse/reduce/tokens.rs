//! Secrets that are told by their own form, wherever they stand.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{MARK, Reduced, cut, name_of};

/// Each pattern's group `s` is the secret.
const PATTERNS: [&str; 10] = [
    // crypt(5): `$6$salt$hash`, also with `rounds=5000$`. The shortest hash is MD5's, of 22
    // characters; shell's `$1$2` is none.
    r"(?-u)\$(?:[0-9][a-z]?|y|gy|sha1|md5|argon2[a-z]*|scrypt|7)\$(?P<s>[./A-Za-z0-9=,+\-]*\$?[./A-Za-z0-9=,+\-$]{22,})",
    // grub-mkpasswd-pbkdf2(1).
    r"(?-u)grub\.pbkdf2\.(?P<s>[A-Za-z0-9.]+)",
    // dhclient.conf(5), rndc.conf(5): the secret of a key.
    r"(?im-u)^[ \t]*secret[ \t]+(?P<s>[^;\r\n]+);",
    // interfaces(5) of Debian, with the options of wpasupplicant and wireless-tools.
    r"(?im-u)^[ \t]*(?:wpa-[a-z0-9\-]*(?:psk|password|passwd|key[0-9]?|pin)|wireless-key[0-9]?)[ \t]+(?P<s>[^\r\n]+)$",
    // The password in an address: `scheme://user:password@host`. An iSCSI root has no slashes.
    r"(?-u)[A-Za-z][A-Za-z0-9+.\-]*:(?://)[^\s/:@]*:(?P<s>[^\s@]+)@",
    r"(?-u)\biscsi:[^\s:@]*:(?P<s>[^\s@]+)@",
    // Access keys of Alibaba Cloud and AWS, and tokens whose issuers gave them a prefix.
    r"(?-u)\b(?P<s>(?:LTAI|AKIA|ASIA)[A-Za-z0-9]{12,40}|gh[pousr]_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_\-]{20,}|AGE-SECRET-KEY-[A-Z0-9]+|eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-.]+)",
    // RFC 9110: credentials of a request.
    r"(?i-u)\b(?:authorization|x-[a-z\-]*token)['\x22]?[ \t]*[:=][ \t]*['\x22]?(?:(?:bearer|basic|token)[ \t]+)?(?P<s>[^\s'\x22,}]+)",
    // An option of a command: `--password secret`, `sshpass -p secret`.
    r"(?i-u)(?:--(?:[a-z0-9]+-)*(?:password|passwd|passphrase|pass|secret|token|psk)|\bsshpass[ \t]+-p)['\x22]?[ \t\x00,]+['\x22]?(?P<s>[^\s\x00;|&'\x22,\]]+)",
    // `echo user:password | chpasswd`, and the option of useradd and usermod.
    r"(?-u)[A-Za-z_][A-Za-z0-9_.\-]*:(?P<s>[^\s'\x22|]+)['\x22]?[ \t]*\|[^\n|]*\bchpasswd\b",
];

/// grub.cfg's `password USER PASSWORD`, and menu.lst's `password PASSWORD`.
const OF_GRUB: [&str; 1] =
    [r"(?m-u)^[ \t]*password[ \t]+(?:--(?:md5|encrypted)[ \t]+)?(?P<s>[^\r\n]+)$"];

static RULES: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());

static RULES_OF_GRUB: LazyLock<Vec<Regex>> =
    LazyLock::new(|| OF_GRUB.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());

pub(super) fn is_grub(path: &[u8]) -> bool {
    path.windows(4).any(|window| window == b"grub") || name_of(path) == b"menu.lst"
}

pub(super) fn reduce_grub(text: &[u8]) -> Reduced {
    by(&RULES_OF_GRUB, text)
}

pub(super) fn reduce(text: &[u8]) -> Reduced {
    by(&RULES, text)
}

fn by(rules: &[Regex], text: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: text.to_vec(), count: 0 };
    for rule in rules {
        let secrets: Vec<_> = rule
            .captures_iter(&reduced.content)
            .filter_map(|found| found.name("s"))
            .map(|secret| secret.range())
            .collect();
        if !secrets.is_empty() {
            let next = cut(&reduced.content, &secrets, MARK);
            reduced = Reduced { content: next.content, count: reduced.count + next.count };
        }
    }
    reduced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(RULES.len() + RULES_OF_GRUB.len(), PATTERNS.len() + OF_GRUB.len());
        assert!(
            RULES
                .iter()
                .chain(&*RULES_OF_GRUB)
                .all(|rule| rule.capture_names().flatten().eq(["s"]))
        );
    }
}
