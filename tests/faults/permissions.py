"""What the template allows, permission by permission; and how one is taken away from a running stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local_cloud.process import LocalCloud
from tests.template.rendering import listed, resources, role_statements

TRUST = "Trust"
_NOTHING = {"Effect": "Deny", "Action": "none:Nothing", "Resource": "*"}


@dataclass(frozen=True)
class Permission:
    """One action on one resource, as one statement of a role, of its trust or of a queue's or topic's policy grants it.

    A statement that SAM writes has no `sid`.
    """

    holder: str
    sid: str
    action: str
    resource: str
    index: int = field(compare=False)

    def __str__(self) -> str:
        return f"{self.holder}/{self.sid or '-'} {self.action} {self.resource}"


def permissions() -> list[Permission]:
    """Every permission of the rendered template."""
    found = [(holder, statement) for holder, statements in role_statements().items() for statement in statements]
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for holder, policy in resources(kind).items():
            found += [(holder, statement) for statement in policy["PolicyDocument"]["Statement"]]
    (trust,) = resources("AWS::IAM::Role")["TrainingRole"]["AssumeRolePolicyDocument"]["Statement"]
    found.append(("TrainingRole", {**trust, "Sid": TRUST, "Resource": {"Ref": "TrainingRole"}}))
    return [
        Permission(holder, statement.get("Sid", ""), action, _label(resource), index)
        for holder, statement in found
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for index, resource in enumerate(listed(statement["Resource"]))
    ]


def _label(resource: Any) -> str:
    """A resource in short: its logical id and path, or what stands after region and account in its ARN."""
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return str(resource["Ref"])
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    text = str(listed(resource["Fn::Sub"])[0])
    return re.sub(r"\$\{(\w+)\.Arn\}|arn:\S+?\$\{(AWS::AccountId|Registry)\}:", r"\1", text)


@contextmanager
def without(cloud: LocalCloud, permission: Permission, *, stack: str = "traindrop") -> Iterator[None]:
    """A stack whose policies allow everything that they did, but this."""
    physical = cloud.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=permission.holder.removesuffix("Policy")
    )["StackResourceDetail"]["PhysicalResourceId"]
    if permission.sid == TRUST:
        narrowing = _without_trust(cloud, physical)
    elif permission.holder.endswith("DeadLettersPolicy"):
        narrowing = _narrowed_queue(cloud, physical, permission)
    else:
        narrowing = _narrowed_role(cloud, physical, permission)
    with narrowing:
        yield


@contextmanager
def _narrowed_role(cloud: LocalCloud, role: str, permission: Permission) -> Iterator[None]:
    iam = cloud.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    kept = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    narrowed = {name: document for name, document in kept.items() if _position(document, permission) is not None}
    (changed,) = narrowed
    try:
        iam.put_role_policy(
            RoleName=role, PolicyName=changed, PolicyDocument=json.dumps(_narrowed(kept[changed], permission))
        )
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=changed, PolicyDocument=json.dumps(kept[changed]))


@contextmanager
def _without_trust(cloud: LocalCloud, role: str) -> Iterator[None]:
    iam = cloud.client("iam")
    kept = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    foreign = json.loads(json.dumps(kept).replace("sagemaker.amazonaws.com", "ec2.amazonaws.com"))
    assert foreign != kept
    try:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(foreign))
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(kept))


@contextmanager
def _narrowed_queue(cloud: LocalCloud, url: str, permission: Permission) -> Iterator[None]:
    sqs = cloud.client("sqs")
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    narrowed = json.dumps(_narrowed(json.loads(kept), permission))
    try:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": narrowed})
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": kept})


def _position(document: dict[str, Any], permission: Permission) -> int | None:
    """Where in a policy the statement of a permission stands."""
    for position, statement in enumerate(listed(document["Statement"])):
        if statement.get("Sid", "") == permission.sid and permission.action in listed(statement["Action"]):
            return position
    return None


def _narrowed(document: dict[str, Any], permission: Permission) -> dict[str, Any]:
    statements = list(listed(document["Statement"]))
    position = _position(document, permission)
    assert position is not None, f"the stack has no {permission}"
    statement = {name: value for name, value in statements.pop(position).items() if name != "Sid"}
    other_actions = [action for action in listed(statement["Action"]) if action != permission.action]
    other_resources = [item for index, item in enumerate(listed(statement["Resource"])) if index != permission.index]
    if other_actions:
        statements.append({**statement, "Action": other_actions})
    if other_resources:
        statements.append({**statement, "Action": permission.action, "Resource": other_resources})
    return {**document, "Statement": statements or [_NOTHING]}
