"""What an interruption costs on the next host: seconds from the container's start to the first new batch.

Run by `.venvs/dev/bin/python -m benchmarks.restarts`. A training is killed after its first epoch; its entry starts on
an emptied host that has the channels and the checkpoints, and beside it plain ultralytics resumes from its own last.pt,
without the caches of labels that the first start left, in turns. Bringing the instance, the image, the data and
packages is not in it: it is SageMaker's, and so is not to be had here.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.trainings import ARGUMENTS, Trained, copied, entry, host_of, plain
from demo import floor_plans
from tests.training_host import Host

TIMES = 1.4
"""What is promised: so many times as long as plain ultralytics takes, at most."""
ROUNDS, IMAGES, VALIDATION = 5, 160, 20
STEPS = {
    "packages looked up, imports": "Run ",
    "data compared with what was checked": "VERIFIED ",
    "labels and images judged": "DATASET val",
    "checkpoint verified": "RESUME ",
    "checkpoint unpacked": "TICK on_pretrain_routine_start",
    "ultralytics: model, labels, optimizer": "TICK on_train_start",
    "first batch": "TICK on_train_batch_end",
}
PLAIN_STEPS = {
    "imports": "LOADED ",
    "checkpoint read": "TICK on_pretrain_routine_start",
    "ultralytics: model, labels, optimizer": "TICK on_train_start",
    "first batch": "TICK on_train_batch_end",
}


def measure() -> dict[str, Any]:
    """Medians of seconds for each step of a restart, ours and plain ultralytics'."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        floor_plans.generate(folder / "data", train=IMAGES, val=VALIDATION)
        arguments = {"epochs": 50, "cache": "ram"}
        host = host_of(folder / "first", folder / "data", **arguments)
        with entry(host) as training:
            training.until("METRIC epoch=1;")
        given = {**ARGUMENTS, **arguments, "data": str(copied(folder / "data", folder / "copy"))}
        with plain(folder / "plain", "yolov8n-seg.yaml", given) as training:
            training.tick("on_fit_epoch_end")
        rounds = [_round(folder / str(number), host, folder, given) for number in range(ROUNDS)]
    return {
        kind: {step: round(median(of[kind][step] for of in rounds), 2) for step in rounds[0][kind]}
        for kind in ("ours", "plain")
    }


def _round(folder: Path, host: Host, first: Path, given: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Seconds of each step of both restarts."""
    with entry(host.emptied(folder / "host")) as training:
        ours = _steps(training, STEPS)
    shutil.copytree(first / "plain/run", folder / "plain/run")
    data = str(copied(first / "data", folder / "copy"))
    with plain(
        folder / "plain", str(folder / "plain/run/weights/last.pt"), {**given, "data": data, "resume": True}
    ) as training:
        theirs = _steps(training, PLAIN_STEPS)
    shutil.rmtree(folder)
    return {"ours": ours, "plain": theirs}


def _steps(training: Trained, steps: dict[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    before = training.begun
    for name, text in steps.items():
        training.until(text)
        found[name] = time.monotonic() - before
        before += found[name]
    return {**found, "in all": before - training.begun}


def show(figures: dict[str, Any]) -> int:
    """Print the steps; 1 if ours takes longer than is promised."""
    for kind, of in figures.items():
        print(f"restart of {'our entry' if kind == 'ours' else 'plain ultralytics'}, seconds")
        for step, seconds in of.items():
            print(f"  {step:<42}{seconds:>6.2f}")
    times = figures["ours"]["in all"] / figures["plain"]["in all"]
    print(f"{times:.2f} times as long as plain ultralytics (promised at most {TIMES})")
    if times > TIMES:
        print(f"a restart takes more than {TIMES} times as long as plain ultralytics'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(show(measure()))
