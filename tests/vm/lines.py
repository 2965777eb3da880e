"""The lines in which a table says what is changed in a guest. A line is one of

    fstab: LINE     crypttab: LINE     kernel: ARGUMENT     run: SHELL
    NAME.mount: KEY=VALUE ...       a unit in /etc/systemd/system, enabled; the keys are put in their sections
    image: COMMAND                  for the host, with the disk $IMAGE and the root's filesystem $ROOT_AT, as e2fsprogs names it
    disk: COMMAND                   what makes the data disk $DISK, which no clone has, and which a control boot has

Lines of one guest are joined with `\\n`.
"""

from __future__ import annotations

import dataclasses
import shlex

SECTIONS = {
    **dict.fromkeys(["WantedBy", "RequiredBy", "UpheldBy"], "Install"),
    **dict.fromkeys(["What", "Where", "Type", "Options", "TimeoutSec", "TimeoutIdleSec"], None),
    **dict.fromkeys(["ExecStart", "RemainAfterExit"], "Service"),
}


def unit_text(name: str, assignments: str) -> str:
    """A unit file from `KEY=VALUE ...`; keys that no section claims are [Unit]."""
    own = name.rpartition(".")[2].capitalize()
    sections: dict[str, list[str]] = {}
    for assignment in shlex.split(assignments):
        section = SECTIONS.get(assignment.partition("=")[0], "Unit") or own
        sections.setdefault(section, []).append(assignment)
    return "\n".join("\n".join([f"[{section}]", *lines]) for section, lines in sections.items()) + "\n"


@dataclasses.dataclass
class Change:
    """What the lines of one guest ask for."""

    script: str  # shell, to be run by the guest, or on its tree as if by it
    arguments: list[str]  # of the kernel
    image: list[str]  # shell for the host
    disk: str | None  # shell for the host that makes the file $DISK the missing data disk


def parse(text: str) -> Change:
    """Reads the lines of one guest."""
    script, arguments, image, disk = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH"], [], [], None
    for line in text.split("\\n"):
        kind, _, rest = line.partition(": ")
        match kind:
            case "":
                pass
            case "fstab" | "crypttab":
                script.append(f"printf '%s\\n' {shlex.quote(rest)} >> /etc/{kind}")
            case "kernel":
                arguments.append(rest)
            case "run":
                script.append(rest)
            case "image":
                image.append(rest)
            case "disk":
                disk = rest
            case _:
                unit = unit_text(kind, rest)
                script.append(f"printf '%s' {shlex.quote(unit)} > /etc/systemd/system/{kind}")
                if "[Install]" in unit:
                    script.append(f"systemctl --quiet enable {kind}")
    return Change("\n".join(script) + "\n", arguments, image, disk)
