"""How fast a training of ours is beside plain ultralytics, and what each knob of it brings.

Run by `.venvs/dev/bin/python -m benchmarks.training_speed`. One dataset, equal arguments, no GPU; both trainings take
turns epoch by epoch. An epoch here is training, validation, and all that either of them does between two of them; start
and end are not in it. The same epoch differs by 2% from one time to the next, so what is promised rests on what our
callbacks take, the thread that writes included, beside plain ultralytics' epoch; both in processor seconds. They do not
grow with the epoch and are told too. The ratios of whole epochs are shown as they were read.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.trainings import ARGUMENTS, Tick, Trained, copied, entry, host_of, plain
from demo import floor_plans

RATIO = 0.99
"""What is promised: a plain epoch to the same with our callbacks, at least."""
SIZE, IMAGES, VALIDATION, EPOCHS = 320, 160, 20, 5
KNOB_IMAGES, KNOB_EPOCHS = 60, 5
KNOBS: dict[str, dict[str, Any]] = {
    "as it is: cache none, deterministic, no plots": {},
    "cache: ram": {"cache": "ram"},
    "cache: disk": {"cache": "disk"},
    "deterministic: false": {"deterministic": False},
    "plots: true": {"plots": True},
}
NOT_HERE = "workers and amp: ultralytics ignores both without a GPU"
Window = tuple[float, float, float]
"""Seconds of one epoch, its processor seconds, and those of our callbacks."""


def lockstep(trainings: dict[str, Trained], epochs: int) -> dict[str, list[Window]]:
    """The epochs of trainings that take turns, but for the first of each."""
    for training in trainings.values():
        training.tick("on_train_epoch_end")
    found: dict[str, list[Window]] = {name: [] for name in trainings}
    for _ in range(epochs - 1):
        for name, training in trainings.items():
            training.go()
            begun = training.tick("turn")
            found[name].append(_between(begun, training.tick("on_train_epoch_end")))
    for training in trainings.values():
        training.go()
    return found


def _between(begun: Tick, ended: Tick) -> Window:
    return ended.clock - begun.clock, ended.processor - begun.processor, ended.callbacks - begun.callbacks


def measure() -> dict[str, Any]:
    """Images per second and processor seconds per image, medians over the epochs; ratios to plain ultralytics."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return {"to plain ultralytics": _against_plain(folder / "speed"), "knobs": _knobs(folder / "knobs")}


def _dataset(folder: Path, train: int) -> Path:
    floor_plans.generate(folder, train=train, val=VALIDATION)
    return folder


def _against_plain(folder: Path) -> dict[str, Any]:
    data = _dataset(folder / "data", IMAGES)
    arguments = {"epochs": EPOCHS, "imgsz": SIZE, "cache": "ram"}
    with ExitStack() as both:
        host, other = folder / "host", folder / "plain"
        description = str(copied(data, folder / "copy"))
        ours = both.enter_context(entry(host_of(host, data, **arguments), TURN=str(host / "turn")))
        theirs = both.enter_context(
            plain(
                other,
                "yolov8n-seg.yaml",
                {**ARGUMENTS, **arguments, "data": description},
                TURN=str(other / "turn"),
            )
        )
        found = lockstep({"ours": ours, "plain": theirs}, EPOCHS)
    figures: dict[str, Any] = {name: _figures(windows, IMAGES) for name, windows in found.items()}
    pairs = list(zip(found["ours"], found["plain"], strict=True))
    figures["ratio_by_clock"] = round(median(b[0] / a[0] for a, b in pairs), 3)
    figures["ratio_by_processor"] = round(median(b[1] / a[1] for a, b in pairs), 3)
    callbacks = median(ours for _, _, ours in found["ours"])
    epoch = median(processor for _, processor, _ in found["plain"])
    figures["callbacks_processor_seconds_an_epoch"] = round(callbacks, 3)
    figures["ratio"] = round(epoch / (epoch + callbacks), 4)
    return figures


def _knobs(folder: Path) -> dict[str, Any]:
    data = _dataset(folder / "data", KNOB_IMAGES)
    with ExitStack() as all_of_them:
        running = {
            name: all_of_them.enter_context(
                plain(
                    folder / str(number),
                    "yolov8n-seg.yaml",
                    {
                        **ARGUMENTS,
                        "epochs": KNOB_EPOCHS,
                        **changes,
                        "data": str(copied(data, folder / f"data-{number}")),
                    },
                    TURN=str(folder / str(number) / "turn"),
                )
            )
            for number, (name, changes) in enumerate(KNOBS.items())
        }
        found = lockstep(running, KNOB_EPOCHS)
    base = next(iter(found.values()))
    return {
        name: {
            **_figures(windows, KNOB_IMAGES),
            "ratio": round(median(b[1] / a[1] for a, b in zip(windows, base, strict=True)), 3),
        }
        for name, windows in found.items()
    }


def _figures(windows: list[Window], images: int) -> dict[str, float]:
    return {
        "images_per_second": round(images / median(seconds for seconds, _, _ in windows), 2),
        "processor_seconds_per_image": round(median(processor for _, processor, _ in windows) / images, 4),
        "epoch_seconds": round(median(seconds for seconds, _, _ in windows), 2),
    }


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if ours is slower than is promised."""
    found = figures["to plain ultralytics"]
    print(f"{IMAGES} images and {VALIDATION} to validate, {SIZE} pixels, yolov8n-seg, {EPOCHS - 1} epochs each in turn")
    print(f"{'training':<48}{'images/s':>10}{'CPU s/image':>13}{'epoch s':>9}")
    for name in ("ours", "plain"):
        print(_row(name, found[name]))
    callbacks = found["callbacks_processor_seconds_an_epoch"]
    print(f"callbacks take {callbacks} CPU s an epoch: ratio {found['ratio']} (promised {RATIO})")
    print(f"whole epochs: {found['ratio_by_processor']} by processor time, {found['ratio_by_clock']} by the clock")
    print(f"{'knob, plain ultralytics':<48}{'images/s':>10}{'CPU s/image':>13}{'epoch s':>9}{'ratio':>8}")
    for name, knob in figures["knobs"].items():
        print(f"{_row(name, knob)}{knob['ratio']:>8.3f}")
    print(NOT_HERE)
    if found["ratio"] < RATIO:
        print(f"ours is slower than {RATIO} of plain ultralytics", file=sys.stderr)
        return 1
    return 0


def _row(name: str, of: dict[str, float]) -> str:
    return (
        f"{name:<48}{of['images_per_second']:>10.2f}{of['processor_seconds_per_image']:>13.4f}"
        f"{of['epoch_seconds']:>9.2f}"
    )


if __name__ == "__main__":
    raise SystemExit(show(measure()))
