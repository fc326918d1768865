"""The dataset's best model so far, measured on the very images that the new one is measured on.

Whatever keeps it from being measured is told and ends no training.
"""

from __future__ import annotations

import json
from typing import Any

from training_entry import evaluation
from training_entry.checkpoints import Store
from training_entry.dataset import Dataset
from training_entry.job import Job, Paths


class _Unfit(Exception):
    """The champion cannot be measured here; `kind` says why in a word, the message in a sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def meet(job: Job, paths: Paths, dataset: Dataset, device: str, store: Store) -> dict[str, Any] | None:
    """The champion's `run_id` with its figures, or with what kept it from having any; None where there is no champion.

    It is measured once a run: a host that is started again takes what is noted beside the checkpoints. `not_measured`
    is `missing`, `damaged`, `task`, `classes` or `failed`, and `reason` says it in a sentence.
    """
    run_id = _run_id(paths)
    if not run_id:
        return None
    noted = store.champion(run_id)
    if noted:
        return noted
    try:
        found = {"run_id": run_id, **_figures(job, paths, dataset, device)}
    except _Unfit as error:
        found = {"run_id": run_id, "not_measured": error.kind, "reason": str(error)}
    store.note_champion(found)
    print(f"CHAMPION {run_id}: {found.get('reason') or 'measured on the same validation images'}", flush=True)
    return found


def _run_id(paths: Paths) -> str:
    """The run whose model is the dataset's best, as the job was told when it was created."""
    try:
        given = json.loads((paths.root / "input/config/hyperparameters.json").read_text())
        return str(given.get("champion", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _figures(job: Job, paths: Paths, dataset: Dataset, device: str) -> dict[str, Any]:
    weights = paths.champion / "best.pt"
    if not weights.is_file():
        raise _Unfit("missing", "its best.pt did not reach the job")
    try:
        model = evaluation.load(weights)
        task, names = model.task, dict(model.names)
    except Exception as error:
        raise _Unfit("damaged", f"its best.pt cannot be loaded ({_short(error)})") from error
    if task != job.task:
        raise _Unfit("task", f"it is a model for the task {task}, and the dataset's is {job.task} now")
    if names != job.class_names:
        raise _Unfit("classes", f"it knows other classes ({_listed(names)}) than the dataset has now")
    try:
        return evaluation.evaluate(
            model, job, paths, dataset, device, plots=False, save_dir=str(paths.work / "champion")
        )
    except Exception as error:
        raise _Unfit("failed", f"its evaluation failed ({_short(error)})") from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _listed(names: dict[int, str]) -> str:
    return ", ".join(list(names.values())[:10])[:300] + (", …" if len(names) > 10 else "")
