"""best.onnx: the best model for ONNX Runtime, told in it how to be used, and compared with best.pt before it goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_entry import durable
from training_entry.dataset import Dataset
from training_entry.job import Paths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from traindrop.letterbox import Floats
    from traindrop.predictions import Candidates

    Answer = tuple[Candidates, Floats | None]

TOLERANCE = 0.001
"""What a score, a corner as a part of the picture's side, and the likeness of a mask's pixel may differ by."""
IMAGES = 16
_SECONDS = 20.0
"""After which no further image is compared: a job is paid by the second, and one that is stopped has two minutes."""
_LIKELIEST = 100
_AMONG = 300


class Differs(Exception):
    """The exported model predicts something else than the trained one."""


@dataclass(frozen=True)
class Comparison:
    """By how much two models differ at most, on so many images."""

    images: int
    largest_difference: float

    def document(self) -> dict[str, float | None]:
        """What metrics.json says; JSON has no word for what is no number."""
        return {
            "images": self.images,
            "largest_difference": round(self.largest_difference, 6) if isfinite(self.largest_difference) else None,
            "tolerance": TOLERANCE,
        }

    def hold(self) -> None:
        """Raise Differs unless the difference is within the tolerance; what is no number is not."""
        if not self.largest_difference <= TOLERANCE:
            raise Differs(
                f"its predictions differ from those of best.pt by up to {self.largest_difference:.3g}, where "
                f"{TOLERANCE:g} is allowed, on {self.images} validation images"
            )


def export(paths: Paths, imgsz: int) -> Path:
    """Write the best model as ONNX, in fp32, for one image of imgsz x imgsz pixels, and say in it how to use it."""
    folder = paths.work / "export"
    shutil.rmtree(folder, ignore_errors=True)
    durable.copy(paths.best, folder / "best.pt")
    import onnx
    from ultralytics import YOLO

    from traindrop.onnx_metadata import UNSAID

    exported = Path(
        YOLO(str(folder / "best.pt")).export(format="onnx", imgsz=imgsz, device="cpu", simplify=True, verbose=False)
    )
    model = onnx.load(str(exported))
    for key, value in UNSAID.items():
        said = model.metadata_props.add()
        said.key, said.value = key, value
    onnx.save(model, str(exported))
    return exported


def compare(exported: Path, trained: Path, dataset: Dataset) -> Comparison:
    """Ask both models about validation images, 16 at most, spread over the split."""
    import cv2
    import numpy as np

    from traindrop.letterbox import Letterbox
    from traindrop.onnx_model import Model

    model = Model.open(exported)
    ask_trained = _trained(trained, model)
    images = dataset.images["val"]
    until = time.monotonic() + _SECONDS
    differences: list[float] = []
    for path in images[:: max(1, len(images) // IMAGES)][:IMAGES]:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            continue
        picture = Letterbox.of(image, model.metadata).apply(image, model.metadata)
        differences.append(difference(model.ask(picture), ask_trained(picture)))
        if time.monotonic() > until:
            break
    return Comparison(len(differences), float(np.max(differences, initial=0.0)))


def _trained(path: Path, exported: Any) -> Callable[[NDArray[np.float32]], Answer]:
    """The model of a .pt, asked by torch on the processor, as the exported one is."""
    import torch
    from ultralytics.nn.autobackend import AutoBackend

    from traindrop.predictions import candidates

    backend = AutoBackend(str(path), device=torch.device("cpu"), verbose=False)
    backend.eval()

    def ask(picture: NDArray[np.float32]) -> Answer:
        with torch.inference_mode():
            first = backend(torch.from_numpy(picture))[0]
        outputs: Sequence[Any] = [part.numpy() for part in (first if isinstance(first, tuple) else (first,))]
        found = candidates(outputs, exported.metadata)
        return found, outputs[1][0] if len(outputs) > 1 else None

    return ask


def difference(one: Answer, other: Answer) -> float:
    """By how much the 100 likeliest candidates of either model differ from the nearest of the other's, at most."""
    return max(_one_way(one, other), _one_way(other, one))


def _one_way(asked: Answer, among: Answer) -> float:
    import numpy as np

    (found, prototypes), (others, other_prototypes) = asked, among
    found, others = found.likeliest(_LIKELIEST), others.likeliest(_AMONG)
    if not len(found.boxes):
        return 0.0
    side = max(1.0, float(np.abs(found.boxes).max()))
    apart = np.abs(found.boxes[:, None] - others.boxes[None]).max(axis=2) / side
    apart = np.maximum(apart, np.abs(found.scores[:, None] - others.scores[None]).max(axis=2))
    nearest = apart.argmin(axis=1)
    worst = float(apart[np.arange(len(nearest)), nearest].max())
    if prototypes is not None and other_prototypes is not None:
        mine = _likeness(found.coefficients, prototypes)
        worst = max(worst, float(np.abs(mine - _likeness(others.coefficients[nearest], other_prototypes)).max()))
    return worst


def _likeness(coefficients: Floats, prototypes: Floats) -> Floats:
    """How likely each pixel of a mask is the object's, 0 to 1."""
    import numpy as np

    logits = np.tensordot(coefficients, prototypes, 1)
    return (1 / (1 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)
