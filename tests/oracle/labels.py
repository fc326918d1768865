"""`verify_image_label` of ultralytics, asked of many label texts; what it does to the image is left out."""

from __future__ import annotations

import base64
import io
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from ultralytics.data import utils

_TAKEN = ("", (64, 64))
"""What `check_image` answers of an image that has nothing wrong with it."""


def verify(cases: list[tuple[str, int]]) -> list[dict[str, Any] | None]:
    """Of each label (base64) and number of classes: None if corrupt, else its task and instances of each class."""
    with TemporaryDirectory() as folder, patch.object(utils, "check_image", lambda _: _TAKEN):
        path = Path(folder) / "label.txt"
        return [_verified(path, base64.b64decode(text), class_count) for text, class_count in cases]


def _verified(path: Path, text: bytes, class_count: int) -> dict[str, Any] | None:
    path.write_bytes(text)
    image, rows, _, segments, _, _, _, _, corrupt, message = utils.verify_image_label(_arguments(path, class_count))
    if corrupt:
        assert image is None, message
        return None
    task = ("segment" if segments else "detect") if len(rows) else ""
    return {"task": task, "instances": sorted(Counter(int(row[0]) for row in rows).items())}


def processor_seconds(texts: list[str], class_count: int) -> float:
    """Processor seconds of ultralytics to parse labels (base64), which it is given from memory."""
    files = {str(number): base64.b64decode(text) for number, text in enumerate(texts)}
    arguments = [_arguments(Path(name), class_count) for name in files]

    def opened(name: str, encoding: str) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(files[name]), encoding=encoding)

    with (
        patch.object(utils, "check_image", lambda _: _TAKEN),
        patch.object(utils, "open", opened, create=True),
        patch.object(utils.os.path, "isfile", files.__contains__),
    ):
        before = time.process_time()
        corrupt = sum(utils.verify_image_label(each)[8] for each in arguments)
        seconds = time.process_time() - before
    assert not corrupt
    return seconds


def _arguments(path: Path, class_count: int) -> tuple[Any, ...]:
    return ("image.png", str(path), "", False, class_count, 0, 0, False)
