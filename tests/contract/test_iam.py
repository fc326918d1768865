"""Policies on the local cloud allow and deny what they do on AWS."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.lambdas import allow, function, invoke, unique

CALL = """
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    client = boto3.client(event["service"])
    try:
        getattr(client, event["method"])(**event["arguments"])
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "done"
"""


def call(cloud: LocalCloud, statements: list[dict[str, Any]], service: str, method: str, **arguments: Any) -> Any:
    """What a function with these permissions gets."""
    name = function(cloud, CALL, *statements)
    answer, error = invoke(cloud, name, {"service": service, "method": method, "arguments": arguments})
    assert error is None, answer
    return answer


@pytest.fixture
def bucket(cloud: LocalCloud) -> str:
    name = unique("bucket")
    cloud.client("s3").create_bucket(Bucket=name)
    cloud.client("s3").put_object(Bucket=name, Key="here", Body=b"1")
    return name


@pytest.mark.parametrize(
    ("method", "denied", "missing"),
    [("get_object", ["AccessDenied", 403], ["NoSuchKey", 404]), ("head_object", ["403", 403], ["404", 404])],
)
def test_a_missing_key_is_hidden_from_whom_may_not_list(
    cloud: LocalCloud, bucket: str, method: str, denied: list[Any], missing: list[Any]
) -> None:
    read = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    listing = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    assert call(cloud, [read], "s3", method, Bucket=bucket, Key="here") == "done"
    assert call(cloud, [read], "s3", method, Bucket=bucket, Key="gone") == denied
    assert call(cloud, [read, listing], "s3", method, Bucket=bucket, Key="gone") == missing


def test_a_missing_bucket_is_a_missing_bucket(cloud: LocalCloud) -> None:
    found = call(cloud, [allow("s3:*")], "s3", "get_object", Bucket=unique("none"), Key="k")
    assert found == ["NoSuchBucket", 404]


def test_a_policy_that_wants_tls_lets_the_loopback_gateway_pass(cloud: LocalCloud, bucket: str) -> None:
    cloud.client("s3").put_bucket_policy(
        Bucket=bucket,
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": f"arn:aws:s3:::{bucket}/*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            }
        ),
    )
    assert call(cloud, [allow("s3:GetObject")], "s3", "get_object", Bucket=bucket, Key="here") == "done"


def test_put_metric_data_can_be_held_to_a_namespace(cloud: LocalCloud) -> None:
    statement = allow("cloudwatch:PutMetricData", "*", StringEquals={"cloudwatch:namespace": "Contract"})
    arguments = {"MetricData": [{"MetricName": "Runs", "Value": 1.0}]}
    assert call(cloud, [statement], "cloudwatch", "put_metric_data", Namespace="Contract", **arguments) == "done"
    code, status = call(cloud, [statement], "cloudwatch", "put_metric_data", Namespace="Other", **arguments)
    assert (code.removesuffix("Exception"), status) == ("AccessDenied", 403)


def test_the_arn_of_a_rule_does_not_name_the_default_bus(cloud: LocalCloud) -> None:
    name = unique("rule")
    cloud.client("events").put_rule(Name=name, EventPattern='{"source": ["nobody"]}')
    statement = allow("events:DescribeRule", f"arn:aws:events:us-east-1:000000000000:rule/{name}")
    assert call(cloud, [statement], "events", "describe_rule", Name=name) == "done"


def test_without_a_statement_everything_is_denied(cloud: LocalCloud, bucket: str) -> None:
    assert call(cloud, [], "s3", "get_object", Bucket=bucket, Key="here") == ["AccessDenied", 403]


def test_an_unknown_key_and_a_wrong_secret_are_refused(cloud: LocalCloud) -> None:
    for unknown in ("AKIANOBODYKNOWSTHIS0", "test", "000000000000"):
        client = cloud.client("sts", aws_access_key_id=unknown, aws_secret_access_key="test")
        with pytest.raises(ClientError, match="security token included in the request is invalid"):
            client.get_caller_identity()
    administrator = cloud.environment["AWS_ACCESS_KEY_ID"]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        cloud.client("sts", aws_access_key_id=administrator, aws_secret_access_key="guessed").get_caller_identity()
    iam, name = cloud.client("iam"), unique("user")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        cloud.client("sts", aws_access_key_id=key, aws_secret_access_key="guessed").get_caller_identity()


def test_the_unsigned_get_nothing_and_presigned_links_work(cloud: LocalCloud, bucket: str) -> None:
    s3 = cloud.client("s3")
    unsigned = cloud.client("s3", config=Config(signature_version=UNSIGNED))
    for call_it in (
        lambda: unsigned.get_object(Bucket=bucket, Key="here"),
        unsigned.list_buckets,
        lambda: unsigned.put_object(Bucket=bucket, Key="new", Body=b"1"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call_it()
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "here"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(link, timeout=10) as answer:
        assert answer.read() == b"1"


def test_a_task_token_belongs_to_its_state_machine(cloud: LocalCloud) -> None:
    """A function scoped to one state machine may answer that one's tokens, not another's."""
    sfn = cloud.client("stepfunctions")
    machines = {}
    for name in ("mine", "other"):
        queue = cloud.client("sqs").create_queue(QueueName=unique("tokens"))["QueueUrl"]
        definition = {
            "StartAt": "Wait",
            "States": {
                "Wait": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                    "End": True,
                    "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
                }
            },
        }
        role = _states_role(cloud)
        arn = sfn.create_state_machine(name=unique(name), definition=json.dumps(definition), roleArn=role)[
            "stateMachineArn"
        ]
        execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        received = cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
        machines[name] = (arn, json.loads(received[0]["Body"])["token"], execution)
    statement = allow(["states:SendTaskSuccess", "states:SendTaskFailure"], machines["mine"][0])

    def answer(token: str) -> Any:
        return call(cloud, [statement], "stepfunctions", "send_task_success", taskToken=token, output="{}")

    assert answer(machines["other"][1])[0] == "AccessDeniedException"
    assert answer(machines["mine"][1]) == "done"
    assert answer("nobody gave this out")[0] in ("InvalidToken", "TaskDoesNotExist", "AccessDeniedException")
    sfn.stop_execution(executionArn=machines["other"][2])


def _states_role(cloud: LocalCloud) -> str:
    from tests.contract.lambdas import role

    return role(cloud, "states.amazonaws.com", allow("sqs:SendMessage"))
