"""What the model makes of validation images: what it takes for what, and the worst and the best ones as pictures."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_entry import durable
from training_entry.confusion import Confusion
from training_entry.dataset import Dataset, label_of
from training_entry.drawing import compose
from training_entry.job import Job
from training_entry.matching import IOU, Match, Shape, match

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

EACH = 3
"""So many of the worst and of the best images are drawn."""
IMAGES = 300
_SECONDS = 10.0
"""After which no further image is looked at: a job is paid by the second, and one that is stopped has two minutes."""
_CONFIDENCE = 0.25


@dataclass(frozen=True)
class Seen:
    """A validation image that was looked at: its panoptic quality, and whether there is an object in it."""

    path: Path
    quality: float
    has_objects: bool


def draw(model: Path, dataset: Dataset, job: Job, folder: Path, device: str) -> dict[str, Any]:
    """Draw the 3 worst and the 3 best of the validation images into a folder; answer what metrics.json says of them.

    Looked at are 300 images at most, drawn from the split by a fixed seed, for 10 seconds at most, at the confidence
    that a user gets who asks for none (0.25). They are ranked by panoptic quality; the best ones show an object.
    """
    from ultralytics import YOLO

    eye = Eye(YOLO(str(model)), job, device.split(",")[0])
    shutil.rmtree(folder, ignore_errors=True)
    images = dataset.images["val"]
    until = time.monotonic() + _SECONDS
    confusion, seen = Confusion(), list[Seen]()
    for path in random.Random(0).sample(images, min(len(images), IMAGES)):
        looked = eye.look(path)
        if looked is not None:
            confusion.add(looked[1])
            seen.append(Seen(path, looked[1].quality, bool(looked[1].truth)))
        if time.monotonic() > until:
            break
    pictures = []
    for number, (rank, one) in enumerate(chosen(seen), 1):
        looked = eye.look(one.path)
        if looked is None:
            continue
        name = f"{number}-{re.sub(r'[^A-Za-z0-9_-]+', '-', one.path.stem)[:60]}.jpg"
        durable.write(folder / name, compose(*looked, job.class_names))
        shown = looked[1]
        pictures.append(
            {
                "file": name,
                "rank": rank,
                "quality": round(shown.quality, 3),
                "objects": len(shown.truth),
                "missed": len(shown.missed),
                "wrong": len(shown.wrong),
            }
        )
    return {
        "images": len(seen),
        "confidence": _CONFIDENCE,
        "iou": IOU,
        **confusion.document(job.class_names),
        "samples": pictures,
    }


def chosen(seen: Sequence[Seen]) -> list[tuple[str, Seen]]:
    """The worst images, the worst first, then the best of the others, the best first, each with its rank in a word."""
    ranked = sorted(seen, key=lambda one: (one.quality, str(one.path)))
    half = min(EACH, (len(ranked) + 1) // 2)
    others = sorted(ranked[half:], key=lambda one: (one.has_objects, one.quality), reverse=True)
    return [*(("worst", one) for one in ranked[:half]), *(("best", one) for one in others[:EACH])]


@dataclass(frozen=True)
class Eye:
    """A YOLO model that looks at one image after the other."""

    model: Any
    job: Job
    device: str

    def look(self, path: Path) -> tuple[Image, Match] | None:
        """The image, and what is there beside what is found; None if it cannot be read."""
        image = _read(path)
        if image is None:
            return None
        result = self.model.predict(
            image,
            imgsz=self.job.arguments.get("imgsz", 640),
            device=self.device,
            conf=_CONFIDENCE,
            verbose=False,
        )[0]
        height, width = image.shape[:2]
        there = truth(
            label_of(path),
            width,
            height,
            boxes=self.job.task == "detect",
            one_class=bool(self.job.arguments.get("single_cls")),
        )
        return image, match(there, _predicted(result), width, height)


def truth(label: Path, width: int, height: int, *, boxes: bool = False, one_class: bool = False) -> list[Shape]:
    """Objects of a label file, of polygon or box rows; polygons as their boxes for a model that finds boxes."""
    import numpy as np

    found = []
    text = label.read_text(encoding="utf-8-sig", errors="replace") if label.is_file() else ""
    for row in text.splitlines():
        try:
            kind, *numbers = [float(token) for token in row.split()]
        except ValueError:
            continue
        if len(numbers) == 4:
            x, y, w, h = numbers
            numbers = [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            outline = np.array(numbers).reshape(-1, 2) * (width, height)
            if boxes:
                outline = _corners(*outline.min(axis=0), *outline.max(axis=0))
            found.append(Shape(0 if one_class else int(kind), outline))
    return found


def _predicted(result: Any) -> list[Shape]:
    import numpy as np

    if result.boxes is None:
        return []
    kinds = [int(kind) for kind in result.boxes.cls.tolist()]
    if result.masks is not None:
        outlines = [np.asarray(outline, float) for outline in result.masks.xy]
    else:
        outlines = [_corners(*box) for box in result.boxes.xyxy.tolist()]
    return [Shape(kind, outline) for kind, outline in zip(kinds, outlines, strict=True) if len(outline) >= 3]


def _corners(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    import numpy as np

    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def _read(path: Path) -> Image | None:
    import cv2
    import numpy as np

    image: Image | None = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return image
