"""What `Started` estimates against what the run was billed: real trainings of two datasets, run after run.

Run by `.venvs/dev/bin/python -m benchmarks.estimates`, or with the name of a dataset. The runs go through the whole
stack on the local cloud, on this machine's processors, billed as the local cloud bills. What changes from run to run is
what users change: epochs, images, an interruption. From the fourth run on the estimate is held to the promise; the
bills of the second and the third are to lie within the range that was told. Interruptions are no part of an estimate.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from demo import floor_plans
from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.stack import Stack
from traindrop.estimate import ENOUGH, WITHIN

WAITING = 300.0
SETTINGS = """\
model: {model}
epochs: {epochs}
imgsz: {imgsz}
batch: 4
patience: 0
force: true
train: {{optimizer: AdamW, mosaic: 0, plots: false, workers: 0, amp: false}}
"""


@dataclass(frozen=True)
class Run:
    """One drop of a dataset."""

    title: str
    epochs: int
    train: int
    val: int = 8
    interrupt_after: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset with its runs, each estimated from those before it."""

    model: str
    imgsz: int
    runs: tuple[Run, ...]


DATASETS = {
    "rooms": Dataset(
        "yolov8n-seg.yaml",
        160,
        (
            *(Run("first runs", 6, 40),) * 3,
            Run("the same again", 6, 40),
            Run("twice the epochs", 12, 40),
            Run("twice the images", 6, 80, 16),
            Run("interrupted", 6, 40, interrupt_after=3),
            Run("after an interruption", 8, 60),
        ),
    ),
    "boxes": Dataset(
        "yolo11n.yaml",
        224,
        (
            Run("first runs", 4, 30),
            Run("first runs", 8, 40),
            Run("first runs", 6, 60),
            Run("another each time", 10, 50),
        ),
    ),
}


def dropped(stack: Stack, name: str, number: int, dataset: Dataset, run: Run) -> dict[str, Any]:
    """Drop a dataset, follow its run to the end, answer the record."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch, "plans"), Path(scratch, "plans.zip")
        floor_plans.generate(folder, train=run.train, val=run.val, size=dataset.imgsz, seed=number)
        if "-seg" not in dataset.model:
            _boxes(folder)
        settings = SETTINGS.format(model=dataset.model, epochs=run.epochs, imgsz=dataset.imgsz)
        (folder / "training.yaml").write_text(settings)
        floor_plans.pack(folder, archive)
        if run.interrupt_after:
            stack.cloud.inject({"training": {"interrupt_after_epochs": [run.interrupt_after]}})
        stack.put(f"datasets/{name}.zip", archive.read_bytes())
    execution = stack.all_ended(number + 1, name, within=WAITING)[-1]
    stack.cloud.clear_faults()
    if execution["status"] != "SUCCEEDED":
        raise RuntimeError(f"run {number} of {name} ended as {execution['status']}")
    return stack.run(execution["name"])


def _boxes(folder: Path) -> None:
    """Make boxes of the outlines."""
    for label in folder.rglob("*.txt"):
        rows = []
        for line in label.read_text().splitlines():
            values = list(map(float, line.split()[1:]))
            (left, right), (top, bottom) = ((min(side), max(side)) for side in (values[::2], values[1::2]))
            rows.append(f"0 {(left + right) / 2:.5f} {(top + bottom) / 2:.5f} {right - left:.5f} {bottom - top:.5f}")
        label.write_text("\n".join(rows) + "\n")


def measure(names: list[str] | None = None) -> dict[str, Any]:
    """Seconds and dollars of each run, estimated and billed."""
    found: dict[str, Any] = {}
    with LocalCloud.start(trainer="real") as cloud:
        stack = Stack(cloud, deploy(cloud))
        for name in names or DATASETS:
            dataset = DATASETS[name]
            found[name] = []
            for number, run in enumerate(dataset.runs):
                figures = {"title": run.title, **_figures(dropped(stack, name, number, dataset, run))}
                found[name].append(figures)
                print(f"{name}, run {number + 1}: {figures}", file=sys.stderr, flush=True)
    return found


def _figures(record: dict[str, Any]) -> dict[str, float]:
    told, bill = record["estimate"], record["receipt"]
    lost, lost_usd = float(bill.get("seconds_lost") or 0), float(bill.get("lost_usd") or 0)
    figures = {
        "billed_seconds": float(record["training_seconds"]) - lost,
        "billed_usd": round(float(bill["cost_usd"]) - lost_usd, 4),
        "lost_seconds": lost,
    }
    return figures | {f"estimated_{name}": round(float(value), 4) for name, value in told.items()}


def show(figures: dict[str, Any]) -> int:
    """Print the estimates beside the bills; 1 if one after three runs is farther off than is promised."""
    print(f"{'':<8}{'':<24}{'said s':>8}{'trained s':>11}{'said $':>9}{'paid $':>9}{'off':>7}")
    offs = []
    for name, runs in figures.items():
        for run in runs[ENOUGH:]:
            offs.append(run["estimated_usd"] / run["billed_usd"] - 1)
            print(
                f"{name:<8}{run['title']:<24}{run['estimated_seconds']:>8.1f}{run['billed_seconds']:>11.0f}"
                f"{run['estimated_usd']:>9.4f}{run['billed_usd']:>9.4f}{offs[-1]:>+7.0%}"
            )
    early = [run for runs in figures.values() for run in runs[1:ENOUGH]]
    right = sum(run["estimated_low_usd"] <= run["billed_usd"] <= run["estimated_high_usd"] for run in early)
    print(
        f"median {median(map(abs, offs)):.0%} off; second and third bills within their range: {right} of {len(early)}"
    )
    wrong = sum(abs(off) > WITHIN for off in offs)
    if wrong:
        print(f"{wrong} of {len(offs)} are farther off than {WITHIN:.0%}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(show(measure(sys.argv[1:])))
