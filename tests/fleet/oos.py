"""Judges OOS templates by the grammar that the documentation of CloudOps Orchestration Service gives for version
OOS-2019-06-01 (help pages "Template structure", "Tasks", "Parameters"), and what a template says of itself: every name that
is used is given, and every way through the tasks of capture.yaml after `prepare` passes a rollback."""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

NAME = "^[A-Za-z0-9_-]{1,200}$"
TEXT = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
OUTPUTS = {"type": "object", "additionalProperties": {
    "type": "object", "required": ["Type"], "additionalProperties": False,
    "properties": {"Type": {"enum": ["String", "List", "Number", "Boolean", "Json"]},
                   "ValueSelector": {"type": "string"}, "Value": {}}}}
# Properties of the actions that are used, as `ListActions` tells them; names are case-sensitive.
ACTIONS = {
    "ACS::SelectTargets": ({"ResourceType", "Filters"}, {"RegionId", "Parameters"}),
    "ACS::ECS::RunCommand": ({"commandContent", "instanceId", "commandType"},
                             {"regionId", "timeout", "workingDir", "enableParameter", "parameters", "username"}),
    "ACS::ECS::CreateImage": ({"imageName", "instanceId"}, {"regionId", "tags", "resourceGroupId"}),
}
SCHEMA = {
    "type": "object",
    "required": ["FormatVersion", "Tasks"],
    "additionalProperties": False,
    "properties": {
        "FormatVersion": {"const": "OOS-2019-06-01"},
        "Description": TEXT,
        "RamRole": {"type": "string"},
        "Parameters": {"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": {
            "type": "object", "required": ["Type"], "additionalProperties": False,
            "properties": {"Type": {"enum": ["String", "List", "Number", "Boolean", "Json"]}, "Label": TEXT, "Description": TEXT,
                           "Default": {}, "AllowedValues": {"type": "array"}, "AllowedPattern": {"type": "string"},
                           "AssociationProperty": {"type": "string"}, "AssociationPropertyMetadata": {"type": "object"},
                           "MinLength": {}, "MaxLength": {}, "NoEcho": {"type": "boolean"}}}},
        "Outputs": OUTPUTS,
        "Tasks": {"type": "array", "minItems": 1, "items": {
            "type": "object", "required": ["Name", "Action", "Properties"], "additionalProperties": False,
            "properties": {
                "Name": {"type": "string", "pattern": NAME}, "Action": {"enum": list(ACTIONS)}, "Description": TEXT,
                "Properties": {"type": "object"}, "When": {}, "OnError": {"type": "string"}, "OnSuccess": {"type": "string"},
                "Outputs": OUTPUTS,
                "Loop": {"type": "object", "required": ["Items"], "additionalProperties": False,
                         "properties": {"Items": {}, "RateControl": {}, "Outputs": {"type": "object"}}}}}},
    },
}


def judge(path):
    template = yaml.safe_load(path.read_text())
    jsonschema.validate(template, SCHEMA)
    tasks = {task["Name"]: task for task in template["Tasks"]}
    assert len(tasks) == len(template["Tasks"]), "two tasks have one name"
    given = set(template["Parameters"]) | {"ACS::RegionId", "ACS::TaskLoopItem"}
    for name, task in tasks.items():
        required, optional = ACTIONS[task["Action"]]
        has = set(task["Properties"])
        assert required <= has <= required | optional, f"{name}: {has}"
        for way in ("OnError", "OnSuccess"):
            assert task.get(way, "ACS::END") in {*tasks, "ACS::END", "ACS::NEXT"}, f"{name}: {task[way]}"
        given |= {f"{name}.{output}" for output in (task.get("Outputs") or {})}
        given |= {f"{name}.{output}" for output in (task.get("Loop") or {}).get("Outputs") or {}}
        content = task["Properties"].get("commandContent", "")
        assert len(content) * 4 / 3 < 16 << 10, f"{name}: the command is longer than 16 KB in Base64"
    used = set(re.findall(r"\{\{\s*([^}\s]+)\s*\}\}", json.dumps(template)))
    assert used <= given, f"used and not given: {used - given}"
    unused = set(template["Parameters"]) - {name.split(".")[0] for name in used} - {"regionId"}
    assert not unused, f"given and not used: {unused}"
    return template


def ways(template):
    """Every way through the tasks, each as the tasks that it passes and whether it ends well."""
    names = [task["Name"] for task in template["Tasks"]]
    tasks = dict(zip(names, template["Tasks"]))

    def on(name, passed):
        if name == "ACS::END" or name is None:
            yield passed, True
            return
        task, at = tasks[name], names.index(name)
        after = names[at + 1] if at + 1 < len(names) else None
        following = {"ACS::NEXT": after, "ACS::END": "ACS::END"}
        success = task.get("OnSuccess", "ACS::NEXT")
        yield from on(following.get(success, success), passed + [name])
        error = task.get("OnError", "ACS::END")
        if error == "ACS::END":
            yield passed + [name], False
        else:
            yield from on(following.get(error, error), passed + [name])

    return on(names[0], [])


def main(directory):
    judge(directory / "audit.yaml")
    capture = judge(directory / "capture.yaml")
    for passed, ends_well in ways(capture):
        assert passed[-1] in ("rollback", "rollbackAfterError"), f"a way without a rollback: {passed}"
        if "rollbackAfterError" not in passed and ends_well:
            assert passed == ["prepare", "createImage", "rollback"], passed
    policy = json.loads((directory / "ram-policy.json").read_text())
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {"ecs:RunCommand", "ecs:CreateImage"} <= actions
    command = json.loads((directory / "command.json").read_text())
    assert len(command["CommandContent"]) < 16 << 10


main(pathlib.Path(sys.argv[1]))
