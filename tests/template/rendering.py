"""The template as it is written, and as CloudFormation sees it when the SAM transform has run; all in process."""

from __future__ import annotations

import copy
import functools
import json
import os
import re
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "template.yaml"
STATE_MACHINE = ROOT / "statemachine/training.asl.json"


@functools.cache
def _written() -> dict[str, Any]:
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return template


@functools.cache
def _transformed() -> dict[str, Any]:
    template = _written_copy()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["Definition"] = json.loads(STATE_MACHINE.read_text())
            del resource["Properties"]["DefinitionUri"]
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    try:
        translator = Translator(managed_policy_map={}, sam_parser=Parser())
        parameters = {name: entry["Default"] for name, entry in template["Parameters"].items()}
        rendered: dict[str, Any] = translator.translate(template, parameters, passthrough_metadata=True)
    finally:
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
        else:
            os.environ["AWS_DEFAULT_REGION"] = before
    for resource in rendered["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            del resource["Properties"]["DefinitionString"]
            resource["Properties"]["Definition"] = definition()
    return rendered


def _written_copy() -> dict[str, Any]:
    return copy.deepcopy(_written())


def written() -> dict[str, Any]:
    """template.yaml, its short intrinsic functions spelled out."""
    return _written_copy()


def transformed() -> dict[str, Any]:
    """What the SAM transform makes of it, with the state machine's definition inside."""
    return copy.deepcopy(_transformed())


def definition() -> dict[str, Any]:
    """The state machine's definition, with values of the right kind for its `${…}` names.

    An expression that is a plain number becomes that number: linters want numbers where AWS takes either.
    """
    text = STATE_MACHINE.read_text()
    for name in substituted_names():
        text = text.replace(f"${{{name}}}", _value(name))
    found: dict[str, Any] = json.loads(re.sub(r'"\{% (\d+) %\}"', r"\1", text))
    return found


def _value(name: str) -> str:
    if name.endswith("FunctionArn"):
        return f"arn:aws:lambda:us-east-1:000000000000:function:{name.removesuffix('Arn')}"
    return {
        "Partition": "aws",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:topic",
        "ReconcilePeriodSeconds": "1800",
        "WaitingNoticeSeconds": "1800",
        "QuotaPauseSeconds": "30",
    }[name]


def substituted_names() -> set[str]:
    """The `${…}` names in the state machine's definition."""
    return set(re.findall(r"\$\{(\w+)\}", STATE_MACHINE.read_text()))


def resources(of_type: str) -> dict[str, dict[str, Any]]:
    """Properties of the transformed resources of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in transformed()["Resources"].items()
        if resource["Type"] == of_type
    }


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy document."""
    found = document["Statement"]
    return found if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    """A value that may stand alone, as a list."""
    return value if isinstance(value, list) else [value]


def role_statements() -> dict[str, list[dict[str, Any]]]:
    """What each role may do: its own statements and those of policies attached to it."""
    found = {
        name: [statement for policy in role.get("Policies", []) for statement in statements(policy["PolicyDocument"])]
        for name, role in resources("AWS::IAM::Role").items()
    }
    for policy in resources("AWS::IAM::Policy").values():
        for role in policy["Roles"]:
            found[role["Ref"]] += statements(policy["PolicyDocument"])
    return found


def granted() -> dict[str, set[str]]:
    """The actions that each role is granted."""
    return {
        role: {
            action for statement in found if statement["Effect"] == "Allow" for action in listed(statement["Action"])
        }
        for role, found in role_statements().items()
    }


def references(value: Any) -> set[str]:
    """Every name that a piece of a template refers to by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for item in value.values() for name in references(item)}
    if "Ref" in value:
        found.add(value["Ref"])
    if "Fn::GetAtt" in value:
        target = value["Fn::GetAtt"]
        found.add(target[0] if isinstance(target, list) else target.split(".")[0])
    if "Fn::Sub" in value:
        text, own = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        found |= {name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)} - set(own)
    return found
