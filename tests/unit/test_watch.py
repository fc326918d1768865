"""A job of which nothing was heard: given up in time for the next rung, spoken of once, stopped when overdue."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from traindrop.settings import TrainingSettings
from traindrop.training import Trainer
from traindrop.waiting import WaitingNotice
from traindrop.watch import Watch

BEGAN = datetime(2026, 11, 12, 8, tzinfo=UTC)
ARN = "arn:aws:states:eu-west-1:123456789012:execution:training:rooms"
NOTICE = 1800


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


class World:
    """One run with its job, what is told of it and what is done to it."""

    def __init__(self, *passed: tuple[str, float], attempt: int = 1, spot: bool = True, **settings: Any) -> None:
        """`passed` are the secondary statuses of the job with the minutes at which it entered them."""
        began = next((at for status, at in passed if status == "Downloading"), None)
        self.job: dict[str, Any] | None = {
            "TrainingJobName": "rooms-1",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": passed[-1][0],
            "CreationTime": BEGAN,
            "EnableManagedSpotTraining": spot,
            "StoppingCondition": {"MaxRuntimeInSeconds": 7200, **({"MaxWaitTimeInSeconds": 43_200} if spot else {})},
            "SecondaryStatusTransitions": [
                {"Status": status, "StartTime": BEGAN + minutes(at)} for status, at in passed
            ],
            **({} if began is None else {"TrainingStartTime": BEGAN + minutes(began)}),
        }
        entry = {"attempt": attempt, "redrives": 0, "instance_type": "ml.g4dn.xlarge", "spot": spot}
        self.run: dict[str, Any] = {
            "run_id": "rooms",
            "dataset": "rooms",
            "execution_arn": ARN,
            "job_name": "rooms-1",
            "attempt": attempt,
            "redrives": 0,
            "settings": TrainingSettings(spot=spot, **settings).model_dump(mode="json", exclude_none=True),
            "climb": [{**entry, "since": BEGAN.isoformat()}],
        }
        self.runs, self.sent, self.stopped = self, cast(list[dict[str, Any]], []), cast(list[str], [])

    def get(self, run_id: str) -> dict[str, Any]:
        assert run_id == "rooms"
        return dict(self.run)

    def update(self, run_id: str, **fields: Any) -> None:
        assert run_id == "rooms"
        self.run |= fields

    def mark_once(self, run_id: str, flag: str) -> bool:
        assert run_id == "rooms"
        return self.run.setdefault(flag, self) is self

    def describe(self, name: str) -> Any:
        assert name == "rooms-1"
        return self.job

    def stop(self, name: str) -> bool:
        self.stopped.append(name)
        return True

    def publish(self, **message: Any) -> None:
        self.sent.append(message)

    def look(self, at: float) -> dict[str, Any]:
        """Look at the job so many minutes after its creation."""
        notice = WaitingNotice(cast(Any, self), cast(Any, self), "topic", NOTICE)
        return Watch(cast(Trainer, self), notice).look("rooms", BEGAN + minutes(at))


STARTING = ("Starting", 0.0)
TRAINING = (STARTING, ("Downloading", 3.0), ("Training", 5.0))
TAKEN = (*TRAINING, ("Interrupted", 60.0), ("Starting", 61.0))


def test_a_job_that_waits_is_looked_at_when_it_is_spoken_of_and_when_it_is_given_up() -> None:
    world = World(STARTING)
    assert (world.look(10)["look_after_seconds"], world.sent) == (20 * 60, [])
    assert world.look(30)["look_after_seconds"] == 90 * 60
    assert len(world.sent) == 1
    world.run["waiting_told"] = "told"
    assert world.look(60)["look_after_seconds"] == 60 * 60
    assert len(world.sent) == 1
    assert world.stopped == []
    assert world.look(120)["stopped"] == "no capacity"
    assert (world.stopped, world.run["given_up"]) == (["rooms-1"], "rooms-1")


def test_waiting_says_for_what_since_when_until_when_what_comes_then_and_how_to_stop_it() -> None:
    world = World(STARTING, on_demand_fallback=True)
    world.look(31)
    (message,) = world.sent
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Waiting"
    assert message["Subject"] == "Waiting: rooms - waiting for ml.g4dn.xlarge spot since 2026-11-12 08:00 UTC"
    for words in (
        "AWS has no capacity for it",
        "If none comes until 2026-11-12 10:00 UTC, it tries ml.g5.xlarge spot, then ml.g4dn.xlarge on demand, then "
        "ml.g5.xlarge on demand.",
        "It waits until 2026-11-12 20:00 UTC at most (max_wait_hours).",
        "Nothing is charged while it waits",
        f"aws stepfunctions stop-execution --region eu-west-1 --execution-arn {ARN}",
        "traindrop stop rooms\n",
        "capacity_patience_hours",
    ):
        assert words in message["Message"]


def test_on_the_last_rung_a_job_waits_for_all_the_time_that_is_left() -> None:
    world = World(STARTING, attempt=2)
    assert world.look(700)["stopped"] == ""
    assert "It is the last one" in world.sent[0]["Message"]
    assert world.look(720)["stopped"] == "no capacity"


@pytest.mark.parametrize("passed", [TRAINING, (*TAKEN, ("Downloading", 70.0), ("Training", 71.0))])
def test_a_job_that_trains_is_left_alone(passed: tuple[tuple[str, float], ...]) -> None:
    world = World(*passed)
    found = world.look(500)
    assert (found["stopped"], world.sent, world.stopped) == ("", [], [])
    assert found["look_after_seconds"] >= 3600


def test_an_instance_that_was_taken_back_is_waited_for_as_long_as_a_first_one() -> None:
    world = World(*TAKEN)
    assert (world.look(89)["look_after_seconds"], world.sent) == (60, [])
    world.look(90)
    assert "since it took the instance back" in world.sent[0]["Message"]
    assert world.look(179)["stopped"] == ""
    assert world.look(180)["stopped"] == "no capacity"
    assert world.run["given_up"] == "rooms-1"


def test_sagemaker_itself_ends_what_was_taken_back_on_the_last_rung_and_the_model_so_far_is_delivered() -> None:
    world = World(*TAKEN, attempt=2)
    assert world.look(725)["stopped"] == ""
    assert "given_up" not in world.run


def test_a_job_past_every_limit_is_stopped_and_counts_from_its_start_on_demand() -> None:
    assert World(*TRAINING, attempt=2).look(749)["stopped"] == ""
    assert World(*TRAINING, attempt=2).look(751)["stopped"] == "overdue"
    late = (STARTING, ("Downloading", 60.0), ("Training", 61.0))
    assert World(*late, spot=False).look(209)["stopped"] == ""
    assert World(*late, spot=False).look(211)["stopped"] == "overdue"


def test_a_job_that_is_stopping_or_unknown_is_looked_at_soon_again() -> None:
    world = World(STARTING)
    assert world.job
    world.job["TrainingJobStatus"] = "Stopping"
    assert (world.look(500)["look_after_seconds"], world.stopped) == (60, [])
    world.job = None
    assert world.look(500) == {"job": "rooms-1", "status": "absent", "stopped": "", "look_after_seconds": 60}


def test_a_second_notice_is_never_due() -> None:
    notice = WaitingNotice(cast(Any, None), cast(Any, None), "", NOTICE)
    assert notice.due_at({}, 100) == 100 + NOTICE
    assert notice.due_at({"waiting_told": "x"}, 100) == math.inf
