"""Each GPU's part of a batch, and the last batch of an epoch."""

from __future__ import annotations

from typing import Any

import pytest

from traindrop.batches import last_of_one, unequal_shares
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
        (9, {"batch": 8, "imgsz": 32, "instance_types": ["ml.g4dn.xlarge", "ml.g5.12xlarge"]}, False),
        (16, {"batch": 8, "imgsz": 32, "instance_types": ["ml.g5.12xlarge"]}, True),
        (16, {"batch": 8, "imgsz": 32, "instance_types": ["ml.p4d.24xlarge"]}, False),
        (16, {"batch": 8, "imgsz": 64, "instance_types": ["ml.p4d.24xlarge"]}, True),
    ],
)
def test_a_last_batch_of_one_tiny_image_is_refused(images: int, settings: dict[str, Any], right: bool) -> None:
    found = last_of_one(images, TrainingSettings.model_validate(settings))
    assert [problem.code for problem in found] == ([] if right else ["settings.last_batch_of_one"])


@pytest.mark.parametrize(
    ("batch", "types", "wrong"),
    [
        (8, ["ml.g5.xlarge", "ml.g5.12xlarge", "ml.p4d.24xlarge"], []),
        (6, ["ml.g5.xlarge", "ml.g5.12xlarge", "ml.p4d.24xlarge"], ["ml.g5.12xlarge", "ml.p4d.24xlarge"]),
        (12, ["ml.g5.12xlarge", "ml.p5.48xlarge"], ["ml.p5.48xlarge"]),
        (2, ["ml.g5.12xlarge"], ["ml.g5.12xlarge"]),
        (7, ["ml.g4dn.xlarge"], []),
    ],
)
def test_a_batch_that_gpus_cannot_share_equally_is_refused(batch: int, types: list[str], wrong: list[str]) -> None:
    found = unequal_shares(TrainingSettings.model_validate({"batch": batch, "instance_types": types}))
    assert [problem.code for problem in found] == ["settings.batch_not_divisible"] * len(wrong)
    assert all(f"GPUs of {name}; " in problem.message for name, problem in zip(wrong, found, strict=True))


def test_the_multiple_that_is_named_is_one() -> None:
    (problem,) = unequal_shares(TrainingSettings.model_validate({"batch": 6, "instance_types": ["ml.g5.12xlarge"]}))
    assert "set `batch` to a multiple of 4 such as 8" in problem.message
