"""How good a model is on the validation split, measured as the end of a training measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training_entry import metrics, stopping
from training_entry.dataset import Dataset
from training_entry.job import Job, Paths

_DECISIVE = ("iou", "max_det", "single_cls", "overlap_mask", "mask_ratio")
"""Training arguments that change what is counted as found, or what the truth looks like."""


def evaluate(model: Any, job: Job, paths: Paths, dataset: Dataset, device: str, **options: Any) -> dict[str, Any]:
    """Figures of a YOLO model, overall and class by class.

    Images are scaled and put together into batches as at the end of a training, which validates in batches of twice
    the size: how an image is padded, and so what is found in it, depends on its neighbours. SIGTERM ends it within a
    batch.

    Args:
        model: the YOLO model.
        job: its arguments say how large images and batches are, and what is counted.
        paths: where the flag of SIGTERM is.
        dataset: its validation split is what the model is measured on.
        device: as in `devices.choose`; the first of several is used, which are so many parts of a batch.
        options: more arguments of ultralytics' `val()`.
    """
    devices = device.split(",")
    model.add_callback("on_val_batch_end", lambda _validator: stopping.check(paths.stop_flag))
    found = model.val(
        data=str(dataset.description),
        imgsz=job.arguments.get("imgsz", 640),
        batch=2 * max(1, int(job.arguments.get("batch", 16)) // len(devices)),
        device=devices[0],
        workers=0,
        verbose=False,
        **{name: job.arguments[name] for name in _DECISIVE if name in job.arguments},
        **options,
    )
    return metrics.evaluation(found, len(dataset.images["val"]))


def load(weights: Path) -> Any:
    """The YOLO model of a weights file."""
    from ultralytics import YOLO

    return YOLO(str(weights))
