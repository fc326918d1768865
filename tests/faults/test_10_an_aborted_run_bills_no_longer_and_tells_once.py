"""Whenever an execution is aborted: its job stops, one message tells of it, and the run can be taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.faults.conftest import Rows
from tests.stack import Stack, dataset_files, eventually, zipped

HOLD = 20.0
"""Seconds for which a run is held at its moment; what was held goes on then, as a function does after an abort."""
LAST = "images/val/0.png"
ENDS = frozenset({"Completed", "Rejected", "Failed", "Stopped", "Unchanged"})


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack in an account that may run more functions at once: most runs are held inside of one."""
    with LocalCloud.start(lambda_retry_seconds=0.2, lambda_concurrency=100) as cloud:
        yield Stack(cloud, deploy(cloud))


@dataclass(frozen=True)
class Moment:
    """When a run is aborted: while a call or a function of it is held, or as soon as `seen` says so."""

    words: str
    call: Mapping[str, Any] | None = None
    function: str = ""
    seen: Callable[[Stack, str, str], bool] | None = None
    epochs: int = 3
    spot: bool = False
    leaves_model: bool = False
    tells: str = "Stopped"
    anew: bool = False
    then: str = "Completed"


def is_waiting(stack: Stack, arn: str, _: str) -> bool:
    return stack.in_state(arn, "WaitForUpload")


def is_starting(stack: Stack, _: str, run_id: str) -> bool:
    return any(job["SecondaryStatus"] == "Starting" for job in stack.jobs(run_id))


def has_an_epoch(stack: Stack, _: str, run_id: str) -> bool:
    return any(job.get("FinalMetricDataList") for job in stack.jobs(run_id))


def is_between_attempts(stack: Stack, arn: str, _: str) -> bool:
    last = stack.history(arn)[-1]
    return bool(last["type"] == "TaskFailed" and last["taskFailedEventDetails"]["resourceType"] == "sns")


PUBLISH = {"service": "sns", "operation": "Publish"}
CREATE = {"service": "sagemaker", "operation": "CreateTrainingJob"}
COMPLETION = {**PUBLISH, "containing": ["report.html"]}
MOMENTS = (
    Moment("WaitForUpload", seen=is_waiting),
    Moment("ValidateDataset, before its function", function="ValidateDataset"),
    Moment(
        "ValidateDataset, when the data is claimed",
        call={"service": "s3", "operation": "PutObject", "containing": ["verdicts/"]},
        anew=True,
    ),
    Moment(
        "PublishRejection", call={**PUBLISH, "containing": ["Rejected"]}, tells="Rejected", anew=True, then="Rejected"
    ),
    Moment("TrainModel, before its function", function="StartTraining"),
    Moment("TrainModel, between the flag and the job", call=CREATE),
    Moment("TrainModel, between the flag and the job", call=CREATE, anew=True),
    Moment("TrainModel, job Starting", seen=is_starting, spot=True),
    Moment("TrainModel, job Training", seen=has_an_epoch, epochs=150, leaves_model=True),
    Moment("TrainModel, job Training", seen=has_an_epoch, epochs=150, leaves_model=True, anew=True),
    Moment("ReconcileJob, job running", function="ReconcileJob", epochs=200, leaves_model=True),
    Moment("ReconcileJob, job ended, its report late", function="ReconcileJob", leaves_model=True),
    Moment("ExtractModel, before its function", function="ExtractModel", leaves_model=True),
    Moment(
        "ExtractModel, half-way",
        call={"service": "s3", "operation": "PutObject", "containing": ["metrics.json"]},
        leaves_model=True,
        anew=True,
    ),
    Moment("PublishMetrics", function="PublishMetrics", leaves_model=True),
    Moment("WriteReport", function="WriteReport", leaves_model=True, anew=True),
    Moment("PublishCompletion, message under way", call=COMPLETION, leaves_model=True, tells="Completed"),
    Moment("PublishCompletion, between attempts", seen=is_between_attempts, leaves_model=True),
)


@dataclass
class Run:
    """One run on its way to its moment."""

    moment: Moment
    dataset: str
    arn: str = ""
    run_id: str = ""
    aborted: bool = False
    again: str = ""

    def __str__(self) -> str:
        return f"{self.moment.words}, {'started anew' if self.moment.anew else 'redriven'}"


def faults(runs: list[Run]) -> dict[str, Any]:
    """What holds each run, told apart by the name of its dataset."""
    found: dict[str, Any] = {"functions": [], "api": [], "training": {"spot_never_arrives": True}}
    for run in runs:
        moment, name = run.moment, [run.dataset]
        if moment.function:
            found["functions"].append({"function": moment.function, "delay_seconds": HOLD, "containing": name})
        if moment.call:
            texts = [*name, *moment.call.get("containing", [])]
            found["api"].append({**moment.call, "delay_seconds": HOLD, "containing": texts})
        if "report late" in moment.words:
            found["functions"].append({"function": "ReportJobEnd", "delay_seconds": HOLD, "containing": name})
        if "between attempts" in moment.words:
            texts = [*name, *COMPLETION["containing"]]
            found["api"].append({**PUBLISH, "error": "InternalError", "containing": texts, "times": 1000})
    return found


def drop(stack: Stack, run: Run) -> None:
    """Drop its dataset; the one that is to be waited for lacks a file."""
    settings = f"epochs: {run.moment.epochs}\nimgsz: 64\nbatch: 2\nspot: {str(run.moment.spot).lower()}\n"
    files = dataset_files(marker=run.dataset, settings=settings)
    if run.moment.words == "PublishRejection":
        del files["data.yaml"]
    if run.moment.words != "WaitForUpload":
        stack.put(f"datasets/{run.dataset}.zip", zipped(files))
        return
    for key in sorted(files, key=lambda key: key.endswith(".yaml")):
        if key != LAST:
            stack.put(f"datasets/{run.dataset}/{key}", files[key])


def find(stack: Stack, runs: list[Run]) -> None:
    """The executions of the runs that have none yet."""
    pages = stack.sfn.get_paginator("list_executions").paginate(stateMachineArn=stack.machine)
    items = [item for page in pages for item in page["executions"]]
    for run in runs:
        for item in items:
            if not run.arn and item["name"].startswith(f"{run.dataset}-2"):
                run.arn, run.run_id = item["executionArn"], item["name"]


def abort_at_their_moments(stack: Stack, runs: list[Run]) -> None:
    """Abort every run as soon as its moment has come."""
    deadline = time.monotonic() + 180
    while left := [run for run in runs if not run.aborted]:
        assert time.monotonic() < deadline, f"never came: {[str(run) for run in left]}"
        find(stack, left)
        waiting = stack.cloud.faults()
        held = {fault["containing"][0] for fault in waiting.get("functions", []) + waiting.get("api", [])}
        for run in left:
            seen = run.moment.seen
            if run.arn and (seen(stack, run.arn, run.run_id) if seen else run.dataset not in held):
                stack.sfn.stop_execution(executionArn=run.arn, error="Enough", cause="I changed my mind.")
                run.aborted = True
        time.sleep(0.5)


def ends(stack: Stack, run: Run) -> list[dict[str, Any]]:
    return [message for message in stack.messages(run.dataset) if message["outcome"] in ENDS]


def take_up(stack: Stack, run: Run) -> None:
    """Redrive the execution, or start another with the same input and no name, as the console does."""
    if not run.moment.anew:
        stack.sfn.redrive_execution(executionArn=run.arn)
        run.again = run.arn
    else:
        given = stack.sfn.describe_execution(executionArn=run.arn)["input"]
        run.again = stack.sfn.start_execution(stateMachineArn=stack.machine, input=given)["executionArn"]


def jobs_of(stack: Stack, run: Run) -> list[dict[str, Any]]:
    return stack.jobs(f"{run.dataset}-2")


def all_ended(jobs: list[dict[str, Any]]) -> bool:
    return all(job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") for job in jobs)


def told(stack: Stack, run: Run, count: int) -> list[dict[str, Any]]:
    """The end messages of a run when there are so many, or more."""

    def look() -> list[dict[str, Any]] | None:
        found = ends(stack, run)
        return found if len(found) >= count else None

    return eventually(look, within=120, what=f"{run}: end message {count}")


def has_ended(stack: Stack, arn: str) -> bool:
    return bool(stack.sfn.describe_execution(executionArn=arn)["status"] != "RUNNING")


@pytest.mark.long
def test_an_execution_aborted_at_any_moment(stack: Stack, row: Rows) -> None:
    line = row(
        10,
        fault="execution aborted at every state in turn, also between the flag and CreateTrainingJob",
        injected=f"StopExecution at {len(MOMENTS)} moments; then the run is redriven or started anew",
        promise="nothing keeps billing, nobody unaware",
    )
    runs = [Run(moment, f"abort-{number:02}") for number, moment in enumerate(MOMENTS)]
    stack.cloud.inject(faults(runs))
    for together in (runs[:1], runs[1:]):  # an upload is waited for so long only
        for run in together:
            drop(stack, run)
        abort_at_their_moments(stack, together)
    time.sleep(HOLD)
    stack.cloud.clear_faults()
    delivered, bodies = 0, []
    for run in runs:
        message = told(stack, run, 1)[0]
        bodies.append(message["body"] if message["outcome"] == run.moment.tells else f"it was {message['outcome']}")
        if run.moment.leaves_model:
            delivered += _has_model(stack, run)
        if run.moment.words == "TrainModel, between the flag and the job":
            eventually(partial(jobs_of, stack, run), within=60, what="the job that was created after the abort")
    running = still_running(stack, runs)
    first = [ends(stack, run) for run in runs]

    for run in runs:
        if run.moment.words == "WaitForUpload":
            stack.put(f"datasets/{run.dataset}/{LAST}", dataset_files(marker=run.dataset)[LAST])
        take_up(stack, run)
    for run, before in zip(runs, first, strict=True):
        eventually(partial(has_ended, stack, run.again), within=180, what=f"the end of {run.again}")
        told(stack, run, len(before) + 1)
    running += still_running(stack, runs)
    second = [ends(stack, run)[len(before) :] for run, before in zip(runs, first, strict=True)]
    counts = [len(messages) for messages in first + second]
    wrong = [
        (str(run), messages[0]["outcome"])
        for run, messages in zip(runs, second, strict=True)
        if messages[0]["outcome"] != run.moment.then
    ]
    models = sum(run.moment.leaves_model for run in runs)
    line.figure(
        f"jobs running after = {running}; end messages = {min(counts)} to {max(counts)} for each of {len(counts)} "
        f"lives; models delivered = {delivered} of {models}; right ends after = {len(runs) - len(wrong)} of {len(runs)}"
    )
    for life in (first, second):
        found = zip(runs, life, strict=True)
        assert [(str(run), len(messages)) for run, messages in found if len(messages) != 1] == []
    assert (running, delivered, wrong) == (0, models, [])
    for run, body in zip(runs, bodies, strict=True):
        if run.moment.tells == "Stopped":
            assert "I changed my mind." in body, str(run)
        if run.moment.leaves_model:
            assert f"models/{run.dataset}/{run.run_id}/best.pt" in body, str(run)


def _has_model(stack: Stack, run: Run) -> bool:
    place = f"models/{run.dataset}/{run.run_id}/best.pt"
    try:
        return bool(eventually(lambda: stack.artifacts(place), within=60, what=place))
    except AssertionError:
        return False


def still_running(stack: Stack, runs: list[Run]) -> int:
    """How many jobs have not ended a minute later; jobs that are being stopped have ended by then."""

    def count() -> int:
        return sum(not all_ended([job]) for run in runs for job in jobs_of(stack, run))

    deadline = time.monotonic() + 60
    while count() and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(2)  # for what might come late: a second message, another job
    return count()


@pytest.mark.long
def test_a_run_started_anew_after_its_end(stack: Stack, row: Rows) -> None:
    line = row(
        10,
        fault="an ended run started anew from the console with the same input",
        injected="StartExecution without a name after Completed and after Rejected",
        promise="nothing is trained twice, nobody unaware",
    )
    runs = [Run(MOMENTS[2], "ended-00"), Run(MOMENTS[3], "ended-01")]
    for run in runs:
        drop(stack, run)
        run.arn = stack.ended(run.dataset, within=120)["executionArn"]
        told(stack, run, 1)
        take_up(stack, run)
    for run in runs:
        told(stack, run, 2)
    time.sleep(1)
    outcomes = [[message["outcome"] for message in ends(stack, run)] for run in runs]
    jobs = [len(jobs_of(stack, run)) for run in runs]
    line.figure(f"jobs = {jobs[0]} and {jobs[1]}; told {', then '.join(outcomes[0])}; {', then '.join(outcomes[1])}")
    assert outcomes == [["Completed", "Unchanged"], ["Rejected", "Rejected"]]
    assert jobs == [1, 0]
