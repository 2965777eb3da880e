#!/usr/bin/python
# The guestprep authors, MIT
"""Runs guestprep on a host: check mode is a plan, diff mode shows its diff."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: guestprep
short_description: Audit a host, prepare it for an image, roll it back
description:
  - Calls the program guestprep, and returns its report.
  - In check mode nothing is changed; prepare is answered by its plan, and rollback by what it would undo.
  - In diff mode the diff of the plan is shown.
author: the guestprep authors
options:
  action:
    description: What is to be done.
    type: str
    choices: [audit, prepare, rollback]
    default: audit
  path:
    description: The program.
    type: path
    required: true
  profile:
    description: What the image is for.
    type: str
    default: clone
  fail_on:
    description: Findings of this weight and above make the host not ready.
    type: str
    default: blocker
  arguments:
    description: What is added to the command line of audit, plan and prepare.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Nothing is changed.
  diff_mode:
    support: full
    description: The plan's diff.
"""

EXAMPLES = r"""
- name: Audit
  guestprep:
    path: /usr/local/sbin/guestprep
  register: audit
"""

RETURN = r"""
report:
  description: The report (schema guestprep.report/1) after what was done.
  type: dict
  returned: always
verdict:
  description: ready, not-ready or undetermined.
  type: str
  returned: always
steps:
  description: The summaries of what was or would be changed.
  type: list
  elements: str
  returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

# Exit codes of guestprep that come with an answer: ready, not ready, undetermined.
ANSWERED = (0, 1, 3)


def call(module, words, may=ANSWERED):
    """Output and messages of a call; anything but an answer fails the task with guestprep's own words."""
    code, out, err = module.run_command([module.params["path"], "--lang", "en"] + words)
    if code not in may:
        refused(module, code, err)
    return out, err


def refused(module, code, err):
    module.fail_json(msg=err.strip() or "guestprep exits with %s" % code, rc=code, stderr=err)


def parsed(module, text, what):
    try:
        return json.loads(text)
    except ValueError as error:
        return module.fail_json(msg="guestprep printed no %s: %s" % (what, error), stdout=text[:2000])


def selection(module):
    options = module.params
    return ["--profile", options["profile"], "--fail-on", options["fail_on"]] + options["arguments"]


def audit(module):
    return parsed(module, call(module, ["audit", "--format", "json"] + selection(module))[0], "report")


def plan(module):
    return parsed(module, call(module, ["plan", "--format", "json"] + selection(module), may=(0,))[0], "plan")


def shown(steps):
    """The plan as a person reads it: each step, and its diff where it has one."""
    return "".join("%s\n%s" % (step["summary"], step.get("diff") or "") for step in steps)


def unfinished(module):
    """The runs that can be rolled back."""
    runs = parsed(module, call(module, ["runs", "--format", "json"], may=(0,))[0], "list of runs")
    return [run for run in runs["runs"] if run["state"] != "rolled-back"]


def prepare(module):
    before = len(unfinished(module))
    messages = call(module, ["prepare", "--yes", "--quiet"] + selection(module))[1]
    # Exit code 1 is a host that is prepared and not ready, and one where something was in use and nothing was changed.
    if len(unfinished(module)) == before:
        refused(module, 1, messages)


def main():
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "choices": ["audit", "prepare", "rollback"], "default": "audit"},
            "path": {"type": "path", "required": True},
            "profile": {"type": "str", "default": "clone"},
            "fail_on": {"type": "str", "default": "blocker"},
            "arguments": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    action, result = module.params["action"], {"changed": False, "steps": []}
    if action == "prepare":
        steps = plan(module)["steps"]
        result.update(changed=bool(steps), steps=[step["summary"] for step in steps])
        if module._diff:
            result["diff"] = {"prepared": shown(steps)}
        if steps and not module.check_mode:
            prepare(module)
    elif action == "rollback":
        runs = unfinished(module)
        result.update(changed=bool(runs), steps=["roll back run %s" % run["id"] for run in runs])
        if module._diff:
            result["diff"] = {"prepared": "".join(step + "\n" for step in result["steps"])}
        # The last one first.
        for run in reversed(runs if not module.check_mode else []):
            call(module, ["rollback", "--yes", run["id"]], may=(0,))
    report = audit(module)
    result.update(report=report, verdict=report["verdict"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
