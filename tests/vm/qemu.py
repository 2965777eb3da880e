"""Boots a disk with its own firmware, boot loader, kernel and initramfs in qemu, and logs in as a user would.

Nothing is put into the guest. It is judged by what it says on its serial line: a login prompt, the prompt of emergency
mode, the shell of an initramfs, a panic, an error of the boot loader. At the login prompt root logs in and is asked what
came up; then the network is tried with ssh.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import time

import disks
import rig

# The first that is found ends the wait. In the order of a boot, so that the last words of a guest decide.
PROMPTS = {
    "login": r"^\S+ login: ",
    "emergency": r"Give root password for maintenance|You are in emergency mode|Cannot open access to console",
    "initramfs": r"^\(initramfs\) ",
    "panic": r"Kernel panic - not syncing|Failed to load SELinux policy|systemd\[1\]: Freezing execution",
    "no-kernel": r"grub rescue>|^grub>|error: (file|no such|disk|you need|unknown|can't)",
    # OVMF asks the network for a loader, for minutes, only where the disk has none.
    "no-loader": r"No bootable device|not a bootable disk|BdsDxe: No bootable option|>>Start PXE over|UEFI Interactive Shell",
}

# A guest that waits for ever is idle; one that boots on a busy host works. Longer than any time limit of systemd or of
# initramfs-tools, and the share of a processor that the ticks of an idle guest take.
SILENCE = 130
IDLE = 0.06

FIRMWARE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")

# Asked at root's prompt, one line. The words are cut in two, because the terminal echoes what is typed.
QUESTION = (
    "for i in $(seq 90); do systemctl -q is-active multi-user.target && break; sleep 1; done; "
    "m=$(systemctl is-active multi-user.target); idle=$(cut -d' ' -f2 /proc/uptime); "
    "echo RIG'': target $m; echo RIG'': idle $idle s; echo RIG'': root $(findmnt -n -o OPTIONS / | cut -d, -f1); "
    "echo RIG'': ssh $(systemctl is-active ssh.service ssh.socket | sort | head -n 1); "
    "systemctl list-units --failed --plain --no-legend | while read -r u rest; do echo RIG'': failed $u; done; "
    "echo RIG'': asked\n"
)


def require(layout: disks.Layout) -> None:
    """Raises LeftOut unless such a disk can be booted here."""
    rig.require("qemu-system-x86_64", "ssh")
    if layout.firmware == "uefi" and not FIRMWARE.exists():
        raise rig.LeftOut("ovmf is not installed")


class Guest:
    """A guest that runs, its serial line, and the port that leads to its ssh."""

    def __init__(
        self,
        image: pathlib.Path,
        layout: disks.Layout,
        work: pathlib.Path,
        data: list[pathlib.Path],
        *,
        uuid: str | None = None,  # what the firmware calls the machine (DMI)
        write: bool = False,  # whether what the guest writes stays
    ) -> None:
        self.console = work / "console"
        self.port = free_port()
        command = [
            "qemu-system-x86_64",
            *["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2", "-m", "768"],
            *["-nographic", "-serial", "stdio", "-monitor", "none", "-no-reboot"],
            *["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:22"],
            # An address that no image has seen: a clone has a card of its own.
            *["-device", "virtio-net-pci,netdev=net,mac=52:54:00:c1:0e:01"],
        ]
        for disk in [image, *data]:
            # Unless it is asked for, every byte that the guest writes is thrown away with it.
            command += ["-drive", f"file={disk.resolve()},format=raw,if=virtio,snapshot={'off' if write else 'on'}"]
        if uuid:
            command += ["-uuid", uuid]
        if layout.firmware == "uefi":
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}"]
            command += ["-drive", f"if=pflash,format=raw,snapshot=on,file={VARIABLES}"]
        self.sink = open(self.console, "wb")
        self.process = rig.start_guest(
            command, work, stdin=subprocess.PIPE, stdout=self.sink, stderr=subprocess.STDOUT
        )

    def text(self, since: int = 0) -> str:
        said = self.console.read_bytes()[since:].decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1bc", "", said).replace("\r", "")

    def said(self) -> int:
        return self.console.stat().st_size

    def type(self, line: str) -> None:
        # A serial line has no flow control, and getty drops what comes while it sets the line up.
        for start in range(0, len(line), 16):
            self.process.stdin.write(line[start : start + 16].encode())
            self.process.stdin.flush()
            time.sleep(0.05)

    def wait(self, pattern: re.Pattern, limit: float, since: int = 0) -> re.Match | None:
        """The first match in what was said after `since`; None once `limit` seconds passed or the guest ended."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            gone = self.process.poll() is not None
            found = pattern.search(self.text(since))
            if found or gone:
                return found
            time.sleep(0.5)
        return None

    def worked(self) -> float:
        """The seconds of processor time that the guest has used."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def prompt(self, limit: float) -> str:
        """Which of PROMPTS comes first; `hang` if none does in `limit` seconds, or the guest does nothing for long."""
        end = time.monotonic() + limit
        since, worked = time.monotonic(), self.worked()
        while time.monotonic() < end:
            gone = self.process.poll() is not None
            if time.monotonic() - since > SILENCE:
                if self.worked() - worked < SILENCE * IDLE:
                    break
                since, worked = time.monotonic(), self.worked()
            text = self.text()
            for name, pattern in PROMPTS.items():
                if re.search(pattern, text, re.MULTILINE):
                    return name
            if gone:
                return "ended"
            time.sleep(0.5)
        return "hang"

    def log_in(self) -> bool:
        """Whether root comes to a shell on the serial line."""
        for _ in range(2):
            since = self.said()
            self.type("root\n")
            if self.wait(re.compile(r"Password: "), 30, since) is None:
                continue
            since = self.said()
            self.type(disks.PASSWORD + "\n")
            answer = self.wait(re.compile(r"root@\S+:~# |incorrect|failure|denied"), 60, since)
            if answer is not None:
                return answer[0].startswith("root@")
        return False

    def run(self, command: str, limit: float) -> subprocess.CompletedProcess:
        """Runs a shell command as root, over the network."""
        ssh = [
            *["ssh", "-q", "-F", "none", "-i", disks.key(), "-p", str(self.port), "-o", "BatchMode=yes"],
            *["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=30"],
            *["root@127.0.0.1", command],
        ]
        return subprocess.run(
            ssh, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit
        )

    def ssh(self, limit: float) -> bool:
        """Whether root comes in over the network."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.run("true", 60).returncode == 0:
                    return True
            except subprocess.TimeoutExpired:
                pass
            time.sleep(1)
        return False

    def end(self) -> None:
        rig.end_guest(self.process)
        self.process.stdin.close()
        self.sink.close()


@dataclasses.dataclass
class Seen:
    """What one boot in qemu came to."""

    # multi-user, multi-user-failed, emergency, initramfs, panic, no-kernel, no-loader, hang, ended
    kind: str
    console_login: bool
    ssh_login: bool
    seconds: float
    read_only: bool = False  # the root, once root was asked


def boot(image, layout, work, *, data=(), limit=900) -> Seen:
    """Boots the disk, which stays as it is, and tries to log in."""
    work.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    guest = Guest(image, layout, work.resolve(), list(data))
    try:
        kind = guest.prompt(limit)
        seconds = time.monotonic() - start
        if kind != "login":
            return Seen(kind, False, False, seconds)
        console = guest.log_in()
        kind, read_only = "multi-user", False
        if console:
            since = guest.said()
            guest.type(QUESTION)
            guest.wait(re.compile(r"^RIG: asked", re.MULTILINE), 150, since)
            target = re.search(r"^RIG: target (\S+)", guest.text(since), re.MULTILINE)
            if target is None or target[1] != "active":
                kind = "multi-user-failed"
            read_only = re.search(r"^RIG: root ro", guest.text(since), re.MULTILINE) is not None
        return Seen(kind, console, guest.ssh(90), seconds, read_only)
    finally:
        guest.end()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
