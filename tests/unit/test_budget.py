"""What a run may still spend, worked by hand: g4dn.xlarge costs $0.7364 an hour, g5.xlarge $1.408."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from traindrop import budget
from traindrop.settings import TrainingSettings

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
ENDED = {"status": "Stopped", "instance_type": "ml.g4dn.xlarge", "seconds_trained": 3600, "seconds_billed": 1260}


def seconds(*earlier: dict[str, Any], stack: float = 10, **settings: Any) -> int:
    return budget.left(TrainingSettings(**settings), stack, earlier, NOW).seconds


@pytest.mark.parametrize(
    ("settings", "stack", "earlier", "expected"),
    [
        # $5 buy 5 / 1.408 x 3600 = 12,784.09 s of the dearer of the two types; six hours would be 21,600 s.
        ({}, 10, [], 12_784),
        # The stack's ceiling of $1 buys 2,556.8 s.
        ({}, 1, [], 2_556),
        # $5 buy 24,443 s of g4dn.xlarge; six hours are less.
        ({"instance_types": ["ml.g4dn.xlarge"]}, 10, [], 21_600),
        # An hour trained, 1,260 s billed at 0.7364: $0.25774 of $5; 4.74226 / 1.408 x 3600 = 12,125.1 s.
        ({}, 10, [ENDED], 12_125),
        # Two such jobs: 4.48452 / 1.408 x 3600 = 11,466.1 s.
        ({}, 10, [ENDED, ENDED], 11_466),
        # Of two hours one is trained.
        ({"max_runtime_hours": 2}, 10, [ENDED], 3_600),
        # 12,000 s of g5.xlarge on demand cost $4.69333; 0.30667 / 1.408 x 3600 = 784.09 s.
        (
            {},
            10,
            [{**ENDED, "instance_type": "ml.g5.xlarge", "seconds_trained": 12_000, "seconds_billed": 12_000}],
            784,
        ),
        # A job that runs may take all that it was given: 9,000 s of g4dn.xlarge are $1.841, and 3.159 / 1.408 x 3600 is
        # 8,076.99 s.
        ({}, 10, [{**ENDED, "status": "InProgress", "max_runtime_seconds": 9_000}], 8_076),
        # All of the money is billed.
        ({}, 10, [{**ENDED, "seconds_billed": 30_000}], 0),
    ],
)
def test_hours_and_dollars_count_over_every_job_of_a_run(
    settings: dict[str, Any], stack: float, earlier: list[dict[str, Any]], expected: int
) -> None:
    assert seconds(*earlier, stack=stack, **settings) == expected


def test_a_job_that_was_told_to_stop_counts_with_what_it_took_and_ten_minutes() -> None:
    began = (NOW - timedelta(minutes=20)).isoformat()
    stopping = {**ENDED, "status": "Stopping", "max_runtime_seconds": 9_000, "created_at": began}
    # 1,800 s of g4dn.xlarge cost $0.3682; 4.6318 / 1.408 x 3600 = 11,842.7 s.
    assert seconds(stopping) == 11_842
    # It may not run longer than it was given: 60 s, $0.01227; 4.98773 / 1.408 x 3600 = 12,752.7 s.
    assert seconds({**stopping, "max_runtime_seconds": 60}) == 12_752


def test_what_is_not_worth_a_job_ends_the_run_with_the_model_so_far_or_with_what_to_raise() -> None:
    settings = TrainingSettings(max_cost_usd=0.27)
    # $0.27 less $0.25774 buy 31.3 s; with one second of g4dn.xlarge more billed, 30.8 s; with four, 29.25 s.
    enough, job = {**ENDED, "seconds_billed": 1_261}, {**ENDED, "seconds_billed": 1_264}
    left = budget.left(settings, 10, [enough], NOW)
    assert left.seconds == 30
    assert budget.nothing_left(settings, 10, [enough], left) is None
    left = budget.left(settings, 10, [job], NOW)
    end = budget.nothing_left(settings, 10, [job], left)
    assert end is not None
    assert (end.error, end.ended) == ("RuntimeExceeded", "")
    assert "6 hours and $0.27, 29 s are left" in end.cause
    end = budget.nothing_left(settings, 10, [{**job, "epochs": 3}], left)
    assert end is not None
    assert end.ended == "runtime_exceeded"
