"""The model that a fresh training starts from: an architecture, or weights from the channel or from ultralytics."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from training_entry import durable
from training_entry.failure import BadWeights
from training_entry.job import Job, Paths

_ARCHITECTURE = re.compile(r"yolo[a-z0-9]+(-seg)?\.yaml")
_TRANSFER = re.compile(r"Transferred (?P<loaded>\d+)/(?P<all>\d+) items")


def load(job: Job, paths: Paths) -> Any:
    """The YOLO model to train; says how many layers of pretrained weights it took over once training begins.

    Downloaded weights are put into the model folder too, from where they are cached for later runs.

    Raises:
        BadWeights: they cannot be had, cannot be read, or are for another task.
    """
    from ultralytics import YOLO

    source = resolve(job, paths)
    try:
        model = YOLO(str(source))
    except Exception as error:
        raise BadWeights(
            f"{job.model} cannot be loaded as a YOLO model ({' '.join(str(error).split())[:400]}); choose "
            "a known model in training.yaml, or the best.pt of a run."
        ) from error
    if model.task != job.task:
        right = {"segment": "one whose name ends in -seg", "detect": "one without -seg"}[job.task]
        raise BadWeights(
            f"{job.model} is a {model.task} model, but the dataset's labels are for the task {job.task}; "
            f"choose {right} in training.yaml."
        )
    if source.suffix == ".pt":
        _announce_transfer(job.model)
    if source.parent == _downloads(paths):
        durable.copy(source, paths.model / "pretrained" / source.name)
    return model


def resolve(job: Job, paths: Paths) -> Path:
    """Where the model lies: an architecture's name, the exact file in the channel, or a fresh download."""
    if _ARCHITECTURE.fullmatch(job.model):
        return Path(job.model)
    name = "best.pt" if job.model == "best" else posixpath.basename(job.model)
    if paths.weights.is_dir():
        if (paths.weights / name).is_file():
            return paths.weights / name
        there = ", ".join(sorted(item.name for item in paths.weights.iterdir())) or "nothing"
        raise BadWeights(f"The weights {job.model} did not reach the job (there is {there}); were they deleted?")
    if job.model != name or not name.endswith(".pt"):
        raise BadWeights(
            f"The weights {job.model} did not reach the job, and only ultralytics' own models can be "
            "downloaded; choose a known model in training.yaml."
        )
    return _download(name, _downloads(paths) / name)


def _downloads(paths: Paths) -> Path:
    return paths.work / "pretrained"


def _download(name: str, target: Path) -> Path:
    """Fetch one of ultralytics' models from GitHub."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if name not in GITHUB_ASSETS_NAMES:
        raise BadWeights(f"{name} is none of ultralytics' models; choose a known model in training.yaml.")
    print(f"Downloading {name} from GitHub", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    offline = os.environ.pop("YOLO_OFFLINE", None)
    try:
        attempt_download_asset(str(target))
    except Exception as error:
        target.unlink(missing_ok=True)
        raise BadWeights(
            f"{name} could not be downloaded from GitHub ({' '.join(str(error).split())[:300]}); in a "
            f"closed network, put it into the ArtifactBucket as weights/{name} once."
        ) from error
    finally:
        if offline is not None:
            os.environ["YOLO_OFFLINE"] = offline
    return target


def _announce_transfer(shown: str) -> None:
    from ultralytics.utils import LOGGER

    class Transfer(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            found = _TRANSFER.search(record.getMessage())
            if found:
                print(f"TRANSFERRED {found['loaded']} of {found['all']} layers from {shown}", flush=True)
            return not found

    LOGGER.addFilter(Transfer())
