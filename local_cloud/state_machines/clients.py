"""Clients with which the interpreter calls services: over HTTP, with the keys of the state machine's role.

So the policies of the role are enforced as those of any other caller. moto's clients carry no credentials. What an
optimised integration answers also tells the headers and the id of the request, which moto leaves out.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any

import boto3
from botocore.config import Config
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_dynamodb,
    state_task_service_sns,
)
from moto.stepfunctions.parser.asl.utils import boto_client

from local_cloud import hooks, iam

LONGEST_CALL_SECONDS = 960
"""Lambda's fifteen minutes and a little."""
_CONFIG = Config(
    parameter_validation=False,
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=10,
    read_timeout=LONGEST_CALL_SECONDS,
    max_pool_connections=200,
    s3={"addressing_style": "path"},
)
_session: Any = boto3.session.Session()
_lock = threading.Lock()
_clients: dict[tuple[str, str, str, bool], Any] = {}
_METADATA = ("SdkHttpMetadata", "SdkResponseMetadata")


def install() -> None:
    """Give these clients to every module of the interpreter that calls a service."""
    original = boto_client.boto_client_for
    for module in (lambda_eval_utils, state_task_service_aws_sdk, state_task_service_dynamodb, state_task_service_sns):
        hooks.require(module, "boto_client_for")
    for module in list(sys.modules.values()):
        if getattr(module, "boto_client_for", None) is original:
            optimised = ".state_task." in module.__name__ and module is not state_task_service_aws_sdk
            hooks.replace(
                module, "boto_client_for", "region service state_credentials", functools.partial(_clients_of, optimised)
            )
    hooks.replace(lambda_eval_utils, "select_from_typed_dict", "typed_dict obj filter", _with_metadata)


def _clients_of(optimised: bool, _: Any) -> Any:
    return functools.partial(client_for, optimised=optimised)


def client_for(region: str, service: str, state_credentials: Any = None, *, optimised: bool = False) -> Any:
    """A client of the service that acts as the state's role."""
    role = state_credentials.role_arn
    with _lock:
        if (region, service, role, optimised) not in _clients:
            client = _session.client(
                service,
                region_name=region,
                endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
                config=_CONFIG,
                **iam._credentials(role, "states"),
            )
            if optimised:
                client.meta.events.register("after-call", _tell_metadata)
            _clients[region, service, role, optimised] = client
        return _clients[region, service, role, optimised]


def _tell_metadata(parsed: dict[str, Any], **_: Any) -> None:
    metadata = parsed.get("ResponseMetadata", {})
    if "Error" in parsed:
        return
    headers = metadata.get("HTTPHeaders", {})
    parsed["SdkHttpMetadata"] = {
        "AllHttpHeaders": {name: [value] for name, value in headers.items()},
        "HttpHeaders": headers,
        "HttpStatusCode": metadata.get("HTTPStatusCode"),
    }
    parsed["SdkResponseMetadata"] = {"RequestId": metadata.get("RequestId")}


def _with_metadata(original: Any) -> Any:
    def select(typed_dict: Any, obj: dict[str, Any], *arguments: Any, **named: Any) -> dict[str, Any]:
        return {
            **original(typed_dict, obj, *arguments, **named),
            **{name: obj[name] for name in _METADATA if name in obj},
        }

    return select
