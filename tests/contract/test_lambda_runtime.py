"""Python functions on the local cloud behave as on Lambda."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local_cloud.process import LocalCloud
from tests.contract.lambdas import Queue, allow, archive, eventually, function, invoke, logs, role


def test_an_exception_keeps_its_class_name_message_and_task_root(cloud: LocalCloud) -> None:
    name = function(
        cloud,
        """
        class CapacityError(Exception): pass
        def handler(event, context):
            raise CapacityError("no host for " + event["type"])
    """,
    )
    answer, error = invoke(cloud, name, {"type": "ml.g5.xlarge"})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("CapacityError", "no host for ml.g5.xlarge")
    assert '/var/task/app.py", line' in answer["stackTrace"][0]
    assert any("CapacityError" in line for line in logs(cloud, name))


def test_a_module_that_the_artefact_lacks_fails_as_on_lambda(cloud: LocalCloud) -> None:
    name = function(cloud, "import ministack\ndef handler(event, context): return 1")
    for _ in range(2):
        answer, error = invoke(cloud, name)
        assert error == "Unhandled"
        assert answer["errorType"] == "Runtime.ImportModuleError"
        assert answer["errorMessage"] == "Unable to import module 'app': No module named 'ministack'"


def test_a_handler_that_is_not_there_is_named(cloud: LocalCloud) -> None:
    answer, _ = invoke(cloud, function(cloud, "x = 1"))
    assert answer["errorType"] == "Runtime.HandlerNotFound"
    assert answer["errorMessage"] == "Handler 'handler' missing on module 'app'"


def test_a_function_is_ended_at_its_timeout(cloud: LocalCloud) -> None:
    name = function(cloud, "import time\ndef handler(event, context): time.sleep(30)", Timeout=1)
    started = time.monotonic()
    answer, error = invoke(cloud, name)
    assert time.monotonic() - started < 5
    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert answer["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert answer["errorMessage"].startswith("RequestId: ")


def test_a_function_that_exits_names_its_exit_code(cloud: LocalCloud) -> None:
    answer, _ = invoke(cloud, function(cloud, "import os\ndef handler(event, context): os._exit(3)"))
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_a_function_is_killed_above_its_memory_and_the_log_tells_how_much_it_used(cloud: LocalCloud) -> None:
    name = function(
        cloud,
        """
        import time
        def handler(event, context):
            held = b"x" * (event << 20); time.sleep(0.5)
    """,
        MemorySize=128,
    )
    assert invoke(cloud, name, 60) == (None, None)
    used = int(logs(cloud, name)[-1].rpartition("Max Memory Used: ")[2].removesuffix(" MB"))
    assert 60 < used < 128
    answer, _ = invoke(cloud, name, 200)
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert invoke(cloud, name, 1) == (None, None)


def test_a_function_sees_lambdas_environment_and_nothing_of_the_servers(cloud: LocalCloud) -> None:
    name = function(
        cloud,
        """
        import os, sys
        def handler(event, context):
            return {"environment": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
                    "remaining": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn,
                    "memory": context.memory_limit_in_mb}
    """,
        MemorySize=512,
        Environment={"Variables": {"RUNS_TABLE": "runs"}},
    )
    answer, _ = invoke(cloud, name)
    environment = answer["environment"]
    assert environment["RUNS_TABLE"] == "runs"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512" == answer["memory"]
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert environment["LAMBDA_TASK_ROOT"] == answer["cwd"] == answer["path"][0]
    assert 5000 < answer["remaining"] <= 10_000
    assert answer["arn"].endswith(f":function:{name}")
    leaked = {key for key in environment if key.startswith(("TRAINDROP", "GATEWAY", "AUTH", "MINISTACK", "HOME"))}
    assert not leaked
    assert cloud.environment["AWS_SECRET_ACCESS_KEY"] not in environment.values()
    assert not [entry for entry in answer["path"] if "/.venvs/dev" in entry]


def test_a_function_may_do_what_its_role_allows_and_no_more(cloud: LocalCloud) -> None:
    code = """
        import boto3
        def handler(event, context):
            boto3.client("sqs").send_message(QueueUrl=event, MessageBody="{}")
    """
    queue = Queue(cloud)
    assert invoke(cloud, function(cloud, code, allow("sqs:SendMessage", queue.arn)), queue.url) == (None, None)
    queue.receive()
    answer, _ = invoke(cloud, function(cloud, code), queue.url)
    assert answer["errorType"] == "ClientError"
    assert "AccessDenied" in answer["errorMessage"]


def test_log_lines_come_with_start_and_report(cloud: LocalCloud) -> None:
    name = function(
        cloud,
        """
        import logging
        logging.getLogger().setLevel("INFO")
        def handler(event, context):
            print("printed"); logging.info("logged")
    """,
    )
    invoke(cloud, name)
    lines = logs(cloud, name)
    assert lines[0].startswith("START RequestId: ")
    assert "printed" in lines
    assert any("logged" in line for line in lines)
    assert lines[-1].startswith("REPORT RequestId: ")


def test_an_asynchronous_invocation_is_retried_twice_and_then_goes_to_its_destination(cloud: LocalCloud) -> None:
    queue = Queue(cloud)
    name = function(
        cloud,
        """
        def handler(event, context):
            print("attempt"); raise ValueError("never")
    """,
        allow("sqs:SendMessage", queue.arn),
    )
    client = cloud.client("lambda")
    client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    assert client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a": 1}')["StatusCode"] == 202
    (record,) = [message["body"] for message in queue.receive()]
    assert record["requestPayload"] == {"a": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert logs(cloud, name).count("attempt") == 3


def test_a_dead_letter_queue_gets_the_event_itself_and_only_with_permission(cloud: LocalCloud) -> None:
    allowed, denied = Queue(cloud), Queue(cloud)
    code = "def handler(event, context): raise ValueError('never')"
    for queue, statements in ((allowed, [allow("sqs:SendMessage", allowed.arn)]), (denied, [])):
        name = function(cloud, code, *statements, DeadLetterConfig={"TargetArn": queue.arn})
        cloud.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a": 1}')
    (message,) = allowed.receive()
    assert message["body"] == {"a": 1}
    assert message["attributes"]["ErrorMessage"] == "never"
    assert denied.stays_empty(1)


def test_layers_are_importable(cloud: LocalCloud) -> None:
    package = archive(**{"python/from_layer__py": "value = 7"})
    layer = cloud.client("lambda").publish_layer_version(LayerName="values", Content={"ZipFile": package})
    name = function(
        cloud,
        "from from_layer import value\ndef handler(event, context): return value",
        Layers=[layer["LayerVersionArn"]],
    )
    assert invoke(cloud, name) == (7, None)


def test_new_code_is_used_at_once(cloud: LocalCloud) -> None:
    name = function(cloud, "def handler(event, context): return 1")
    assert invoke(cloud, name) == (1, None)
    cloud.client("lambda").update_function_code(
        FunctionName=name, ZipFile=archive(app__py="def handler(event, context): return 2")
    )
    assert eventually(lambda: invoke(cloud, name) == (2, None), what="the new code")


def test_embedded_metrics_in_a_log_become_metrics(cloud: LocalCloud) -> None:
    document = {
        "_aws": {
            "Timestamp": 0,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Contract",
                    "Dimensions": [["service"]],
                    "Metrics": [{"Name": "RunsCompleted", "Unit": "Count"}],
                }
            ],
        },
        "service": "contract",
        "RunsCompleted": [1.0],
    }
    name = function(cloud, f"def handler(event, context): print({json.dumps(json.dumps(document))})")
    for _ in range(2):
        invoke(cloud, name)
    now = time.time()
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Contract",
        MetricName="RunsCompleted",
        Dimensions=[{"Name": "service", "Value": "contract"}],
        StartTime=now - 600,
        EndTime=now + 600,
        Period=3600,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in found["Datapoints"]) == 2


CODE = """
import decimal, logging, sys
class Odd(Exception): pass
def handler(event, context):
    if event == "raise": raise Odd("ö " + context.function_name[:8])
    if event == "nested":
        try: 1 / 0
        except ZeroDivisionError as error: raise Odd("wrapped") from error
    if event == "unserialisable": return {1, 2}
    if event == "decimal": return {"a": decimal.Decimal("1.5"), "b": decimal.Decimal("2")}
    if event == "exit": sys.exit(4)
    if event == "context": return [context.invoked_function_arn.split(":")[2], context.memory_limit_in_mb,
                                   context.function_version, context.client_context, context.log_group_name[:12]]
    return event
"""
EVENTS: list[Any] = [
    "raise",
    "nested",
    "unserialisable",
    "decimal",
    "exit",
    "context",
    {"ä": [1, 2.5, None]},
    "",
    [],
    None,
]
BROKEN = {"import": "import nothing_there", "syntax": "def handler(:", "missing": "x = 1", "raise": "1 / 0"}


@pytest.fixture(scope="module")
def own_client_cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(environment={"TRAINDROP_LAMBDA_CLIENT": "own"}) as started:
        yield started


@pytest.mark.skipif(platform.system() != "Linux", reason="awslambdaric has wheels for Linux only")
def test_the_runtime_client_of_this_project_answers_what_awslambdaric_answers(
    cloud: LocalCloud, own_client_cloud: LocalCloud
) -> None:
    def answers(where: LocalCloud) -> list[tuple[Any, str | None]]:
        name = function(where, CODE)
        found = [invoke(where, name, event) for event in EVENTS]
        return found + [invoke(where, function(where, code)) for code in BROKEN.values()]

    def comparable(found: tuple[Any, str | None]) -> str:
        answer, error = found
        if isinstance(answer, dict) and "requestId" in answer:
            answer["requestId"] = bool(answer["requestId"])
        if isinstance(answer, dict) and answer.get("errorMessage", "").startswith("RequestId: "):
            answer["errorMessage"] = answer["errorMessage"].partition(" Error: ")[2]
        return json.dumps([answer, error], sort_keys=True)

    theirs, ours = answers(cloud), answers(own_client_cloud)
    for case, expected, found in zip([*EVENTS, *BROKEN], theirs, ours, strict=True):
        assert comparable(found) == comparable(expected), case


def test_a_role_that_lambda_may_not_assume_is_not_taken(cloud: LocalCloud) -> None:
    with pytest.raises(cloud.client("lambda").exceptions.InvalidParameterValueException):
        function(cloud, "def handler(event, context): pass", Role=role(cloud, "states.amazonaws.com"))


def test_an_update_lets_the_invocation_finish_that_is_on_and_the_next_one_is_new(cloud: LocalCloud) -> None:
    slow = "import os, time\ndef handler(event, context):\n    time.sleep(event); return ['old', os.getpid()]"
    name = function(cloud, slow)
    with ThreadPoolExecutor(1) as pool:
        (_, earlier), _ = invoke(cloud, name, 0)
        on = pool.submit(invoke, cloud, name, 4)
        time.sleep(1)
        code = archive(app__py="import os\ndef handler(event, context): return ['new', os.getpid()]")
        cloud.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
        (word, _), error = invoke(cloud, name, 0)
        assert (word, error) == ("new", None)
        assert not on.done()
        assert on.result() == (["old", earlier], None)
    eventually(lambda: not process_exists(earlier), what="the end of the old environment")
    assert invoke(cloud, name, 0)[0][0] == "new"


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
