"""What the gate makes of the weights that the settings point to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.memory_source import MemorySource
from tests.stack import dataset_files
from traindrop.gate import Gate
from traindrop.problems import Verdict
from traindrop.validation import validate

RUN = {"slug": "rooms-0a1b2c3d"}


@pytest.fixture
def gate(s3: Any) -> Gate:
    s3.create_bucket(Bucket="artifacts")
    nothing: Any = None
    return Gate(s3, nothing, nothing, nothing, "artifacts", 0, 0, lambda: 0.0)


def judged(gate: Gate, model: str) -> Verdict:
    source = MemorySource(dataset_files(settings=f"model: {model}"))
    return gate._with_model(RUN, source, validate("rooms", source, None)).verdict


def promote(gate: Gate, run_id: str) -> None:
    gate.s3.put_object(
        Bucket="artifacts", Key="models/rooms-0a1b2c3d/best.json", Body=json.dumps({"run_id": run_id}).encode()
    )


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
    ],
)
def test_weights_that_are_not_there_or_not_ours_are_refused(gate: Gate, model: str, code: str) -> None:
    verdict = judged(gate, model)
    assert [problem.code for problem in verdict.errors] == [code]
    assert not verdict.fingerprint


def test_weights_of_an_earlier_run_are_taken(gate: Gate) -> None:
    gate.s3.put_object(Bucket="artifacts", Key="models/rooms-0a1b2c3d/r/best.pt", Body=b"weights")
    assert judged(gate, "s3://artifacts/models/rooms-0a1b2c3d/r/best.pt").ok
