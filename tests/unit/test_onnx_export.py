"""best.onnx is delivered only if it predicts what best.pt does."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from traindrop.predictions import Candidates
from training_entry import onnx_export, publish, samples
from training_entry.checkpoints import History
from training_entry.dataset import Dataset
from training_entry.job import Job, Paths
from training_entry.onnx_export import TOLERANCE, Comparison, Differs, difference

NAMES = {0: "room", 1: "door"}


def answer(count: int = 150, seed: int = 0) -> tuple[Candidates, Any]:
    """What a model may say of a picture of 640 pixels a side."""
    chance = np.random.default_rng(seed)
    low = chance.uniform(0, 500, (count, 2))
    boxes = np.hstack([low, low + chance.uniform(5, 140, (count, 2))]).astype(np.float32)
    boxes[0] = (0, 0, 640, 640)
    scores = np.sort(chance.uniform(0, 1, (count, 2)).astype(np.float32), axis=0)[::-1].copy()
    coefficients = chance.normal(size=(count, 4)).astype(np.float32)
    return Candidates(boxes, scores, coefficients, True), chance.normal(size=(4, 16, 16)).astype(np.float32)


def test_the_same_answer_does_not_differ_whatever_its_order() -> None:
    found, prototypes = answer()
    assert difference((found, prototypes), (found[np.arange(150)[::-1]], prototypes)) == 0


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [("boxes", 6.4, 0.01), ("scores", 0.02, 0.02), ("coefficients", 1e-7, 0), ("coefficients", 2.0, 0.5)],
)
def test_a_change_of_one_likely_candidate_is_seen(part: str, change: float, expected: float) -> None:
    found, prototypes = answer()
    other, _ = answer()
    getattr(other, part)[3] += change
    seen = difference((found, prototypes), (other, prototypes))
    assert seen == difference((other, prototypes), (found, prototypes))
    assert seen == pytest.approx(expected, abs=1e-6) if expected < 0.5 else seen > 0.1


def test_other_prototypes_are_seen() -> None:
    found, prototypes = answer()
    assert difference((found, prototypes), (found, -prototypes)) > 0.5


def test_an_object_that_only_one_model_sees_is_seen() -> None:
    found, prototypes = answer()
    for one, other in ((found, found[1:]), (found[1:], found)):
        assert difference((one, prototypes), (other, prototypes)) > TOLERANCE


def test_boxes_alone_are_compared_for_detection() -> None:
    found, _ = answer()
    assert difference((found, None), (found, None)) == 0
    assert difference((found, None), (found[1:], None)) > TOLERANCE


@pytest.mark.parametrize("amount", [TOLERANCE * 1.01, 1.0, float("nan"), float("inf")])
def test_more_than_the_tolerance_is_no_equality(amount: float) -> None:
    Comparison(16, TOLERANCE).hold()
    with pytest.raises(Differs, match=r"on 16 validation images"):
        Comparison(16, amount).hold()
    json.dumps(Comparison(16, amount).document(), allow_nan=False)


def packaged(place: Path, monkeypatch: pytest.MonkeyPatch, amount: float) -> tuple[Path, dict[str, Any]]:
    """The model folder, and its metrics.json, of a training whose export differs by so much."""
    paths = Paths(place / "ml", place / "work")
    paths.work.mkdir(parents=True)
    paths.best.write_bytes(b"the model")
    paths.best_metrics.write_text('{"map50_mask": 0.5}')
    exported = place / "work/best.onnx"
    exported.write_bytes(b"the same model")
    monkeypatch.setattr(samples, "draw", lambda *_: None)
    monkeypatch.setattr(onnx_export, "export", lambda *_: exported)
    monkeypatch.setattr(onnx_export, "compare", lambda *_: Comparison(7, amount))
    monkeypatch.setattr(metadata, "version", lambda _: "1.0")
    job = Job("r", "segment", "m", {"epochs": 2}, "folder", "", "", NAMES, "manifest")
    progress = publish.Progress("segment", NAMES, 2, History())
    publish.package(
        job, paths, Dataset(place / "data.yaml", {"train": [], "val": []}, 0, validation_split="v"), progress, "cpu"
    )
    return paths.model, json.loads((paths.model / "metrics.json").read_text())


def test_an_equal_export_is_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, metrics = packaged(tmp_path, monkeypatch, 0.0000123)
    assert (model / "best.onnx").read_bytes() == b"the same model"
    assert metrics["onnx"] == {"images": 7, "largest_difference": 0.000012, "tolerance": TOLERANCE}
    assert "missing" not in metrics


def test_an_export_that_differs_is_not_and_the_training_does_not_fail_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, metrics = packaged(tmp_path, monkeypatch, 0.2)
    assert not (model / "best.onnx").exists()
    assert (model / "best.pt").read_bytes() == b"the model"
    assert metrics["onnx"]["largest_difference"] == 0.2
    told = metrics["missing"]["best.onnx"]
    assert told.startswith("Differs: its predictions differ from those of best.pt by up to 0.2, where 0.001 is allowed")
    assert f"MISSING best.onnx: {told}" in capsys.readouterr().out
