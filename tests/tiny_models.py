"""ONNX models that answer the same whatever they are shown: `python -m tests.tiny_models FOLDER`, where onnx is.

They see 64 x 64 pixels: a room in the shape of an L in the left half (the score is 0.9), a smaller one within it that
is the same (0.6), and a door at 40, 40 to 56, 48 (0.75).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
METADATA = {"task": "segment", "names": "{0: 'room', 1: 'door'}", "imgsz": "[64, 64]", "stride": "32"}
ROOM, SAME, DOOR = (4, 8, 28, 56), (5, 9, 28, 55), (40, 40, 56, 48)
_PADDING = 20


def write(folder: Path) -> None:
    """Write the models into a folder, by the training environment's Python."""
    python = ROOT / ".venvs/training/bin/python"
    subprocess.run([python, "-m", "tests.tiny_models", str(folder)], cwd=ROOT, check=True, timeout=120)


def main(folder: Path) -> None:
    """Write them here."""
    boxes, scores = (ROOM, SAME, DOOR), ((0.9, 0), (0.6, 0), (0, 0.75))
    columns = [
        ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, *score, 1, float(box is DOOR))
        for box, score in zip(boxes, scores, strict=True)
        for left, top, right, bottom in [box]
    ]
    table = np.zeros((1, 8, len(columns) + _PADDING), np.float32)
    table[0, :, : len(columns)] = np.array(columns).T
    # Of the left half all but the lower right quarter; the second prototype makes everything the object's.
    prototypes = np.full((1, 2, 16, 16), 1, np.float32)
    prototypes[0, 0, 8:, 4:] = -1
    prototypes[0, 1] = 2
    rows = np.zeros((1, _PADDING, 6), np.float32)
    rows[0, :2] = [(*ROOM, 0.9, 0), (*DOOR, 0.75, 1)]
    detect = {**METADATA, "task": "detect"}
    _save(folder / "segment.onnx", METADATA, table, prototypes)
    _save(folder / "detect.onnx", detect, table[:, :6])
    _save(folder / "rows.onnx", detect, rows)
    _save(folder / "bare.onnx", {}, table, prototypes)
    _save(folder / "pose.onnx", {**METADATA, "task": "pose"}, table)
    _save(folder / "mixed up.onnx", METADATA, table)
    _save(folder / "other classes.onnx", {**METADATA, "names": "{0: 'room'}"}, table, prototypes)
    _save(folder / "other size.onnx", {**METADATA, "imgsz": "[32, 32]"}, table, prototypes)
    (folder / "broken.onnx").write_bytes((folder / "segment.onnx").read_bytes()[:3000])


def _save(path: Path, metadata: dict[str, str], *outputs: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    names = [f"output{number}" for number in range(len(outputs))]
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"{name}_constant"], [name]) for name in names],
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in zip(names, outputs, strict=True)
        ],
        [numpy_helper.from_array(value, f"{name}_constant") for name, value in zip(names, outputs, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, metadata)
    save(model, str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
