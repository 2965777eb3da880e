"""Prints what rollback has to bring back of a tree: a line for every path, so that two of them can be compared.

    digest.py ROOT

Of a path: type, mode, owner, group, size, modification time in nanoseconds, link target, device number, extended
attributes, file flags, and the hash of its content. Access and change times are left out: reading sets the one, nobody
can set the other. Directories have no size of their own that means anything.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import stat
import sys

FS_IOC_GETFLAGS = 0x80086601
# Flags that chattr sets. The others are the filesystem's own business: extents, inline data, an index.
SETTABLE = 0x00000001 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040 | 0x00000080 | 0x00800000


def describe(path: bytes) -> str:
    """One path's line, without its name."""
    status = os.lstat(path)
    fields = [f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {status.st_mtime_ns}"]
    if stat.S_ISLNK(status.st_mode):
        fields.append(repr(os.readlink(path)))
    elif stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        fields.append(f"{status.st_rdev:x}")
    elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            flags = array.array("L", [0])
            try:
                fcntl.ioctl(opened, FS_IOC_GETFLAGS, flags, True)
            except OSError:
                pass  # The filesystem has no flags.
            fields.append(f"{flags[0] & SETTABLE:x}")
            if stat.S_ISREG(status.st_mode):
                with os.fdopen(os.dup(opened), "rb") as file:
                    fields.append(f"{status.st_size} {hashlib.file_digest(file, 'blake2b').hexdigest()[:32]}")
        finally:
            os.close(opened)
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        fields.append(f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}")
    return " ".join(fields)


def walk(path: bytes):
    """Every path below and with `path`, in an order that does not depend on the directory's own."""
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in sorted(os.listdir(path)):
            yield from walk(os.path.join(path, name))


def main() -> int:
    root = os.fsencode(sys.argv[1])
    for path in walk(root):
        print(f"{os.path.relpath(path, root)!r} {describe(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
