"""What is to be trained, and where a training job finds and leaves things."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training_entry.failure import BadJob


@dataclass(frozen=True)
class Paths:
    """Folders of a job: `root` laid out as SageMaker's /opt/ml, `work` for scratch."""

    root: Path
    work: Path

    @property
    def config(self) -> Path:
        """The channel that holds job.json."""
        return self.root / "input/data/config"

    @property
    def dataset(self) -> Path:
        """The channel that holds the dropped zip or folder."""
        return self.root / "input/data/dataset"

    @property
    def weights(self) -> Path:
        """The channel that holds the weights to start from, if there is one."""
        return self.root / "input/data/weights"

    @property
    def champion(self) -> Path:
        """The channel that holds the dataset's best model so far, if there is one."""
        return self.root / "input/data/champion"

    @property
    def checkpoints(self) -> Path:
        """The folder that outlives the host."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """The folder that becomes model.tar.gz, also when the job is stopped."""
        return self.root / "model"

    @property
    def failure(self) -> Path:
        """The file whose text becomes the job's FailureReason."""
        return self.root / "output/failure"

    @property
    def run(self) -> Path:
        """Where ultralytics writes."""
        return self.work / "run"

    @property
    def best(self) -> Path:
        """The best model so far, without the state that only training needs."""
        return self.work / "best.pt"

    @property
    def stop_flag(self) -> Path:
        """A file that is there once SIGTERM has come."""
        return self.work / "stop"

    @property
    def best_metrics(self) -> Path:
        """How good the best model so far is."""
        return self.work / "best.json"


@dataclass(frozen=True)
class Job:
    """A training as job.json describes it; `arguments` are those of ultralytics' `train()`."""

    run_id: str
    task: Literal["segment", "detect"]
    model: str
    arguments: dict[str, Any]
    form: Literal["archive", "folder"]
    file: str
    data_root: str
    names: dict[int, str]
    manifest: str

    @property
    def epochs(self) -> int:
        """How many epochs are asked for."""
        return int(self.arguments["epochs"])

    @property
    def class_names(self) -> dict[int, str]:
        """What the trained model calls its classes: with `single_cls` ultralytics makes one of all."""
        return {0: "item"} if self.arguments.get("single_cls") else self.names


def read_job(config: Path) -> Job:
    """Read job.json.

    Raises:
        BadJob: it is missing, not JSON, or lacks something.
    """
    place = config / "job.json"
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
        data = document["data"]
        task, form = document["task"], data["form"]
        if task not in ("segment", "detect") or form not in ("archive", "folder"):
            raise ValueError(f"task {task!r} or form {form!r} is unknown")
        return Job(
            run_id=str(document["run_id"]),
            task=task,
            model=str(document["model"]),
            arguments={"epochs": 50, **document["arguments"]},
            form=form,
            file=str(data.get("file") or ""),
            data_root=str(data.get("root") or ""),
            names={int(key): str(name) for key, name in sorted(data["names"].items(), key=lambda item: int(item[0]))},
            manifest=str(document["manifest"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadJob(
            f"{place} does not describe a training ({type(error).__name__}: {error}); this is a fault of "
            "Traindrop, not of the dataset."
        ) from error
