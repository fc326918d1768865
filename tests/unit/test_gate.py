"""What the gate makes of the weights that the settings point to."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.memory_source import MemorySource
from tests.plain_reads import PlainReads
from tests.stack import dataset_files
from traindrop.gate import Gate
from traindrop.problems import Verdict
from traindrop.read_ahead import ReadAhead
from traindrop.validation import validate

RUN = {"slug": "rooms-0a1b2c3d"}


@pytest.fixture
def gate(s3: Any) -> Gate:
    s3.create_bucket(Bucket="artifacts")
    nothing: Any = None
    return Gate(s3, nothing, nothing, nothing, "artifacts", 0, 0, lambda: 0.0)


def judged(gate: Gate, model: str, more: str = "") -> Verdict:
    source = MemorySource(dataset_files(settings=f"model: {model}\n{more}"))
    return gate._with_model(RUN, source, validate("rooms", source, None)).verdict


def promote(gate: Gate, run_id: str, **metrics: Any) -> None:
    trained(gate, run_id, **metrics)
    gate.s3.put_object(
        Bucket="artifacts", Key="models/rooms-0a1b2c3d/best.json", Body=json.dumps({"run_id": run_id}).encode()
    )


def trained(gate: Gate, run_id: str, **metrics: Any) -> str:
    """A run's model, with what its metrics.json says; where it lies."""
    place = f"models/rooms-0a1b2c3d/{run_id}"
    gate.s3.put_object(Bucket="artifacts", Key=f"{place}/best.pt", Body=b"weights")
    if metrics:
        gate.s3.put_object(Bucket="artifacts", Key=f"{place}/metrics.json", Body=json.dumps(metrics).encode())
    return f"s3://artifacts/{place}/best.pt"


def test_best_stands_for_the_run_whose_model_is_the_best_now(gate: Gate) -> None:
    promote(gate, "rooms-0a1b2c3d-20261101T000000-00000001")
    first = judged(gate, "best")
    assert first.ok
    assert first.fingerprint == judged(gate, "best").fingerprint
    promote(gate, "rooms-0a1b2c3d-20261102T000000-00000002")
    assert judged(gate, "best").fingerprint not in ("", first.fingerprint)


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("best", "settings.model_missing"),
        ("s3://artifacts/models/rooms-0a1b2c3d/gone/best.pt", "settings.model_missing"),
        ("s3://elsewhere/models/rooms-0a1b2c3d/r/best.pt", "settings.foreign_model"),
        ("s3://artifacts/weights/best.pt", "settings.foreign_model"),
        ("s3://artifacts/models/rooms-0a1b2c3d/r/other.pt", "settings.foreign_model"),
    ],
)
def test_weights_that_are_not_there_or_not_ours_are_refused(gate: Gate, model: str, code: str) -> None:
    verdict = judged(gate, model)
    assert [problem.code for problem in verdict.errors] == [code]
    assert not verdict.fingerprint


def test_weights_of_an_earlier_run_are_taken(gate: Gate) -> None:
    assert judged(gate, trained(gate, "r")).ok


def test_a_best_whose_model_was_deleted_is_refused_and_the_way_back_is_told(gate: Gate) -> None:
    promote(gate, "r")
    gate.s3.delete_object(Bucket="artifacts", Key="models/rooms-0a1b2c3d/r/best.pt")
    (problem,) = judged(gate, "best").errors
    assert problem.code == "settings.model_missing"
    assert "models/rooms-0a1b2c3d/r/best.pt was deleted" in problem.message
    assert "traindrop rollback" in problem.message


@pytest.mark.parametrize("by_name", [True, False])
def test_weights_for_another_task_are_refused_before_they_cost_anything(gate: Gate, by_name: bool) -> None:
    uri = trained(gate, "r", task="detect", names=["room"])
    promote(gate, "r", task="detect", names=["room"])
    verdict = judged(gate, "best" if by_name else uri)
    assert [problem.code for problem in verdict.errors] == ["settings.model_task"]
    assert "train from yolov8n-seg.pt" in verdict.errors[0].message


@pytest.mark.parametrize(
    ("names", "said"),
    [(["wall"], "taken over though they were learnt for others"), (["room", "wall"], "begun anew"), (["room"], "")],
)
def test_weights_that_know_other_classes_are_taken_and_told_of(gate: Gate, names: list[str], said: str) -> None:
    promote(gate, "r", task="segment", names=names)
    verdict = judged(gate, "best")
    assert verdict.ok
    assert [problem.code for problem in verdict.warnings] == ["settings.model_classes"] * bool(said)
    assert all(said in problem.message for problem in verdict.warnings)


def test_one_class_made_of_all_is_compared_with_one_class(gate: Gate) -> None:
    promote(gate, "r", task="segment", names=["item"])
    assert not judged(gate, "best", "train: {single_cls: true}").warnings
    assert judged(gate, "best").warnings


def test_weights_that_are_named_and_not_used_are_a_contradiction(gate: Gate) -> None:
    promote(gate, "r")
    verdict = judged(gate, "best", "train: {pretrained: false}")
    assert [problem.code for problem in verdict.errors] == ["settings.pretrained_off"]
    assert judged(gate, "best", "train: {pretrained: true}").ok


@pytest.mark.parametrize(
    ("record", "seconds_ago", "read_ahead"),
    [(None, 200, True), ({"status": "Uploading"}, 200, True), ({"incomplete": True}, 200, False), (None, 100, False)],
)
def test_labels_are_read_ahead_where_they_are_likely_to_be_judged(
    s3: Any, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any] | None, seconds_ago: float, read_ahead: bool
) -> None:
    for key, content in dataset_files().items():
        s3.put_object(Bucket="data", Key=f"datasets/rooms/{key}", Body=content)
    uploaded = s3.head_object(Bucket="data", Key="datasets/rooms/data.yaml")["LastModified"].timestamp()
    begun: list[str] = []
    monkeypatch.setattr(ReadAhead, "begin", lambda self, piece: begun.extend([piece.key] * bool(self._room)))
    runs: Any = SimpleNamespace(find=lambda _: record)
    nothing: Any = None
    plain = PlainReads(s3, "data")
    gate = Gate(s3, lambda _: plain, runs, nothing, "artifacts", 120, 3600, lambda: 0.0)
    source = gate._folder(
        ReadAhead(plain), {"bucket": "data", "prefix": "datasets/rooms/"}, "run", uploaded + seconds_ago
    )
    labels = [f"datasets/rooms/{name}" for name in source.files if name.endswith(".txt")]
    assert labels
    assert sorted(begun) == (labels if read_ahead else [])
