"""What an ONNX file says of the model in it: ultralytics' metadata, and the preprocessing that it leaves unsaid."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TASKS = ("segment", "detect")
UNSAID = {
    "letterbox_value": "114",
    "pixel_divisor": "255",
    "colour_order": "RGB",
    "confidence": "0.25",
    "iou": "0.7",
    "max_detections": "300",
}
"""What `ultralytics.predict` does by default and its export does not write down, under the keys that we write."""


class UnknownModel(Exception):
    """The file is no model that can be used here; the message says why, and ends in what to do."""


@dataclass(frozen=True)
class Metadata:
    """A model's task, its classes, and what it wants to be given and asked.

    `imgsz` is rows and columns; `padding` the grey around an image; a prediction counts from `confidence` on, and of
    two of a class that overlap by more than `iou` the likelier one stays, `most` of them at most.
    """

    task: str
    names: dict[int, str]
    imgsz: tuple[int, int]
    stride: int
    padding: int
    divisor: float
    colour_order: str
    confidence: float
    iou: float
    most: int

    @classmethod
    def read(cls, written: Mapping[str, str]) -> Metadata:
        """Metadata as a file has it; where another exporter left the preprocessing unsaid, it is ultralytics' own.

        Raises:
            UnknownModel: it is not a YOLO model's, or of another task than segmentation and detection.
        """
        lacking = [key for key in ("task", "names", "imgsz", "stride") if key not in written]
        if lacking:
            raise UnknownModel(
                f"it says nothing of its {', '.join(lacking)}, so it is no ONNX file of a YOLO model; "
                "give the best.onnx of a run, or what `yolo export format=onnx` writes"
            )
        if written["task"] not in TASKS:
            raise UnknownModel(
                f"it is a model for {written['task']!r}; give one for segmentation (its polygons follow the outlines) "
                "or detection (its boxes become polygons)"
            )
        said: dict[str, str] = {**UNSAID, **written}
        try:
            rows, columns = _literal(said["imgsz"])
            found = cls(
                task=said["task"],
                names={int(number): str(name) for number, name in _literal(said["names"]).items()},
                imgsz=(int(rows), int(columns)),
                stride=int(said["stride"]),
                padding=int(said["letterbox_value"]),
                divisor=float(said["pixel_divisor"]),
                colour_order=said["colour_order"],
                confidence=float(said["confidence"]),
                iou=float(said["iou"]),
                most=int(said["max_detections"]),
            )
        except (ValueError, TypeError, SyntaxError, AttributeError, MemoryError, RecursionError) as error:
            raise UnknownModel(
                f"its metadata cannot be read ({type(error).__name__}: {str(error)[:100]}); export the model anew"
            ) from error
        found._check()
        return found

    def _check(self) -> None:
        whole = (
            list(self.names) == list(range(len(self.names))) and self.names and 8 <= min(self.imgsz) <= max(self.imgsz)
        )
        known = 0 <= self.padding <= 255 and self.divisor > 0 and self.colour_order in ("RGB", "BGR")
        if not (whole and known and max(self.imgsz) <= 16384 and self.most > 0):
            raise UnknownModel(f"its metadata make no sense ({self}); export the model anew")


def _literal(text: str) -> Any:
    return ast.literal_eval(text)
