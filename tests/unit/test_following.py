"""A run followed from outside: one question at a time, and nothing that happens is missed or told twice."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from traindrop.cli import watch
from traindrop.errors import RunNotFound
from traindrop.following import Follower, Seen

RUN = "rooms-20261101T101500-0a1b2c3d"
MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:traindrop"


def absent(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "none"}}, "Ask")


class Cloud:
    """What AWS would answer now; every call is counted."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.record: dict[str, Any] | None = None
        self.execution: str | None = "RUNNING"
        self.transitions: list[dict[str, Any]] = []
        self.lines: list[tuple[int, str]] = []
        self.page = 1000
        self.broken = 0

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.broken:
            self.broken -= 1
            raise EndpointConnectionError(endpoint_url="https://states.eu-west-1.amazonaws.com")

    def find(self, run_id: str) -> dict[str, Any] | None:
        self._called(f"record {run_id}")
        return self.record

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        self._called(f"execution {executionArn}")
        if self.execution is None:
            raise absent("ExecutionDoesNotExist")
        return {"status": self.execution}

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        self._called(f"job {TrainingJobName}")
        if not self.transitions:
            raise absent("ValidationException")
        return {
            "TrainingJobName": TrainingJobName,
            "EnableManagedSpotTraining": True,
            "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
            "SecondaryStatusTransitions": self.transitions,
        }

    def filter_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803
        logStreamNamePrefix: str,  # noqa: N803
        startTime: int,  # noqa: N803
        limit: int,
        nextToken: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        self._called(f"log {logGroupName} {logStreamNamePrefix}")
        found = [
            {"eventId": str(number), "timestamp": at, "message": line}
            for number, (at, line) in enumerate(self.lines)
            if at >= startTime
        ]
        first, last = int(nextToken), int(nextToken) + min(limit, self.page)
        return {"events": found[first:last], **({"nextToken": str(last)} if last < len(found) else {})}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def follower(cloud: Cloud) -> Follower:
    client: Any = cloud
    return Follower(client, client, client, client, MACHINE, RUN)


def seen(follower: Follower, looks: int = 8) -> list[Seen]:
    return [found for _ in range(looks) for found in follower.look()]


def training(**more: Any) -> dict[str, Any]:
    return {"run_id": RUN, "status": "Training", "job_name": f"{RUN}-1", **more}


def metric(epoch: int) -> str:
    return f"METRIC epoch={epoch}; epochs=50; box_loss=1.5; map50_mask=0.25;"


def test_each_look_is_one_question(cloud: Cloud, follower: Follower) -> None:
    cloud.record, cloud.transitions = training(), [{"Status": "Training", "StatusMessage": "trains"}]
    cloud.lines = [(1, metric(1))]
    for looks in range(1, 20):
        follower.look()
        assert len(cloud.calls) == looks
    assert {call.split()[0] for call in cloud.calls} == {"record", "execution", "job", "log"}
    assert f"execution {MACHINE.replace('stateMachine', 'execution')}:{RUN}" in cloud.calls
    assert f"log /aws/sagemaker/TrainingJobs {RUN}-1/" in cloud.calls


def test_what_happens_is_told_once_in_the_order_of_its_happening(cloud: Cloud, follower: Follower) -> None:
    assert [found.words for found in seen(follower, 4)] == ["the run has begun"]
    cloud.record = {"run_id": RUN, "status": "Uploading"}
    assert [found.kind for found in seen(follower)] == ["state"]
    cloud.record, cloud.transitions = training(), [{"Status": "Starting", "StatusMessage": "Starting the instances"}]
    told = [found.words for found in seen(follower)]
    assert told == ["the dataset can train", "job Starting: waits for an instance (ml.g5.xlarge, spot)"]
    cloud.transitions += [{"Status": "Training", "StatusMessage": "Training image download completed"}]
    cloud.lines = [(5, "FRESH start"), (7, metric(1)), (7, metric(2))]
    told = [found.words for found in seen(follower)]
    assert told == ["job Training: Training image download completed", "epoch 1/50", "epoch 2/50"]
    assert seen(follower) == []
    cloud.lines += [(7, metric(3)), (9, "RESUME from epoch 3")]
    cloud.transitions += [{"Status": "Interrupted", "StatusMessage": ""}]
    kinds = [(found.kind, found.words) for found in seen(follower)]
    assert kinds == [
        ("job", "spot interruption: AWS took the instance back; it goes on from its checkpoint"),
        ("epoch", "epoch 3/50"),
        ("resumed", "went on from its checkpoint, after epoch 3"),
    ]
    assert follower.interruptions == 1
    cloud.record = training(status="Completed")
    cloud.lines += [(20, metric(50))]
    assert [found.words for found in seen(follower, 5)][:2] == ["epoch 50/50", "Completed"]


def test_a_log_of_many_pages_is_read_to_its_end(cloud: Cloud, follower: Follower) -> None:
    cloud.record, cloud.transitions, cloud.page = training(), [{"Status": "Training"}], 7
    cloud.lines = [(10 + number // 3, metric(number + 1)) for number in range(50)]
    epochs = [found.words for found in seen(follower, 40) if found.kind == "epoch"]
    assert epochs == [f"epoch {number}/50" for number in range(1, 51)]


def test_the_next_rungs_job_is_followed_from_its_first_state(cloud: Cloud, follower: Follower) -> None:
    cloud.record, cloud.transitions = training(), [{"Status": "Starting"}, {"Status": "Stopped"}]
    seen(follower)
    cloud.record, cloud.transitions = training(job_name=f"{RUN}-2"), [{"Status": "Starting"}]
    (told,) = [found for found in seen(follower) if found.kind == "job"]
    assert told.values["job"] == f"{RUN}-2"


def test_whoever_never_ran_is_not_waited_for(cloud: Cloud, follower: Follower) -> None:
    cloud.execution = None
    with pytest.raises(RunNotFound, match="traindrop runs"):
        seen(follower)


def test_an_execution_that_left_no_end_ends_it_too(cloud: Cloud, follower: Follower) -> None:
    cloud.record, cloud.execution = training(), "TIMED_OUT"
    ends = [found for found in seen(follower, 120) if found.kind == "end"]
    assert ends[0].values == {"outcome": "Failed"}


def test_a_run_started_by_hand_is_asked_for_by_its_own_execution(cloud: Cloud, follower: Follower) -> None:
    cloud.record = {**training(), "execution_arn": "arn:aws:states:eu-west-1:0:execution:traindrop:by-hand"}
    seen(follower)
    assert "execution arn:aws:states:eu-west-1:0:execution:traindrop:by-hand" in cloud.calls


def test_a_lost_connection_is_told_once_and_outlived(
    cloud: Cloud, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            cloud.record = training(status="Completed")

    monkeypatch.setattr(time, "sleep", pause)
    cloud.record, cloud.broken = training(), 9
    told: list[Seen] = []
    end = watch._follow(follower, told.append, 5.0)
    assert end.values == {"outcome": "Completed"}
    assert [found.words for found in told if "no connection" in found.words] == [
        "no connection to AWS (EndpointConnectionError); trying again"
    ]
    assert pauses[:9] == [10, 20, 40, 60, 60, 60, 60, 60, 60]
    assert pauses[9] == 5
