"""`traindrop polygons`: what a trained model finds in an image of this machine's disk, as polygons."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from traindrop.cli import Answer, UsageError
from traindrop.plain_text import printable

try:
    import cv2
    import numpy as np

    from traindrop import polygons as found_by
    from traindrop.letterbox import Image
    from traindrop.onnx_metadata import UnknownModel
    from traindrop.onnx_model import Model
except ImportError as error:
    raise UsageError(
        f"`traindrop polygons` needs ONNX Runtime, NumPy and OpenCV ({error}); install them with "
        "`pip install 'traindrop[polygons]'`, from a clone with `pip install '.[polygons]'`"
    ) from error


def polygons(*, model: str, image: str, output: str | None = None, overlay: str | None = None) -> Answer:
    """Find the polygons of one image.

    Args:
        model: a best.onnx, or a best.pt with one beside it.
        image: any image that OpenCV reads.
        output: where the JSON document goes; without it the document is the answer.
        overlay: where the image with the polygons drawn over it goes; its suffix says as what.

    Raises:
        UsageError: a file is not there, is not what it should be, or cannot be written.
    """
    model_path, image_path = _onnx(Path(model)), _there(Path(image), "image")
    written = [Path(place) for place in (output, overlay) if place is not None]
    _refuse_to_overwrite(written, [Path(model), model_path, image_path])
    picture = _picture(image_path)
    try:
        found = found_by.find(Model.open(model_path), picture)
    except UnknownModel as error:
        raise UsageError(f"{_name(model_path)} cannot be used: {printable(str(error))}") from error
    text = _document(found_by.document(image, picture, found))
    if output is not None:
        _write(Path(output), (text + "\n").encode())
    if overlay is not None:
        _write(Path(overlay), _encoded(found_by.overlay(picture, found), Path(overlay)))
    if output is None:
        return Answer(text)
    counts = Counter(polygon.name for polygon in found)
    told = ", ".join(f"{count} {printable(name)}" for name, count in counts.most_common()) or "nothing found"
    return Answer(f"{_name(image_path)}: {told}; written to {', '.join(_name(place) for place in written)}")


def _document(document: dict[str, Any]) -> str:
    """A line for the image and one for each polygon."""
    lines = ",\n".join(json.dumps(polygon) for polygon in document["polygons"])
    return json.dumps({**document, "polygons": []})[:-2] + (f"\n{lines}\n]}}" if lines else "]}")


def _there(path: Path, kind: str) -> Path:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"the {kind} {_name(path)} {what}")
    return path


def _onnx(path: Path) -> Path:
    """The ONNX file of a model: itself, or the one beside a .pt."""
    if path.suffix.lower() != ".pt":
        return _there(path, "model")
    beside = path.with_suffix(".onnx")
    if not beside.is_file():
        raise UsageError(
            f"{_name(path)} needs PyTorch; the same model for ONNX Runtime would be {_name(beside)}, which is not "
            "there: fetch the best.onnx that lies beside it in the artifact bucket, or make it where ultralytics is "
            "installed with `yolo export format=onnx model=…`"
        )
    return beside


def _refuse_to_overwrite(written: list[Path], read: list[Path]) -> None:
    places = [path.resolve() for path in written]
    lost = [path for path in read if path.resolve() in places]
    if lost:
        raise UsageError(f"{_name(lost[0])} would be overwritten; give --output and --overlay other names")
    if len(set(places)) < len(places):
        raise UsageError("--output and --overlay are the same file; give them different names")


def _picture(path: Path) -> Image:
    """The image, upright by its EXIF orientation, of its pages or frames the first, without transparency."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the image {_name(path)} cannot be read: {error.strerror}") from error
    picture: Image | None = None
    with contextlib.suppress(cv2.error):
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if picture is None:
        raise UsageError(
            f"{_name(path)} is not an image that OpenCV can read, or too large; save it as PNG or JPEG "
            "(a page of a PDF too)"
        )
    return picture


def _encoded(picture: Image, path: Path) -> bytes:
    try:
        done, content = cv2.imencode(path.suffix or ".png", picture)
    except cv2.error:
        done = False
    if not done:
        raise UsageError(f"{_name(path)} has no suffix of an image; give --overlay a name that ends in .png or .jpg")
    return bytes(content.tobytes())


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{_name(path)} cannot be written: {error.strerror}") from error


def _name(path: Path) -> str:
    return printable(str(path))
