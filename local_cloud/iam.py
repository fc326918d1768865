"""Identities: what MiniStack's policy engine denies or allows differently from AWS, and roles for services to act as.

* The loopback gateway speaks plain http; `aws:SecureTransport` reads true, or every TLS-only policy would deny.
* `cloudwatch:namespace` is known for PutMetricData, and the state machine of a task token for `states:SendTask*`.
* The ARN of a rule on the default bus does not name the bus.
* Reading a missing key without `s3:ListBucket` is AccessDenied, not NoSuchKey.
* Every request is signed by somebody known. MiniStack lets `test` and any account number in as root, checks no
  signature of root's and serves S3 to the unsigned: any web page that is open on this machine could do anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import boto3
from botocore.config import Config
from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import iam, stepfunctions, sts

from local_cloud import hooks
from local_cloud.operations import operation_of

_CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=60,
)
_session: Any = boto3.session.Session()
_clients: dict[tuple[str, str, str], Any] = {}
_lock = threading.Lock()


class NotAssumable(Exception):
    """A service may not act as a role."""


def install() -> None:
    """Replace the places of MiniStack's policy engine that differ from AWS."""
    hooks.require(
        iam_evaluator,
        "enforce",
        "evaluate_resource_policy",
        "EvalContext",
        "_resource_policy",
        "fnmatch_iam",
        "_conditions_met",
    )
    hooks.require(iam, "_roles")
    hooks.replace(iam_evaluator, "is_root_access_key", "access_key_id", lambda _: _is_administrator)
    hooks.replace(iam_evaluator, "_is_root_key", "access_key_id", lambda _: lambda access_key_id: False)  # noqa: ARG005
    hooks.replace(app, "_dispatch_service_request", "method path headers body query_params request_id", _signed_only)
    hooks.replace(iam_evaluator, "_resolve_condition_key", "key ctx", _with_secure_transport)
    hooks.replace(iam_actions, "request_tag_context", "service iam_action body params", _with_namespace)
    hooks.replace(
        iam_actions,
        "extract_resource_arn",
        "service method path headers body query_params region account_id",
        _with_true_resources,
    )
    hooks.replace(
        app, "_dispatch_service_request", "method path headers body query_params request_id", _with_hidden_keys
    )


def client_as(role_arn: str, service: str, *, session: str) -> Any:
    """A client that acts as the role, in the present region; what the role may not do is denied."""
    where = (role_arn, service, get_region())
    with _lock:
        if where not in _clients:
            _clients[where] = _session.client(
                service,
                endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
                region_name=get_region(),
                config=_CONFIG,
                **_credentials(role_arn, session),
            )
        return _clients[where]


def _credentials(role_arn: str, session: str) -> dict[str, str]:
    """Keys of a session of the role; the same for the life of the server."""
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{role_arn} {session} {os.environ['AWS_SECRET_ACCESS_KEY']}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:48], digest[48:]
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session[:64]}",
            "UserId": f"{name}:{session[:64]}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}


def check_assumable(role_arn: str, principal: str, source_arn: str) -> None:
    """Raise NotAssumable unless the role exists and its trust policy lets the service act for `source_arn`."""
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or role.get("Arn") != role_arn:
        raise NotAssumable(f"The role {role_arn} does not exist.")
    document = role.get("AssumeRolePolicyDocument") or {}
    document = json.loads(document) if isinstance(document, str) else document
    context = _service_context(principal, "sts:AssumeRole", role_arn, source_arn)
    effects = set()
    for statement in _listed(document.get("Statement")):
        named = statement.get("Principal")
        services = _listed(named.get("Service")) if isinstance(named, dict) else [principal] if named == "*" else []
        if (
            principal in services
            and any(iam_evaluator.fnmatch_iam("sts:AssumeRole", action) for action in _listed(statement["Action"]))
            and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        ):
            effects.add(statement["Effect"])
    if effects != {"Allow"}:
        raise NotAssumable(f"The role {role_arn} cannot be assumed by {principal}.")


def service_may(principal: str, action: str, resource_arn: str, source_arn: str) -> bool:
    """Whether the policy of the resource lets an AWS service do this for `source_arn`."""
    found = iam_evaluator._resource_policy(action.split(":")[0], resource_arn)
    if found is None:
        return False
    context = _service_context(principal, action, resource_arn, source_arn)
    decision: str = iam_evaluator.evaluate_resource_policy(found[0], context, service=principal).decision
    return decision == "Allow"


def queue_url(arn: str) -> str:
    """The URL of a queue."""
    account, name = arn.split(":")[4:6]
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/{account}/{name}"


def _service_context(principal: str, action: str, resource_arn: str, source_arn: str) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": source_arn},
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _is_administrator(access_key_id: str) -> bool:
    """Whether a key is the administrator's; requests within the server have none."""
    return access_key_id in ("", os.environ["AWS_ACCESS_KEY_ID"])


def _signed_only(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        # A form from a browser carries its signed policy in its body, and a preflight asks for nothing.
        form = method == "POST" and headers.get("content-type", "").startswith("multipart/form-data")
        if not form and method != "OPTIONS" and not extract_access_key_id(headers, query_params):
            service = app.detect_service(method, path, headers, query_params)
            if service == "s3":
                return iam_actions.access_denied_response(
                    "s3", "", "", request_id, message="Access Denied", headers=headers
                )
        return await original(method, path, headers, body, query_params, request_id)

    return dispatch


def _with_secure_transport(original: Any) -> Any:
    return lambda key, ctx: "true" if key.lower() == "aws:securetransport" else original(key, ctx)


def _with_namespace(original: Any) -> Any:
    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        context = dict(original(service, iam_action, body, params))
        if iam_action == "cloudwatch:PutMetricData" and (namespace := _namespace(body, params)):
            context["cloudwatch:namespace"] = namespace
        return context

    return request_tag_context


def _namespace(body: bytes, params: Any) -> str | None:
    """The namespace of a PutMetricData, whose body is JSON or a form."""
    try:
        found = json.loads(body).get("Namespace")
    except ValueError:
        found = params.get("Namespace") or parse_qs(body.decode(errors="replace")).get("Namespace")
    return str(found[0] if isinstance(found, list) else found) if found else None


def _with_true_resources(original: Any) -> Any:
    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query_params: Any, region: str, account_id: str
    ) -> str:
        if service == "states" and headers.get("x-amz-target", "").rpartition(".")[2].startswith("SendTask"):
            return _machine_of_token(body) or "*"
        found: str = original(service, method, path, headers, body, query_params, region, account_id)
        return found.replace(":rule/default/", ":rule/")

    return extract_resource_arn


def _machine_of_token(body: bytes) -> str | None:
    """The state machine whose execution gave the token out; any of them for a token that nobody gave out."""
    from local_cloud.state_machines.callbacks import state_machine_of  # imports this module for its clients

    token = json.loads(body or b"{}").get("taskToken", "")
    machines: list[dict[str, str]] = list(stepfunctions._state_machines.values())
    return state_machine_of(token) or (machines[0]["stateMachineArn"] if machines else None)


def _with_hidden_keys(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        answer = await original(method, path, headers, body, query_params, request_id)
        if answer[0] != 404 or method not in ("GET", "HEAD", "PUT"):
            return answer
        if app.detect_service(method, path, headers, query_params) != "s3":
            return answer
        operation = operation_of("s3", method, path, headers, query_params, body)
        if operation not in ("GetObject", "HeadObject", "CopyObject", "GetObjectAttributes"):
            return answer
        source = headers.get("x-amz-copy-source", "") if operation == "CopyObject" else path
        bucket = unquote(source).strip("/").split("/")[0]
        if b"NoSuchBucket" in (answer[2] if isinstance(answer[2], bytes) else b""):
            return answer
        denied = iam_evaluator.enforce(
            extract_access_key_id(headers, query_params),
            "s3:ListBucket",
            "s3",
            get_region(),
            resource_arn=f"arn:aws:s3:::{bucket}",
        )
        if not isinstance(denied, iam_evaluator.EvalResult):
            return answer
        response = iam_actions.access_denied_response(
            "s3",
            "s3:ListBucket",
            denied.principal_arn,
            request_id,
            headers=headers,
            resource_arn=f"arn:aws:s3:::{bucket}",
        )
        return (response[0], response[1], b"") if method == "HEAD" else response

    return dispatch
