"""What the rig adds to a guest's own initramfs so that user-mode Linux boots its disk, and so that it sees the boot.

The guest's initramfs finds and mounts the root as it would on a machine. A second archive behind it brings the modules
of the other kernel, and a script that puts the rig's units into /run. On the disk itself is nothing of the rig.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile

import rig

# Modules that a guest with its own kernel would find below /lib/modules, which has none for this one.
MODULES = (
    "autofs4 binfmt_misc configfs dm-crypt dm-mod dm-snapshot fuse ipv6 loop md-mod nls_ascii nls_cp437 nls_iso8859-1 nls_utf8"
    " vfat"
).split()

# Where the rig lives in a guest.
PLACE = "/run/guestprep-rig"
FOREIGN_PLACE = "/usr/lib/guestprep-rig"

UNITS = {
    "guestprep-rig.service": "guestprep-rig.service",
    "emergency.service.d/rig.conf": "emergency.conf",
    "rescue.service.d/rig.conf": "emergency.conf",
}

# initramfs-tools runs what ORDER names; /run is handed to the root after init-bottom.
SCRIPT = f"""#!/bin/sh
[ "$1" = prereqs ] && exit 0
# systemd mounts /run so that programs in it can be run, initramfs-tools does not.
mount -o remount,exec /run
mkdir -p {PLACE} /run/systemd/system
cp -r /rig/bin/. {PLACE}/
cp -r /rig/units/. /run/systemd/system/
mkdir -p /run/systemd/system/multi-user.target.wants
ln -s ../guestprep-rig.service /run/systemd/system/multi-user.target.wants/
timeout=$(sed -n 's/.*rig\\.timeout=\\([0-9]*\\).*/\\1/p' /proc/cmdline)
if [ -n "$timeout" ]; then
    mkdir -p /run/systemd/system.conf.d
    printf '[Manager]\\nDefaultDeviceTimeoutSec=%ss\\n' "$timeout" > /run/systemd/system.conf.d/zz-rig.conf
fi
# con1 and up are null devices here: a getty on one ends at once and is started for ever.
ln -s /dev/null /run/systemd/system/getty@tty1.service
exit 0
"""
ORDER = """/scripts/init-bottom/rig
/scripts/init-bottom/udev "$@"
[ -e /conf/param.conf ] && . /conf/param.conf
"""


def archive(image: pathlib.Path, layout, work: pathlib.Path) -> pathlib.Path:
    """The initramfs of that disk with the rig's behind it, in `work`. FileNotFoundError if the disk has none."""
    import disks

    found = work / "initrd"
    work.mkdir(parents=True, exist_ok=True)
    with open(found, "wb") as sink:
        command = ["sh", "-c", 'cat "$ROOT"/boot/initrd.img-*-amd64']
        given = disks.run_on(image, layout, command, read_only=True, stdout=sink, stderr=subprocess.DEVNULL)
    if given.returncode != 0 or found.stat().st_size == 0:
        raise FileNotFoundError(f"{image} has no initramfs")
    with open(found, "ab") as sink:
        # The kernel skips zeros between archives; one begins at a multiple of four bytes.
        sink.write(b"\0" * (-found.stat().st_size % 4))
        sink.write(addition().read_bytes())
    return found


def addition() -> pathlib.Path:
    """The rig's archive, cached."""
    import disks

    kernel = next(iter(rig.MODULES.iterdir()))
    scripts = [path.read_bytes() for path in sorted((rig.HERE / "guest").iterdir())]
    name = rig.digest(kernel.name.encode(), pathlib.Path(__file__).read_bytes(), disks.key().read_bytes(), *scripts)
    cached = rig.CACHE / f"initrd-{name}.cpio"
    with disks.exclusive("initrd"):
        if not cached.exists():
            with tempfile.TemporaryDirectory(dir=rig.CACHE) as folder:
                _assemble(pathlib.Path(folder), kernel, disks.key())
                partial = cached.with_suffix(".partial")
                with open(partial, "wb") as sink:
                    names = "\n".join(sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*")))
                    command = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-D", folder]
                    subprocess.run(command, input=names.encode(), stdout=sink, check=True)
                partial.rename(cached)
    return cached


def _assemble(root: pathlib.Path, kernel: pathlib.Path, key: pathlib.Path) -> None:
    """The files of the rig's archive."""
    library = root / "usr/lib/modules" / kernel.name
    for module in with_dependencies(kernel, MODULES):
        (library / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kernel / module, library / module)
    for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        if (kernel / index).exists():
            shutil.copyfile(kernel / index, library / index)
    subprocess.run(["depmod", "-b", root / "usr", kernel.name], check=True)
    (root / "conf").mkdir()
    (root / "conf/modules").write_text("\n".join(MODULES) + "\n")

    hook = root / "scripts/init-bottom"
    hook.mkdir(parents=True)
    (hook / "rig").write_text(SCRIPT)
    (hook / "rig").chmod(0o755)
    (hook / "ORDER").write_text(ORDER)

    for name in ("run", "emergency", "troubles"):
        _install(root / "rig/bin" / name, 0o755, rig.HERE / "guest" / name)
    for target, name in UNITS.items():
        _install(root / "rig/units" / target, 0o644, rig.HERE / "guest" / name)
    _install(root / "rig/bin/key", 0o600, key)


def _install(target: pathlib.Path, mode: int, source: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text().replace(FOREIGN_PLACE, PLACE))
    os.chmod(target, mode)


def with_dependencies(kernel: pathlib.Path, modules: list[str]) -> list[str]:
    """The paths of modules below the kernel's directory, with all that they need; built-in ones have none."""
    needs = {}
    for line in (kernel / "modules.dep").read_text().splitlines():
        path, _, dependencies = line.partition(":")
        needs[path] = dependencies.split()
    by_name = {pathlib.Path(path).stem.replace("_", "-"): path for path in needs}
    wanted: list[str] = []
    for module in modules:
        path = by_name.get(module.replace("_", "-"))
        for part in [path, *needs[path]] if path else []:
            if part not in wanted:
                wanted.append(part)
    return wanted
