//! `initramfs-stale-systemd` on a guest that is CentOS 7 by its release file and by what its rpm
//! says; the rest is this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::command::left_out;
use crate::common::initramfs::Image;
use crate::host::{guestprep, stand_in, with_kernel};

const CHECK: [&str; 2] = ["--check", "initramfs-stale-systemd"];

fn write_file(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn a_systemd_that_is_newer_than_the_one_in_the_image() {
    let systemd = Path::new("/usr/lib/systemd/systemd");
    if !systemd.is_file() {
        return left_out("there is no systemd");
    }
    with_kernel(&["rpm", "dracut", "cpio"], |kernel, temp| {
        write_file(
            &temp.join("os-release"),
            "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\n",
        );
        stand_in(&temp.join("os-release"), "/usr/lib/os-release");
        let changelog = temp.join("changelog");
        let rpm = format!(
            "#!/bin/sh\ncase $* in *--changelog*) cat {} ;; *) printf 'systemd\\t219-78.el7\\n' ;; esac\n",
            changelog.display()
        );
        write_file(&temp.join("rpm"), &rpm);
        stand_in(&temp.join("rpm"), "/usr/bin/rpm");
        fs::create_dir_all(temp.join("lib/rpm")).expect("a database");
        stand_in(&temp.join("lib"), "/var/lib");

        let image = format!("boot/initramfs-{}.img", kernel.release);
        let text = format!(
            "path = \"{image}\"\nfiles = {{ \"usr/lib/systemd/systemd\" = \"the one before\" }}\ncompression = \"gzip\"\nold = true\n"
        );
        toml::from_str::<Image>(&text).expect("an image").make(Path::new("/"));
        let audit = || guestprep(&[&["audit", "--format", "json"][..], &CHECK].concat());
        write_file(&changelog, "- core: a fix (#1889315)\n");
        audit().exits(0);
        write_file(&changelog, "- core: another (#1234567)\n");
        let report = audit().exits(1).json();
        let finding = &report["checks"][0]["findings"][0];
        assert_eq!(report["checks"][0]["id"], "initramfs-stale-systemd");
        assert_eq!((&finding["key"], &finding["severity"]), (&"stale".into(), &"blocker".into()));
        assert_eq!(finding["remedy"]["kind"], "automatic", "{finding}");

        // dracut packs this machine's systemd.
        fs::create_dir(temp.join("dracut")).expect("a directory");
        let small = "dracutmodules+=\" base systemd \"\nhostonly=no\ncompress=gzip\n";
        write_file(&temp.join("dracut/10-small.conf"), small);
        fs::create_dir_all("/etc/dracut.conf.d").expect("a directory of dracut's");
        stand_in(&temp.join("dracut"), "/etc/dracut.conf.d");
        let before = fs::read(Path::new("/").join(&image)).expect("the image");
        let state = temp.join("state");
        let state = ["--state-dir", state.to_str().expect("a path")];
        guestprep(&[&["prepare", "--yes"][..], &CHECK, &state].concat()).exits(0);
        audit().exits(0);
        guestprep(&[&["rollback", "--yes"][..], &state].concat()).exits(0);
        assert_eq!(before, fs::read(Path::new("/").join(&image)).expect("the image"));
        audit().exits(1);
    });
}
