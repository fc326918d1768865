"""`traindrop train`, `stop` and `runs`: which drop counts, what is stopped in which state, and what is listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from traindrop.cli import main
from traindrop.errors import InvalidInput
from traindrop.exhaustion import with_model_so_far
from traindrop.intake import drop_of
from traindrop.jobs import JobEnd
from traindrop.runs import Runs

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"
A, B = (f"rooms-20261125T10000{number}-0a1b2c3d" for number in (1, 2))
METRICS = [{"MetricName": "epoch", "Value": 3.0}]


class Cloud:
    """What the commands ask and what they do; S3 and DynamoDB are moto's."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.executions: dict[str, str] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.exceptions = boto3.client("stepfunctions", region_name="us-east-1").exceptions

    def client(self, service: str, **_options: Any) -> Any:
        client: Any = boto3.client
        return client(service, region_name="us-east-1") if service in ("s3", "dynamodb") else self

    def describe_stacks(self, **_request: Any) -> dict[str, Any]:
        outputs = {"DatasetBucketName": "data", "RunsTableName": "runs", "StateMachineArn": MACHINE}
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": outputs[key]} for key in outputs]}]}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        run_id = executionArn.rpartition(":")[2]
        if run_id not in self.executions:
            error: Any = {"Error": {"Code": "ExecutionDoesNotExist", "Message": ""}}
            raise self.exceptions.ExecutionDoesNotExist(error, "DescribeExecution")
        return {"executionArn": executionArn, "status": self.executions[run_id], "redriveCount": 1}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "DescribeTrainingJob")
        return {"TrainingJobName": TrainingJobName, **self.jobs[TrainingJobName]}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_request: Any) -> Any:
        on = [run_id for run_id, status in self.executions.items() if status == "RUNNING"]
        yield {"executions": [{"executionArn": run_id, "name": run_id, "startDate": None} for run_id in reversed(on)]}

    def __getattr__(self, name: str) -> Any:
        return lambda **request: self.asked.append((name, request))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, s3: Any, dynamodb: Any) -> Cloud:  # noqa: ARG001
    made = Cloud()
    monkeypatch.setattr(boto3.session, "Session", lambda **_options: made)
    return made


@pytest.fixture
def runs(dynamodb: Any) -> Runs:
    return Runs(dynamodb, "runs")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def say(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return say


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        (["datasets/rooms.ZIP"], "datasets/rooms.ZIP"),
        (["datasets/rooms.zip", "datasets/rooms/data.yml"], "datasets/rooms/data.yml"),
        (["datasets/rooms/data.yaml", "datasets/rooms.zip"], "datasets/rooms.zip"),
        (["datasets/rooms/data.yaml", "datasets/rooms.zip", "datasets/rooms/training.yaml"], None),
        (["datasets/rooms.zip", "datasets/rooms/training.yaml"], "datasets/rooms.zip"),
        (["datasets/rooms.zip", "datasets/rooms.old.zip", "datasets/rooms2/data.yaml"], "datasets/rooms.zip"),
    ],
)
def test_the_newest_drop_of_the_name_is_trained(
    cloud: Cloud,
    s3: Any,
    said: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    keys: list[str],
    counts: str | None,
) -> None:
    for second, key in enumerate(keys):
        moment = datetime(2026, 11, 25, 10, 0, second)
        monkeypatch.setattr("moto.s3.models.utcnow", lambda moment=moment: moment)
        s3.put_object(Bucket="data", Key=key, Body=b"")
    code, out, err = said("train", "rooms", "--json")
    assert (code, err) == (0, "")
    ((call, request),) = cloud.asked
    given = json.loads(request["input"])
    assert (call, request["name"]) == ("start_execution", json.loads(out)["run_id"])
    assert given["key"] == (counts or keys[-1])
    assert "settings" not in given
    assert drop_of(given)["form"] == ("archive" if given["key"].lower().endswith("zip") else "folder")


def test_settings_of_an_input_are_a_mapping() -> None:
    assert drop_of({"bucket": "data", "key": "datasets/rooms.zip", "settings": {"epochs": 3}})["dataset"] == "rooms"
    with pytest.raises(InvalidInput):
        drop_of({"bucket": "data", "key": "datasets/rooms.zip", "settings": [3]})


def on(cloud: Cloud, runs: Runs, run_id: str, **fields: Any) -> None:
    cloud.executions[run_id] = "RUNNING"
    runs.update(run_id, slug="rooms", dataset="rooms", status="Training", **fields)


def test_two_runs_of_a_dataset_are_told_apart_by_their_names(
    cloud: Cloud, runs: Runs, said: Callable[..., tuple[int, str, str]]
) -> None:
    on(cloud, runs, A)
    on(cloud, runs, B)
    code, out, err = said("stop", "rooms")
    assert (code, out) == (1, "")
    assert f"2 runs of rooms are on; name the one to stop: {B}, {A}" in err
    assert said("stop", A)[0] == 0
    assert [call for call, _ in cloud.asked] == ["stop_execution"]


def test_a_job_that_runs_is_stopped_and_no_other_begins(
    cloud: Cloud, runs: Runs, said: Callable[..., tuple[int, str, str]]
) -> None:
    on(cloud, runs, A, job_name=f"{A}-1")
    cloud.jobs[f"{A}-1"] = {"TrainingJobStatus": "InProgress"}
    code, out, _ = said("stop", "rooms")
    assert code == 0
    assert "if it finishes an epoch before it ends" in out
    assert cloud.asked == [("stop_training_job", {"TrainingJobName": f"{A}-1"})]
    assert runs.get(A)["stop_requested"] == 1


def test_a_model_of_an_earlier_job_is_waited_for(
    cloud: Cloud, runs: Runs, said: Callable[..., tuple[int, str, str]]
) -> None:
    on(cloud, runs, A, job_name=f"{A}-2", jobs=[{"name": f"{A}-1", "epochs": 3}])
    code, out, _ = said("stop", A)
    assert code == 0
    assert "ends when it next asks for one, with its best model so far" in out
    assert cloud.asked == []
    assert runs.get(A)["stop_requested"] == 1
    end = with_model_so_far(JobEnd(error="StoppedByUser", cause="…"), runs.get(A)["jobs"])
    assert (end.ended, end.error) == ("stopped", "")


def test_what_is_being_delivered_is_not_stopped(
    cloud: Cloud, runs: Runs, said: Callable[..., tuple[int, str, str]]
) -> None:
    on(cloud, runs, A, job_name=f"{A}-1")
    cloud.jobs[f"{A}-1"] = {"TrainingJobStatus": "Completed", "FinalMetricDataList": METRICS}
    code, _, err = said("stop", A)
    assert code == 1
    assert "is being delivered: nothing is left to stop" in err
    assert cloud.asked == []
    assert "stop_requested" not in runs.get(A)


def test_runs_of_every_dataset_come_newest_first_and_a_cut_is_told(
    cloud: Cloud,  # noqa: ARG001
    runs: Runs,
    said: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs.update("zoo-20261125T100000-0a1b2c3d", slug="zoo", dataset="zoo", status="Failed")
    runs.update("attic-20261126T100000-0a1b2c3d", slug="attic", dataset="attic", status="Uploading")
    done: Any = {"metrics": {"map50_95_box": 0.5}, "training_seconds": 90, "cost_usd": 0.014}
    runs.update(A, slug="rooms", dataset="rooms", status="Completed", created_at="2026-11-25T10:00:01+00:00", **done)
    code, out, err = said("runs", "--limit", "2")
    assert (code, err) == (0, "")
    assert [line.split()[-5:] for line in out.splitlines()[1:]] == [
        ["attic-20261126T100000-0a1b2c3d", "Uploading", "-", "-", "-"],
        [A, "Completed", "0.500", "1.5", "0.01"],
    ]
    monkeypatch.setattr(Runs, "newest", lambda *_, **__: ([], False))
    assert "newer runs may be missing: use --dataset" in said("runs")[1]


def test_no_more_of_the_table_is_read_than_was_said() -> None:
    class Table:
        """A table of three pages."""

        def get_paginator(self, _: str) -> Any:
            return self

        def paginate(self, **_request: Any) -> Any:
            for number in range(3):
                more: dict[str, Any] = {"LastEvaluatedKey": {}} if number < 2 else {}
                yield {"Items": [{"run_id": {"S": f"rooms-2026112{number}T100000-0a1b2c3d"}}], **more}

    table: Any = Table()
    found, whole = Runs(table, "runs").newest(10, most_pages=2)
    assert [run["run_id"][:14] for run in found] == ["rooms-20261121", "rooms-20261120"]
    assert not whole
    assert Runs(table, "runs").newest(1, most_pages=3) == ([{"run_id": "rooms-20261122T100000-0a1b2c3d"}], True)
