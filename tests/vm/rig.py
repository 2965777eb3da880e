"""Boots guests under user-mode Linux: a Debian tree under its own kernel and systemd, as an ordinary process.

The scripts beside this file use it: `build-base` makes the root image, `boot` boots one guest, `main-job` and `impact`
boot many. It needs root only for `build-base` (debootstrap), no KVM, no device mapper and no udev on the host.

A guest never writes to the base image: its root is a copy-on-write file, which the next boot may take up again. Files
go in and out through hostfs, which the guest mounts only while it copies (see guest/run).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("GUESTPREP_VM_CACHE", HERE.parents[1] / "target" / "vm"))
MODULES = pathlib.Path("/usr/lib/uml/modules")

# The root filesystem's UUID is fixed, so that a test can write an fstab line that is right, or wrong by intent.
ROOT_UUID = "5f9e2d1c-0000-4000-8000-000000000001"

# What `boot` exits with; what stands in no line here is EXIT_BROKEN.
EXIT_MULTI_USER = 0
EXIT_JOB_FAILED = 1
EXIT_EMERGENCY = 10
EXIT_HANG = 11
EXIT_BROKEN = 12


# The guests that run now, by session id, so that a signal can end them with the script. The lock is held while one is
# started, and for ever once a signal has come, so that no thread starts the next guest when its last one was ended.
_sessions: set[int] = set()
_starting = threading.Lock()


class LeftOut(Exception):
    """This machine cannot run the tier; the text says why."""


@dataclasses.dataclass
class Outcome:
    """What one boot came to, as read off its console."""

    # multi-user; multi-user-failed (the target's own requirements failed, the services in it run nevertheless);
    # emergency; hang (the limit passed); broken (the guest ended without a word)
    kind: str
    seconds: float | None  # from the kernel's start to that, by the guest's clock
    idle: float | None  # of these, the seconds in which the guest had nothing to do; only if multi-user had its turn
    device_wait: float | None  # seconds from the first device being waited for to the last one given up before multi-user
    login: float | None  # seconds until systemd-user-sessions.service let users log in
    root: str | None  # how `/` is mounted in the end: rw or ro
    ssh: str | None  # state of ssh.service in the end
    job_status: int | None  # exit status of the job, None if it did not run or did not end
    failed: list[str]  # units in state `failed`
    troubles: list[str]  # what process 1 logged: devices timed out, dependencies failed
    waiting: list[str]  # systemd jobs that multi-user did not wait for: `UNIT VERB STATE`
    wall: float  # seconds the whole guest took
    console: pathlib.Path
    out: pathlib.Path  # files the job left in $RIG_OUT

    @property
    def exit_code(self) -> int:
        if self.kind == "multi-user" and self.job_status not in (None, 0):
            return EXIT_JOB_FAILED
        return {
            "multi-user": EXIT_MULTI_USER,
            "emergency": EXIT_EMERGENCY,
            "hang": EXIT_HANG,
        }.get(self.kind, EXIT_BROKEN)


def require(*programs: str) -> None:
    """Raises LeftOut unless every program is there."""
    for program in programs:
        if shutil.which(program) is None:
            raise LeftOut(f"{program} is not installed")


def progress(text: str) -> None:
    """One line for whoever waits; on stderr, because stdout is results."""
    # One write, so that the lines of two threads do not mix.
    sys.stderr.write(f"# {text}\n")


def sparse(path: pathlib.Path, size: int) -> pathlib.Path:
    """An empty disk of `size` bytes that takes no space."""
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def copy_sparse(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a disk or a copy-on-write file and keeps its holes."""
    subprocess.run(["cp", "--sparse=always", "--", source, target], check=True)


def digest(*parts: bytes) -> str:
    """A short name for a cached file, from all that it is made of."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()[:12]


def stop_session(session: int) -> None:
    """Kills every process of a guest's session, and no other.

    A user-mode Linux kernel runs each guest process as a host process of its own. They stay in the session that
    `start_new_session` made, so its id, which is the leader's pid, finds them all.
    """
    for _ in range(20):
        members = session_members(session)
        if not members:
            break
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def end_guests_on_signal() -> None:
    """Makes SIGINT and SIGTERM end this process and its guests at once; the default would leave the guests running."""

    def end(number: int, _frame: object) -> None:
        # Not for ever: the thread that holds the lock may be this one.
        _starting.acquire(timeout=1)
        for session in tuple(_sessions):
            stop_session(session)
        os._exit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def session_members(session: int) -> list[int]:
    """The pids, zombies left out, whose session id is `session`."""
    members = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command, in parentheses, may hold any character; the fields after it are state, ppid, pgrp, session.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(entry.name))
    return members


def boot(
    base: pathlib.Path,
    work: pathlib.Path,
    *,
    cow: pathlib.Path | None = None,
    write: bool = False,
    initrd: pathlib.Path | None = None,
    disks: Sequence[pathlib.Path] = (),
    setup: str | None = None,
    job: str | None = None,
    files: Sequence[pathlib.Path] = (),
    limit: float = 120,
    kernel_arguments: Sequence[str] = (),
) -> Outcome:
    """Boots one guest and waits for its end.

    `work` is made and holds the console, the files in and out, and the copy-on-write root unless `cow` names one.
    `disks` become /dev/ubdb, /dev/ubdc and so on. `setup` is a shell script that runs before systemd; `job` a script
    (its first line names the interpreter) that runs after multi-user is reached and finds `files` in $RIG_IN.
    With `initrd` the base is a whole disk: `kernel_arguments` then name the root, and `setup` cannot be had. With `write`
    the guest writes to the base itself.
    """
    require("linux.uml")
    work.mkdir(parents=True, exist_ok=True)
    work = work.resolve()
    given, out = work / "in", work / "out"
    for folder in (given, out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    if setup is not None:
        (given / "setup").write_text(setup)
    if job is not None:
        (given / "job").write_text(job)
    for file in files:
        shutil.copy2(file, given / file.name)

    console = work / "console"
    if cow is None:
        # A root that was not asked for by name starts afresh.
        cow = work / "root.cow"
        cow.unlink(missing_ok=True)
    cow = cow.resolve()
    command = [
        "linux.uml",
        "mem=512M",
        f"ubd0={base.resolve()}" if write else f"ubd0={cow},{base.resolve()}",
        *(f"ubd{n}={disk.resolve()}" for n, disk in enumerate(disks, 1)),
        *(["root=/dev/ubda", "ro"] if initrd is None else [f"initrd={initrd.resolve()}"]),
        "con0=null,fd:1",
        "con=null",
        "ssl=null",
        "noreboot",
        "quiet",
        "systemd.show_status=1",
        "systemd.log_color=0",
        "TERM=dumb",
        f"uml_dir={work}/uml",
        f"rig.in={given}",
        f"rig.out={out}",
        *(["init=/usr/lib/guestprep-rig/early"] if setup is not None else []),
        *kernel_arguments,
    ]
    with open(console, "wb") as sink:
        start = time.monotonic()
        timed_out = run_guest(command, work, sink, limit)
    return read_console(console, out, timed_out, time.monotonic() - start)


def start_guest(command: Sequence[str], work: pathlib.Path, **streams) -> subprocess.Popen:
    """Starts a guest in a session of its own; whoever starts it ends it with `end_guest`."""
    with _starting:
        process = subprocess.Popen(command, start_new_session=True, cwd=work, **streams)
        _sessions.add(process.pid)
    return process


def end_guest(process: subprocess.Popen) -> None:
    """Kills what is left of a guest."""
    stop_session(process.pid)
    process.wait()
    _sessions.discard(process.pid)


def run_guest(command: Sequence[str], work: pathlib.Path, sink: BinaryIO, limit: float) -> bool:
    """Runs a guest that asks for nothing until its end; whether it had to be ended because `limit` seconds passed."""
    process = start_guest(command, work, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
    try:
        process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return True
    finally:
        end_guest(process)
    return False


def read_console(console: pathlib.Path, out: pathlib.Path, timed_out: bool, wall: float) -> Outcome:
    """Reads the markers that guest/run and guest/emergency print."""
    text = console.read_text(errors="replace").replace("\r", "")

    def marker(pattern: str) -> str | None:
        found = re.search(rf"^RIG: {pattern}", text, re.MULTILINE)
        return found[1] if found else None

    def seconds(pattern: str) -> float | None:
        found = marker(pattern + " ([0-9.]+) s")
        return float(found) if found else None

    ends = {
        # The order matters: a boot may fall into emergency mode after it reached multi-user.
        "emergency": seconds("emergency after"),
        "multi-user-failed": seconds("multi-user failed after"),
        "multi-user": seconds("multi-user reached in"),
    }
    kind = next((kind for kind, when in ends.items() if when is not None), "broken")
    when = ends.get(kind)
    if timed_out:
        kind = "hang"
    elif not marker("(power off)"):
        kind = "broken"
    job_status = marker(r"END (\d+)")
    return Outcome(
        kind=kind,
        seconds=when,
        idle=seconds("idle"),
        device_wait=seconds("devices given up after"),
        login=seconds("logins allowed in"),
        root=marker("root (ro|rw)"),
        ssh=marker(r"ssh (\S+)"),
        job_status=int(job_status) if job_status else None,
        failed=re.findall(r"^RIG: failed (\S+)", text, re.MULTILINE),
        troubles=re.findall(r"^RIG: trouble (.+)", text, re.MULTILINE),
        waiting=re.findall(r"^RIG: waiting (.+)", text, re.MULTILINE),
        wall=wall,
        console=console,
        out=out,
    )


def base_image() -> pathlib.Path:
    """The path of the base image, made by `build-base` if it is not cached."""
    made = subprocess.run([HERE / "build-base"], check=False, stdout=subprocess.PIPE, text=True)
    if made.returncode == 75:
        raise LeftOut(made.stdout.strip().removeprefix("left out: "))
    if made.returncode != 0:
        raise RuntimeError(f"build-base failed with status {made.returncode}")
    return pathlib.Path(made.stdout.strip())


def scratch(name: str) -> pathlib.Path:
    """A new directory for one run's disks and consoles, under the cache, because /tmp may be small."""
    (CACHE / "runs").mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE / "runs"))
