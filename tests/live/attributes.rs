//! Extended attributes on a real filesystem: of any name, of files and of links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};

use crate::common::command::{Done, run};
use crate::common::live::{GUESTPREP, Live, alone};
use crate::common::state::assert_same;

/// Label of the kind that SELinux gives everything (selinux(8)).
const LABEL: &[u8] = b"system_u:object_r:hostname_etc_t:s0\0";

fn set(path: &str, name: &[u8], value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).expect("an attribute");
}

fn get(path: &str, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    lgetxattr(path, name, &mut value[..]).ok().map(|length| value[..length].to_vec())
}

/// Make /etc/hostname a link, which goes: cloud-init is told to keep the name. Its path.
fn linked_hostname(live: &Live) -> String {
    let hostname = live.at("/etc/hostname");
    fs::rename(&hostname, live.at("/etc/name")).expect("another name");
    symlink("name", &hostname).expect("a link");
    let directory = live.at("/etc/cloud/cloud.cfg.d");
    fs::create_dir_all(&directory).expect("a directory");
    let config = Path::new(&directory).join("99_name.cfg");
    fs::write(config, "preserve_hostname: true\n").expect("a configuration");
    hostname
}

const PREPARE: [&str; 5] = ["prepare", "--yes", "--check", "fstab-data-disk", "hostname-kept"];

#[test]
fn of_any_name_and_of_links_they_come_back() {
    alone(&[], |live| {
        live.data();
        let (fstab, hostname) = (live.at("/etc/fstab"), linked_hostname(live));
        for name in [&b"user.\xff"[..], b"user.a\\x41", b"user.\n"] {
            set(&fstab, name, b"kept\xff\0");
        }
        set(&hostname, b"security.selinux", LABEL);
        set(&hostname, b"trusted.\xff", b"kept");
        let before = live.state();

        live.guestprep(&PREPARE).exits(0);
        assert!(fs::symlink_metadata(&hostname).is_err(), "the link is not removed");
        assert_eq!(get(&fstab, b"user.\xff").as_deref(), Some(&b"kept\xff\0"[..]));
        live.guestprep(&["rollback", "--yes"]).exits(0).says("undone and verified");
        assert_same(&before, &live.state(), "rollback did not give the attributes back");
        assert_eq!(get(&hostname, b"security.selinux").as_deref(), Some(LABEL));
        assert_eq!(get(&hostname, b"trusted.\xff").as_deref(), Some(&b"kept"[..]));
    });
}

/// What a new file or link has by itself, as where its directory has a default ACL, goes.
#[test]
fn what_the_original_does_not_have_is_not_left() {
    alone(&["setfacl"], |live| {
        live.data();
        let fstab = live.at("/etc/fstab");
        run(&["setfacl", "-d", "-m", "u:1:r", &live.at("/etc")]);
        let acl = b"system.posix_acl_access";
        assert_eq!(get(&fstab, acl), None);
        let before = live.state();
        live.guestprep(&PREPARE[..4]).exits(0);
        assert_eq!(get(&fstab, acl), None);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback left an ACL");
    });
}

/// Verified is what is read back: an attribute that does not come back is told.
#[test]
fn a_link_that_cannot_bear_what_it_bore_is_not_called_verified() {
    alone(&["strace"], |live| {
        let hostname = linked_hostname(live);
        set(&hostname, b"trusted.note", b"kept");
        let before = live.state();
        live.guestprep(&["prepare", "--yes", "--check", "hostname-kept"]).exits(0);
        let root = live.root.to_str().expect("UTF-8");
        // The call says that it is done, and does nothing.
        let lie = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=lsetxattr:retval=0"];
        let argv = [&lie[..], &["chroot", root, GUESTPREP, "rollback", "--yes"]].concat();
        let output = std::process::Command::new(argv[0]).args(&argv[1..]).output();
        let done = Done::of(output.expect("strace"));
        done.exits(5).says("attribute for attribute");
        assert_eq!(get(&hostname, b"trusted.note"), None);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "the next rollback did not");
    });
}
