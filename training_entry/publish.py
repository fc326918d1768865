"""The model folder: what of it is current after every epoch, and what the end of the training adds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from training_entry import durable, evaluation, onnx_export, samples
from training_entry.checkpoints import History
from training_entry.dataset import Dataset
from training_entry.job import Job, Paths


@dataclass(frozen=True)
class Progress:
    """How far a training is, and how it came there."""

    task: str
    names: Mapping[int, str]
    epochs_requested: int
    history: History
    left_out: int = 0
    validation_split: str = ""
    champion: Mapping[str, Any] | None = None
    epochs_trained: int = 0
    stopped_early: bool = False

    def after(self, epoch: int, *, finished: bool) -> Progress:
        """Progress when so many epochs are done, finished if no more follow."""
        return replace(self, epochs_trained=epoch, stopped_early=finished and epoch < self.epochs_requested)

    def document(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics.json of this moment."""
        return {
            "task": self.task,
            "names": list(self.names.values()),
            "epochs_trained": self.epochs_trained,
            "epochs_requested": self.epochs_requested,
            **figures,
            "validation_split": self.validation_split,
            **({"champion": dict(self.champion)} if self.champion else {}),
            "left_out": self.left_out,
            "host_starts": self.history.host_starts,
            "resumed_from_epochs": list(self.history.resumed_from_epochs),
            "checkpoints_rejected": list(self.history.checkpoints_rejected),
            "stopped_early": self.stopped_early,
            "ultralytics": metadata.version("ultralytics"),
            "torch": metadata.version("torch"),
        }


def best_so_far(paths: Paths, progress: Progress) -> None:
    """Bring best.pt, metrics.json, results.csv and args.yaml of the model folder up to date."""
    durable.copy(paths.best, paths.model / "best.pt")
    for name in ("results.csv", "args.yaml"):
        if (paths.run / name).is_file():
            durable.copy(paths.run / name, paths.model / name)
    durable.write_json(paths.model / "metrics.json", progress.document(read(paths.best_metrics)))


def read(place: Path) -> dict[str, Any]:
    """A JSON document of ours."""
    return dict(json.loads(place.read_text()))


def package(job: Job, paths: Paths, dataset: Dataset, progress: Progress, device: str) -> None:
    """Complete the model folder: the model so far, the plots, sample predictions, best.onnx if it is equal to best.pt.

    A model that cost hours is delivered even if its samples or its export fail: metrics.json names what is missing.
    """
    best_so_far(paths, progress)
    for plot in sorted([*paths.run.glob("*.png"), *paths.run.glob("*.jpg")]):
        durable.copy(plot, paths.model / plot.name)
    added: dict[str, Any] = {}
    missing: dict[str, str] = {}
    imgsz = int(job.arguments.get("imgsz", 640))
    with _or_missing("samples", missing):
        added["predictions"] = samples.draw(paths.best, dataset, job, paths.model / "samples", device)
    with _or_missing("best.onnx", missing):
        exported = onnx_export.export(paths, imgsz)
        comparison = onnx_export.compare(exported, paths.best, dataset)
        added["onnx"] = comparison.document()
        comparison.hold()
        durable.copy(exported, paths.model / "best.onnx")
    if missing:
        added["missing"] = missing
    durable.write_json(paths.model / "metrics.json", {**read(paths.model / "metrics.json"), **added})


@contextlib.contextmanager
def _or_missing(name: str, missing: dict[str, str]) -> Iterator[None]:
    """What is done here makes a part of the model folder; if it fails, the part is missing and the reason is kept."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (ultralytics' exporters raise whatever they like)
        missing[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        print(f"MISSING {name}: {missing[name]}", flush=True)


def evaluate(job: Job, paths: Paths, dataset: Dataset, device: str) -> None:
    """Evaluate the best model on the validation split, as the end of a training does."""
    plots = bool(job.arguments.get("plots", True))
    model = evaluation.load(paths.best)
    found = evaluation.evaluate(model, job, paths, dataset, device, plots=plots, save_dir=str(paths.run))
    durable.write_json(paths.best_metrics, {"best_epoch": read(paths.best_metrics)["best_epoch"], **found})
