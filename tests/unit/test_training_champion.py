"""The best model so far meets the new one in its job, and whatever is wrong with it ends no training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training_entry import champion, evaluation, stopping
from training_entry.checkpoints import Store
from training_entry.dataset import Dataset
from training_entry.job import Job, Paths

FIGURES = {"map50_95_mask": 0.4, "classes": {}}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A job that was told of the best model so far, and got it."""
    paths = Paths(tmp_path / "ml", tmp_path / "work")
    (paths.root / "input/config").mkdir(parents=True)
    (paths.root / "input/config/hyperparameters.json").write_text('{"epochs": "3", "champion": "rooms-1"}')
    paths.champion.mkdir(parents=True)
    (paths.champion / "best.pt").touch()
    return paths


def meet(
    monkeypatch: pytest.MonkeyPatch,
    paths: Paths,
    *,
    loaded: Any = None,
    found: Any = None,
    **arguments: Any,
) -> dict[str, Any] | None:
    """What comes of the meeting, where loading and evaluating give or raise this."""

    def give(answer: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    loaded = loaded or SimpleNamespace(task="segment", names={0: "room"})
    monkeypatch.setattr(evaluation, "load", lambda _: give(loaded))
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: give(found or FIGURES))
    job = Job("run", "segment", "best", {"epochs": 3, **arguments}, "folder", "", "", {0: "room"}, "")
    return champion.meet(job, paths, Dataset(paths.work, {}, 0, ""), "cpu", Store(paths.checkpoints, "run"))


def test_its_figures_are_noted_and_taken_from_there_by_the_next_host(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    first = meet(monkeypatch, paths)
    assert first == {"run_id": "rooms-1", **FIGURES}
    assert meet(monkeypatch, paths, loaded=RuntimeError("never asked")) == first


def test_figures_of_another_best_or_another_run_or_damaged_ones_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    meet(monkeypatch, paths)
    place = paths.checkpoints / "champion.json"
    kept = json.loads(place.read_text())
    assert Store(paths.checkpoints, "run").champion("rooms-1")
    assert Store(paths.checkpoints, "run").champion("rooms-2") is None
    assert Store(paths.checkpoints, "another run").champion("rooms-1") is None
    place.write_text(json.dumps({**kept, "champion": {**kept["champion"], "map50_95_mask": 0.1}}))
    assert Store(paths.checkpoints, "run").champion("rooms-1") is None


@pytest.mark.parametrize("told", ["{}", "[]", "{", None])
def test_a_job_that_was_told_of_none_meets_none(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, told: str | None
) -> None:
    place = paths.root / "input/config/hyperparameters.json"
    place.unlink()
    if told is not None:
        place.write_text(told)
    assert meet(monkeypatch, paths) is None
    assert not paths.checkpoints.exists()


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        ({"loaded": ValueError("torn\nfile")}, "damaged", "its best.pt cannot be loaded (ValueError: torn file)"),
        (
            {"loaded": SimpleNamespace(task="detect", names={0: "room"})},
            "task",
            "it is a model for the task detect, and the dataset's is segment now",
        ),
        (
            {"loaded": SimpleNamespace(task="segment", names={0: "wall", 1: "room"})},
            "classes",
            "it knows other classes (wall, room) than the dataset has now",
        ),
        (
            {"found": RuntimeError("CUDA out of memory")},
            "failed",
            "its evaluation failed (RuntimeError: CUDA out of memory)",
        ),
    ],
)
def test_what_keeps_it_from_being_measured_is_said(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, given: dict[str, Any], kind: str, reason: str
) -> None:
    assert meet(monkeypatch, paths, **given) == {"run_id": "rooms-1", "not_measured": kind, "reason": reason}


def test_a_model_that_did_not_reach_the_job_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    (paths.champion / "best.pt").unlink()
    met = meet(monkeypatch, paths)
    assert met
    assert met["not_measured"] == "missing"


def test_with_one_class_made_of_all_it_has_to_know_that_one(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    one = SimpleNamespace(task="segment", names={0: "item"})
    assert meet(monkeypatch, paths, loaded=one, single_cls=True) == {"run_id": "rooms-1", **FIGURES}


def test_a_stop_in_the_middle_is_a_stop_and_notes_nothing(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    with pytest.raises(stopping.Stopped):
        meet(monkeypatch, paths, found=stopping.Stopped())
    assert not paths.checkpoints.exists()


def test_it_is_measured_as_the_end_of_a_training_measures(paths: Paths) -> None:
    """Which arguments ultralytics gets; that the figures are the same is shown by a real training."""
    asked: dict[str, Any] = {}

    class Model:
        def add_callback(self, _event: str, _function: Any) -> None:
            pass

        def val(self, **arguments: Any) -> Any:
            asked.update(arguments)
            return SimpleNamespace(
                results_dict={"metrics/mAP50-95(M)": 0.5}, nt_per_class=[], names={}, ap_class_index=[]
            )

    arguments = {"epochs": 3, "imgsz": 160, "batch": 8, "max_det": 7, "mosaic": 0.5}
    job = Job("run", "segment", "m", arguments, "folder", "", "", {0: "room"}, "")
    evaluation.evaluate(Model(), job, paths, Dataset(paths.work, {"val": []}, 0, ""), "0,1", plots=False)
    assert (asked["imgsz"], asked["batch"], asked["device"], asked["max_det"]) == (160, 8, "0", 7)
    assert "mosaic" not in asked
