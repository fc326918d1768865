"""A stopped run's job is looked at until it has ended; then its bill is recorded and its model delivered, once."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from traindrop.aftermath import Aftermath
from traindrop.errors import StillRunning
from traindrop.training import Trainer

ENDED = {
    "TrainingJobName": "rooms-1",
    "TrainingJobStatus": "Stopped",
    "SecondaryStatus": "Stopped",
    "FinalMetricDataList": [{"MetricName": "epoch", "Value": 3}],
    "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"},
}
RUNNING = {**ENDED, "TrainingJobStatus": "Stopping"}


class World:
    """The record of one run, its job as it is seen look after look, and a function that can be called."""

    def __init__(self, *looks: Any, **record: Any) -> None:
        self.looks = list(looks)
        self.record_ = {"run_id": "rooms", "job_name": "rooms-1", "redrives": 0, "stop_requested": 0, **record}
        self.recorded: list[str] = []
        self.invoked: list[Any] = []
        self.slept: list[float] = []
        self.fails = False
        self.runs = self

    def describe(self, name: str) -> Any:
        assert name == "rooms-1"
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def record(self, run: Any, job: Any, end: Any) -> None:
        assert run["run_id"] == "rooms"
        self.recorded.append(f"{job['TrainingJobName']} {end.ended}")

    def get(self, run_id: str) -> dict[str, Any]:
        assert run_id == "rooms"
        return dict(self.record_)

    def mark_once(self, run_id: str, field: str) -> bool:
        assert run_id == "rooms"
        return self.record_.setdefault(field, self) is self and self.record_.update({field: True}) is None

    def update(self, run_id: str, **fields: Any) -> None:
        assert run_id == "rooms"
        for field, value in fields.items():
            assert value is None
            del self.record_[field]

    def invoke(self, **request: Any) -> None:
        if self.fails:
            raise ConnectionError
        self.invoked.append((request["FunctionName"], request["InvocationType"], json.loads(request["Payload"])))

    def see_off(self) -> None:
        Aftermath(cast(Trainer, self), cast(Any, self), "extract", self.slept.append).see_off("rooms", "rooms-1")


DELIVERED = [("extract", "Event", {"run_id": "rooms"})]


def test_a_job_is_waited_for_and_its_model_delivered_once_a_life() -> None:
    world = World(RUNNING, RUNNING, ENDED)
    world.see_off()
    world.see_off()
    assert (world.slept, world.recorded, world.invoked) == ([1, 2], ["rooms-1 stopped"] * 2, DELIVERED)
    world.record_ |= {"redrives": 1, "stop_requested": 1}
    world.see_off()
    assert world.invoked == DELIVERED * 2


def test_a_job_that_does_not_end_is_an_error_that_names_it() -> None:
    world = World(RUNNING)
    with pytest.raises(StillRunning, match="rooms-1 was stopped 12 minutes ago and has not ended"):
        world.see_off()
    assert world.invoked == []


def test_without_an_epoch_there_is_no_model_to_deliver() -> None:
    world = World({**ENDED, "FinalMetricDataList": []})
    world.see_off()
    assert (world.recorded, world.invoked) == (["rooms-1 "], [])


@pytest.mark.parametrize(
    ("look", "record"),
    [(None, {}), (ENDED, {"job_name": "rooms-2"}), (ENDED, {"redrives": 1}), (ENDED, {"stop_requested": None})],
)
def test_a_job_that_is_none_and_a_run_that_goes_on_are_left_alone(look: Any, record: dict[str, Any]) -> None:
    world = World(look, **record)
    world.see_off()
    assert (world.recorded, world.invoked) == ([], [])


def test_a_delivery_that_could_not_be_asked_for_is_asked_for_again() -> None:
    world = World(ENDED)
    world.fails = True
    with pytest.raises(ConnectionError):
        world.see_off()
    world.fails = False
    world.see_off()
    assert world.invoked == DELIVERED
