"""Names of members in requests and answers of services: capitals in the language, what the service has on the wire.

moto has left this part of the interpreter out, so that a service whose members begin with small letters, such as Step
Functions itself, could not be called. The content of a stream stands in its place.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.response import StreamingBody
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local_cloud import hooks

_PARAMETERS = "boto_service_name service_action_name"


def install() -> None:
    """Translate on the way out and on the way back."""
    hooks.replace(StateTaskService, "_normalise_parameters", f"self parameters {_PARAMETERS}", lambda _: _outwards)
    hooks.replace(StateTaskService, "_normalise_response", f"self response {_PARAMETERS}", lambda _: _inwards)


def _outwards(
    self: Any, parameters: dict[str, Any], boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    operation = _operation(
        self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name)
    )
    if operation is not None:
        translated = _renamed(parameters, operation.input_shape, to_wire=True)
        parameters.clear()
        parameters.update(translated)


def _inwards(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    operation = _operation(
        self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name)
    )
    if operation is not None and isinstance(response, dict):
        translated = _renamed(response, operation.output_shape, to_wire=False)
        response.clear()
        response.update(translated)


@functools.cache
def _operation(service: str, action: str) -> Any:
    """The operation that boto3 calls so; None if there is none."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except botocore.exceptions.UnknownServiceError:
        return None
    found = [name for name in model.operation_names if xform_name(name) == action]
    return model.operation_model(found[0]) if found else None


def _renamed(value: Any, shape: Any, *, to_wire: bool) -> Any:
    if isinstance(value, StreamingBody):
        return value.read().decode(errors="replace")
    kind = shape.type_name if shape is not None else ""
    if kind == "structure" and isinstance(value, dict):
        wire: dict[str, str] = {name.lower(): name for name in shape.members}
        found: dict[str, Any] = {}
        for name, item in value.items():
            member = str(wire.get(str(name).lower(), name))
            spelled = member if to_wire else member[:1].upper() + member[1:]
            found[spelled] = _renamed(item, shape.members.get(member), to_wire=to_wire)
        return found
    if kind == "list" and isinstance(value, list):
        return [_renamed(item, shape.member, to_wire=to_wire) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _renamed(item, shape.value, to_wire=to_wire) for name, item in value.items()}
    return value
