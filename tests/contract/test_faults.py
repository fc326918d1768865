"""Faults injected from outside: taken exactly as often as asked for, refused when misspelt."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from local_cloud.process import LocalCloud, LocalCloudError
from tests.contract.lambdas import Queue, allow, eventually, function, invoke, logs, unique

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


def test_a_call_can_be_held_and_then_goes_on_or_fails(cloud: LocalCloud) -> None:
    s3, name = cloud.client("s3", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    held = {"service": "s3", "operation": "PutObject", "delay_seconds": 0.5}
    cloud.inject({"api": [held, {**held, "error": "SlowDown"}]})
    for fails in (False, True):
        started = time.monotonic()
        with pytest.raises(ClientError, match="SlowDown") if fails else nullcontext():
            s3.put_object(Bucket=name, Key=f"k{fails}", Body=b"1")
        assert time.monotonic() - started >= 0.5
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]] == ["kFalse"]


def test_a_held_call_holds_no_other(cloud: LocalCloud) -> None:
    s3, name = cloud.client("s3", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    cloud.inject({"api": [{"service": "s3", "operation": "PutObject", "delay_seconds": 2}]})
    ended: list[str] = []

    def put(key: str) -> None:
        s3.put_object(Bucket=name, Key=key, Body=b"1")
        ended.append(key)

    held = threading.Thread(target=put, args=("held",))
    held.start()
    eventually(lambda: cloud.faults() == {}, what="the first call being held")
    put("free")
    held.join()
    assert ended == ["free", "held"]


def test_a_fault_may_be_meant_for_requests_that_contain_all_of_these_texts(cloud: LocalCloud) -> None:
    s3, sqs, name = cloud.client("s3", config=ONCE), cloud.client("sqs", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    queue = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    document = {
        "api": [
            {"service": "s3", "operation": "PutObject", "error": "SlowDown", "containing": [name, "two"]},
            {"service": "sqs", "operation": "SendMessage", "error": "OverLimit", "containing": ["two", "blue"]},
        ]
    }
    cloud.inject(document)
    s3.put_object(Bucket=name, Key="one", Body=b"1")
    sqs.send_message(QueueUrl=queue, MessageBody="two red")
    assert cloud.faults() == document
    with pytest.raises(ClientError, match="SlowDown"):
        s3.put_object(Bucket=name, Key="two", Body=b"1")
    with pytest.raises(ClientError, match="OverLimit"):
        sqs.send_message(QueueUrl=queue, MessageBody="two blue")
    assert cloud.faults() == {}


def test_a_call_can_be_cut_off_before_its_work_and_after_it(cloud: LocalCloud) -> None:
    s3, name = cloud.client("s3", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    cut = {"service": "s3", "operation": "PutObject", "error": "reset"}
    for after_work in (False, True):
        cloud.inject({"api": [{**cut, "after_work": after_work}]})
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket=name, Key=f"k{after_work}", Body=b"1" * 100_000)
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]] == ["kTrue"]


def test_an_error_after_the_work_leaves_the_work_done(cloud: LocalCloud) -> None:
    s3, name = cloud.client("s3", config=ONCE), unique("bucket")
    s3.create_bucket(Bucket=name)
    cloud.inject({"api": [{"service": "*", "operation": "*", "error": "InternalError", "after_work": True}]})
    with pytest.raises(ClientError, match="InternalError"):
        s3.put_object(Bucket=name, Key="k", Body=b"1")
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"1"


CALLING = """
    import boto3
    from botocore.config import Config
    once = Config(retries={"total_max_attempts": 1})
    def handler(event, context):
        client, found = boto3.client("sqs", config=once), []
        for _ in range(event["calls"]):
            try:
                client.send_message(QueueUrl=event["queue"], MessageBody="1")
                found.append("")
            except Exception as error:
                found.append(type(error).__name__)
        return found
"""


def test_a_share_of_the_calls_of_roles_fails_by_its_seed_and_no_other_calls(cloud: LocalCloud) -> None:
    queue = Queue(cloud)
    name = function(cloud, CALLING, allow("sqs:SendMessage", queue.arn), Timeout=60)
    fault = {"service": "*", "operation": "*", "share": 0.2, "seed": 7}
    found = []
    for _ in range(2):
        cloud.inject({"api": [{**fault, "error": "ThrottlingException"}, {**fault, "error": "reset", "seed": 8}]})
        for _ in range(20):
            cloud.client("sqs", config=ONCE).get_queue_attributes(QueueUrl=queue.url)
        found.append(invoke(cloud, name, {"queue": queue.url, "calls": 100})[0])
        failed = sum(error != "" for error in found[0])
        assert cloud.shares() == {"calls": 100, "failed": failed}
    assert found[0] == found[1]
    assert 20 <= failed <= 52
    assert set(found[0]) == {"", "ClientError", "ConnectionClosedError"}


WORKING = """
    import boto3
    def handler(event, context):
        boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody='"worked"')
        return "done"
"""


@pytest.mark.parametrize("after_work", [False, True])
@pytest.mark.parametrize(
    ("fails", "error", "message"),
    [
        ("throws", "InjectedError", r"Injected by"),
        ("times_out", "Sandbox.Timedout", r"RequestId: \S+ Error: Task timed out after 10\.00 seconds"),
    ],
)
def test_an_invocation_fails_before_its_work_or_after_it(
    cloud: LocalCloud, fails: str, error: str, message: str, after_work: bool
) -> None:
    queue = Queue(cloud)
    name = function(cloud, WORKING, allow("sqs:SendMessage", queue.arn))
    cloud.inject({"functions": [{"function": name, "fails": fails, "after_work": after_work}]})
    answer, kind = invoke(cloud, name, {"queue": queue.url})
    assert (answer["errorType"], kind) == (error, "Unhandled")
    assert re.match(message, answer["errorMessage"])
    assert any(answer["errorMessage"].rpartition("Error: ")[2] in line for line in logs(cloud, name))
    assert len(queue.receive(1)) == 1 if after_work else queue.stays_empty(0.3)
    assert invoke(cloud, name, {"queue": queue.url}) == ("done", None)
    queue.receive(1)


def test_a_throttled_call_is_answered_with_429_and_reaches_no_function(cloud: LocalCloud) -> None:
    queue = Queue(cloud)
    name = function(cloud, WORKING, allow("sqs:SendMessage", queue.arn))
    cloud.inject({"functions": [{"function": name, "fails": "throttled"}]})
    with pytest.raises(ClientError, match="TooManyRequestsException") as caught:
        cloud.client("lambda", config=ONCE).invoke(FunctionName=name, Payload=json.dumps({"queue": queue.url}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert queue.stays_empty(0.3)
    assert invoke(cloud, name, {"queue": queue.url}) == ("done", None)


def test_a_throttled_event_waits_and_uses_up_no_attempt(cloud: LocalCloud) -> None:
    """On AWS it is retried for as long as its age allows, whatever MaximumRetryAttempts says."""
    queue = Queue(cloud)
    name = function(cloud, WORKING, allow("sqs:SendMessage", queue.arn))
    client = cloud.client("lambda")
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    cloud.inject({"functions": [{"function": name, "fails": "throttled", "times": 4}]})
    client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"queue": queue.url}))
    assert queue.receive(1)
    assert cloud.faults() == {}


def test_an_event_that_is_throttled_beyond_its_age_is_put_aside(cloud: LocalCloud) -> None:
    aside = Queue(cloud)
    name = function(cloud, "def handler(event, context): pass", allow("sqs:SendMessage", aside.arn))
    client = cloud.client("lambda", config=Config(parameter_validation=False))
    client.put_function_event_invoke_config(
        FunctionName=name,
        MaximumEventAgeInSeconds=1,  # less than the minute that AWS takes
        DestinationConfig={"OnFailure": {"Destination": aside.arn}},
    )
    cloud.inject({"functions": [{"function": name, "fails": "throttled", "times": 1000}]})
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    (record,) = aside.receive(1)
    assert record["body"]["requestContext"]["condition"] == "EventAgeExceeded"


def test_an_invocation_can_be_held_and_chosen_by_what_its_event_contains(cloud: LocalCloud) -> None:
    name = function(cloud, "def handler(event, context): return event['name']")
    chosen = {"function": name, "containing": ["rooms-07"]}
    cloud.inject({"functions": [{**chosen, "fails": "throws"}, {**chosen, "delay_seconds": 0.5}]})
    assert invoke(cloud, name, {"name": "rooms-08"}) == ("rooms-08", None)
    assert invoke(cloud, name, {"name": "rooms-07"})[1] == "Unhandled"
    started = time.monotonic()
    assert invoke(cloud, name, {"name": "rooms-07"}) == ("rooms-07", None)
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"trainings": {}}, "trainings"),
        ({"training": {"capacity_error": 1}}, "training.capacity_error"),
        ({"events": {"duplicate": 0}}, "events.duplicate"),
        ({"api": [{"service": "s3"}]}, "api.0.operation"),
        ({"api": [{"service": "s3", "operation": "GetObject"}]}, "api.0: .*error, delay_seconds"),
        ({"api": [{"service": "s3", "operation": "*", "error": "e", "share": 1.5}]}, "api.0.share"),
        ({"api": [{"service": "s3", "operation": "*", "error": "e", "share": 0.5, "times": 2}]}, "api.0: .*or share"),
        ({"api": [{"service": "s3", "operation": "*", "error": "e", "seed": 2}]}, "api.0: .*seed"),
        (
            {"api": [{"service": "s3", "operation": "*", "delay_seconds": 1.0, "after_work": True}]},
            "api.0: .*after_work",
        ),
        ({"functions": [{"function": "f", "fails": "dies"}]}, "functions.0.fails"),
        ({"functions": [{"function": "f"}]}, "functions.0: .*fails, delay_seconds"),
        ({"functions": [{"function": "f", "fails": "throttled", "after_work": True}]}, "functions.0: .*after_work"),
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
