//! Disks made by the tools that real ones are made by, in a mount namespace of their own.

use std::path::Path;
use std::process::Command;

use crate::common::command::Done;

/// What every script may use. Sizes and places are in MiB, `$disk` is the image.
const PRELUDE: &str = r#"
set -euo pipefail
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
mib() { echo $(($1 * 1048576)); }
new() { rm -f "$disk"; truncate -s "${1}M" "$disk"; }
table() { sfdisk -q --no-reread --no-tell-kernel "$@" "$disk"; }
# ext4 AT SIZE TREE OPTIONS...
ext4() {
    mke2fs -q -F -t ext4 -E "offset=$(mib "$1"),lazy_itable_init=1" -d "$3" "${@:4}" "$disk" "${2}M"
}
# copied AT FILE: a filesystem made in a file of its own
copied() { dd if="$2" of="$disk" bs=1M seek="$1" conv=notrunc,sparse status=none; rm -f "$2"; }
# xfs AT SIZE TREE OPTIONS...
xfs() {
    rm -f part; truncate -s "${2}M" part; mkfs.xfs -q "${@:4}" part
    mkdir -p on; mount -o loop,nouuid part on; cp -a "$3/." on; umount on
    copied "$1" part
}
vfat() { mkfs.vfat --offset "$(($1 * 2048))" "${@:3}" "$disk" "$(($2 * 1024))" >/dev/null; }
# at AT SIZE OPTIONS DIRECTORY: mount what lies there
at() { mount -o "ro,loop,offset=$(mib "$1"),sizelimit=$(mib "$2")$3" "$disk" "$4"; }
# within AT SIZE COMMAND: run a command in what lies there, mounted for writing
within() { mkdir -p on; mount -o "loop,offset=$(mib "$1"),sizelimit=$(mib "$2")" "$disk" on; (cd on; eval "$3"); umount on; }
fstab() { sed 's/^ *//' >root/etc/fstab; }
# LVM without a device mapper: its metadata is written through a loop device, no volume is activated.
lvm_group() {
    lvm_at=$1 lvm_size=$2 lvm_name=$3
    lvm_loop=$(losetup -f --show --offset "$(mib "$1")" --sizelimit "$(mib "$2")" "$disk")
    trap 'losetup -d "$lvm_loop"' EXIT
    lvm_config="devices { use_devicesfile=0 filter=[\"a|^$lvm_loop\$|\",\"r|.*|\"] } global { activation=0 use_lvmpolld=0 }
        activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }"
    lvm_run pvcreate -q -y "$lvm_loop"
    lvm_run vgcreate -q -y -s 4M "$lvm_name" "$lvm_loop"
}
# A physical volume more, of SIZE, which lies nowhere in the end.
lvm_extend() {
    truncate -s "${1}M" other
    lvm_other=$(losetup -f --show other)
    trap 'losetup -d "$lvm_loop" "$lvm_other"' EXIT
    lvm_config=$(sed "s#\"r|#\"a|^$lvm_other\$|\",\"r|#" <<<"$lvm_config")
    lvm_run pvcreate -q -y "$lvm_other"
    lvm_run vgextend -q "$lvm_name" "$lvm_other"
    losetup -d "$lvm_other"; rm other
    trap 'losetup -d "$lvm_loop"' EXIT
}
lvm_run() { "$1" --config "$lvm_config" "${@:2}" >lvm.log 2>&1 || { cat lvm.log >&2; return 1; }; }
# lv NAME SIZE MORE...
lv() { lvm_run lvcreate -q -y -an -Zn -Wn -n "$1" -L "${2}M" "$lvm_name" "${@:3}"; }
# Each volume and where it begins in the group's partition, kept for the oracle.
lvm_done() {
    lvs --config "$lvm_config" --noheadings --units m --nosuffix -o lv_name,seg_pe_ranges,vg_extent_size "$lvm_name" >lvs.txt
    pvs --config "$lvm_config" --noheadings --units m --nosuffix -o pe_start "$lvm_loop" >pe_start.txt
    losetup -d "$lvm_loop"; trap - EXIT
}
place() {
    awk -v name="$1" -v start="$(tr -d ' ' <pe_start.txt)" '$1 == name { sub(".*:", "", $2); sub("-.*", "", $2); print int(start + $2 * $3) }' lvs.txt
}
"#;

/// Run a script in a directory, with mounts that go when it ends.
pub fn script(directory: &Path, disk: &Path, text: &str) -> Done {
    let output = Command::new("unshare")
        .args(["-m", "bash", "-c", &format!("{PRELUDE}\n{text}")])
        .current_dir(directory)
        .env("disk", disk)
        .output()
        .expect("unshare");
    Done::of(output)
}

/// Run a script that has to succeed, for what it says.
#[track_caller]
pub fn sh(directory: &Path, disk: &Path, text: &str) -> String {
    let done = script(directory, disk, text);
    assert_eq!(done.code, 0, "{text}\n{}{}", done.out, done.err);
    done.out
}
