"""How many epochs a training needs until it is good, from an earlier run's model and from scratch.

The earlier run learnt furnished plans; the dataset is another office's, which it never saw: no furniture, heavier
lines, smaller, turned further, in other colours. Each of three seeds decides the plans as well as the training.
Trained is by the training entry as a job runs it, at 160 pixels on the processor; a training ends with the epoch that
reaches the target. From scratch the settings are the demo's; from a model the steps are smaller and there is no
warm-up, in which ultralytics moves the biases so far that the model forgets what it knew.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from demo import floor_plans
from demo.drawing import THEIRS
from tests.training_host import TRAINING, Host, make_host

SEEDS = (11, 12, 13)
TARGET = 0.8  # mask mAP50
MOST_EPOCHS = 18
BASE_EPOCHS = 9
PROMISED_SHARE = 1 / 3
_TRAIN, _VAL, _PIXELS = 100, 25, 160
_ARGUMENTS = {"imgsz": _PIXELS, "batch": 4, "cache": "ram"}
_GENTLE = {"pretrained": True, "lr0": 0.0002, "warmup_epochs": 0}
_DEADLINE_SECONDS = 900
_EVALUATE = """
import sys
from ultralytics import YOLO
print(YOLO(sys.argv[1]).val(data="data.yaml", imgsz=int(sys.argv[2]), workers=0, plots=False, verbose=False).seg.map50)
"""
_EPOCH = re.compile(r"METRIC epoch=(?P<epoch>\d+);.*?\bmap50_mask=(?P<map50>[0-9.eE+-]+);")


def measure() -> dict[str, Any]:
    """Epochs to the target by seed, and what the earlier model is worth on the new plans before it is trained on."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        floor_plans.generate(place / "ours", train=_TRAIN, val=_VAL, size=2 * _PIXELS, seed=0)
        base = make_host(place / "base", place / "ours", arguments={**_ARGUMENTS, "epochs": BASE_EPOCHS})
        learned = _curve(base, target=None)
        weights = (base.model / "best.pt").read_bytes()
        runs = [_seed(place / str(seed), seed, weights) for seed in SEEDS]
    return {
        "target_map50_mask": TARGET,
        "base_map50_mask": max(learned),
        "runs": runs,
        "share": statistics.median(run["warm_epochs"] / run["scratch_epochs"] for run in runs),
        "worst_share": max(run["warm_epochs"] / run["scratch_epochs"] for run in runs),
        "seconds": round(time.monotonic() - started),
    }


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if fine-tuning needed more than a third of the epochs with any seed."""
    target, base = figures["target_map50_mask"], figures["base_map50_mask"]
    print(f"one office's plans: mask mAP50 {base:.2f}; then another's, unseen, until mask mAP50 is {target}:")
    for run in figures["runs"]:
        before = f"{run['before_map50_mask']:.2f} before"
        least = ">" if run["scratch_epochs"] > MOST_EPOCHS else ""
        print(
            f"  seed {run['seed']}: {run['warm_epochs']} epochs from the earlier model ({before}), "
            f"{least}{run['scratch_epochs']} from scratch"
        )
    print(f"a share of {figures['share']:.2f}, at worst {figures['worst_share']:.2f} ({figures['seconds']} s)")
    return int(figures["worst_share"] > PROMISED_SHARE)


def _seed(place: Path, seed: int, weights: bytes) -> dict[str, Any]:
    """Both trainings of a seed; one that does not reach the target counts as one epoch more than it was given."""
    plans = place / "plans"
    floor_plans.generate(plans, train=_TRAIN, val=_VAL, size=2 * _PIXELS, seed=seed, style=THEIRS)
    arguments = {**_ARGUMENTS, "epochs": MOST_EPOCHS, "patience": MOST_EPOCHS, "seed": seed}
    scratch = _curve(make_host(place / "scratch", plans, arguments=arguments), target=TARGET)
    warm = make_host(place / "warm", plans, model="best", arguments={**arguments, **_GENTLE})
    (warm.root / "input/data/weights").mkdir()
    (warm.root / "input/data/weights/best.pt").write_bytes(weights)
    tuned = _curve(warm, target=TARGET)
    return {
        "seed": seed,
        "before_map50_mask": _before(warm.root / "input/data/weights/best.pt", plans),
        "warm_epochs": _epochs(tuned),
        "scratch_epochs": _epochs(scratch),
        "warm_map50_mask": tuned,
        "scratch_map50_mask": scratch,
    }


def _before(weights: Path, plans: Path) -> float:
    """Mask mAP50 of a model on plans that it was not trained on."""
    settings = plans.parent / "settings"
    done = subprocess.run(
        [TRAINING / "python", "-c", _EVALUATE, weights, str(_PIXELS)],
        cwd=plans,
        env={"PATH": "/usr/bin:/bin", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(settings), "HOME": str(settings)},
        capture_output=True,
        text=True,
        check=True,
        timeout=_DEADLINE_SECONDS,
    )
    return round(float(done.stdout.split()[-1]), 3)


def _epochs(curve: list[float]) -> int:
    return len(curve) + (curve[-1] < TARGET)


def _curve(host: Host, *, target: float | None) -> list[float]:
    """Mask mAP50 after each epoch, until the target is reached."""
    found: list[float] = []
    host.deadline_seconds = _DEADLINE_SECONDS

    def look(process: subprocess.Popen[str], line: str) -> None:
        epoch = _EPOCH.match(line)
        if epoch:
            found.append(float(epoch["map50"]))
            if target is not None and found[-1] >= target:
                process.kill()

    code = host.run(look)
    if not found or (target is None and code):
        raise RuntimeError(f"a training ended with {code}:\n{host.log[-3000:]}")
    return found
