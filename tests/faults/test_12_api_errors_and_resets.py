"""Whatever a tenth of the calls answers, every run ends right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.stack import Stack, dataset_files, eventually

RUNS, FOLDERS, AT_ONCE, SEED = 50, 8, 6, 12
ERRORS = {
    "s3": ("SlowDown", "InternalError"),
    "dynamodb": ("ThrottlingException", "InternalServerError"),
    "stepfunctions": ("ThrottlingException", "ServiceUnavailable"),
    "sagemaker": ("ThrottlingException", "InternalFailure"),
    "lambda": ("TooManyRequestsException", "ServiceException"),
    "sns": ("Throttled", "InternalError"),
    "logs": ("ThrottlingException", "ServiceUnavailable"),
}
"""How each service says that it is asked too often, and that it failed."""


def faults() -> list[dict[str, Any]]:
    """A tenth of the calls of every service: throttled, failed, cut off before the work, cut off after it."""
    found: list[dict[str, Any]] = []
    for service, (throttled, failed) in ERRORS.items():
        for error, after_work, share in (
            (throttled, False, 0.03),
            (failed, False, 0.03),
            ("reset", False, 0.02),
            ("reset", True, 0.02),
        ):
            meant = {"service": service, "operation": "*", "error": error, "after_work": after_work}
            found.append({**meant, "share": share, "seed": SEED + len(found)})
    return found


def drop(stack: Stack, name: str, number: int) -> None:
    """Drop a dataset: most as a zip, some as a folder."""
    if number % (RUNS // FOLDERS):
        stack.drop_zip(name)
    else:
        for path, body in dataset_files(marker=name).items():
            stack.put(f"datasets/{name}/{path}", body)


def wrong(stack: Stack, name: str, execution: dict[str, Any]) -> str:
    """What is not as it should be with a run; empty when it ended right."""
    if execution["status"] != "SUCCEEDED":
        return f"{name}: {stack.sfn.describe_execution(executionArn=execution['executionArn'])}"
    run_id = execution["name"]
    outcomes = [message["outcome"] for message in stack.messages(name)]
    if set(outcomes) != {"Started", "Completed"}:
        return f"{name}: messages {outcomes}"
    if (jobs := len(stack.jobs(run_id))) != 1:
        return f"{name}: {jobs} jobs"
    if stack.run(run_id)["status"] != "Completed":
        return f"{name}: recorded as {stack.run(run_id)['status']}"
    delivered = {key.rsplit("/", 1)[-1] for key in stack.artifacts(f"models/{name}/")}
    missing = {"best.pt", "metrics.json", "report.html", "best.json"} - delivered
    return f"{name}: without {missing}" if missing else ""


def dead_letters(stack: Stack) -> int:
    """How many events lie in the stack's dead-letter queues."""
    sqs, asked = stack.cloud.client("sqs"), ["ApproximateNumberOfMessages"]
    queues = [url for url in sqs.list_queues()["QueueUrls"] if "DeadLetters" in url]
    assert queues
    return sum(
        int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"][asked[0]]) for url in queues
    )


@pytest.mark.long
def test_every_run_ends_right_though_a_tenth_of_the_calls_fail(stack: Stack, row: Rows) -> None:
    line = row(
        12,
        fault="AWS API throttles, 5xx, resets",
        injected=f"10% of the calls of functions, state machine and jobs, from seed {SEED}; a fifth did their work",
        promise="every run ends right (messages at least once)",
    )
    names = [f"chaos-{number:02}" for number in range(RUNS)]
    before = dead_letters(stack)
    stack.cloud.inject({"api": faults()})
    for number, name in enumerate(names):
        eventually(lambda: running(stack) < AT_ONCE, within=180, what="the end of a run before it", every=0.3)
        drop(stack, name, number)
    executions = stack.all_ended(RUNS, "chaos-", within=240)
    by_name = {execution["name"].rsplit("-", 2)[0]: execution for execution in executions}
    eventually(lambda: all(told(stack, name) for name in names), within=60, what="a message of each run")
    calls = stack.cloud.shares()
    stack.cloud.clear_faults()
    problems = [problem for name in names if (problem := wrong(stack, name, by_name[name]))]
    lost = dead_letters(stack) - before
    line.figure(
        f"{RUNS - len(problems)} of {RUNS} ended right; calls failed = {calls['failed']} of {calls['calls']}; "
        f"events lost = {lost}"
    )
    assert not problems, "\n".join(problems)
    assert lost == 0
    assert 0.08 < calls["failed"] / calls["calls"] < 0.12


WRITES = {
    ("stepfunctions", "StartExecution"): [],
    ("dynamodb", "PutItem"): ["attribute_not_exists"],
    ("dynamodb", "UpdateItem"): ["attribute_not_exists"],
    ("sagemaker", "CreateTrainingJob"): [],
    ("stepfunctions", "SendTaskSuccess"): [],
    ("s3", "PutObject"): ["best.json"],
    ("lambda", "Invoke"): ["ValidateDataset"],
    ("sns", "Publish"): ["Completed"],
}
"""What must not be done twice, or not be taken for somebody else's when it is repeated."""


def test_a_write_whose_answer_is_lost_is_known_again(stack: Stack, row: Rows) -> None:
    line = row(
        12,
        fault="answers lost",
        injected=f"{len(WRITES)} kinds of writes, each done and cut off once in one run",
        promise="ends right, with one job",
    )
    stack.cloud.inject(
        {
            "api": [
                {"service": service, "operation": name, "error": "reset", "after_work": True, "containing": texts}
                for (service, name), texts in WRITES.items()
            ]
        }
    )
    stack.drop_zip("unanswered")
    execution = stack.ended("unanswered", within=90)
    eventually(lambda: told(stack, "unanswered"), within=60, what="the end message")
    left = [f"{fault['service']}:{fault['operation']}" for fault in stack.cloud.faults().get("api", [])]
    problem = wrong(stack, "unanswered", execution)
    line.figure(f"{0 if problem else 1} of 1 ended right; answers lost = {len(WRITES) - len(left)} of {len(WRITES)}")
    assert not problem
    assert not left


def running(stack: Stack) -> int:
    """How many executions run."""
    listed = stack.sfn.list_executions(stateMachineArn=stack.machine, statusFilter="RUNNING", maxResults=1000)
    return len(listed["executions"])


def told(stack: Stack, name: str) -> bool:
    """Whether there is an end message about a dataset."""
    return any(message["outcome"] != "Started" for message in stack.messages(name))
