"""Policies of a deployed stack, changed in place and put back: a redeployment would take a minute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stack import Stack


@contextmanager
def stripped(stack: Stack, role: str, action: str) -> Iterator[None]:
    """A role whose policies allow everything that they did but one action."""
    iam = stack.cloud.client("iam")
    name = next(item["RoleName"] for item in iam.list_roles()["Roles"] if role in item["RoleName"])
    kept: dict[str, Any] = {}
    try:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            kept[policy] = document
            narrowed = json.loads(json.dumps(document))
            for statement in narrowed["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                statement["Action"] = [item for item in actions if item != action] or ["none:Nothing"]
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(narrowed))
        yield
    finally:
        for policy, document in kept.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


@contextmanager
def without_permission(stack: Stack, function: str) -> Iterator[None]:
    """A function whose own policy lets nobody call it, so that its rule cannot deliver."""
    client = stack.cloud.client("lambda")
    policy = json.loads(client.get_policy(FunctionName=function)["Policy"])
    try:
        for statement in policy["Statement"]:
            client.remove_permission(FunctionName=function, StatementId=statement["Sid"])
        yield
    finally:
        for statement in policy["Statement"]:
            client.add_permission(
                FunctionName=function,
                StatementId=statement["Sid"],
                Action=statement["Action"],
                Principal=statement["Principal"]["Service"],
                SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
            )
