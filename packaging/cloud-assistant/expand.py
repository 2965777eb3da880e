#!/usr/bin/env python3
"""Writes the OOS templates and the Cloud Assistant command: the script stands once, in fetch.sh.

    expand.py [--check]    writes audit.yaml, capture.yaml and command.json beside it, or says which are not up to date
"""

import base64
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
SCRIPT = (HERE / "fetch.sh").read_text()


def template(name):
    text = (HERE / f"{name}.in.yaml").read_text()
    out = []
    for line in text.splitlines():
        before, mark, action = line.partition("@script:")
        if not mark:
            out.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        out.append(f"{before}|")
        # Of the task it is known; of the template it is no parameter.
        script = SCRIPT.replace("{{ action }}", action.strip())
        out.extend(indent + row if row else "" for row in script.splitlines())
    return "\n".join(out) + "\n"


def command():
    """What CreateCommand takes (its parameters are filled in when it is invoked)."""
    return json.dumps({
        "Name": "guestprep",
        "Description": "Fetch guestprep from a bucket, check it, and audit, prepare or roll back",
        "Type": "RunShellScript",
        "CommandContent": base64.b64encode(SCRIPT.replace("{{ ", "{{").replace(" }}", "}}").encode()).decode(),
        "ContentEncoding": "Base64",
        "EnableParameter": True,
        "Timeout": 600,
    }, indent=2) + "\n"


def main():
    wanted = {"audit.yaml": template("audit"), "capture.yaml": template("capture"), "command.json": command()}
    stale = [name for name, text in wanted.items()
             if not (HERE / name).exists() or (HERE / name).read_text() != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"{HERE / name} is not what its sources say: run {sys.argv[0]}")
        return bool(stale)
    for name in stale:
        (HERE / name).write_text(wanted[name])
    return 0


sys.exit(main())
