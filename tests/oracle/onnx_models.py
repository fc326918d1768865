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
        "matched": round(sum(overlap >= _SAME for overlap in found) / len(found), 4),
        "matched_onnx": round(sum(overlap >= _SAME for overlap in found_onnx) / len(found_onnx), 4),
        "mean_mask_iou": round(sum(found) / len(found), 4),
        "least_mask_iou": round(min(found), 4),
    }


_SAME = 0.99
"""Intersection over union from which on two outlines are the same."""
_MODELS: dict[str, Any] = {}


def _overlaps(model: str, image: str, outlines: list[list[list[float]]], imgsz: int) -> list[float]:
    """For each prediction the intersection over union of its mask's outline with the nearest of ours."""
    import cv2
    import numpy as np
    from ultralytics import YOLO

    from traindrop.outlines import trace

    asked = _MODELS.setdefault(model, YOLO(model, task="segment"))
    result = asked.predict(
        image, imgsz=imgsz, conf=0.25, iou=0.7, rect=False, retina_masks=True, device="cpu", verbose=False
    )[0]
    if result.masks is None:
        return []
    height, width = result.orig_shape

    def drawn(outline: Any) -> Any:
        pixels = np.zeros((2 * height, 2 * width), np.uint8)
        cv2.fillPoly(pixels, [np.round(np.array(outline) * 2 - 0.5).astype(np.int32)], 1)
        return pixels

    ours = [drawn(outline) for outline in outlines]
    # A mask may have holes and several parts; a polygon is the outline of the largest.
    theirs = [drawn(trace(np.asarray(mask, np.uint8))) for mask in result.masks.data.numpy()]
    return [max((float((mask & one).sum() / (mask | one).sum()) for one in ours), default=0.0) for mask in theirs]
