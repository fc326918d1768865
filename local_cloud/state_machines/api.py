"""The operations on executions, with AWS's validation and answers.

MiniStack checks neither names nor inputs of executions, refuses what is idempotent on AWS, tells the present definition
of the state machine instead of the one that an execution runs, and has no RedriveExecution.
"""

from __future__ import annotations

import copy
import datetime
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import stepfunctions

from local_cloud import hooks
from local_cloud.state_machines.executions import Execution, running, snapshot
from local_cloud.state_machines.history import now
from local_cloud.state_machines.limits import PAYLOAD_BYTES, too_long
from local_cloud.state_machines.status_events import redrive_status

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
NAME_REUSE = datetime.timedelta(days=90)


def install() -> None:
    """Replace MiniStack's operations and add RedriveExecution."""
    hooks.require(
        stepfunctions,
        "_executions",
        "_state_machines",
        "_state_machine_versions",
        "_state_machine_aliases",
        "_resolve_state_machine_arn",
        "_execution_version_arn",
        "_encode_execution_token",
        "_decode_execution_token",
        "_execution_sort_key",
        "_finalize_response",
        "_default_encryption",
    )
    hooks.replace(stepfunctions, "handle_request", "method path headers body query_params", _with_redrive)
    hooks.replace(stepfunctions, "_start_execution", "data", lambda _: _start)
    hooks.replace(stepfunctions, "_stop_execution", "data", lambda _: _stop)
    hooks.replace(stepfunctions, "_describe_execution", "data", _describe)
    hooks.replace(stepfunctions, "_list_executions", "data", lambda _: _list)
    hooks.replace(stepfunctions, "_get_execution_history", "data", _history)
    hooks.replace(stepfunctions, "_describe_state_machine_for_execution", "data", lambda _: _describe_machine)


def _with_redrive(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return stepfunctions._finalize_response(_redrive(json.loads(body or b"{}")))
        return await original(method, path, headers, body, query_params)

    return handle_request


def _start(data: dict[str, Any]) -> Any:
    asked = data.get("stateMachineArn", "").split("#")[0]
    arn = stepfunctions._resolve_state_machine_arn(asked)
    if arn is None:
        return _no_machine(asked)
    name, text = data.get("name", new_uuid()), data.get("input", "{}")
    if not _NAME.fullmatch(name):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    if problem := too_long(data, input=PAYLOAD_BYTES):
        return problem
    try:
        json.loads(text)
    except ValueError as error:
        return _bad_input(str(error))
    if len(text.encode()) > PAYLOAD_BYTES:
        return _bad_input(f"The input is longer than {PAYLOAD_BYTES} bytes")
    version = stepfunctions._execution_version_arn(asked)
    machine = stepfunctions._state_machines[arn]
    execution_arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine['name']}:{name}"
    if (earlier := stepfunctions._executions.get(execution_arn)) and not may_reuse_name(earlier):
        if earlier["status"] == "RUNNING" and json.loads(earlier["input"]) == json.loads(text):
            return json_response({"executionArn": execution_arn, "startDate": earlier["startDate"]})
        return error_response_json("ExecutionAlreadyExists", f"Execution Already Exists: '{execution_arn}'", 400)
    record = {
        "executionArn": execution_arn,
        "stateMachineArn": arn,
        "name": name,
        "status": "RUNNING",
        "startDate": now(),
        "stopDate": None,
        "input": text,
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": {"included": True},
        "error": None,
        "cause": None,
        "events": [],
        "redriveCount": 0,
        "redriveDate": None,
        "machine": snapshot({**machine, **(stepfunctions._state_machine_versions.get(version) or {})}),
        "stateMachineVersionArn": version,
        "stateMachineAliasArn": asked if asked in stepfunctions._state_machine_aliases else None,
    }
    stepfunctions._executions[execution_arn] = record
    Execution(record).start()
    return json_response({"executionArn": execution_arn, "startDate": record["startDate"]})


def may_reuse_name(record: dict[str, Any]) -> bool:
    """Whether another execution may take the name of this one."""
    if record["stopDate"] is None:
        return False
    stopped = datetime.datetime.fromisoformat(record["stopDate"])
    return datetime.datetime.now(datetime.UTC) - stopped > NAME_REUSE


def _stop(data: dict[str, Any]) -> Any:
    record = stepfunctions._executions.get(data.get("executionArn"))
    if record is None:
        return _no_execution(data)
    if problem := too_long(data, error=256, cause=32_768):
        return problem
    if record["machine"]["type"] == "EXPRESS":
        return error_response_json("ValidationException", "StopExecution is not supported by EXPRESS executions", 400)
    execution = running(record["executionArn"])
    if execution is not None:
        execution.stop(data.get("error"), data.get("cause"))
    return json_response({"stopDate": record["stopDate"]})


def _redrive(data: dict[str, Any]) -> Any:
    record = stepfunctions._executions.get(data.get("executionArn"))
    if record is None:
        return _no_execution(data)
    token = data.get("clientToken")
    if token and token == record.get("redriveToken"):
        return json_response({"redriveDate": record["redriveDate"]})
    status, reason = redrive_status(record)
    if status != "REDRIVABLE":
        return error_response_json("ExecutionNotRedrivable", reason, 400)
    record.update(
        status="RUNNING",
        redriveCount=record["redriveCount"] + 1,
        redriveDate=now(),
        redriveToken=token,
        stopDate=None,
        error=None,
        cause=None,
        output=None,
    )
    Execution(record, redriven=True).start()
    return json_response({"redriveDate": record["redriveDate"]})


def _describe(original: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def describe(data: dict[str, Any]) -> Any:
        record = stepfunctions._executions.get(data.get("executionArn"))
        if record is None:
            return _no_execution(data)
        answer = {name: value for name, value in json.loads(original(data)[2]).items() if value is not None}
        if "output" not in answer:
            answer.pop("outputDetails", None)
        status, reason = redrive_status(record)
        return json_response(
            {
                **answer,
                "redriveCount": record["redriveCount"],
                "redriveStatus": status,
                **_given(
                    redriveDate=record["redriveDate"],
                    redriveStatusReason=reason,
                    stateMachineVersionArn=record.get("stateMachineVersionArn"),
                    stateMachineAliasArn=record.get("stateMachineAliasArn"),
                ),
            }
        )

    return describe


def _list(data: dict[str, Any]) -> Any:
    asked, cursor = data.get("stateMachineArn"), None
    arn = stepfunctions._resolve_state_machine_arn(asked) if asked else None
    if asked and arn is None:
        return _no_machine(asked)
    if data.get("nextToken"):
        cursor = stepfunctions._decode_execution_token(data["nextToken"])
        if cursor is None:
            return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    size = data.get("maxResults") or 100
    if not 0 < size <= 1000:
        return error_response_json("ValidationException", "maxResults must be between 0 and 1000", 400)
    found = [
        record
        for record in list(stepfunctions._executions.values())
        if arn in (None, record["stateMachineArn"])
        and data.get("statusFilter") in (None, record["status"])
        and data.get("redriveFilter") in (None, "REDRIVEN" if record["redriveCount"] else "NOT_REDRIVEN")
    ]
    found.sort(key=stepfunctions._execution_sort_key, reverse=True)
    if cursor is not None:
        found = [record for record in found if stepfunctions._execution_sort_key(record) < cursor]
    page = found[:size]
    names = (
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "redriveCount",
        "redriveDate",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
    )
    items = [_given(**{name: record.get(name) for name in names}) for record in page]
    token = {"nextToken": stepfunctions._encode_execution_token(page[-1])} if len(found) > size else {}
    return json_response({"executions": items, **token})


def _history(original: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def history(data: dict[str, Any]) -> Any:
        if stepfunctions._executions.get(data.get("executionArn")) is None:
            return _no_execution(data)
        return original(data)

    return history


def _describe_machine(data: dict[str, Any]) -> Any:
    record = stepfunctions._executions.get(data.get("executionArn"))
    if record is None:
        return _no_execution(data)
    machine = copy.deepcopy(record["machine"])
    encryption = machine.pop("encryptionConfiguration") or stepfunctions._default_encryption()
    machine.pop("type")
    return json_response(
        {**_given(**machine), "stateMachineArn": record["stateMachineArn"], "encryptionConfiguration": encryption}
    )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _no_machine(arn: str) -> Any:
    return error_response_json("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", 400)


def _no_execution(data: dict[str, Any]) -> Any:
    return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{data.get('executionArn')}'", 400)


def _bad_input(reason: str) -> Any:
    return error_response_json("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{reason}'", 400)
