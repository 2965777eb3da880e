//! An account is taken out of the files of accounts as userdel(8) does it.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::Path;
use std::process::Command;

use guestprep::parse::account_files::{AccountFile, owns_group, without};
use guestprep::parse::passwd::{Kind, Table};

const FILES: [(&str, AccountFile); 6] = [
    ("passwd", AccountFile::OfAccounts),
    ("shadow", AccountFile::OfAccounts),
    ("group", AccountFile::OfGroups),
    ("gshadow", AccountFile::OfGroups),
    ("subuid", AccountFile::OfAccounts),
    ("subgid", AccountFile::OfAccounts),
];

/// What stands in the files, in the order of [`FILES`]: accounts with a group of their own, one that
/// is another's primary group, one with members, names that begin alike.
const CASES: [[&str; 6]; 3] = [
    [
        "root:x:0:0:root:/root:/bin/sh\npacker:x:1000:1000::/home/packer:/bin/sh\npacker2:x:1001:1001::/:/bin/sh\n",
        "root:*:19000:0:99999:7:::\npacker:!:19000:0:99999:7:::\npacker2:*:19000:0:99999:7:::\n",
        "root:x:0:\nsudo:x:27:packer2,packer\nadm:x:4:packer\npacker:x:1000:\npacker2:x:1001:\n",
        "root:*::\nsudo:*:packer:packer2,packer\nadm:*::packer\npacker:!::\npacker2:!::\n",
        "packer:100000:65536\npacker2:165536:65536\n",
        "packer:100000:65536\npacker2:165536:65536\n",
    ],
    [
        "root:x:0:0:root:/root:/bin/sh\npacker:x:1000:1000::/home/packer:/bin/sh\nann:x:1001:1000::/:/bin/sh\n",
        "root:*:19000:0:99999:7:::\npacker:!:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\n",
        "root:x:0:\npacker:x:1000:\n",
        "root:*::\npacker:!::\n",
        "",
        "",
    ],
    [
        "root:x:0:0:root:/root:/bin/sh\nann:x:1001:1001::/:/bin/sh\npacker:x:1000:1000::/home/packer:/bin/sh\n",
        "root:*:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\npacker:!:19000:0:99999:7:::\n",
        "root:x:0:\nann:x:1001:packer,ann\npacker:x:1000:packer\n",
        "root:*::\nann:!::packer,ann\npacker:!::packer\n",
        "ann:165536:65536\npacker:100000:65536\n",
        "",
    ],
];

fn userdel(root: &Path) -> Option<(i32, String)> {
    let output = Command::new("userdel").arg("--prefix").arg(root).arg("packer").output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code()?, String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn as_userdel_does_it() {
    for (number, case) in CASES.iter().enumerate() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let etc = temp.path().join("etc");
        fs::create_dir(&etc).expect("a directory");
        for ((name, _), text) in FILES.iter().zip(case) {
            fs::write(etc.join(name), text).expect("a file");
        }
        fs::write(etc.join("login.defs"), "USERGROUPS_ENAB yes\n").expect("a file");
        let table = |name: &str, kind| {
            Table::parse(kind, &fs::read(etc.join(name)).expect("a file that was written"))
        };
        let (passwd, group) = (table("passwd", Kind::Passwd), table("group", Kind::Group));
        let own_group = owns_group(&passwd, &group, b"packer");
        let own: Vec<Vec<u8>> = FILES
            .iter()
            .zip(case)
            .map(|((_, kind), text)| without(*kind, text.as_bytes(), b"packer", own_group))
            .collect();

        let Some((code, said)) = userdel(temp.path()) else {
            println!("left out: an account as userdel takes it out: there is no userdel");
            return;
        };
        assert_eq!(code, 0, "case {number}: userdel: {said}");
        for ((name, _), own) in FILES.iter().zip(&own) {
            let theirs = fs::read(etc.join(name)).expect("userdel leaves it");
            let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            assert_eq!(shown(own), shown(&theirs), "case {number}: {name}");
        }
    }
}
