"""What ultralytics itself predicts, beside the outlines that were found without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def export(trained: str, imgsz: int, target: str) -> None:
    """Export a model as ONNX for another size of images."""
    from ultralytics import YOLO

    copy = shutil.copy(trained, Path(target).with_suffix(".pt"))
    YOLO(copy).export(format="onnx", imgsz=imgsz, device="cpu", simplify=True, verbose=False)


def compare(
    model: str, images: list[str], imgsz: int, outlines: list[list[list[list[float]]]]
) -> dict[str, float | int]:
    """How many predictions of best.pt and best.onnx of a folder have an outline of ours that is the same."""
    by_pt = [_overlaps(f"{model}/best.pt", *asked, imgsz) for asked in zip(images, outlines, strict=True)]
    by_onnx = [_overlaps(f"{model}/best.onnx", *asked, imgsz) for asked in zip(images, outlines, strict=True)]
    found = [overlap for plan in by_pt for overlap in plan]
    found_onnx = [overlap for plan in by_onnx for overlap in plan]
    return {
        "predictions": len(found),
        "ours": sum(map(len, outlines)),
        "matched": round(sum(overlap >= 0.95 for overlap in found) / len(found), 4),
        "matched_onnx": round(sum(overlap >= 0.95 for overlap in found_onnx) / len(found_onnx), 4),
        "mean_mask_iou": round(sum(found) / len(found), 4),
        "least_mask_iou": round(min(found), 4),
    }


_MODELS: dict[str, Any] = {}


def _overlaps(model: str, image: str, outlines: list[list[list[float]]], imgsz: int) -> list[float]:
    """For each prediction the intersection over union of its mask with the outline of ours that is nearest."""
    import cv2
    import numpy as np
    from ultralytics import YOLO

    asked = _MODELS.setdefault(model, YOLO(model, task="segment"))
    result = asked.predict(
        image, imgsz=imgsz, conf=0.25, iou=0.7, rect=False, retina_masks=True, device="cpu", verbose=False
    )[0]
    if result.masks is None:
        return []
    height, width = result.orig_shape
    ours = []
    for outline in outlines:
        drawn = np.zeros((2 * height, 2 * width), np.uint8)
        cv2.fillPoly(drawn, [np.round(np.array(outline) * 2 - 0.5).astype(np.int32)], 1)
        ours.append(drawn.astype(bool))
    found = []
    for mask in result.masks.data.numpy().astype(bool):
        theirs = mask.repeat(2, axis=0).repeat(2, axis=1)
        found.append(max((float((theirs & one).sum() / (theirs | one).sum()) for one in ours), default=0.0))
    return found
