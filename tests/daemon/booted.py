#!/usr/bin/env python3
"""Runs inside the booted guest of `tests/daemon/booted`: the package is installed, what changes in the guest changes the
readiness, the unit survives, and after a purge the guest is as before."""

import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import time

SOCKET = "/run/guestprep/guestprep.sock"
DATA, SWAP = os.environ["DATA"], os.environ["SWAP"]
KEYS = "/root/.ssh/authorized_keys"
# A verdict is promised within so many milliseconds of a change. How late it is is a figure of a machine that may be busy
# with other things, and is printed; what is as late as BROKEN was told by no event.
PROMISE, BROKEN = 200, 5000
ROUNDS = 50
# What the guest's own services and dpkg's books write goes on; /etc/group- and its like are copies of before.
GOES_ON = (
    "/rig", "/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/private",
    "/var/lib/systemd/random-seed", "/var/lib/systemd/catalog", "/var/lib/systemd/timers",
)


def run(*argv: str, check: bool = True) -> str:
    return subprocess.run(argv, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()


def connect() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(SOCKET)
    return connection


def get(path: str) -> str:
    with connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], head
    return body.decode()


def readiness() -> dict:
    return json.loads(get("/v1/readiness"))


class Follower:
    """Reads /v1/events, each event with the time at which it came."""

    def __init__(self) -> None:
        self.connection = connect()
        self.connection.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
        self.text = b""

    def until(self, so, what: str) -> float:
        while True:
            while b"\n\n" in self.text:
                event, _, self.text = self.text.partition(b"\n\n")
                data = [line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")]
                if data and so(json.loads(data[0])):
                    return time.monotonic()
            piece = self.connection.recv(65536)
            assert piece, f"the daemon ended before {what}"
            self.text += piece


def is_active() -> bool:
    return run("systemctl", "is-active", "guestprep.service", check=False) == "active"


def main_pid() -> int:
    return int(run("systemctl", "show", "-P", "MainPID", "guestprep.service"))


def wait_for(what: str, so) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if so():
                return
        except (OSError, AssertionError, ValueError):
            pass
        time.sleep(0.05)
    print(run("guestprep", "audit", check=False))
    raise AssertionError(f"waited in vain until {what}\n" + run("journalctl", "-u", "guestprep", "--no-pager", check=False))


def write(path: str, text: str) -> None:
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def configure(text: str) -> None:
    os.makedirs("/etc/guestprep", exist_ok=True)
    write("/etc/guestprep/config.toml", text)


def without_boot() -> str:
    """A container has no kernel, no boot loader and no disk of its own kind: what they are judged by is left out."""
    standing = readiness()
    left_out = set(standing["blockers"] + standing["unknown"]) - {"data-disk-mounted", "fstab-data-disk", "sshd-unreachable"}
    print("judged without:", ", ".join(sorted(left_out)) or "nothing")
    text = "".join(f"[checks.{check}]\nenabled = false\n" for check in sorted(left_out))
    return text + '[checks.sshd-unreachable]\nseverity = "blocker"\n'


def forget_the_host() -> None:
    """What of the machine outside a container sees: mounts that nspawn makes, and disks that it gives no node of."""
    while run("umount", "/run/host/os-release", "/run/host/incoming", check=False) == "":
        pass
    for name in os.listdir("/sys/class/block"):
        node = f"/dev/{name.replace('!', '/')}"
        if not os.path.exists(node):
            with open(f"/sys/class/block/{name}/dev", encoding="utf-8") as file:
                major, minor = map(int, file.read().split(":"))
            os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(major, minor))


def changes() -> None:
    with open("/etc/fstab", encoding="utf-8") as file:
        fstab = file.read()
    with open(KEYS, encoding="utf-8") as file:
        keys = file.read()
    rows = [
        ("mount", "data-disk-mounted", lambda: run("mount", DATA, "/data"), lambda: run("umount", "/data")),
        ("swapon", "data-disk-mounted", lambda: run("swapon", SWAP), lambda: run("swapoff", SWAP)),
        (
            "edit of fstab", "fstab-data-disk",
            lambda: write("/etc/fstab", f"{fstab}{DATA} /data ext4 defaults 0 2\n"), lambda: write("/etc/fstab", fstab),
        ),
        ("authorized key gone", "sshd-unreachable", lambda: write(KEYS, ""), lambda: write(KEYS, keys)),
    ]
    follower = Follower()
    follower.until(lambda r: r["verdict"] == "ready", "READY")
    slow = []
    for name, check, do, undo in rows:
        there, back = [], []
        for _ in range(ROUNDS):
            for step, wanted, times in ((do, True, there), (undo, False, back)):
                step()
                begun = time.monotonic()
                is_so = lambda r: (check in r["blockers"]) == wanted and (r["verdict"] == "ready") != wanted
                times.append((follower.until(is_so, name) - begun) * 1000)
        for way, times in (("there", there), ("back", back)):
            times.sort()
            middle, late, last = times[ROUNDS // 2], times[ROUNDS * 99 // 100], times[-1]
            print(f"{name:20} {way:6} p50 {middle:4.0f}  p99 {late:4.0f}  max {last:4.0f} ms of {ROUNDS}")
            assert middle < BROKEN, "no event told of it"
            if last > PROMISE:
                slow.append(f"{name} {way}")
    print(f"later than {PROMISE} ms: {', '.join(slow)}" if slow else f"every one is within {PROMISE} ms")


def survives() -> None:
    before = main_pid()
    os.kill(before, signal.SIGKILL)
    wait_for("it runs again after SIGKILL", lambda: main_pid() not in (0, before) and readiness()["verdict"] == "ready")
    print("SIGKILL survived")

    os.makedirs("/etc/systemd/system/guestprep.service.d", exist_ok=True)
    write("/etc/systemd/system/guestprep.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "guestprep.service")
    fed = main_pid()
    time.sleep(5)
    assert main_pid() == fed, "the watchdog bit a daemon that was alive"
    os.kill(fed, signal.SIGSTOP)
    wait_for("the watchdog has it started again", lambda: main_pid() not in (0, fed) and readiness()["verdict"] == "ready")
    print("the watchdog's expiry survived")

    # A unit that is still being started cannot be reloaded.
    wait_for("the unit is active", is_active)
    with open("/etc/guestprep/config.toml", encoding="utf-8") as file:
        config = file.read()
    pid = main_pid()
    configure("profil = 'clone'\n")
    run("systemctl", "reload", "guestprep.service")
    wait_for("what is wrong is said", lambda: "the configuration from before stays in force" in run("journalctl", "-u", "guestprep", "--no-pager"))
    assert readiness()["verdict"] == "ready" and main_pid() == pid
    configure(config)
    run("systemctl", "reload", "guestprep.service")
    assert readiness()["verdict"] == "ready" and main_pid() == pid
    print("reload survived, of a wrong configuration too")


def as_it_is_packaged() -> None:
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{main_pid()}/status", encoding="utf-8") if ":\t" in line)
    uid = status["Uid"].split()[1]
    assert uid != "0", "the daemon is root"
    print(f"uid {uid}, capabilities {status['CapEff'].strip()}, RSS {status['VmRSS'].strip()}")
    entries = run("journalctl", "-u", "guestprep", "-o", "json", "--no-pager").splitlines()
    fields = [json.loads(entry) for entry in entries]
    assert any("GUESTPREP_GENERATION" in entry for entry in fields), "the journal has no fields"
    mode = os.stat(SOCKET).st_mode & 0o777
    assert mode == 0o660, oct(mode)
    digest = json.loads(run("guestprep", "audit", "--format", "json", check=False))["digest"]
    assert json.loads(get("/v1/report"))["digest"] == digest, "an audit by root says something else"
    print("what the daemon says is what an audit by root says; the journal has its fields; the socket is 0660")


def tree() -> dict[str, tuple]:
    """Every file of the system: kind and mode, owner, link, content."""
    files = {}
    for directory, below, names in os.walk("/"):
        below[:] = [name for name in below if os.path.join(directory, name) not in GOES_ON]
        for name in names + below:
            path = os.path.join(directory, name)
            if path in GOES_ON or (directory == "/etc" and name.endswith("-")):
                continue
            about = os.lstat(path)
            kind = stat.S_IFMT(about.st_mode)
            content = os.readlink(path) if kind == stat.S_IFLNK else None
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            files[path] = (about.st_mode, about.st_uid, about.st_gid, content)
    return files


def install() -> dict[str, tuple]:
    before = tree()
    run("dpkg", "-i", "/rig/guestprep.deb")
    wait_for("the unit of the package is active", is_active)
    for unit in ("guestprep.service", "guestprep.socket"):
        assert run("systemctl", "is-enabled", unit) == "enabled", unit
    print("the package is installed, and its daemon ready")
    return before


def purge(before: dict[str, tuple]) -> None:
    os.remove("/etc/systemd/system/guestprep.service.d/watchdog.conf")
    os.rmdir("/etc/systemd/system/guestprep.service.d")
    run("dpkg", "-P", "guestprep")
    run("systemctl", "daemon-reload")
    after = tree()
    other = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert not other, f"not as before: {other}"
    state = run("systemctl", "show", "-P", "LoadState", "guestprep.service")
    assert state == "not-found", state
    assert not os.path.exists(os.path.dirname(SOCKET)), os.listdir(os.path.dirname(SOCKET))
    print(f"purged: {len(after)} files as before, no unit and no socket")


if __name__ == "__main__":
    installed_on = install()
    forget_the_host()
    configure(without_boot())
    run("systemctl", "reload", "guestprep.service")
    wait_for("it is ready", lambda: readiness()["verdict"] == "ready")
    as_it_is_packaged()
    changes()
    survives()
    purge(installed_on)
    print("passed")
