"""One epoch on a dataset: as the entry prepares it, or as ultralytics itself takes it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training_entry import dataset, weights
from training_entry.job import Paths, read_job


class Corrupt(Exception):
    """Ultralytics leaves images out; who asked whether it would train needs to know no more."""


def as_entry(root: str, work: str) -> dict[str, Any]:
    """Train a job whose channels lie in `root` as the entry does, in a fresh `work`."""
    paths = Paths(Path(root), Path(work))
    paths.work.mkdir(parents=True)

    def train() -> dict[str, Any]:
        job = read_job(paths.config)
        data = dataset.prepare(job, paths)
        model = weights.load(job, paths)
        found = _train(model, job.arguments, data.description, paths.run)
        for split in found.values():
            # The entry links them at dataset/<n>/images/<path>.
            parts = [Path(image).relative_to(paths.work / "dataset").parts[2:] for image in split["images"]]
            split["images"] = sorted("/".join(part) for part in parts)
        return found

    return _told(train, paths.work)


def as_is(folder: str, model: str, arguments: dict[str, Any], work: str) -> dict[str, Any]:
    """Train what lies in `folder` by its own data.yaml; an error as soon as an image would be left out."""
    from ultralytics import YOLO

    def train() -> dict[str, Any]:
        os.chdir(folder)
        description = next(Path(folder, name) for name in ("data.yaml", "data.yml") if Path(folder, name).is_file())
        return _train(YOLO(model), arguments, description, Path(work) / "run", strict=True)

    return _told(train, Path(work))


def _told(train: Any, work: Path) -> dict[str, Any]:
    try:
        return {"error": "", **train()}
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _train(
    model: Any, arguments: dict[str, Any], description: Path, run: Path, *, strict: bool = False
) -> dict[str, Any]:
    """What was trained on: per split the images, how many were left out, and the instances seen."""
    found: dict[str, Any] = {}

    def see(trainer: Any) -> None:
        for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
            found[split] = {
                "images": loader.dataset.im_files,
                "instances": sum(len(label["cls"]) for label in loader.dataset.labels),
                "corrupt": corrupt.get(split, 0),
            }
        if strict and any(corrupt.values()):
            raise Corrupt(str(corrupt))

    model.add_callback("on_pretrain_routine_end", see)
    with _scans() as corrupt:
        model.train(**arguments, data=str(description), device="cpu", save_dir=str(run), exist_ok=True)
    return found


@contextlib.contextmanager
def _scans() -> Iterator[dict[str, int]]:
    """How many images each split's scan calls corrupt, while this is open."""
    from ultralytics.data.dataset import YOLODataset

    corrupt: dict[str, int] = {}
    scan = YOLODataset._load_or_scan_cache

    def counted(self: Any, *arguments: Any) -> Any:
        cache, existed = scan(self, *arguments)
        split = "train" if self.augment else "val"
        corrupt[split] = max(corrupt.get(split, 0), cache["results"][3])
        return cache, existed

    YOLODataset._load_or_scan_cache = counted
    try:
        yield corrupt
    finally:
        YOLODataset._load_or_scan_cache = scan
