"""What settings leave of a train split."""

from __future__ import annotations

from typing import Any

import pytest

from traindrop.batches import unfit
from traindrop.dataset import File, Split
from traindrop.settings import TrainingSettings


def codes(images: int, labelled: range | None = None, **settings: Any) -> list[str]:
    train = {name: settings.pop(name) for name in ("fraction", "multi_scale") if name in settings}
    split = Split(
        [File(f"images/{number}.png", 1, "") for number in reversed(range(images))],
        [File(f"labels/{number}.txt", 1, "") for number in (range(images) if labelled is None else labelled)],
    )
    return [problem.code for problem in unfit(split, TrainingSettings.model_validate({**settings, "train": train}))]


@pytest.mark.parametrize(
    ("images", "settings", "right"),
    [
        (9, {"batch": 4, "imgsz": 32}, False),
        (9, {"batch": 4, "imgsz": 33}, True),
        (8, {"batch": 4, "imgsz": 32}, True),
        (8, {"batch": 1, "imgsz": 32}, False),
        (1, {"batch": 4, "imgsz": 32}, False),
        (1, {"batch": 4, "imgsz": 1024}, True),
        (3, {"batch": 16, "imgsz": 32}, True),
        (9, {"batch": 4, "imgsz": 64, "multi_scale": 0.5}, False),
        (9, {"batch": 4, "imgsz": 128, "multi_scale": 0.5}, True),
        (18, {"batch": 4, "imgsz": 32, "fraction": 0.5}, False),
        (18, {"batch": 4, "imgsz": 32, "fraction": 0.4}, True),
        (0, {"batch": 4, "imgsz": 32}, True),
    ],
)
def test_a_last_batch_of_one_tiny_image_is_refused(images: int, settings: dict[str, Any], right: bool) -> None:
    assert codes(images, **settings) == ([] if right else ["settings.last_batch_of_one"])


def test_a_share_without_labels_is_refused() -> None:
    assert codes(9, range(5, 9), fraction=0.5) == ["settings.fraction_without_labels"]
    assert codes(9, range(5, 9), fraction=0.7) == []
    assert codes(9, range(5, 9)) == []
    assert codes(9, range(0), fraction=0.1) == []
