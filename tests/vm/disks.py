"""The disks that the proof audits and boots: whole disks with a partition table, a boot loader, a kernel and a root.

They hold nothing of the rig. What it needs to see of a boot comes in with the initramfs (see initramfs.py), so that what
guestprep audits is an ordinary Debian guest. All are made without device mapper and without partitions of loop devices:
each filesystem is mounted by its offset, in a mount namespace that ends with the command that looks at it.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import uuid

import initramfs
import rig

MIB = 1 << 20
DISK_SIZE = 1024 * MIB
EXTENT = 4 * MIB
# Where LVM puts the first extent of a physical volume unless it is told otherwise.
FIRST_EXTENT = MIB

SUITE = "bookworm"
MIRROR = [os.environ["GUESTPREP_VM_MIRROR"]] if "GUESTPREP_VM_MIRROR" in os.environ else []
PACKAGES = (
    "acl,attr,btrfs-progs,busybox,cryptsetup,dbus,dosfstools,e2fsprogs,fdisk,grub-efi-amd64-bin,grub-pc-bin,grub2-common,"
    "ifupdown,initramfs-tools,iproute2,isc-dhcp-client,kmod,libpam-systemd,linux-image-cloud-amd64,login,lvm2,mdadm,"
    "mount,netbase,openssh-server,passwd,procps,systemd,systemd-sysv,udev,util-linux,xfsprogs,zstd"
)
# Left out of the tree: half its size.
NOT_NEEDED = ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"]

# The password of root on the console, and what it logs in with over the network.
PASSWORD = "the rig logs in"

# Under 30 s a slow guest falls into emergency mode by itself; with the default of 90 s a table of boots is an afternoon.
# In qemu, where udev may need a minute to come round, the default stays.
DEVICE_TIMEOUT = 30
TIMEOUTS = f"[Manager]\nDefaultTimeoutStartSec={DEVICE_TIMEOUT}s\nDefaultDeviceTimeoutSec={DEVICE_TIMEOUT}s\n"

SETTINGS = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 guest\n",
    "etc/resolv.conf": "",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_DISABLE_OS_PROBER=true\n"
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0,115200 net.ifnames=0 biosdevname=0"\nGRUB_TERMINAL=console\n'
    ),
}
# Housekeeping that a boot in an emulator would wait for.
DISABLED = ["e2scrub_reap.service", "e2scrub_all.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer"]


@dataclasses.dataclass(frozen=True)
class Volume:
    """A filesystem on the disk, by its place in bytes."""

    type: str
    start: int
    size: int
    target: str
    uuid: str
    source: str | None = None  # the name in fstab, if not the UUID
    subvolume: str | None = None

    def fstab(self) -> str:
        options = {"btrfs": f"defaults,subvol={self.subvolume}", "vfat": "umask=0077"}.get(self.type, "defaults")
        if self.target == "/" and self.type == "ext4":
            options = "errors=remount-ro"
        check = {"btrfs": 0, "xfs": 0}.get(self.type, 1 if self.target == "/" else 2)
        return f"{self.source or 'UUID=' + self.uuid} {self.target} {self.type} {options} 0 {check}\n"

    def mount_options(self, read_only: bool) -> str:
        """Options for the host's mount: copies of one disk have one UUID, and a look must not write."""
        options = [f"loop,offset={self.start},sizelimit={self.size}"]
        if self.subvolume:
            options.append(f"subvol={self.subvolume}")
        if self.type == "xfs":
            options.append("nouuid")
        if read_only:
            options += ["ro", {"ext4": "noload", "xfs": "norecovery"}.get(self.type, "ro")]
        return ",".join(options)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a disk is cut up."""

    name: str
    table: str  # for sfdisk
    volumes: tuple[Volume, ...]  # the root first, then by depth of the target
    group: tuple[int, int] | None = None  # start and size of the physical volume, if the root is a logical one
    firmware: str | None = None  # bios or uefi, if qemu boots it; else user-mode Linux does, with its own kernel

    @property
    def root(self) -> Volume:
        return self.volumes[0]


def _layout(name: str, root_type: str, label: str, *, lvm: bool = False, firmware: str | None = None) -> Layout:
    """A disk from its description; every partition starts at a whole MiB."""
    lines, at = [f"label: {label}", f"label-id: {_id(name, 'disk', label)}"], 1
    volumes: list[Volume] = []

    def partition(size: int, kind: str) -> int:
        nonlocal at
        lines.append(f"start={at}MiB, size={size}MiB, type={kind}")
        at += size
        return (at - size) * MIB

    types = {
        "gpt": {"bios": "21686148-6449-6E6F-744E-656564454649", "linux": "linux", "lvm": "lvm", "efi": "uefi"},
        "dos": {"linux": "83", "lvm": "8e"},
    }[label]
    if firmware == "uefi":
        start = partition(64, types["efi"])
        volumes.append(Volume("vfat", start, 64 * MIB, "/boot/efi", _id(name, "efi", "vfat")))
    elif label == "gpt":
        partition(1, types["bios"])
    if lvm:
        start = partition(160, types["linux"])
        volumes.append(Volume("ext4", start, 160 * MIB, "/boot", _id(name, "boot")))
    rest = DISK_SIZE // MIB - 1 - at
    start = partition(rest, types["lvm" if lvm else "linux"])
    group = None
    size = rest * MIB
    if lvm:
        group = (start, size)
        start, size = start + FIRST_EXTENT, (size - FIRST_EXTENT) // EXTENT * EXTENT
    root = Volume(
        root_type,
        start,
        size,
        "/",
        _id(name, "root"),
        source="/dev/mapper/system-root" if lvm else None,
        subvolume="@rootfs" if root_type == "btrfs" else None,
    )
    volumes.sort(key=lambda volume: volume.target.count("/"))
    return Layout(name, "\n".join(lines) + "\n", (root, *volumes), group, firmware)


def _id(name: str, part: str, kind: str = "") -> str:
    """A fixed identifier, so that a row can name what is there."""
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{part}.{name}.guestprep"))
    return {"vfat": f"{made[:4]}-{made[4:8]}".upper(), "dos": f"0x{made[:8]}"}.get(kind, made)


LAYOUTS = {
    layout.name: layout
    for layout in (
        _layout("ext4", "ext4", "dos"),
        _layout("xfs", "xfs", "gpt"),
        _layout("btrfs", "btrfs", "gpt"),
        _layout("ext4-lvm", "ext4", "dos", lvm=True),
        _layout("xfs-lvm", "xfs", "gpt", lvm=True),
        _layout("bios", "ext4", "dos", firmware="bios"),
        _layout("uefi", "ext4", "gpt", firmware="uefi"),
    )
}


def require() -> None:
    """Raises LeftOut unless disks can be made here."""
    if os.geteuid() != 0:
        raise rig.LeftOut("debootstrap and mounts need root")
    rig.require("debootstrap", "tar", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "sfdisk", "pvcreate", "cpio")
    rig.require("linux.uml", "unshare", "ssh-keygen", "zstd")


def run_on(
    image: pathlib.Path,
    layout: Layout,
    command: list[str],
    *,
    read_only: bool = False,
    only_root: bool = False,
    **streams,
) -> subprocess.CompletedProcess:
    """Runs a command with the disk's filesystems mounted below $ROOT, in a mount namespace that ends with it.

    vfat is left out: not every kernel mounts it. Two mounts of a btrfs with one UUID would be one filesystem to the
    kernel, therefore only one copy of such a disk is mounted at a time.
    """
    script = ["set -eu", "ROOT=$(mktemp -d); export ROOT"]
    # What a command mounted below goes too; a mount that cannot be undone here ends with the namespace.
    script.append("trap 'umount -R \"$ROOT\" 2>/dev/null || true; rmdir \"$ROOT\"' EXIT")
    volumes = layout.volumes[:1] if only_root else layout.volumes
    for volume in volumes:
        if volume.type != "vfat":
            options = volume.mount_options(read_only)
            target = f'"$ROOT{volume.target.rstrip("/")}"'
            script.append(f"mount -t {volume.type} -o {options} {shlex.quote(str(image.resolve()))} {target}")
    script.append('status=0; "$@" || status=$?; cd /; exit $status')
    with exclusive(layout.root.type if layout.root.type == "btrfs" else None):
        return subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", "\n".join(script), "sh", *command],
            check=False,
            **streams,
        )


class exclusive:
    """Holds the lock of that name as long as the block runs; None holds nothing."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def __enter__(self) -> None:
        if self.name:
            self.file = open(rig.CACHE / f"{self.name}.lock", "w")
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self.name:
            self.file.close()


def key() -> pathlib.Path:
    """The key that opens every guest over the network; its public half is in the tree."""
    path = rig.CACHE / "key"
    rig.CACHE.mkdir(parents=True, exist_ok=True)
    # Two guests are made at a time, and the second would be asked whether to overwrite it.
    with exclusive("key"):
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rig", "-f", path], check=True)
    return path


def tree() -> pathlib.Path:
    """The archive of the guest's files, made by debootstrap if it is not cached."""
    rig.CACHE.mkdir(parents=True, exist_ok=True)
    parts = [SUITE, PACKAGES, PASSWORD, *NOT_NEEDED, *DISABLED, *(f"{k}={v}" for k, v in SETTINGS.items())]
    archive = rig.CACHE / f"guest-{rig.digest(*(p.encode() for p in parts), key().read_bytes())}.tar"
    with exclusive("tree"):
        if not archive.exists():
            _bootstrap(archive)
    return archive


def _bootstrap(archive: pathlib.Path) -> None:
    rig.progress(f"debootstrap {SUITE} with a kernel, about a minute and a half")
    with tempfile.TemporaryDirectory(dir=rig.CACHE) as folder:
        root = pathlib.Path(folder) / "root"
        log = rig.CACHE / "debootstrap-guest.log"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), *MIRROR]
        with open(log, "wb") as sink:
            made = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, check=False)
        if made.returncode != 0:
            raise RuntimeError(f"debootstrap failed with status {made.returncode}; see {log}")
        for path, text in SETTINGS.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        keys = root / "root/.ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(key().with_suffix(".pub"), keys / "authorized_keys")
        subprocess.run(["chroot", root, "chpasswd"], input=f"root:{PASSWORD}\n", text=True, check=True)
        systemctl = ["systemctl", f"--root={root}", "--quiet"]
        subprocess.run([*systemctl, "set-default", "multi-user.target"], check=True)
        subprocess.run([*systemctl, "disable", *DISABLED], check=True)
        partial = archive.with_suffix(".partial")
        without = [f"--exclude=./{path}/*" for path in NOT_NEEDED]
        subprocess.run(["tar", "-C", root, "--xattrs", "--numeric-owner", *without, "-cf", partial, "."], check=True)
        partial.rename(archive)


def base(name: str) -> pathlib.Path:
    """The disk of that layout, made if it is not cached."""
    layout = LAYOUTS[name]
    archive = tree()
    made_of = rig.digest(archive.name.encode(), repr(layout).encode(), LOADER[layout.firmware].encode(), TIMEOUTS.encode())
    image = rig.CACHE / f"disk-{name}-{made_of}.img"
    with exclusive(f"disk-{name}"):
        if not image.exists():
            rig.progress(f"making the disk {name}")
            partial = image.with_suffix(".partial")
            _cut(partial, layout)
            _fill(partial, layout, archive)
            _load(partial, layout)
            partial.rename(image)
    return image


def _cut(image: pathlib.Path, layout: Layout) -> None:
    """Partition table, volume group and filesystems."""
    rig.sparse(image, DISK_SIZE)
    subprocess.run(["sfdisk", "-q", image], input=layout.table, text=True, check=True)
    if layout.group:
        _make_group(image, *layout.group)
    for volume in layout.volumes:
        make = {
            "ext4": ["mke2fs", "-q", "-t", "ext4", "-F", "-U", volume.uuid],
            "xfs": ["mkfs.xfs", "-q", "-m", f"uuid={volume.uuid}"],
            "btrfs": ["mkfs.btrfs", "-q", "-U", volume.uuid],
            "vfat": ["mkfs.vfat", "-F", "32", "-i", volume.uuid.replace("-", "")],
        }[volume.type]
        with _loop(image, volume.start, volume.size) as device:
            subprocess.run([*make, device], check=True, stdout=subprocess.DEVNULL)


class _loop:
    """A loop device over a part of a file."""

    def __init__(self, image: pathlib.Path, start: int, size: int) -> None:
        self.command = ["losetup", "--find", "--show", f"--offset={start}", f"--sizelimit={size}", image]

    def __enter__(self) -> str:
        self.device = subprocess.run(self.command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        return self.device

    def __exit__(self, *_: object) -> None:
        subprocess.run(["losetup", "--detach", self.device], check=True)


def _make_group(image: pathlib.Path, start: int, size: int) -> None:
    """The volume group `system` with the one volume `root`, as metadata alone: nothing is activated."""
    with _loop(image, start, size) as device, tempfile.TemporaryDirectory() as folder:
        # Another guest's or the host's volumes are not to be seen, nor these by them.
        pathlib.Path(folder, "lvm.conf").write_text(
            f'devices {{ filter=["a|^{device}$|","r|.*|"] global_filter=["a|^{device}$|","r|.*|"]\n'
            'use_devicesfile=0 external_device_info_source="none" obtain_device_list_from_udev=0 }\n'
            "activation { udev_sync=0 udev_rules=0 monitoring=0 }\nbackup { backup=0 archive=0 }\n"
        )
        environment = {**os.environ, "LVM_SYSTEM_DIR": folder, "LVM_SUPPRESS_FD_WARNINGS": "1"}
        for command in (
            ["pvcreate", "-q", device],
            ["vgcreate", "-q", "-s", f"{EXTENT}b", "system", device],
            # Without --driverloaded n it asks device mapper whether it knows linear volumes.
            ["lvcreate", "-q", "-y", "--driverloaded", "n", "-an", "-Zn", "-Wn", "-l100%FREE", "-nroot", "system"],
        ):
            made = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
            if made.returncode != 0:
                raise RuntimeError(f"{command[0]} failed: {made.stderr.strip()}")


def _fill(image: pathlib.Path, layout: Layout, archive: pathlib.Path) -> None:
    """The guest's files and its fstab."""
    if layout.root.subvolume:
        whole = dataclasses.replace(layout, volumes=(dataclasses.replace(layout.root, subvolume=None),))
        command = ["sh", "-c", f'btrfs -q subvolume create "$ROOT/{layout.root.subvolume}"']
        run_on(image, whole, command).check_returncode()
    fstab = "# <file system> <mount point> <type> <options> <dump> <pass>\n"
    fstab += "".join(volume.fstab() for volume in layout.volumes)
    # The root is filled before what is mounted below it: the mount points are in the archive.
    mounts = [volume for volume in layout.volumes[1:] if volume.type != "vfat"]
    script = ["set -eu"]
    script += [f'mkdir -p "$ROOT{volume.target}"' for volume in layout.volumes]
    script += [
        f'mount -t {v.type} -o {v.mount_options(False)} {shlex.quote(str(image.resolve()))} "$ROOT{v.target}"'
        for v in mounts
    ]
    script += ['tar -C "$ROOT" --xattrs --numeric-owner -xpf "$1"', 'cat > "$ROOT/etc/fstab"']
    if layout.firmware == "uefi":
        script.append('mkdir -p "$ROOT/boot/efi"')
    if layout.firmware is None:
        script += [
            'mkdir -p "$ROOT/etc/systemd/system.conf.d"',
            f"printf '%s' {shlex.quote(TIMEOUTS)} > \"$ROOT/etc/systemd/system.conf.d/timeouts.conf\"",
        ]
    command = ["sh", "-c", "\n".join(script), "sh", str(archive)]
    run_on(image, layout, command, only_root=True, input=fstab, text=True).check_returncode()


# grub's own tools are run by the guest itself, which sees the disk as a disk, with device mapper.
# They do not see that /dev/ubda1 is a partition, so that what the core image needs to find /boot is named.
MODULES = "--modules='part_msdos part_gpt ext2 xfs btrfs lvm'"
# An emulator on a busy host misses the ticks by which the kernel tests its timer, and the kernel panics.
UNTIMED = "sed -i 's/biosdevname=0/& no_timer_check/' /etc/default/grub"
LOADER = {
    None: "mkdir /boot/grub",
    "bios": f"{UNTIMED}\ngrub-install --target=i386-pc {MODULES} /dev/ubda",
    "uefi": f"{UNTIMED}\ngrub-install --target=x86_64-efi {MODULES} --efi-directory=/boot/efi --removable --no-nvram",
}


def _load(image: pathlib.Path, layout: Layout) -> None:
    """The boot loader and its configuration."""
    work = rig.scratch(f"disk-{layout.name}")
    outcome = rig.boot(
        image,
        work,
        write=True,
        initrd=initramfs.archive(image, layout, work),
        job=f"#!/bin/sh\nset -eux\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{LOADER[layout.firmware]}\nupdate-grub\n",
        limit=300,
        kernel_arguments=[f"root={layout.root.source or 'UUID=' + layout.root.uuid}", "ro", *root_flags(layout)],
    )
    if outcome.exit_code != rig.EXIT_MULTI_USER:
        raise RuntimeError(f"no boot loader on {layout.name}: {outcome.kind}; {outcome.console}")
    shutil.rmtree(work)
    # The guest was powered off while its filesystems were mounted; a mount makes them clean.
    run_on(image, layout, ["true"]).check_returncode()


def root_flags(layout: Layout) -> list[str]:
    """What the kernel must be told to mount the root, besides its name."""
    return [f"rootflags=subvol={layout.root.subvolume}"] if layout.root.subvolume else []
