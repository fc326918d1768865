"""State machines are created and updated only with a definition that runs and a role that they may have.

MiniStack takes any definition and any role, in the API and in CloudFormation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from local_cloud import hooks, iam
from local_cloud.state_machines.programs import parse

PRINCIPAL = "states.amazonaws.com"
LOG_DELIVERY = (
    "CreateLogDelivery",
    "GetLogDelivery",
    "UpdateLogDelivery",
    "DeleteLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "DescribeResourcePolicies",
    "DescribeLogGroups",
)
"""What Step Functions needs to log executions."""
_LEADS_ON = frozenset({"Task", "Pass", "Wait", "Parallel", "Map"})
_HANDLES = frozenset({"Task", "Parallel", "Map"})


class Refused(Exception):
    """A state machine cannot be made so: the error's code, and why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def install() -> None:
    """Check wherever a definition comes in."""
    hooks.require(stepfunctions, "_validate_definition_jsonata", "_state_machines")
    hooks.require(iam_evaluator, "enforce")
    hooks.replace(stepfunctions, "_create_state_machine", "data", _checking)
    hooks.replace(stepfunctions, "_update_state_machine", "data", _checking)
    hooks.replace(stepfunctions, "_validate_state_machine_definition", "data", lambda _: _validate)
    hooks.replace(provisioners, "_sfn_definition", "props", _checking_template)


def _checking(original: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def operation(data: dict[str, Any]) -> Any:
        try:
            if "definition" in data:
                data = {**data, "definition": checked(data["definition"])}
            machine = stepfunctions._state_machines.get(data.get("stateMachineArn", ""), {})
            check_role(data.get("roleArn") or machine.get("roleArn"), data.get("loggingConfiguration"))
        except Refused as error:
            return error_response_json(error.code, error.reason, 400)
        return original(data)

    return operation


def _checking_template(original: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    def definition(props: dict[str, Any]) -> str:
        try:
            found = checked(original(props))
            check_role(props.get("RoleArn"), props.get("LoggingConfiguration"))
        except Refused as error:
            raise ValueError(f"{error.reason} (Service: Sfn, Status Code: 400, Error Code: {error.code})") from error
        return found

    return definition


def _validate(data: dict[str, Any]) -> Any:
    """ValidateStateMachineDefinition, which MiniStack answers with OK whatever it is given."""
    try:
        checked(data.get("definition", ""))
    except Refused as error:
        diagnostic = {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": error.reason}
        return json_response({"result": "FAIL", "diagnostics": [diagnostic], "truncated": False})
    return json_response({"result": "OK", "diagnostics": [], "truncated": False})


def checked(text: str) -> str:
    """The definition as JSON; Refused says what is wrong with it."""
    try:
        definition = json.loads(text)
    except ValueError:
        definition = _from_yaml(text)
        text = json.dumps(definition)
    if not isinstance(definition, dict):
        raise _invalid("INVALID_JSON_DESCRIPTION", "A definition is an object", "/")
    if problem := stepfunctions._validate_definition_jsonata(text):
        raise Refused("InvalidDefinition", f"Invalid State Machine Definition: '{problem}'")
    try:
        parse(text)
    except Exception as error:
        errors = getattr(error, "errors", None)
        raise _invalid("SCHEMA_VALIDATION_FAILED", "; ".join(errors) if errors else str(error), "/") from error
    for problem in _problems(definition, ""):
        raise problem
    return text


def _from_yaml(text: str) -> Any:
    """A definition in S3 may be YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _invalid("INVALID_JSON_DESCRIPTION", str(error), "/") from error


def _problems(machine: dict[str, Any], path: str) -> Iterator[Refused]:
    """What the transitions of a state machine, or of a branch, lack; the grammar has been checked."""
    states = machine["States"]
    if machine["StartAt"] not in states:
        yield _invalid(
            "MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {machine['StartAt']}", f"{path}/StartAt"
        )
    reached = {machine["StartAt"]}
    for name, state in states.items():
        here = f"{path}/States/{name}"
        for place, target in _transitions(state):
            reached.add(target)
            if target not in states:
                yield _invalid(
                    "MISSING_TRANSITION_TARGET",
                    f"Missing '{place.rsplit('/', 1)[-1]}' target: {target}",
                    f"{here}/{place}",
                )
        yield from _state_problems(state, here)
    for name in states.keys() - reached:
        yield _invalid("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{path}/States/{name}")


def _state_problems(state: dict[str, Any], here: str) -> Iterator[Refused]:
    kind = state["Type"]
    ends = bool(state.get("End"))
    if kind in _LEADS_ON and ends == ("Next" in state):
        yield _invalid("SCHEMA_VALIDATION_FAILED", "These fields are required: [Next] or [End]", here)
    for field, kinds in (("Next", _LEADS_ON), ("End", _LEADS_ON), ("Retry", _HANDLES), ("Catch", _HANDLES)):
        if field in state and kind not in kinds:
            yield _invalid("SCHEMA_VALIDATION_FAILED", "Field is not supported", f"{here}/{field}")
    for index, branch in enumerate(state.get("Branches", [])):
        yield from _problems(branch, f"{here}/Branches[{index}]")
    for field in ("Iterator", "ItemProcessor"):
        if field in state:
            yield from _problems(state[field], f"{here}/{field}")


def _transitions(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for place in ("Next", "Default"):
        if place in state:
            yield place, state[place]
    for field in ("Choices", "Catch"):
        for index, item in enumerate(state.get(field, [])):
            if "Next" in item:
                yield f"{field}[{index}]/Next", item["Next"]


def _invalid(code: str, reason: str, path: str) -> Refused:
    return Refused("InvalidDefinition", f"Invalid State Machine Definition: '{code}: {reason} at {path}'")


def check_role(role: str | None, logging: dict[str, Any] | None) -> None:
    """Raise Refused unless Step Functions may act as the role, and the role may deliver the logs that are wanted."""
    if role is None:
        return
    try:
        iam.check_assumable(role, PRINCIPAL, f"arn:aws:states:{get_region()}:{get_account_id()}:stateMachine:*")
    except iam.NotAssumable as error:
        raise Refused(
            "AccessDeniedException",
            f"Neither the global service principal {PRINCIPAL}, nor the regional one is authorized to assume the "
            "provided role.",
        ) from error
    level = (logging or {}).get("level") or (logging or {}).get("Level") or "OFF"
    if level == "OFF":
        return
    key = iam._credentials(role, "states")["aws_access_key_id"]
    for action in LOG_DELIVERY:
        if iam_evaluator.enforce(key, f"logs:{action}", "logs", get_region()) is not None:
            raise Refused(
                "AccessDeniedException", "The state machine IAM Role is not authorized to access the Log Destination"
            )
