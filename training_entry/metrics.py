"""Figures of a training: the line that SageMaker parses once per epoch, and how good a model is, class by class."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_PARTS = {"(B)": "_box", "(M)": "_mask"}


def metric_line(values: Mapping[str, float]) -> str:
    """`METRIC name=value; …`: only finite values, since no other matches a metric definition."""
    shown = (f"{name}={value:.6g};" for name, value in values.items() if math.isfinite(value))
    return f"METRIC {' '.join(shown)}"


def epoch_values(trainer: Any, seconds: float) -> dict[str, float]:
    """What an epoch brought: seconds of training and validation, losses, precision and recall, learning rate."""
    values: dict[str, float] = {"epoch": trainer.epoch + 1, "epochs": trainer.epochs, "seconds": seconds}
    values |= {name: float(value) for name, value in (trainer.tloss or {}).items()}
    values |= {plain_name(key): float(value) for key, value in trainer.metrics.items()}
    values["lr"] = float(trainer.optimizer.param_groups[0]["lr"])
    return values


def plain_name(key: str) -> str:
    """`metrics/mAP50-95(M)` as `map50_95_mask`, `val/box_loss` as `val_box_loss`."""
    name = key.removeprefix("metrics/").replace("/", "_")
    for part, suffix in _PARTS.items():
        name = name.replace(part, suffix)
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def evaluation(found: Any, images: int) -> dict[str, Any]:
    """How good a model is on the validation split, from ultralytics' metrics object.

    Masks' figures are absent for a model that makes none.
    """
    overall = {
        plain_name(key): _rounded(value) for key, value in found.results_dict.items() if key.startswith("metrics/")
    }
    instances = [int(count) for count in found.nt_per_class]
    classes: dict[str, dict[str, float]] = {
        str(name): {"instances": instances[index] if index < len(instances) else 0}
        for index, name in found.names.items()
    }
    kinds = ("box", "mask") if "map50_mask" in overall else ("box",)
    for row, index in enumerate(found.ap_class_index):
        figures = found.class_result(row)
        for position, kind in enumerate(kinds):
            _, _, map50, map50_95 = figures[4 * position : 4 * position + 4]
            classes[str(found.names[int(index)])] |= {
                f"map50_{kind}": _rounded(map50),
                f"map50_95_{kind}": _rounded(map50_95),
            }
    return {**overall, "classes": classes, "validation_images": images, "validation_instances": sum(instances)}


def _rounded(value: Any) -> float:
    return round(float(value), 5) if math.isfinite(float(value)) else 0.0
