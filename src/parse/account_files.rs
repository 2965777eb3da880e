//! Taking an account out of passwd(5), shadow(5), group(5), gshadow(5), subuid(5) and subgid(5), as
//! userdel(8) does. Pure; every line that is not about the account keeps its bytes.

use super::passwd::Table;

/// What a file of accounts has a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountFile {
    /// passwd, shadow, subuid, subgid: lines of accounts, by the first field.
    OfAccounts,
    /// group and gshadow: lines of groups, with accounts in their last fields.
    OfGroups,
}

/// The file without an account. `own_group`: whether the group of the account's name goes as well.
pub fn without(file: AccountFile, text: &[u8], user: &[u8], own_group: bool) -> Vec<u8> {
    let mut left = Vec::with_capacity(text.len());
    for (line, ending) in super::lines::split(text) {
        let is_its = line.split(|b| *b == b':').next() == Some(user);
        match file {
            AccountFile::OfAccounts if is_its => continue,
            AccountFile::OfGroups if is_its && own_group => continue,
            AccountFile::OfGroups => left.extend(without_member(line, user)),
            AccountFile::OfAccounts => left.extend_from_slice(line),
        }
        left.extend_from_slice(ending.as_bytes());
    }
    left
}

/// Whether the group of an account's name goes with it, as userdel(8) decides it: nobody else has it
/// for the primary group, and nobody else is in it.
pub fn owns_group(passwd: &Table, group: &Table, user: &[u8]) -> bool {
    let Some(own) = group.entries().find(|group| group.name == user) else { return false };
    let is_anothers =
        passwd.entries().any(|account| account.name != user && account.gid() == own.gid());
    !is_anothers && own.members().all(|member| member == user)
}

/// A line of group or gshadow: name, password, then fields that are a number or lists of names.
fn without_member(line: &[u8], user: &[u8]) -> Vec<u8> {
    let mut fields = line.split(|b| *b == b':').enumerate().map(|(index, field)| {
        let is_list = index >= 2 && field.split(|b| *b == b',').any(|name| name == user);
        if !is_list {
            return field.to_vec();
        }
        let others = field.split(|b| *b == b',').filter(|name| *name != user);
        others.collect::<Vec<_>>().join(&b","[..])
    });
    let mut left = fields.next().unwrap_or_default();
    for field in fields {
        left.push(b':');
        left.extend(field);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_account_goes_and_the_rest_stays() {
        use AccountFile::{OfAccounts, OfGroups};
        for (file, own_group, before, after) in [
            (OfAccounts, true, "a:x:1:\nb:x:2:\na2:x:3:", "b:x:2:\na2:x:3:"),
            (OfGroups, true, "a:x:5:\nw:x:1:b,a,c\nv:x:2:a\n", "w:x:1:b,c\nv:x:2:\n"),
            (OfGroups, false, "a:x:5:a,b\n", "a:x:5:b\n"),
            (OfGroups, true, "w:!:a:a,b\n", "w:!::b\n"),
            (OfGroups, true, "# a:x\n+\n", "# a:x\n+\n"),
        ] {
            let left = without(file, before.as_bytes(), b"a", own_group);
            assert_eq!(String::from_utf8_lossy(&left), after);
        }
    }

    proptest! {
        #[test]
        fn who_is_not_in_it_changes_nothing(text in "[a-c:,\n\r]{0,40}") {
            for file in [AccountFile::OfAccounts, AccountFile::OfGroups] {
                prop_assert_eq!(without(file, text.as_bytes(), b"zed", true), text.as_bytes());
            }
        }

        #[test]
        fn twice_is_once(text in "[a-c:,\n]{0,40}") {
            for file in [AccountFile::OfAccounts, AccountFile::OfGroups] {
                let once = without(file, text.as_bytes(), b"a", true);
                prop_assert_eq!(without(file, &once, b"a", true), once.clone());
            }
        }
    }
}
