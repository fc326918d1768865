"""Why a training failed: one line that says what is wrong and what to do, in the file that SageMaker reports."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training_entry import durable

STOPPED = 143
"""Exit code after SIGTERM, as of any process that SIGTERM ended: never taken for success."""

_REASON_LIMIT = 1000  # characters; SageMaker reports 1,024
_GPU_MEMORY = re.compile(r"CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED|MPS backend out of memory", re.IGNORECASE)
_HOST_MEMORY = re.compile(
    r"can't allocate memory|Cannot allocate memory|MemoryError|bus error|shared memory", re.IGNORECASE
)
_FULL = os.strerror(errno.ENOSPC)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNUSABLE = re.compile(r"(\S[^\n]*): ignoring corrupt image/label: ([^\n]*)")
_LINKED = re.compile(r".*?/dataset/\d+/images/")


class TrainingError(Exception):
    """The training cannot go on; the message names the cause and the cure."""

    exit_code = 1


class BadJob(TrainingError):
    """job.json is missing or does not say what to train."""

    exit_code = 10


class BadDataset(TrainingError):
    """The dataset cannot be unpacked, or has nothing to learn from."""

    exit_code = 11


class BadWeights(TrainingError):
    """The model to start from cannot be had or does not fit."""

    exit_code = 12


class GpuMissing(TrainingError):
    """A GPU is paid for and torch cannot use it."""

    exit_code = 13


class OutOfMemory(TrainingError):
    """The instance has too little memory for these settings."""

    exit_code = 15


class DatasetChanged(TrainingError):
    """The dataset is not the one that was checked; the reason begins with the name of this class."""

    exit_code = 16

    def __init__(self, what: str) -> None:
        """Say what differs, and what to do."""
        super().__init__(
            f"DatasetChanged: {what}. The dataset was changed after it was checked, so it was not trained on. Drop it "
            "again to train what is there now; or bring back what was there (the bucket keeps old versions) and "
            "redrive the execution."
        )


def explain(error: Exception, arguments: Mapping[str, Any]) -> TrainingError:
    """The error as one that names its cure; an unforeseen one keeps its own words."""
    text = " ".join(str(error).split())
    size = f"batch {arguments.get('batch', '?')} and imgsz {arguments.get('imgsz', '?')}"
    if isinstance(error, TrainingError):
        return error
    if _GPU_MEMORY.search(text):
        return OutOfMemory(
            f"The GPU ran out of memory with {size}; set a smaller batch or imgsz in training.yaml, "
            "or an instance type with more GPU memory."
        )
    if isinstance(error, MemoryError) or _HOST_MEMORY.search(text):
        return OutOfMemory(
            f"The instance ran out of memory with {size}; set a smaller batch, fewer workers or `cache: "
            "false` under train in training.yaml, or a larger instance type."
        )
    if _FULL in text:
        return TrainingError(
            "The job's volume is full; drop a smaller dataset, or set `cache: false` under train in training.yaml."
        )
    data = _data_fault(str(error))
    if data:
        return BadDataset(
            f"The dataset cannot be trained on: {data}. Look at it with `traindrop check`, correct it "
            "and drop it again."
        )
    return TrainingError(f"The training failed with {type(error).__name__}: {text[:700]}; the job's log has the rest.")


def _data_fault(text: str) -> str | None:
    """What ultralytics says against the data, in a few words; it tells by text only."""
    text = _COLOUR.sub("", text)
    unusable = _UNUSABLE.findall(text)
    if unusable:
        name, why = unusable[0]
        name = _LINKED.sub("", name, count=1)
        why = "it is no readable image" if "pi_heif" in why else why
        return f"none of the images of a split can be used ({len(unusable)} are named), for instance {name}: {why}"
    if "Segment dataset requires equal numbers" in text:
        return "some of its labels are boxes and others polygons, and to learn masks all must be polygons"
    found = re.search(r"(Dataset '.*' error ❌ (?P<what>.*)|(?P<none>No (labels|images|valid images) found).*)", text)
    if not found:
        return None
    return " ".join((found["what"] or f"{found['none']} in a split").split())[:500]


def report(error: TrainingError, place: Path) -> None:
    """Write the reason where SageMaker looks for it."""
    durable.write(place, str(error)[:_REASON_LIMIT] + "\n")
