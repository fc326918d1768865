"""Whoever deploys needs what CloudFormation says that the stack's resources need, and has no more than the stack."""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.template.rendering import ROOT, transformed

POLICY = json.loads((ROOT / "docs/deployer_policy.json").read_text())
SCHEMAS = Path(str(find_spec("cfnlint").origin)).parent / "data/schemas"  # type: ignore[union-attr]
"""CloudFormation's own description of each resource type, which names what its handlers call for whoever deploys."""
NOT_NEEDED = {
    "features of these resources that the template does not use": {
        "dynamodb": [
            "*Replica",
            "*KinesisStreamingDestination",
            "*Import*",
            "UpdateContributorInsights",
            "PutResourcePolicy",
            "DeleteResourcePolicy",
            "Scan",
            "Query",
            "*Item",
        ],
        "lambda": [
            "*FunctionConcurrency",
            "*CodeSigningConfig",
            "*CapacityProvider",
            "GetLayerVersion",
            "PutRuntimeManagementConfig",
            "PutFunctionRecursionConfig",
            "PutFunctionScalingConfig",
            "AssociateRuntimeAlias",
            "PublishVersion",
        ],
        "logs": [
            "*DataProtectionPolicy",
            "*IndexPolicy",
            "*KmsKey",
            "PutBearerTokenAuthentication",
            "PutLogGroupDeletionProtection",
            "CreateLogDelivery",
            "PutResourcePolicy",
            "DeleteResourcePolicy",
            "CreateLogStream",
            "PutLogEvents",
            "DescribeLogStreams",
        ],
        "s3": [
            "*Abac",
            "*Acl",
            "*AnalyticsConfiguration",
            "*AccelerateConfiguration",
            "*Cors",
            "*CORS",
            "*InventoryConfiguration",
            "*Logging",
            "*Metadata*",
            "*MetricsConfiguration",
            "*ObjectLock*",
            "*Replication*",
            "*TieringConfiguration",
            "*Website",
            "DeleteObject",
            "DeleteBucketEncryption",
            "DeleteBucketLifecycle",
            "REST.PUT.OBJECT",
        ],
        "sns": ["PutDataProtectionPolicy"],
        "iam": ["*PermissionsBoundary", "*UserPolicy", "*GroupPolicy", "CreateServiceLinkedRole"],
    },
    "services that the template does not use": {
        name: ["*"] for name in ("ec2", "elasticfilesystem", "firehose", "kinesis", "kms", "s3files", "s3tables")
    },
}
"""What a type could need and ours does not, with the reason."""
WITHOUT_RESOURCES = {
    "cloudformation:GetTemplateSummary",
    "cloudwatch:DescribeAlarms",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "servicequotas:ListServiceQuotas",
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
}
"""They list, or AWS knows no resource for them."""


def allowed(action: str) -> bool:
    return any(
        fnmatch.fnmatchcase(action, pattern) for statement in POLICY["Statement"] for pattern in statement["Action"]
    )


def excused(action: str) -> bool:
    service, name = action.split(":")
    return any(
        fnmatch.fnmatchcase(name, pattern) for services in NOT_NEEDED.values() for pattern in services.get(service, [])
    )


@functools.cache
def handlers() -> dict[str, set[str]]:
    """What the handlers of each resource type of the template call."""
    types = {resource["Type"] for resource in transformed()["Resources"].values()}
    names = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    found = {}
    for kind in types:
        schema: dict[str, Any] = json.loads((SCHEMAS / f"resources/{names[kind]}.json").read_text())
        calls = {name: handler["permissions"] for name, handler in schema["handlers"].items() if name != "list"}
        found[kind] = {action for actions in calls.values() for action in actions}
    return found


def test_every_call_that_cloudformation_makes_for_the_stack_is_allowed_or_argued() -> None:
    needed = handlers()
    assert len(needed) == 18
    missing = {
        kind: sorted(action for action in actions if not allowed(action) and not excused(action))
        for kind, actions in needed.items()
    }
    assert {kind: actions for kind, actions in missing.items() if actions} == {}


def test_every_argument_is_about_a_call_that_a_type_of_the_template_could_make() -> None:
    calls = {action for actions in handlers().values() for action in actions}
    unused = [
        f"{service}:{pattern}"
        for services in NOT_NEEDED.values()
        for service, patterns in services.items()
        for pattern in patterns
        if not fnmatch.filter(calls, f"{service}:{pattern}")
    ]
    assert unused == []


def test_what_is_allowed_is_called_by_cloudformation_or_by_the_deployment_itself() -> None:
    calls = {action for actions in handlers().values() for action in actions}
    own = {
        "cloudformation:*",  # the SAM CLI and the deployment follow the stack
        "s3:GetObject",  # the SAM CLI looks whether the code is there already, and puts it there
        "s3:GetObjectVersion",
        "s3:PutObject",
        "servicequotas:ListServiceQuotas",  # what is 0 is told
        "sns:ListSubscriptionsByTopic",  # whether the address is confirmed is told
    }
    idle = [
        pattern
        for statement in POLICY["Statement"]
        for pattern in statement["Action"]
        if not fnmatch.filter(calls, pattern) and not any(fnmatch.fnmatchcase(pattern, name) for name in own)
    ]
    assert idle == []


def test_everything_is_held_to_resources_that_are_named_after_the_stack() -> None:
    for statement in POLICY["Statement"]:
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) == WITHOUT_RESOURCES
            continue
        for resource in statement["Resource"]:
            name = resource.split(":", 5)[5]
            assert re.search(
                r"(^|[/:])(traindrop\*|aws-sam-cli-managed-default|TrainingStateMachine-\*|Dashboard-\*)|^transform/Serv",
                name,
            ), resource


def test_no_role_can_be_given_more_than_the_templates_by_a_managed_policy_nor_be_passed_to_others() -> None:
    (attach,) = (item for item in POLICY["Statement"] if "iam:AttachRolePolicy" in item["Action"])
    used = {
        policy
        for resource in transformed()["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"].get("ManagedPolicyArns", [])
    }
    assert set(attach["Condition"]["ArnEquals"]["iam:PolicyARN"]) == used
    (passing,) = (item for item in POLICY["Statement"] if "iam:PassRole" in item["Action"])
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": ["lambda.amazonaws.com", "states.amazonaws.com"]}
    }


def test_it_fits_into_a_managed_policy() -> None:
    """IAM counts characters without white space."""
    assert len(re.sub(r"\s", "", json.dumps(POLICY))) <= 6144
