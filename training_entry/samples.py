"""Sample predictions: the truth beside what the model sees, for a few validation images."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_entry import durable
from training_entry.dataset import Dataset, label_of
from training_entry.job import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Outline = NDArray[np.float64]

COUNT = 8
MAX_BYTES = 150_000
_PANEL = 640  # longest side of a panel, pixels
_TRUTH = (60, 160, 30)  # BGR
_FOUND = (200, 60, 200)
_GAP = 8


def draw(model: Path, dataset: Dataset, job: Job, folder: Path, device: str) -> None:
    """Write up to 8 JPEGs of at most 150 kB, each the truth beside (or above) the prediction."""
    from ultralytics import YOLO

    predictor = YOLO(str(model))
    shutil.rmtree(folder, ignore_errors=True)
    images = dataset.images["val"]
    chosen = images[:: max(1, len(images) // COUNT)][:COUNT]
    for number, path in enumerate(chosen, 1):
        image = _read(path)
        if image is None:
            continue
        height, width = image.shape[:2]
        result = predictor.predict(
            image,
            imgsz=job.arguments.get("imgsz", 640),
            device=device.split(",")[0],
            conf=0.25,
            retina_masks=True,
            verbose=False,
        )[0]
        truth = outlines(label_of(path), width, height)
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:60]
        durable.write(folder / f"{number}-{stem}.jpg", compose(image, truth, _predicted(result)))


def outlines(label: Path, width: int, height: int) -> list[Outline]:
    """Outlines (n x 2, pixels) of the objects in a label file, of polygon or box rows."""
    import numpy as np

    found = []
    text = label.read_text(encoding="utf-8-sig", errors="replace") if label.is_file() else ""
    for row in text.splitlines():
        try:
            numbers = [float(token) for token in row.split()[1:]]
        except ValueError:
            continue
        if len(numbers) == 4:
            x, y, w, h = numbers
            numbers = [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]
        if len(numbers) >= 6 and len(numbers) % 2 == 0:
            found.append(np.array(numbers).reshape(-1, 2) * (width, height))
    return found


def compose(image: Image, truth: list[Outline], found: list[Outline]) -> bytes:
    """A JPEG of at most 150 kB: the image with the truth, and with the prediction, under a caption each."""
    import cv2
    import numpy as np

    scale = min(1.0, _PANEL / max(image.shape[:2]))
    if max(image.shape[:2]) < _PANEL // 2:
        scale = _PANEL / 2 / max(image.shape[:2])
    panels = [
        _panel(image, truth, scale, _TRUTH, f"truth: {len(truth)}"),
        _panel(image, found, scale, _FOUND, f"predicted: {len(found)}"),
    ]
    beside = image.shape[1] <= 1.5 * image.shape[0]
    gap_shape = (panels[0].shape[0], _GAP, 3) if beside else (_GAP, panels[0].shape[1], 3)
    gap = np.full(gap_shape, 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1]], axis=1 if beside else 0)
    while True:
        for quality in (88, 75, 60, 45):
            done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if done and len(encoded) <= MAX_BYTES:
                return bytes(encoded.tobytes())
        picture = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)


def _panel(image: Image, shapes: list[Outline], scale: float, colour: tuple[int, int, int], caption: str) -> Image:
    import cv2
    import numpy as np

    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    polygons = [np.round(shape * scale).astype(np.int32) for shape in shapes]
    filled = canvas.copy()
    for polygon in polygons:
        cv2.fillPoly(filled, [polygon], colour)
    canvas = cv2.addWeighted(filled, 0.35, canvas, 0.65, 0)
    cv2.polylines(canvas, polygons, True, colour, 2, cv2.LINE_AA)
    strip = np.full((26, canvas.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, caption, (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 1, cv2.LINE_AA)
    return np.concatenate([strip, canvas], axis=0)


def _predicted(result: Any) -> list[Outline]:
    import numpy as np

    if result.masks is not None:
        return [np.asarray(shape, float) for shape in result.masks.xy if len(shape) >= 3]
    corners = [] if result.boxes is None else result.boxes.xyxy.tolist()
    return [np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) for x1, y1, x2, y2 in corners]


def _read(path: Path) -> Image | None:
    import cv2
    import numpy as np

    image: Image | None = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return image
