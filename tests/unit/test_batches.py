"""The last batch of an epoch."""

from __future__ import annotations

from typing import Any

import pytest

from traindrop.batches import last_of_one
from traindrop.settings import TrainingSettings


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
        (9, {"batch": 4, "imgsz": 64, "train": {"multi_scale": 0.5}}, False),
        (9, {"batch": 4, "imgsz": 128, "train": {"multi_scale": 0.5}}, True),
        (18, {"batch": 4, "imgsz": 32, "train": {"fraction": 0.5}}, False),
        (18, {"batch": 4, "imgsz": 32, "train": {"fraction": 0.4}}, True),
        (0, {"batch": 4, "imgsz": 32}, True),
    ],
)
def test_a_last_batch_of_one_tiny_image_is_refused(images: int, settings: dict[str, Any], right: bool) -> None:
    found = last_of_one(images, TrainingSettings.model_validate(settings))
    assert [problem.code for problem in found] == ([] if right else ["settings.last_batch_of_one"])
