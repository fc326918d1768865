"""What the AWS console shows of runs: the dashboard's metrics, and what goes into and comes out of each state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import ROOT, LocalCloud
from tests.faults.ends import physical_id
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, eventually

OF_AWS = {
    ("AWS/States", name)
    for name in (
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsAborted",
        "ExecutionsTimedOut",
    )
} | {("AWS/SQS", "ApproximateNumberOfMessagesVisible")}
"""AWS publishes these by itself: "Step Functions metrics for CloudWatch", "Available CloudWatch metrics for SQS"."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own, since metrics are counted: those of other tests' runs would be among them."""
    with LocalCloud.start(trainer="stub", lambda_retry_seconds=0.2) as cloud:
        yield Stack(cloud, deploy(cloud))


@pytest.fixture(autouse=True)
def no_faults_left(stack: Stack) -> Iterator[None]:
    yield
    stack.cloud.clear_faults()


def dashboard(stack: Stack) -> dict[str, Any]:
    name = physical_id(stack, "Dashboard")
    body = stack.cloud.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    assert "${" not in body
    found: dict[str, Any] = json.loads(body)
    return found


def shown(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Namespace and name of every metric; `.` repeats what stands above it, `...` all but the last of it."""
    found = set()
    for widget in body["widgets"]:
        above: list[str] = []
        for row in widget["properties"].get("metrics", []):
            words = [word for word in row if isinstance(word, str)]
            if words:
                if words[0] == "...":
                    words = above[: len(above) - len(words) + 1] + words[1:]
                above = [above[index] if word == "." else word for index, word in enumerate(words)]
                found.add((above[0], above[1]))
    return found


def total(stack: Stack, metric: str) -> float:
    now = datetime.now(UTC)
    found = stack.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Traindrop",
        MetricName=metric,
        Dimensions=[{"Name": "service", "Value": "traindrop"}],
        StartTime=now - timedelta(hours=6),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


def test_the_dashboard_shows_the_metrics_that_runs_publish_and_no_others(stack: Stack) -> None:
    before = {metric: total(stack, metric) for metric in ("RunsCompleted", "RunsStopped", "CostUsd")}
    stack.drop_zip("seen-whole")
    stack.put("datasets/seen-bad.zip", b"no zip")
    stack.drop_zip("seen-stopped", dataset_files(marker="seen-stopped", settings=UNTIL_STOPPED))
    whole, stopped = stack.ended("seen-whole"), stack.execution("seen-stopped")
    stack.drop_zip("seen-whole")
    eventually(
        lambda: any(job.get("FinalMetricDataList") for job in stack.jobs(stopped["name"])),
        within=60,
        what="an epoch of the run that is to be stopped",
    )
    stack.sagemaker.stop_training_job(TrainingJobName=f"{stopped['name']}-1")
    stack.cloud.inject({"training": {"stub_fails_with": "CUDA out of memory"}})
    stack.drop_zip("seen-failed")
    for name, outcome in {"whole": "Unchanged", "bad": "Rejected", "stopped": "Stopped", "failed": "Failed"}.items():
        stack.message(f"seen-{name}", outcome)

    def published() -> set[tuple[str, str]] | None:
        pages = stack.cloud.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="Traindrop")
        found = {(item["Namespace"], item["MetricName"]) for page in pages for item in page["Metrics"]}
        return found if ("Traindrop", "RunsFailed") in found else None

    ours = eventually(published, within=20, what="the metric of the failed run")
    assert shown(dashboard(stack)) == ours | OF_AWS
    failed = stack.execution("seen-failed")["name"]
    costs = sum(float(stack.run(name)["cost_usd"]) for name in (whole["name"], stopped["name"], failed))
    assert float(stack.run(failed)["cost_usd"]) > 0
    assert total(stack, "RunsCompleted") - before["RunsCompleted"] == 1
    assert total(stack, "RunsStopped") - before["RunsStopped"] == 1

    def told() -> bool:
        return total(stack, "CostUsd") - before["CostUsd"] == pytest.approx(costs, abs=1e-6)

    eventually(told, within=20, what=f"all the dollars: {costs}, of the failed run too")


def test_what_a_run_waited_for_and_why_it_climbed_are_sentences_in_small_data(stack: Stack) -> None:
    stack.cloud.inject({"training": {"capacity_errors": 1}})
    for key, body in dataset_files(marker="read").items():
        stack.put(f"datasets/read/{key}", body)
    execution = stack.ended("read")
    assert execution["status"] == "SUCCEEDED"
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for event in stack.history(execution["executionArn"]):
        details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails") or {}
        for way in ("input", "output"):
            if data := details.get(way):
                assert len(data) < 4096, details["name"]
                seen[way, details["name"]] = json.loads(data)
    assert re.fullmatch(
        r"the last file arrived \d+ s ago; the upload counts as complete when none has arrived for \d+ s",
        seen["input", "WaitForUpload"]["reason"],
    )
    climbed = seen["output", "ClimbLadder"]
    assert climbed["attempt"] == 2
    assert re.fullmatch(r"AWS had no spot capacity for ml\.g4dn\.xlarge in \d+ s", climbed["because"])
    page = (ROOT / "docs/reading_an_execution.md").read_text()
    examples = re.findall(r"^(Input|Output) of `(\w+)`\n```json\n(.+?)\n```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 8
    for way, state, text in examples:
        if state != "ReconcileJob":  # this run heard from its job in time
            assert json.loads(text).keys() == seen[way.lower(), state].keys(), state


def test_an_execution_that_ends_badly_says_in_its_cause_what_to_do(stack: Stack) -> None:
    files = dataset_files(marker="classes")
    stack.drop_zip("classes", {**files, "labels/train/1.txt": b"7 0.1 0.1 0.9 0.1 0.9 0.9"})
    stack.cloud.inject({"training": {"capacity_errors": 9}})
    stack.drop_zip("no-instances")
    rejected, exhausted = stack.ended("classes"), stack.ended("no-instances")
    assert (rejected["error"], exhausted["error"]) == ("DatasetRejected", "CapacityExhausted")
    assert "Correct the class, or add it to `names` in data.yaml" in rejected["cause"]
    assert "try again later, list more instance_types" in exhausted["cause"]
