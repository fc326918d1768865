"""Faults injected from outside: taken exactly as often as asked for, refused when misspelt."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud, LocalCloudError
from tests.contract.lambdas import unique

ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(autouse=True)
def no_faults_left(cloud: LocalCloud) -> Iterator[None]:
    yield
    cloud.clear_faults()


CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("s3", "GetObject"): {"Bucket": "none", "Key": "a b/c+d"},
    ("s3", "ListObjectsV2"): {"Bucket": "none"},
    ("s3", "UploadPart"): {"Bucket": "none", "Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b"1"},
    ("dynamodb", "UpdateItem"): {"TableName": "none", "Key": {"a": {"S": "b"}}},
    ("sns", "Publish"): {"TopicArn": "arn:aws:sns:us-east-1:000000000000:none", "Message": "m"},
    ("sqs", "SendMessage"): {"QueueUrl": "http://127.0.0.1/000000000000/none", "MessageBody": "m"},
    ("stepfunctions", "ListStateMachines"): {},
    ("lambda", "ListFunctions"): {},
    ("sagemaker", "DescribeTrainingJob"): {"TrainingJobName": "none"},
    ("cloudwatch", "ListMetrics"): {},
    ("logs", "DescribeLogGroups"): {},
    ("events", "ListRules"): {},
    ("sts", "GetCallerIdentity"): {},
}


@pytest.mark.parametrize(("service", "operation"), CALLS, ids=lambda value: str(value))
def test_an_operation_answers_the_injected_error_so_many_times_and_no_more(
    cloud: LocalCloud, service: str, operation: str
) -> None:
    client = cloud.client(service, config=ONCE)
    method = next(name for name, of in client.meta.method_to_api_mapping.items() if of == operation)

    def code() -> str:
        try:
            getattr(client, method)(**CALLS[service, operation])
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "none"

    cloud.inject({"api": [{"service": service, "operation": operation, "error": "ThrottlingException", "times": 2}]})
    assert [code(), code()] == ["ThrottlingException"] * 2
    assert cloud.faults() == {}
    assert code() != "ThrottlingException"


def test_other_operations_are_untouched(cloud: LocalCloud) -> None:
    s3, name = cloud.client("s3", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    cloud.inject({"api": [{"service": "s3", "operation": "GetObject", "error": "SlowDown"}]})
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.head_object(Bucket=name, Key="k")
    with pytest.raises(ClientError, match="SlowDown") as caught:
        s3.get_object(Bucket=name, Key="k")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"1"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"trainings": {}}, "trainings"),
        ({"training": {"capacity_error": 1}}, "training.capacity_error"),
        ({"events": {"duplicate": 0}}, "events.duplicate"),
        ({"api": [{"service": "s3"}]}, "api.0.operation"),
        ({"training": {"capacity_errors": "1"}}, "training.capacity_errors"),
    ],
)
def test_a_misspelt_fault_is_refused_and_named(cloud: LocalCloud, document: dict[str, Any], named: str) -> None:
    with pytest.raises(LocalCloudError, match=named):
        cloud.inject(document)
    assert cloud.faults() == {}


@pytest.mark.parametrize(("method", "path"), [("DELETE", "_traindrop/faults"), ("POST", "_ministack/reset")])
def test_a_web_page_cannot_change_anything(cloud: LocalCloud, method: str, path: str) -> None:
    request = urllib.request.Request(  # noqa: S310
        f"{cloud.endpoint}/{path}", method=method, headers={"Origin": "https://example.com"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        opener.open(request, timeout=5)
    caught.value.close()


def test_faults_need_no_credentials_and_can_be_read_and_removed(cloud: LocalCloud) -> None:
    document = {"training": {"interrupt_after_epochs": [2, 3]}, "events": {"drop": ["Completed"]}}
    cloud.inject(document)
    assert cloud.faults() == document
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"{cloud.endpoint}/_traindrop/faults", method="DELETE")  # noqa: S310
    with opener.open(request, timeout=5) as answer:
        assert answer.status == 200
    assert cloud.faults() == {}
