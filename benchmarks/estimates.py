"""What `Started` estimates against what the run was billed: real trainings of five datasets, four runs of each.

Run by `.venvs/dev/bin/python -m benchmarks.estimates`, or with the names of cases. The runs go through the whole stack
on the local cloud, on this machine's processors, billed as the local cloud bills. What changes from run to run is what
users change: epochs, images, an interruption. The estimate of the fourth run is held to the promise; those before it
are to have the bill within their range.
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

WITHIN = 0.25
"""What is promised after three runs."""
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

    epochs: int
    train: int
    val: int = 8
    interrupt_after: int | None = None


@dataclass(frozen=True)
class Case:
    """A dataset with its runs; the last one is estimated from the others."""

    runs: tuple[Run, ...]
    model: str = "yolov8n-seg.yaml"
    imgsz: int = 160


CASES = {
    "the same again": Case((Run(8, 40),) * 4),
    "twice the epochs": Case((Run(6, 40), Run(6, 40), Run(6, 40), Run(12, 40))),
    "twice the images": Case((Run(6, 40), Run(6, 40), Run(6, 40), Run(6, 80, 16))),
    "detection, every run another": Case((Run(4, 30), Run(8, 40), Run(6, 60), Run(10, 50)), "yolo11n.yaml", 224),
    "one was interrupted": Case((Run(8, 30), Run(8, 30, 8, 3), Run(8, 30), Run(10, 40))),
}


def dropped(stack: Stack, name: str, number: int, case: Case, run: Run) -> dict[str, Any]:
    """Drop a dataset, follow its run to the end, answer the record."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch, "plans"), Path(scratch, "plans.zip")
        floor_plans.generate(folder, train=run.train, val=run.val, size=max(case.imgsz, 128), seed=number)
        settings = SETTINGS.format(model=case.model, epochs=run.epochs, imgsz=case.imgsz)
        if not case.model.endswith("-seg.yaml"):
            _boxes(folder)
        (folder / "training.yaml").write_text(settings)
        floor_plans.pack(folder, archive)
        if run.interrupt_after:
            stack.cloud.inject({"training": {"interrupt_after_epochs": [run.interrupt_after]}})
        before = len(stack.executions(name))
        stack.put(f"datasets/{name}.zip", archive.read_bytes())
    execution = stack.all_ended(before + 1, name, within=WAITING)[-1]
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
    """Seconds and dollars of each run, estimated and billed; interruptions are no part of an estimate."""
    found: dict[str, Any] = {}
    with LocalCloud.start(trainer="real") as cloud:
        stack = Stack(cloud, deploy(cloud))
        for place, (title, case) in enumerate(CASES.items()):
            if names and title not in names:
                continue
            found[title] = []
            for number, run in enumerate(case.runs):
                record = dropped(stack, f"plans-{place}", number, case, run)
                found[title].append(_figures(record))
                print(f"{title}, run {number + 1}: {found[title][-1]}", file=sys.stderr, flush=True)
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
    print(f"{'estimate of the fourth run':<32}{'said s':>9}{'trained s':>11}{'said $':>9}{'paid $':>9}{'off':>7}")
    offs = []
    for title, runs in figures.items():
        last = runs[-1]
        offs.append(last["estimated_usd"] / last["billed_usd"] - 1)
        print(
            f"{title:<32}{last['estimated_seconds']:>9.1f}{last['billed_seconds']:>11.0f}"
            f"{last['estimated_usd']:>9.4f}{last['billed_usd']:>9.4f}{offs[-1]:>+7.0%}"
        )
    early = [run for runs in figures.values() for run in runs[1:-1]]
    right = sum(run["estimated_low_usd"] <= run["billed_usd"] <= run["estimated_high_usd"] for run in early)
    print(
        f"median {median(map(abs, offs)):.0%} off; second and third bills within their range: {right} of {len(early)}"
    )
    wrong = [title for title, off in zip(figures, offs, strict=True) if abs(off) > WITHIN]
    if wrong:
        print(f"farther off than {WITHIN:.0%}: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(show(measure(sys.argv[1:])))
