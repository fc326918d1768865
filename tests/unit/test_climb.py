"""How a run climbs its ladder, worked by hand: what is left of its time, when it gives a rung up, what is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from traindrop import climb, end_messages, exhaustion
from traindrop.climb import ladder_of, ladder_of_run
from traindrop.jobs import JobEnd
from traindrop.rungs import Rung, told
from traindrop.settings import TrainingSettings

HOUR = 3600.0
BEGAN = datetime(2026, 11, 12, 8, tzinfo=UTC)
AT = BEGAN.timestamp()
TYPES = ("ml.g4dn.xlarge", "ml.g5.xlarge")


def run(*climb_: dict[str, Any], attempt: int = 1, redrives: int = 0, **settings: Any) -> dict[str, Any]:
    return {
        "run_id": "rooms",
        "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:training:rooms",
        "attempt": attempt,
        "redrives": redrives,
        "settings": TrainingSettings(**settings).model_dump(mode="json", exclude_none=True),
        "climb": list(climb_),
    }


def rung(attempt: int, since: float, *, result: str = "", redrives: int = 0, spot: bool = True) -> dict[str, Any]:
    entry = {
        "attempt": attempt,
        "redrives": redrives,
        "instance_type": TYPES[(attempt - 1) % 2],
        "spot": spot,
        "since": datetime.fromtimestamp(since, UTC).isoformat(),
    }
    return {**entry, **({"result": result} if result else {})}


@pytest.mark.parametrize(
    ("settings", "attempt", "since", "hours"),
    [
        # Two hours of patience; the last of the two types has all of the twelve hours that are left.
        ({}, 1, 0, 2),
        ({}, 2, 2, 12),
        # Four rungs: two hours each, and the last has the remaining six.
        ({"on_demand_fallback": True}, 3, 4, 6),
        ({"on_demand_fallback": True}, 4, 6, 12),
        # Four hours for four rungs: an hour each, whatever the patience, and after a late start a third of the rest.
        ({"on_demand_fallback": True, "max_wait_hours": 4}, 1, 0, 1),
        ({"on_demand_fallback": True, "max_wait_hours": 4}, 2, 1, 2),
        ({"on_demand_fallback": True, "max_wait_hours": 4}, 2, 2.5, 3),
        ({"capacity_patience_hours": 0.25}, 1, 0, 0.25),
        # An instance that was taken back after nine hours is waited for until the patience is over again.
        ({}, 1, 9, 10.5),
        # No time is left at all.
        ({}, 1, 13, 13),
    ],
)
def test_a_rung_is_given_up_after_its_patience_or_its_share_of_the_time_and_the_last_has_the_rest(
    settings: dict[str, Any], attempt: int, since: float, hours: float
) -> None:
    ladder = ladder_of(TrainingSettings(**settings), AT)
    assert (ladder.gives_up(attempt, AT + since * HOUR) - AT) / HOUR == pytest.approx(hours)


def test_no_rung_is_left_without_time_by_those_before_it() -> None:
    settings = TrainingSettings(on_demand_fallback=True, max_wait_hours=8, capacity_patience_hours=240)
    ladder, now = ladder_of(settings, AT), AT
    for attempt in range(1, len(ladder.rungs) + 1):
        assert ladder.gives_up(attempt, now) - now == pytest.approx(2 * HOUR)
        now = ladder.gives_up(attempt, now)
    assert ladder.seconds_left(now) == 0
    assert ladder.seconds_left(now + HOUR) == 0


def test_the_clock_runs_on_over_every_attempt_and_a_redrive_winds_it_up() -> None:
    first, second = rung(1, AT, result="no capacity"), rung(2, AT + 2 * HOUR)
    assert ladder_of_run(run(first, second, attempt=2), AT + 5 * HOUR).seconds_left(AT + 5 * HOUR) == 7 * HOUR
    later = AT + 100 * HOUR
    redriven = run(first, second, attempt=2, redrives=1)
    assert ladder_of_run(redriven, later).seconds_left(later) == 12 * HOUR
    redriven["climb"] = climb.entered(redriven, later)
    assert ladder_of_run(redriven, later + HOUR).seconds_left(later + HOUR) == 11 * HOUR


def test_a_run_that_began_before_the_clock_was_kept_has_all_its_time() -> None:
    old = {key: value for key, value in run().items() if key != "climb"}
    assert ladder_of_run(old, AT).seconds_left(AT) == 12 * HOUR


def test_a_rung_is_entered_once_however_often_its_job_is_asked_for() -> None:
    entered = climb.entered(run(), AT)
    again = climb.entered({**run(), "climb": entered}, AT + HOUR)
    assert again == entered
    higher = climb.entered(run(*entered, attempt=2), AT + 2 * HOUR)
    assert [(entry["instance_type"], entry["spot"]) for entry in higher] == [(name, True) for name in TYPES]
    assert climb.asked_since(run(*higher)) == AT + 2 * HOUR


def test_a_rung_is_left_with_its_result_and_the_seconds_of_waiting_once() -> None:
    until = BEGAN + timedelta(hours=3)
    left = climb.left(run(rung(1, AT)), JobEnd(ended="completed"), until, BEGAN + timedelta(minutes=4))
    assert left == [
        {**rung(1, AT), "until": "2026-11-12T11:00:00.000+00:00", "waited_seconds": 240, "result": "trained"}
    ]
    assert climb.left(run(*left), JobEnd(error="TrainingCodeError"), until + timedelta(hours=1)) == left
    (never,) = climb.left(run(rung(1, AT)), JobEnd(error="CapacityError", result="no capacity in 3 h 00 min"), until)
    assert (never["waited_seconds"], never["result"]) == (3 * HOUR, "no capacity in 3 h 00 min")
    (failed,) = climb.left(run(rung(1, AT)), JobEnd(error="TrainingCodeError"), until)
    assert failed["result"] == "failed"


def test_a_run_idles_since_it_asked_or_since_its_last_training() -> None:
    ladder = ladder_of(TrainingSettings(), AT)
    never = {"started_at": None, "ended_at": (BEGAN + timedelta(hours=2)).isoformat()}
    trained = {"started_at": BEGAN.isoformat(), "ended_at": (BEGAN + timedelta(hours=3)).isoformat()}
    assert climb.idle_since({"jobs": [never]}, ladder) == AT
    assert climb.idle_since({"jobs": [trained, never]}, ladder) == AT + 3 * HOUR


def test_the_climb_is_told_in_one_line_and_not_where_the_first_rung_trained() -> None:
    assert told(run(rung(1, AT, result="trained"))) == ""
    assert told({}) == ""
    found = told(run(rung(1, AT, result="no capacity in 2 h 00 min"), rung(2, AT, result="trained")))
    assert found == "ml.g4dn.xlarge spot: no capacity in 2 h 00 min; ml.g5.xlarge spot: trained"
    assert told(run(rung(1, AT, result="quota 0", spot=False))) == "ml.g4dn.xlarge on demand: quota 0"


REFUSAL = "The account-level service limit '{}' is {} Instances, with current utilization of {} Instances and a request"


def test_a_quota_of_zero_is_told_from_one_in_use() -> None:
    name = "ml.g4dn.xlarge for spot training job usage"
    assert Rung("ml.g4dn.xlarge", True).quota == name
    assert Rung("ml.g4dn.xlarge", False).quota == "ml.g4dn.xlarge for training job usage"
    assert exhaustion.is_quota_of_zero(REFUSAL.format(name, 0, 0))
    assert not exhaustion.is_quota_of_zero(REFUSAL.format(name, 1, 1))
    assert not exhaustion.is_quota_of_zero(REFUSAL.format(name, 10, 10))


def test_every_quota_of_zero_on_the_way_is_named_at_the_end_and_its_message_links_to_the_page_to_raise_it() -> None:
    first = exhaustion.quota_of_zero(Rung(TYPES[0], True), run(rung(1, AT)), more_rungs=True, known=True)
    assert (first.error, first.result) == ("QuotaError", "quota 0, skipped")
    climbed = run(rung(1, AT, result=first.result), rung(2, AT), attempt=2)
    last = exhaustion.quota_of_zero(Rung(TYPES[1], True), climbed, more_rungs=False, known=False)
    assert (last.error, last.result) == ("QuotaExhausted", "quota 0")
    body = end_messages.ended_early("Failed", {**climbed, "dataset": "rooms"}, last.error, last.cause, "").body
    for word in (
        *(f"'{name} for spot training job usage'" for name in TYPES),
        "  https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas\n",
    ):
        assert word in body


@pytest.mark.parametrize("end", [exhaustion.no_time_left(12), JobEnd(error="QuotaExhausted", cause="x")])
def test_a_climb_in_vain_leaves_the_model_that_was_trained_before(end: JobEnd) -> None:
    assert exhaustion.with_model_so_far(end, [{"epochs": 0}, {}]) is end
    assert exhaustion.with_model_so_far(end, [{"epochs": 3}, {"epochs": 0}]).ended == "capacity_exhausted"
    code = JobEnd(error="TrainingCodeError", cause="x")
    assert exhaustion.with_model_so_far(code, [{"epochs": 3}]) is code
