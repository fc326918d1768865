"""The code that travels to a training job: the entry, and what it shares with the checks and with `polygons`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files

ENTRY_POINT = "entry.sh"
JUDGING = ("image_directories.py", "image_ends.py", "image_headers.py", "images.py", "labels.py", "crossings.py")
"""Modules by which images and labels are judged; of others they import the standard library's and each other only."""
ASKING = ("letterbox.py", "onnx_metadata.py", "onnx_model.py", "predictions.py")
"""Modules by which a model in an ONNX file is asked; they need NumPy, OpenCV and ONNX Runtime besides."""
SHARED = ("__init__.py", *JUDGING, *ASKING)
"""Modules of this package that the entry imports."""


def code() -> dict[str, bytes]:
    """Files of the code channel: the entry's at its root, below `traindrop/` what it shares."""
    entry = {item.name: item for item in files("training_entry").iterdir()}
    shared = {f"traindrop/{name}": files("traindrop").joinpath(name) for name in SHARED}
    return {name: item.read_bytes() for name, item in (entry | shared).items() if name.endswith((".py", ".sh", ".txt"))}


def digest(content: Mapping[str, bytes]) -> str:
    """What names a version of the code: 16 hexadecimal digits."""
    told = b"".join(name.encode() + b"\0" + data for name, data in sorted(content.items()))
    return hashlib.sha256(told).hexdigest()[:16]
