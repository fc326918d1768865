"""Who may call what, decided by MiniStack's own policy engine; and the execution role that a job runs with.

Nothing is checked when the local cloud runs without AUTH=true, except that the role exists and trusts SageMaker.
"""

from __future__ import annotations

import json
import secrets
import string
import threading
from typing import Any

import boto3
from botocore.config import Config
from ministack import app
from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import iam, sts

from local_cloud import hooks
from local_cloud.sagemaker.errors import ApiError, ValidationError

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
_CLIENT_CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"mode": "standard", "max_attempts": 6},
    max_pool_connections=16,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# One session, so that each service's model is parsed once; making clients from it is not safe across threads.
_SESSION: Any = boto3.session.Session()
_SESSION_LOCK = threading.Lock()


def require_hooks() -> None:
    """Raise HookMissing unless MiniStack has what this module uses of it."""
    hooks.require(iam_evaluator, "enforce", "AuthError", "EvalContext", "fnmatch_iam", "_conditions_met")
    hooks.require(iam, "_roles")
    hooks.require(sts, "register_session", "_sessions")


def job_arn(name: str) -> str:
    """A job's ARN in the caller's account and region; the name is in lower case there, as on AWS."""
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:training-job/{name.lower()}"


def check(headers: dict[str, str], action: str, resource: str, context: dict[str, Any] | None = None) -> None:
    """Raise AccessDeniedException unless the caller may do this."""
    if not app.AUTH:
        return
    service = action.split(":")[0]
    denied = iam_evaluator.enforce(
        extract_access_key_id(headers, {}),
        action,
        service,
        get_region(),
        resource_arn=resource,
        service_context=context or {},
    )
    if denied is None:
        return
    if isinstance(denied, iam_evaluator.AuthError):
        raise ApiError(denied.code, denied.message)
    explicit = denied.decision == "Deny"
    raise ApiError("AccessDeniedException", identity_denial_message(action, denied.principal_arn, resource, explicit))


def check_create(headers: dict[str, str], request: dict[str, Any]) -> None:
    """CreateTrainingJob, AddTags where tags are given, and PassRole to SageMaker."""
    resource = job_arn(request["TrainingJobName"])
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    context = tag_context(tags)
    if instance := request.get("ResourceConfig", {}).get("InstanceType"):
        context["sagemaker:InstanceTypes"] = [instance]
    check(headers, "sagemaker:CreateTrainingJob", resource, context)
    if tags:
        check(headers, "sagemaker:AddTags", resource, tag_context(tags))
    check(headers, "iam:PassRole", request["RoleArn"], {"iam:PassedToService": SERVICE_PRINCIPAL})


def tag_context(tags: dict[str, str]) -> dict[str, Any]:
    """The condition keys of a request that sets tags."""
    if not tags:
        return {}
    return {"aws:TagKeys": list(tags)} | {f"aws:RequestTag/{key}": value for key, value in tags.items()}


def check_role(role_arn: str, resource: str) -> None:
    """Raise AWS's ValidationException unless the role exists and lets SageMaker assume it."""
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    trusted = role is not None and role.get("Arn") == role_arn and _trusts(role, resource)
    if not trusted:
        raise ValidationError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal"
            f" '{SERVICE_PRINCIPAL}' to assume the role."
        )


def _trusts(role: dict[str, Any], resource: str) -> bool:
    document = role.get("AssumeRolePolicyDocument") or {}
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    context = iam_evaluator.EvalContext(
        principal_arn=SERVICE_PRINCIPAL,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=get_region(),
        service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": resource},
    )
    effects = {
        statement.get("Effect")
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if _names_service(statement.get("Principal"))
        and any(iam_evaluator.fnmatch_iam("sts:AssumeRole", action) for action in _listed(statement.get("Action")))
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
    }
    return "Allow" in effects and "Deny" not in effects


def _names_service(principal: Any) -> bool:
    return principal == "*" or (isinstance(principal, dict) and SERVICE_PRINCIPAL in _listed(principal.get("Service")))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


class ExecutionRole:
    """A session of a job's execution role: what it may not do, the job cannot. Ends with `close`."""

    def __init__(self, role_arn: str, endpoint: str):
        self.region = get_region()
        self._endpoint = endpoint
        self._clients: dict[str, Any] = {}
        account = get_account_id()
        self._session_key = ""
        if not app.AUTH:
            self._credentials = {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test"}
            return
        self._session_key = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
        role_name = role_arn.rsplit("/", 1)[-1]
        session = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/SageMaker",
            "UserId": f"{role_name}:SageMaker",
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": secrets.token_urlsafe(60),
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        }
        sts.register_session(self._session_key, session)
        self._credentials = {
            "AWS_ACCESS_KEY_ID": self._session_key,
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def credentials(self) -> dict[str, str]:
        """The environment variables that carry the session."""
        return dict(self._credentials)

    def client(self, service: str) -> Any:
        """A client that acts as the role."""
        with _SESSION_LOCK:
            if service not in self._clients:
                self._clients[service] = _SESSION.client(
                    service,
                    endpoint_url=self._endpoint,
                    region_name=self.region,
                    aws_access_key_id=self._credentials["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self._credentials["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=self._credentials.get("AWS_SESSION_TOKEN"),
                    config=_CLIENT_CONFIG,
                )
        return self._clients[service]

    def close(self) -> None:
        """End the session."""
        for client in self._clients.values():
            client.close()
        sts._sessions.pop(self._session_key, None)
