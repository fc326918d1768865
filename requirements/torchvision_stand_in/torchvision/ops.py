"""Non-maximum suppression in pure torch."""

from typing import Any


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Indices (int64, n) of the boxes (xyxy pixels, n x 4) kept, by falling score, as `torchvision.ops.nms`."""
    from ultralytics.utils.nms import TorchNMS

    return TorchNMS.nms(boxes, scores, iou_threshold)
