"""Clients with which the interpreter calls services: over HTTP, with the keys of the state machine's role.

So the policies of the role are enforced as those of any other caller. moto's clients carry no credentials.
"""

from __future__ import annotations

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
    parameter_validation=False, retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=10,
    read_timeout=LONGEST_CALL_SECONDS, max_pool_connections=200, s3={"addressing_style": "path"},
)
_session: Any = boto3.session.Session()
_lock = threading.Lock()
_clients: dict[tuple[str, str, str], Any] = {}


def install() -> None:
    """Give these clients to every module of the interpreter that calls a service."""
    original = boto_client.boto_client_for
    for module in (lambda_eval_utils, state_task_service_aws_sdk, state_task_service_dynamodb, state_task_service_sns):
        hooks.require(module, "boto_client_for")
    for module in list(sys.modules.values()):
        if getattr(module, "boto_client_for", None) is original:
            hooks.replace(module, "boto_client_for", "region service state_credentials", lambda _: client_for)


def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """A client of the service that acts as the state's role."""
    role = state_credentials.role_arn
    with _lock:
        if (region, service, role) not in _clients:
            _clients[region, service, role] = _session.client(
                service, region_name=region, endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
                config=_CONFIG, **iam._credentials(role, "states"),
            )
        return _clients[region, service, role]
