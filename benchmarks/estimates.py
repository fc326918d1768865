"""What `Started` estimates against what the run was billed, run after run of a dataset, through the whole stack.

Run by `.venvs/dev/bin/python -m benchmarks.estimates`, or with one of the trainers `timed` and `real`. Both run on the
local cloud and are billed as it bills. The timed one stands in for a training and takes as long as one: so much for a
start, an epoch and an image, whatever else the machine does. Its estimates from the fourth run of a dataset on are held
to the promise. Real trainings on processors that others use too are shown, and only those. Interruptions are no part of
an estimate, so what they cost is taken off the bill.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from demo import floor_plans
from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.stack import Stack, dataset_files, zipped
from traindrop.estimate import ENOUGH, WITHIN

WAITING = 300.0
SECONDS_PER_IMAGE = 0.02
"""Of the timed trainer; an epoch of 40 images takes 0.9 s with those of the validation split, as a small one does."""
SETTINGS = """\
model: {model}
epochs: {epochs}
imgsz: 128
batch: 4
patience: 0
force: true
train: {{optimizer: AdamW, mosaic: 0, plots: false, workers: 0, amp: false}}
"""
SEGMENTS, BOXES = "yolov8n-seg.yaml", "yolo11n.yaml"


@dataclass(frozen=True)
class Run:
    """One drop of a dataset."""

    epochs: int
    train: int
    val: int = 8
    interrupt_after: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset with its runs, each estimated from those before it."""

    runs: tuple[Run, ...]
    model: str = SEGMENTS


USUAL = (Run(20, 40),) * ENOUGH
TIMED = {
    "the same again": Dataset((*USUAL, Run(20, 40))),
    "twice the epochs": Dataset((*USUAL, Run(40, 40))),
    "twice the images": Dataset((*USUAL, Run(20, 80, 16))),
    "half the images": Dataset((*USUAL, Run(20, 20))),
    "every run another": Dataset((Run(12, 30), Run(24, 40), Run(16, 60, 20), Run(30, 50, 12)), "yolo11n-seg.yaml"),
    "one was interrupted": Dataset((Run(20, 40), Run(20, 40, 8, 9), Run(20, 40), Run(25, 50))),
}
REAL = {
    "the same again": Dataset((Run(6, 40),) * 4),
    "boxes, more of all": Dataset((Run(6, 40), Run(6, 40), Run(6, 40), Run(9, 60, 12)), BOXES),
}


def _timed(dataset: Dataset, run: Run, marker: str) -> bytes:
    settings = SETTINGS.format(model=dataset.model, epochs=run.epochs)
    return zipped(dataset_files(run.train, run.val, settings, marker))


def _real(dataset: Dataset, run: Run, marker: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch, "plans"), Path(scratch, "plans.zip")
        floor_plans.generate(folder, train=run.train, val=run.val, size=128, seed=len(marker))
        if dataset.model == BOXES:
            _outlines_to_boxes(folder)
        (folder / "training.yaml").write_text(SETTINGS.format(model=dataset.model, epochs=run.epochs))
        floor_plans.pack(folder, archive)
        return archive.read_bytes()


def _outlines_to_boxes(folder: Path) -> None:
    for label in folder.rglob("*.txt"):
        rows = []
        for line in label.read_text().splitlines():
            values = list(map(float, line.split()[1:]))
            (left, right), (top, bottom) = ((min(side), max(side)) for side in (values[::2], values[1::2]))
            rows.append(f"0 {(left + right) / 2:.5f} {(top + bottom) / 2:.5f} {right - left:.5f} {bottom - top:.5f}")
        label.write_text("\n".join(rows) + "\n")


def _runs(stack: Stack, datasets: Mapping[str, Dataset], write: Any, *, at_once: bool) -> dict[str, Any]:
    """Figures of every run of every dataset; the n-th runs of all of them side by side, or one after another."""
    found: dict[str, Any] = {title: [] for title in datasets}
    for number in range(max(len(dataset.runs) for dataset in datasets.values())):
        begun: dict[str, str] = {}
        for place, (title, dataset) in enumerate(datasets.items()):
            run, name = dataset.runs[number], f"set-{place}"
            if run.interrupt_after:
                _ended(stack, begun, number)  # the fault meets whatever job runs
                stack.cloud.inject({"training": {"interrupt_after_epochs": [run.interrupt_after]}})
            stack.put(f"datasets/{name}.zip", write(dataset, run, f"{name}{'x' * number}"))
            begun[title] = name
            if not at_once:
                _ended(stack, begun, number)
        for title, run_id in _ended(stack, begun, number).items():
            found[title].append(_figures(stack.run(run_id)))
            print(f"{title}, run {number + 1}: {found[title][-1]}", file=sys.stderr, flush=True)
        stack.cloud.clear_faults()
    return found


def _ended(stack: Stack, begun: Mapping[str, str], number: int) -> dict[str, str]:
    """The ids of the newest runs when they have succeeded."""
    newest = {title: stack.all_ended(number + 1, name, within=WAITING)[-1] for title, name in begun.items()}
    for title, execution in newest.items():
        if execution["status"] != "SUCCEEDED":
            raise RuntimeError(f"run {number + 1} of {title!r} ended as {execution['status']}")
    return {title: execution["name"] for title, execution in newest.items()}


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    bill = record["receipt"]
    lost, lost_usd = float(bill["seconds_lost"]), float(bill["lost_usd"])
    figures = {
        "trained_seconds": float(record["training_seconds"]) - lost,
        "paid_usd": round(float(bill["cost_usd"]) - lost_usd, 4),
        "lost_seconds": lost,
    }
    return figures | {f"estimated_{name}": round(float(value), 4) for name, value in record["estimate"].items()}


def measure(trainers: list[str] | None = None) -> dict[str, Any]:
    """Seconds and dollars of each run, estimated and billed, by trainer and dataset."""
    found = {}
    if "timed" in (trainers or ["timed"]):
        pace = {"TRAINDROP_STUB_SECONDS_PER_IMAGE": str(SECONDS_PER_IMAGE)}
        with LocalCloud.start(trainer="stub", environment=pace) as cloud:
            found["timed"] = _runs(Stack(cloud, deploy(cloud)), TIMED, _timed, at_once=True)
    if "real" in (trainers or ["real"]):
        with LocalCloud.start(trainer="real") as cloud:
            found["real"] = _runs(Stack(cloud, deploy(cloud)), REAL, _real, at_once=False)
    return found


def show(figures: dict[str, Any]) -> int:
    """Print the estimates beside the bills; 1 if one of the timed trainer's is farther off than is promised."""
    wrong = 0
    for trainer, datasets in figures.items():
        print(
            f"{trainer + ' trainer, fourth run':<30}{'said s':>8}{'trained s':>11}{'said $':>9}{'paid $':>9}{'off':>7}"
        )
        offs = []
        for title, runs in datasets.items():
            last = runs[ENOUGH]
            offs.append(last["estimated_usd"] / last["paid_usd"] - 1)
            print(
                f"{title:<30}{last['estimated_seconds']:>8.1f}{last['trained_seconds']:>11.0f}"
                f"{last['estimated_usd']:>9.4f}{last['paid_usd']:>9.4f}{offs[-1]:>+7.0%}"
            )
        early = [run for runs in datasets.values() for run in runs[1:ENOUGH]]
        right = sum(run["estimated_low_usd"] <= run["paid_usd"] <= run["estimated_high_usd"] for run in early)
        off = median(map(abs, offs))
        print(f"median {off:.0%} off; second and third bills within the range that was told: {right} of {len(early)}")
        wrong += trainer == "timed" and any(abs(off) > WITHIN for off in offs)
    if wrong:
        print(f"farther off than {WITHIN:.0%}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(show(measure(sys.argv[1:])))
