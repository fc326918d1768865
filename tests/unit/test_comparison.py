"""Which model is the best, and how that is told."""

from __future__ import annotations

from typing import Any

import pytest

from traindrop.comparison import MARGIN, Comparison, changes, compare, told

BEST = {"run_id": "rooms-1", "score": 0.5}
LEARNED = {"task": "segment", "names": ["room"], "validation_split": "sha256:a"}


def metrics(score: float | None, *, met: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    found = {**LEARNED, "validation_images": 25, "validation_instances": 118}
    if score is not None:
        found["map50_95_mask"] = score
    if met:
        found["champion"] = {"run_id": "rooms-1", **met}
    return {**found, **changed}


def compared(score: float | None, *, margin: float = MARGIN, **given: Any) -> Comparison:
    return compare(metrics(score, **given), BEST, LEARNED, margin=margin)


@pytest.mark.parametrize(
    ("score", "margin", "promoted", "why"),
    [
        (0.506, 0.005, True, "better by more than promotion_margin 0.005"),
        (0.505, 0.005, False, "since 0.005 is not more than promotion_margin 0.005"),
        (0.501, 0.0, True, "better by more than promotion_margin 0."),
        (0.5, 0.0, False, "since it is no better"),
        (0.4, 0.0, False, "since it is worse"),
        (1.0, 1.0, False, "since 0.5 is not more than promotion_margin 1"),
    ],
)
def test_a_model_is_promoted_that_is_better_by_more_than_the_margin(
    score: float, margin: float, promoted: bool, why: str
) -> None:
    found = compared(score, margin=margin)
    assert found.promoted is promoted
    assert why in found.why


def test_what_this_job_measured_counts_and_not_what_was_recorded() -> None:
    found = compared(0.6, met={"map50_95_mask": 0.7})
    assert (found.basis, found.before, found.promoted) == ("measured", 0.7, False)
    assert compared(0.4, met={"map50_95_mask": 0.3}).promoted


def test_masks_are_compared_where_there_are_masks_and_boxes_elsewhere() -> None:
    assert compared(0.6, met={"map50_95_mask": 0.5, "map50_95_box": 0.9}).promoted
    boxes = metrics(None, met={"map50_95_box": 0.5}, map50_95_box=0.6)
    assert "Better by 0.100: box mAP50-95" in told(compare(boxes, BEST, LEARNED, margin=0), boxes)


def test_the_first_model_is_the_best() -> None:
    found = compare(metrics(0.0), None, None, margin=MARGIN)
    assert (found.promoted, found.before) == (True, None)
    assert told(found, metrics(0.0)) == "It is this dataset's first model, and so its best."


def test_a_model_without_metrics_is_not_promoted_even_if_it_is_the_first() -> None:
    for best in (None, BEST):
        found = compare({}, best, LEARNED, margin=0)
        assert not found.promoted
        assert "not compared" in told(found, {})


@pytest.mark.parametrize(
    ("changed", "learned", "said"),
    [
        (
            {"met": {"not_measured": "classes", "reason": "it knows other classes (a)"}},
            LEARNED,
            "it knows other classes (a)",
        ),
        ({"met": {"not_measured": "task", "reason": "it is a model for x"}}, LEARNED, "it is a model for x"),
        ({}, {**LEARNED, "names": ["a", "b"]}, "it knows other classes (a, b) than the dataset has now"),
        ({}, {**LEARNED, "names": {"0": "a"}}, "it knows other classes (a) than the dataset has now"),
        ({}, {**LEARNED, "task": "detect"}, "it is a model for the task detect, and the dataset's is segment now"),
        ({}, None, "its best.pt is no longer in the bucket"),
    ],
)
def test_a_best_that_cannot_serve_the_dataset_any_more_is_replaced_by_a_worse_one(
    changed: dict[str, Any], learned: dict[str, Any] | None, said: str
) -> None:
    given = metrics(0.1, **changed)
    found = compare(given, BEST, learned, margin=MARGIN)
    assert (found.basis, found.promoted, found.before) == ("unusable", True, None)
    text = told(found, given)
    assert f"cannot serve this dataset any more: {said}" in text
    assert "Promoted: " in text
    assert "orse" not in text


@pytest.mark.parametrize(
    ("changed", "learned", "said"),
    [
        ({"met": {"not_measured": "damaged", "reason": "its best.pt cannot be loaded"}}, LEARNED, "cannot be loaded"),
        ({}, LEARNED, "The job ended before it measured the best so far"),
        ({"champion": {"run_id": "rooms-0", "map50_95_mask": 0.1}}, LEARNED, "Another model became the best while"),
        ({}, LEARNED, "on the same validation images"),
        ({}, {**LEARNED, "validation_split": "sha256:b"}, "on other validation images"),
        ({}, {}, "on perhaps other validation images"),
    ],
)
def test_a_best_that_was_not_measured_keeps_its_recorded_score(
    changed: dict[str, Any], learned: dict[str, Any], said: str
) -> None:
    for score, promoted in ((0.4, False), (0.6, True)):
        given = metrics(score, **changed)
        found = compare(given, BEST, learned, margin=MARGIN)
        assert (found.basis, found.before, found.promoted) == ("recorded", 0.5, promoted)
        assert said in told(found, given)


def test_a_best_without_a_score_is_replaced_unless_it_was_measured() -> None:
    unscored = {"run_id": "rooms-1", "score": None}
    assert compare(metrics(0.1), unscored, LEARNED, margin=0).basis == "unusable"
    assert not compare(metrics(0.1, met={"map50_95_mask": 0.2}), unscored, LEARNED, margin=0).promoted


def per_class(**scores: float) -> dict[str, Any]:
    return {name: {"instances": 7, "map50_95_mask": score} for name, score in scores.items()}


def test_the_message_says_by_how_much_on_what_and_class_by_class() -> None:
    given = metrics(
        0.65,
        met={"map50_95_mask": 0.5, "classes": per_class(wall=0.5, door=0.5)},
        classes=per_class(wall=0.4, door=0.9),
    )
    text = told(compare(given, BEST, LEARNED, margin=MARGIN), given).split("\n")
    assert text == [
        "Better by 0.150: mask mAP50-95 0.650 against 0.500 of the best so far (run rooms-1), on 25 validation images "
        "with 118 instances.",
        "Both were measured by this job, on the same validation images.",
        "  door: +0.400 (0.500 to 0.900, 7 instances)",
        "  wall: -0.100 (0.500 to 0.400, 7 instances)",
        "Promoted: it is the dataset's best now, being better by more than promotion_margin 0.005.",
    ]


def test_of_many_classes_those_are_told_that_changed_most() -> None:
    before = per_class(**{f"c{number:02}": 0.5 for number in range(40)})
    now = per_class(**{f"c{number:02}": 0.5 + number / 100 for number in range(40)}, new=0.9)
    given = metrics(0.65, met={"map50_95_mask": 0.5, "classes": before}, classes=now)
    text = told(compare(given, BEST, LEARNED, margin=MARGIN), given)
    assert [line.split(":")[0].strip() for line in text.split("\n") if line.startswith("  c")] == [
        "c39",
        "c38",
        "c37",
        "c36",
        "c35",
    ]
    assert "  … and 35 more in report.html" in text
    assert "new" not in {change.name for change in changes(given)}
