//! Disks of every layout: what the guest's root shows is what the same filesystems show when they
//! are mounted by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use guestprep::guest::{Access, FileKind, Guest, Image};
use guestprep::model::{GuestPath, Policy};
use guestprep::sys::{DiskImage, PrivateMounts, Use};
use tempfile::TempDir;

use crate::common::fixture::Fixture;
use crate::host::{directory_in_memory, has};
use crate::program::{assert_nothing_left, fingerprint, guestprep};
use crate::shell::sh;

/// A way to divide a disk.
struct Layout {
    /// What it is, for messages.
    name: &'static str,
    /// The script that makes the disk of the directories root, boot, home and usr.
    make: &'static str,
    /// The script that mounts it on the directory `on`, as its guest would.
    mount: &'static str,
    /// Parts of what the program has to say of what it left out.
    left_out: &'static [&'static str],
}

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "a filesystem without a partition table",
        make: "new 24; fstab <<<'LABEL=whole / ext4 defaults 0 1'; ext4 0 24 root -L whole",
        mount: "at 0 24 '' on",
        left_out: &[],
    },
    Layout {
        name: "MBR, by kernel names",
        make: "new 64; table <<<'label: dos
                1: start=2048,size=16384,type=83
                2: start=18432,size=49152,type=83,bootable
                3: start=67584,size=16384,type=83'
            fstab <<<'/dev/vda2 / ext4 defaults 0 1
                /dev/vda1 /boot ext4 defaults 0 2
                /dev/vda3 /home ext4 defaults 0 2
                /dev/vdb1 /data ext4 nofail 0 0'
            ext4 1 8 boot; ext4 9 24 root; ext4 33 8 home",
        mount: "at 9 24 '' on; at 1 8 '' on/boot; at 33 8 '' on/home",
        left_out: &[],
    },
    Layout {
        name: "MBR, logical partitions",
        make: "new 64; table <<<'label: dos
                1: start=2048,size=16384,type=83
                2: start=18432,size=112000,type=5
                5: start=20480,size=49152,type=83
                6: start=71680,size=16384,type=83'
            fstab <<<'/dev/sda5 / ext4 defaults 0 1
                /dev/sda1 /boot ext4 defaults 0 2
                /dev/sda6 /home ext4 defaults 0 2'
            ext4 1 8 boot; ext4 10 24 root; ext4 35 8 home",
        mount: "at 10 24 '' on; at 1 8 '' on/boot; at 35 8 '' on/home",
        left_out: &[],
    },
    Layout {
        name: "GPT, by UUID, LABEL, PARTUUID and PARTLABEL",
        make: "new 96; table <<<'label: gpt
                1: start=2048,size=16384,type=L
                2: start=18432,size=49152,type=L,uuid=11111111-2222-4333-8444-5555555555AA
                3: start=67584,size=16384,type=L,name=\"the home\"
                5: start=83968,size=32768,type=L'
            fstab <<<'PARTUUID=11111111-2222-4333-8444-5555555555aa / ext4 defaults 0 1
                UUID=b0000000-0000-4000-8000-00000000b007 /boot ext4 defaults 0 2
                PARTLABEL=the\\040home /home ext4 defaults 0 2
                /dev/disk/by-label/the-usr /usr ext4 defaults 0 2'
            ext4 1 8 boot -U b0000000-0000-4000-8000-00000000b007
            ext4 9 24 root; ext4 33 8 home; ext4 41 16 usr -L the-usr",
        mount: "at 9 24 '' on; at 1 8 '' on/boot; at 33 8 '' on/home; at 41 16 '' on/usr",
        left_out: &[],
    },
    Layout {
        name: "GPT with sectors of 4096 bytes",
        make: "new 64; truncate -s 64M t
            d=$(losetup -f --show -b 4096 t); trap 'losetup -d $d' EXIT
            sfdisk -q --no-reread --no-tell-kernel $d <<<'label: gpt
                1: start=256,size=2048,type=L
                2: start=2304,size=8192,type=L'
            sync $d; losetup -d $d; trap - EXIT; mv t \"$disk\"
            fstab <<<'/dev/vda2 / ext4 defaults 0 1
                /dev/vda1 /boot ext4 defaults 0 2'
            ext4 1 8 boot; ext4 9 32 root",
        mount: "at 9 32 '' on; at 1 8 '' on/boot",
        left_out: &[],
    },
    Layout {
        name: "hybrid MBR of sgdisk",
        make: "new 64
            sgdisk -n 1:2048:+8M -n 2:18432:+32M -t 1:8300 -t 2:8300 -h 1 \"$disk\" >/dev/null
            fstab <<<'/dev/vda2 / ext4 defaults 0 1
                /dev/vda1 /boot ext4 defaults 0 2'
            ext4 1 8 boot; ext4 9 32 root",
        mount: "at 9 32 '' on; at 1 8 '' on/boot",
        left_out: &[],
    },
    Layout {
        name: "XFS with /boot apart",
        make: "new 340; table <<<'label: gpt
                1: start=2048,size=16384,type=L
                2: start=18432,size=614400,type=L'
            fstab <<<'UUID=a0000000-0000-4000-8000-00000000a007 / xfs defaults 0 0
                /dev/disk/by-label/b /boot ext4 defaults 0 2'
            ext4 1 8 boot -L b; xfs 9 300 root -m uuid=a0000000-0000-4000-8000-00000000a007",
        mount: "at 9 300 ',norecovery,nouuid' on; at 1 8 '' on/boot",
        left_out: &[],
    },
    Layout {
        name: "btrfs with @ and @home",
        make: "new 140; table <<<'label: gpt
                1: start=2048,size=16384,type=L
                2: start=18432,size=245760,type=L'
            fstab <<<'LABEL=b / btrfs subvol=@ 0 0
                LABEL=b /home btrfs subvol=/@home,noatime 0 0
                /dev/vda1 /boot ext4 defaults 0 2'
            ext4 1 8 boot
            truncate -s 120M part; mkfs.btrfs -q -L b part; mkdir -p on; mount -o loop part on
            btrfs -q subvolume create on/@; btrfs -q subvolume create on/@home
            cp -a root/. on/@; cp -a home/. on/@home; umount on; copied 9 part",
        mount: "at 9 120 ',subvol=@' on; at 9 120 ',subvol=@home' on/home; at 1 8 '' on/boot",
        left_out: &[],
    },
    Layout {
        name: "btrfs as SUSE has it: the default subvolume is a snapshot",
        make: "new 130; table <<<'label: gpt
                1: start=2048,size=245760,type=L'
            fstab <<<'LABEL=s / btrfs defaults 0 0
                LABEL=s /home btrfs subvol=/@/home 0 0
                LABEL=s /.snapshots btrfs subvol=/@/.snapshots 0 0'
            truncate -s 120M part; mkfs.btrfs -q -L s part; mkdir -p on; mount -o loop part on
            for s in @ @/home @/.snapshots; do btrfs -q subvolume create on/$s; done
            mkdir on/@/.snapshots/1; btrfs -q subvolume create on/@/.snapshots/1/snapshot
            mkdir root/.snapshots
            cp -a root/. on/@/.snapshots/1/snapshot; cp -a home/. on/@/home
            btrfs -q subvolume set-default on/@/.snapshots/1/snapshot
            umount on; copied 1 part",
        mount: "at 1 120 '' on; at 1 120 ',subvol=/@/home' on/home
            at 1 120 ',subvol=/@/.snapshots' on/.snapshots",
        left_out: &[],
    },
    Layout {
        name: "LVM: root and home of one group, by /dev/mapper and /dev/VG/LV",
        make: "new 130; table <<<'label: gpt
                1: start=2048,size=16384,type=L
                2: start=18432,size=229376,type=V'
            fstab <<<'/dev/mapper/vg--one-root / ext4 defaults 0 1
                /dev/vg-one/home /home ext4 defaults 0 2
                /dev/vda1 /boot ext4 defaults 0 2'
            ext4 1 8 boot; lvm_group 9 112 vg-one
            lv root 40; lv home 20; lvm_done
            ext4 $((9 + $(place root))) 40 root
            ext4 $((9 + $(place home))) 20 home",
        mount: "at $((9 + $(place root))) 40 '' on; at $((9 + $(place home))) 20 '' on/home
            at 1 8 '' on/boot",
        left_out: &[],
    },
];

/// Where a disk is made of the same four directories.
pub struct Workshop {
    pub directory: TempDir,
    pub disk: PathBuf,
}

impl Workshop {
    pub fn new() -> Self {
        let directory = directory_in_memory();
        let fixture = Fixture::distro_in_memory("debian-12");
        let at = |name: &str| directory.path().join(name);
        crate::common::fixture::copy_tree(&fixture.root, &at("root"));
        for name in ["boot", "usr"] {
            fs::rename(at("root").join(name), at(name)).expect("a part of the tree");
            fs::create_dir(at("root").join(name)).expect("its place");
        }
        for name in ["home/somebody", "root/home", "root/sbin-of-root"] {
            fs::create_dir_all(at(name)).expect("a directory");
        }
        fs::write(at("home/somebody/letter"), "to whom it may concern\n").expect("a file");
        fs::write(at("root/home/covered"), "not seen where /home is apart\n").expect("a file");
        let disk = at("disk.raw");
        Self { directory, disk }
    }

    /// Give the root its own /usr again, where a layout has none apart.
    pub fn with_usr(&self, make: &str) {
        if !make.contains(" usr") {
            let at = |name: &str| self.directory.path().join(name);
            fs::remove_dir(at("root/usr")).expect("the empty one");
            fs::rename(at("usr"), at("root/usr")).expect("/usr");
        }
    }
}

/// A line for every path that a guest's root shows: kind, mode, owner, size, time, link.
fn seen(guest: &Guest) -> BTreeSet<String> {
    let root = guest.root();
    let mut lines = BTreeSet::new();
    let mut open = vec![GuestPath::from("/")];
    while let Some(path) = open.pop() {
        // The root itself once more, which find(1) calls a loop and leaves out.
        if path == GuestPath::from("/.snapshots/1/snapshot") {
            continue;
        }
        let about = root.lstat(&path).expect("a look").expect("what was listed");
        let is_directory = about.kind == FileKind::Directory;
        let link = root.read_link(&path).expect("a link").unwrap_or_default();
        let size = if is_directory { 0 } else { about.size };
        lines.insert(format!(
            "{path} {:o} {}:{} {size} {} {}",
            about.mode & 0o7777,
            about.uid,
            about.gid,
            about.modified.seconds,
            String::from_utf8_lossy(&link)
        ));
        if about.kind == FileKind::Regular {
            let content = root.read(&path, 64 << 20).expect("a file").expect("what was listed");
            lines.insert(format!("{path}: {}", content.len()));
        }
        if is_directory {
            let names = root.list(&path).expect("a list").expect("what was listed");
            open.extend(names.iter().map(|name| path.join(name)));
        }
    }
    lines
}

/// The same lines by find(1).
const FIND: &str = r#"
cd on
{ find . -printf '/%P\t%y\t%m\t%U:%G\t%s\t%T@\t%l\n' || true; } | while IFS=$'\t' read -r path kind mode owner size time link; do
    [ "$kind" = d ] && size=0
    echo "$path $mode $owner $size ${time%.*} $link"
    [ "$kind" != f ] || echo "$path: $size"
done
"#;

fn image(disk: &Path, mounts: &Rc<PrivateMounts>) -> Rc<Image> {
    let file = DiskImage::open(disk, Use::Read, &|_, _| {}).expect("an image");
    let image = Image::open(file, disk, Access::Look, Some(mounts));
    Rc::new(image.unwrap_or_else(|why| panic!("{why}")))
}

#[test]
fn a_guest_is_what_its_filesystems_are_mounted_by_hand() {
    let tools = ["mke2fs", "mkfs.xfs", "mkfs.btrfs", "btrfs", "sfdisk", "sgdisk", "lvcreate"];
    if !has(&tools) {
        return;
    }
    let mounts = Rc::new(PrivateMounts::enter().expect("private mounts"));
    for layout in LAYOUTS {
        let workshop = Workshop::new();
        workshop.with_usr(layout.make);
        let directory = workshop.directory.path();
        sh(directory, &workshop.disk, layout.make);
        let mount = format!("mkdir -p on\n{}\n{FIND}", layout.mount);
        let wanted = sh(directory, &workshop.disk, &mount);
        let wanted: BTreeSet<String> = wanted.lines().map(str::to_owned).collect();
        assert!(wanted.len() > 100, "{}: {} lines", layout.name, wanted.len());

        let open = image(&workshop.disk, &mounts);
        let left_out = open.seen().left_out().to_vec();
        let guest = Guest::image(&open, Policy::default()).expect("a guest");
        let found = seen(&guest);
        drop(guest);
        Rc::into_inner(open).expect("nobody else's").close().expect("unmounted");
        let missing: Vec<_> = wanted.difference(&found).take(5).collect();
        let more: Vec<_> = found.difference(&wanted).take(5).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "{}: not seen {missing:#?}, seen {more:#?}, left out {left_out:?}",
            layout.name
        );
        assert_eq!(left_out.len(), layout.left_out.len(), "{}: {left_out:?}", layout.name);
        for (said, part) in left_out.iter().zip(layout.left_out) {
            assert!(said.contains(part), "{}: {said}", layout.name);
        }
    }
}

/// Disks without a root, or with too many: what makes each, and what has to be said.
const NO_ROOT: &[(&str, &str, &str)] = &[
    ("an empty disk", "new 16", "none of its filesystems is the root"),
    ("an empty table", "new 16; table <<<'label: gpt'", "none of its filesystems is the root"),
    (
        "a data disk",
        "new 24; table <<<'1: start=2048,size=32768'; ext4 1 16 home",
        "none of its filesystems is the root",
    ),
    (
        "LUKS",
        "new 40; table <<<'1: start=2048,size=65536'; truncate -s 32M part
            echo secret | cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 part -
            copied 1 part",
        "it is encrypted (LUKS)",
    ),
    (
        "two roots, of which none says that it boots",
        "new 64; table <<<'label: dos
            1: start=2048,size=49152
            2: start=51200,size=49152'
        : | fstab; ext4 1 24 root; ext4 25 24 root",
        "nothing says which one boots",
    ),
];

#[test]
fn a_disk_without_a_root_is_undetermined_and_says_why() {
    if !has(&["mke2fs", "sfdisk", "cryptsetup"]) {
        return;
    }
    for (name, make, said) in NO_ROOT {
        let workshop = Workshop::new();
        workshop.with_usr(make);
        let directory = workshop.directory.path();
        sh(directory, &workshop.disk, make);
        for command in ["audit", "plan"] {
            let done = guestprep(&[command], &workshop.disk);
            assert_eq!(done.code, 3, "{name}: {done:?}");
            done.says(said);
        }
        let done = guestprep(&["prepare", "--yes"], &workshop.disk);
        assert_eq!(done.code, 3, "{name}: {done:?}");
        assert!(!directory.join("disk.prepared.raw").exists(), "{name}: a copy is left");
        assert_nothing_left(directory, name);
    }
}

/// Two roots on one disk: the one that its own fstab names.
#[test]
fn of_two_roots_the_one_that_names_itself_is_taken() {
    if !has(&["mke2fs", "sfdisk"]) {
        return;
    }
    let workshop = Workshop::new();
    workshop.with_usr("");
    sh(
        workshop.directory.path(),
        &workshop.disk,
        "new 64; table <<<'label: dos
            1: start=2048,size=49152
            2: start=51200,size=49152'
        echo old >root/etc/hostname; fstab <<<'UUID=a0000000-0000-4000-8000-00000000a007 / ext4 defaults 0 1'
        ext4 1 24 root
        echo new >root/etc/hostname; ext4 25 24 root -U a0000000-0000-4000-8000-00000000a007",
    );
    let report = guestprep(&["audit", "--format", "json"], &workshop.disk).json();
    assert_eq!(report["guest"]["hostname"], "new");
}

/// A machine may run from a copy of the image: its volume group has the same name and UUID.
#[test]
fn a_volume_group_of_this_machine_with_the_same_name_does_no_harm() {
    if !has(&["mke2fs", "sfdisk", "lvcreate"]) {
        return;
    }
    let workshop = Workshop::new();
    workshop.with_usr("");
    let directory = workshop.directory.path();
    sh(
        directory,
        &workshop.disk,
        "new 80; table <<<'1: start=2048,size=155648,type=8e'
        fstab <<<'/dev/vg/root / ext4 defaults 0 1'
        lvm_group 1 76 vg; lv root 40; lvm_done
        echo of-the-machine >root/etc/hostname; ext4 $((1 + $(place root))) 40 root
        cp --sparse=always \"$disk\" twin.raw
        echo of-the-image >root/etc/hostname; ext4 $((1 + $(place root))) 40 root",
    );
    let twin = directory.join("twin.raw");
    let device = crate::host::run(
        "losetup",
        &["-f", "--show", "--offset", "1048576", twin.to_str().expect("UTF-8")],
    );
    let before = (fingerprint(&twin), fingerprint(&workshop.disk));
    let done = guestprep(&["audit", "--format", "json"], &workshop.disk);
    let detached = crate::host::run("losetup", &["-d", device.trim()]);
    assert_eq!(detached, "");
    assert_eq!(done.json()["guest"]["hostname"], "of-the-image", "{done:?}");
    assert_eq!(before, (fingerprint(&twin), fingerprint(&workshop.disk)));
    assert_nothing_left(directory, "a twin");
}
