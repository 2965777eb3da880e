//! The names that fstab gives to devices: which a disk has, which it cannot have, and which it does
//! not tell.

use serde_json::Value;

use crate::assembly::Workshop;
use crate::host::has;
use crate::program::guestprep;
use crate::shell::sh;

/// Audit the disk with one more line in its fstab.
fn with_line(workshop: &Workshop, line: &str) -> Value {
    let made = format!(
        "printf '%s\\n' 'UUID=a0000000-0000-4000-8000-00000000a007 / ext4 defaults 0 1' '{line}' >fstab.txt
        debugfs -w -R 'rm /etc/fstab' \"$disk?offset=1048576\" 2>/dev/null
        debugfs -w -R 'write fstab.txt /etc/fstab' \"$disk?offset=1048576\" >/dev/null 2>&1"
    );
    sh(workshop.directory.path(), &workshop.disk, &made);
    guestprep(&["audit", "--format", "json", "--check", "fstab-missing-device"], &workshop.disk)
        .json()
}

/// A disk of a root and a volume group, and what `more` adds to it.
fn disk(more: &str) -> Option<Workshop> {
    if !has(&["mke2fs", "sfdisk", "lvcreate", "debugfs"]) {
        return None;
    }
    let workshop = Workshop::new();
    workshop.with_usr("");
    let script = format!(
        "new 100; table <<<'label: dos
            1: start=2048,size=98304
            2: start=100352,size=65536,type=8e
            3: start=165888,size=36864'
        ext4 1 48 root -U a0000000-0000-4000-8000-00000000a007
        lvm_group 49 32 own; lv files 8; lvm_done
        ext4 $((49 + $(place files))) 8 home
        {more}"
    );
    sh(workshop.directory.path(), &workshop.disk, &script);
    Some(workshop)
}

const OF_THE_DISK: [&str; 3] =
    ["/dev/own/files", "/dev/mapper/own-files", "/dev/disk/by-id/dm-name-own-files"];

/// What would be made of what the disk holds, were it there.
const MADE_OF_THE_DISK: [&str; 7] = [
    "/dev/own/other",
    "/dev/vgdata/files",
    "/dev/mapper/vgdata-files",
    "/dev/md0",
    "/dev/md/data",
    "/dev/disk/by-id/dm-uuid-LVM-1111111111111111111111111111111122222222222222222222222222222222",
    "/dev/disk/by-id/md-name-host:0",
];

const OF_A_SERIAL: [&str; 2] =
    ["/dev/disk/by-id/virtio-bp1data-part1", "/dev/disk/by-id/nvme-Cloud_Disk_bp1data"];

const UNTOLD: [&str; 4] = [
    "/dev/mapper/mpatha-part1",
    "/dev/disk/by-path/pci-0000:00:06.0-part1",
    "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1",
    "/dev/nbd0",
];

fn verdicts(workshop: &Workshop, names: &[&str]) -> Vec<String> {
    let verdict = |name: &&str| {
        let report = with_line(workshop, &format!("{name} /data ext4 defaults 0 0"));
        report["checks"][0]["verdict"].as_str().expect("a verdict").to_owned()
    };
    names.iter().map(verdict).collect()
}

/// What every device of the disk is known, a name that none of them has is missing on a clone.
#[test]
fn a_disk_that_is_known_whole_tells_what_it_lacks() {
    let Some(workshop) = disk("ext4 81 16 boot") else { return };
    assert_eq!(verdicts(&workshop, &OF_THE_DISK), ["pass"; 3]);
    assert_eq!(verdicts(&workshop, &MADE_OF_THE_DISK), ["fail"; 7]);
    assert_eq!(verdicts(&workshop, &OF_A_SERIAL), ["fail"; 2]);
    assert_eq!(verdicts(&workshop, &UNTOLD), ["unknown"; 4]);
    // What crypttab opens is judged by its line there.
    sh(
        workshop.directory.path(),
        &workshop.disk,
        "echo 'scratch /dev/vda3 /dev/urandom' >crypttab.txt
        debugfs -w -R 'rm /etc/crypttab' \"$disk?offset=1048576\" 2>/dev/null
        debugfs -w -R 'write crypttab.txt /etc/crypttab' \"$disk?offset=1048576\" >/dev/null 2>&1",
    );
    assert_eq!(
        verdicts(&workshop, &["/dev/mapper/scratch", "/dev/mapper/other"]),
        ["pass", "fail"]
    );
}

/// Behind encryption, an array or an unknown format there may be any volume group and any array.
#[test]
fn a_disk_that_hides_something_tells_nothing_of_the_rest() {
    let luks = "truncate -s 17M part
        echo secret | cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 part -
        copied 81 part";
    let nobodys = "head -c 1M /dev/urandom >part; copied 81 part";
    for (hides, more) in [("LUKS", luks), ("no known format", nobodys)] {
        if hides == "LUKS" && !has(&["cryptsetup"]) {
            continue;
        }
        let Some(workshop) = disk(more) else { return };
        assert_eq!(verdicts(&workshop, &OF_THE_DISK), ["pass"; 3], "{hides}");
        assert_eq!(verdicts(&workshop, &MADE_OF_THE_DISK), ["unknown"; 7], "{hides}");
        assert_eq!(verdicts(&workshop, &OF_A_SERIAL), ["fail"; 2], "{hides}");
    }
}

/// LVM activates a group that is whole: what lies on the disk is not there on a clone either, where its group has a
/// physical volume elsewhere. Booted by `group-extended` of tests/vm/guests.tsv.
#[test]
fn a_volume_group_that_is_not_whole_is_not_there() {
    if !has(&["mke2fs", "sfdisk", "lvcreate", "debugfs"]) {
        return;
    }
    let findings = |workshop: &Workshop, check: &str| -> Vec<String> {
        let arguments = ["audit", "--format", "json", "--check", check];
        let report = guestprep(&arguments, &workshop.disk).json();
        let findings = report["checks"][0]["findings"].as_array().expect("findings");
        findings.iter().map(|finding| finding["key"].as_str().expect("a key").into()).collect()
    };
    for (extend, of_root, of_data) in
        [(":", &[][..], &[][..]), ("lvm_extend 32", &["group-spans"], &["stops-boot"])]
    {
        let workshop = Workshop::new();
        workshop.with_usr("");
        let system = format!(
            "new 80; table <<<'1: start=2048,size=155648,type=8e'
            fstab <<<'/dev/own/root / ext4 defaults 0 1'
            lvm_group 1 76 own; lv root 40; {extend}; lvm_done
            ext4 $((1 + $(place root))) 40 root"
        );
        sh(workshop.directory.path(), &workshop.disk, &system);
        assert_eq!(findings(&workshop, "root-multi-disk"), of_root, "{extend}");
        assert!(findings(&workshop, "fstab-data-disk").is_empty(), "the root is never parked");

        let data = format!(
            "new 100; table <<<'1: start=2048,size=98304
                2: start=100352,size=98304,type=8e'
            fstab <<<'UUID=a0000000-0000-4000-8000-00000000a007 / ext4 defaults 0 1
                /dev/own/files /srv ext4 defaults 0 2'
            ext4 1 48 root -U a0000000-0000-4000-8000-00000000a007
            lvm_group 49 48 own; lv files 8; {extend}; lvm_done
            ext4 $((49 + $(place files))) 8 home"
        );
        sh(workshop.directory.path(), &workshop.disk, &data);
        assert!(findings(&workshop, "root-multi-disk").is_empty());
        assert_eq!(findings(&workshop, "fstab-data-disk"), of_data, "{extend}");
    }
}
