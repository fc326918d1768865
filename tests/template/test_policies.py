"""What each part of the stack may do: no more than it does, and every permission with its reason."""

from __future__ import annotations

import re

import pytest

from tests.faults import deeds_of_delivery  # noqa: F401  (registers its deeds)
from tests.faults.deeds import DEEDS
from tests.faults.jobs import JOB_NEEDS
from tests.faults.only_on_aws import ONLY_ON_AWS
from tests.faults.permissions import permissions
from tests.template.rendering import ROOT, TEMPLATE, granted, listed, resources, role_statements, written

CALLS = {
    "dynamodb:DeleteItem": "delete_item",
    "dynamodb:GetItem": "get_item",
    "dynamodb:PutItem": "put_item",
    "dynamodb:Query": r"\.query\(",
    "dynamodb:UpdateItem": "update_item",
    "lambda:InvokeFunction": r"\.invoke\(",
    "logs:DescribeLogStreams": "describe_log_streams",
    "logs:GetLogEvents": "get_log_events",
    "s3:AbortMultipartUpload": "upload_fileobj",
    "s3:GetObject": "get_object|head_object|s3.copy",
    "s3:ListBucket": "list_objects_v2|head_object|get_object",
    "s3:PutObject": "put_object|upload_fileobj",
    "sagemaker:CreateTrainingJob": "create_training_job",
    "sagemaker:AddTags": '"Tags"',
    "sagemaker:DescribeTrainingJob": "describe_training_job",
    "sagemaker:StopTrainingJob": "stop_training_job",
    "sns:Publish": "sns.publish",
    "iam:PassRole": '"RoleArn"',
    "servicequotas:GetServiceQuota": "get_service_quota",
    "servicequotas:ListServiceQuotas": "list_service_quotas",
    "states:StartExecution": "start_execution",
    "states:DescribeExecution": "describe_execution",
    "states:GetExecutionHistory": "get_execution_history",
    "states:SendTaskSuccess": "send_task_success",
    "states:SendTaskFailure": "send_task_failure",
}
"""What in the code needs an action; a function that is granted one that no code needs is a fault."""


def test_every_permission_is_missed_by_a_deed_or_used_by_aws_alone_and_not_both() -> None:
    """A new permission wants a proof that it is needed: `make faults` takes it away, or a reason why nothing can."""
    everything = {str(permission) for permission in permissions()}
    missed = [name for names in DEEDS.values() for name in names] + list(JOB_NEEDS)
    assert len(missed) == len(set(missed))
    assert not set(missed) & set(ONLY_ON_AWS)
    assert set(missed) | set(ONLY_ON_AWS) == everything
    assert all(len(reason.split()) > 8 for reason in ONLY_ON_AWS.values())


def test_every_function_has_one_role_that_no_other_has() -> None:
    roles = [function["Role"]["Fn::GetAtt"][0] for function in resources("AWS::Lambda::Function").values()]
    assert len(roles) == len(set(roles)) == 9


def test_every_statement_is_preceded_by_a_comment_that_says_why() -> None:
    lines = TEMPLATE.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"\s+- (Sid|Effect):", line)]
    bare = [
        f"line {number + 1}: {lines[number].strip()}"
        for number in starts
        if not re.match(r"\s+# \S+ \S+", lines[number - 1])
    ]
    assert not bare
    assert len(starts) == _count_statements(written()["Resources"])


def test_every_security_exception_is_preceded_by_its_reason() -> None:
    """That the list is exact is held by `make check`."""
    lines = TEMPLATE.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"\s+- \{rule: ", line)]
    assert len(starts) == len(written()["Metadata"]["SecurityExceptions"]) > 0
    assert all(re.match(r"\s+# \S+ \S+", lines[number - 1]) for number in starts)


def _count_statements(value: object) -> int:
    if isinstance(value, list):
        return sum(_count_statements(item) for item in value)
    if not isinstance(value, dict):
        return 0
    return sum(_count_statements(item) for item in value.values()) + ("Effect" in value)


def test_a_resource_of_everything_is_argued_on_its_line() -> None:
    found = [line for line in TEMPLATE.read_text().splitlines() if re.search(r"Resource: \[?[\"']?\*", line)]
    assert found
    assert all(re.search(r"# because \w+", line) for line in found), found


LOG_DELIVERY = (
    "CreateLogDelivery",
    "DeleteLogDelivery",
    "DescribeLogGroups",
    "DescribeResourcePolicies",
    "GetLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "UpdateLogDelivery",
)
"""Actions that know no resources, as Step Functions asks for them."""


def test_only_the_argued_statements_reach_everything() -> None:
    reaching = {
        (role, action)
        for role, found in role_statements().items()
        for statement in found
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert reaching == {
        ("StartTrainingFunctionRole", "servicequotas:GetServiceQuota"),
        ("StartTrainingFunctionRole", "servicequotas:ListServiceQuotas"),
        ("TrainingRole", "cloudwatch:PutMetricData"),
        ("TrainingRole", "ecr:GetAuthorizationToken"),
        *(("TrainingStateMachineRole", f"logs:{action}") for action in LOG_DELIVERY),
    }


def test_no_action_has_a_wildcard() -> None:
    assert not [(role, action) for role, actions in granted().items() for action in actions if "*" in action]


@pytest.mark.parametrize("role", sorted(role for role in granted() if role.endswith("FunctionRole")))
def test_a_function_is_granted_only_what_some_code_calls(role: str) -> None:
    sources = [*(ROOT / "traindrop").glob("*.py"), *(ROOT / "functions").glob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    function = written()["Resources"][role.removesuffix("Role")]["Properties"]
    put_aside = {"sqs:SendMessage"} if "EventInvokeConfig" in function else set()
    assert granted()[role] >= put_aside
    assert not [action for action in sorted(granted()[role] - put_aside) if not re.search(CALLS[action], code)]


def test_managed_policies_are_no_more_than_logs_and_traces() -> None:
    """Only on AWS: MiniStack does not check them."""
    names = {
        arn.rsplit("/", 1)[-1]
        for role in resources("AWS::IAM::Role").values()
        for arn in role.get("ManagedPolicyArns", [])
    }
    assert names == {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}


def reached(action: str) -> dict[str, set[str]]:
    """Which role reaches which places of the buckets by an action, in short."""
    found: dict[str, set[str]] = {}
    for permission in permissions():
        if permission.action == action and permission.sid != "TlsOnly":
            found.setdefault(permission.resource, set()).add(permission.holder.removesuffix("FunctionRole"))
    return found


def test_each_place_of_the_artifact_bucket_is_written_by_one_role_and_datasets_by_none() -> None:
    """What is loaded as code (`code/`, `models/`, `weights/`) is written by no job; what serves all, by nobody."""
    assert reached("s3:PutObject") == {
        "ArtifactBucket/verdicts/*": {"ValidateDataset"},
        "ArtifactBucket/training-input/*": {"ValidateDataset"},
        "ArtifactBucket/code/*": {"StartTraining"},
        "ArtifactBucket/checkpoints/*": {"TrainingRole"},
        "ArtifactBucket/training-output/*": {"TrainingRole"},
        "ArtifactBucket/models/*": {"ExtractModel"},
        "ArtifactBucket/weights/*/*": {"ExtractModel"},
        "ArtifactBucket/models/*/best.json": {"PublishMetrics"},
        "ArtifactBucket/models/*/report.html": {"WriteReport"},
    }
    assert reached("s3:DeleteObject") == {"ArtifactBucket/checkpoints/*": {"TrainingRole"}}


def test_a_training_job_reads_datasets_and_what_it_begins_with_and_no_more() -> None:
    assert {place for place, roles in reached("s3:GetObject").items() if "TrainingRole" in roles} == {
        "DatasetBucket/datasets/*",
        *(f"ArtifactBucket/{place}/*" for place in ("code", "training-input", "weights", "models", "checkpoints")),
    }
    assert {action.split(":")[0] for action in granted()["TrainingRole"]} == {"s3", "logs", "cloudwatch", "ecr"}


def test_policies_of_resources_let_in_aws_services_only_each_for_one_source() -> None:
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for policy in resources(kind).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert set(statement["Principal"]) == {"Service"}
                    (condition,) = statement["Condition"].values()
                    assert set(condition) <= {"aws:SourceArn", "aws:SourceAccount"}
    for permission in resources("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "events.amazonaws.com"
        assert permission["SourceArn"]


def test_only_start_training_may_pass_a_role_and_only_to_sagemaker() -> None:
    passing = [
        (role, statement)
        for role, found in role_statements().items()
        for statement in found
        if "iam:PassRole" in listed(statement["Action"])
    ]
    assert [role for role, _ in passing] == ["StartTrainingFunctionRole"]
    assert passing[0][1]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passing[0][1]["Resource"] == {"Fn::GetAtt": ["TrainingRole", "Arn"]}


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"])
def test_nothing_travels_in_the_clear(kind: str) -> None:
    for policy in resources(kind).values():
        denies = [statement for statement in policy["PolicyDocument"]["Statement"] if statement["Effect"] == "Deny"]
        assert [statement["Condition"] for statement in denies] == [{"Bool": {"aws:SecureTransport": "false"}}]
