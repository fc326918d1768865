"""`traindrop check` on a folder of 4,600 images with their labels, as a user runs it: seconds and memory.

Run by `.venvs/dev/bin/python -m benchmarks.check`. The files have been written just before, so that the disk's own
speed does not count.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy

from tests.pictures import chunk

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"train": 4200, "val": 400}
ROUNDS = 5
MOST_SECONDS = 3.0
"""What is promised, on two cores."""
CONTENTS = 24
"""Different pictures; each file is made another by a comment in it."""
PNG_START = 8 + 25
"""Bytes of a PNG's signature and first chunk."""


def write(folder: Path) -> int:
    """Write the dataset: drawings as PNG and photos as JPEG, half of each, and polygons; answer the bytes of images."""
    chance = random.Random(46)
    pictures = [_picture(index) for index in range(CONTENTS)]
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [room, door, window]\n")
    total = 0
    for split, count in IMAGES.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            suffix, content = pictures[number % CONTENTS]
            content = _made_unique(suffix, content, f"{split} {number}")
            total += len(content)
            (folder / f"images/{split}/{number:05}{suffix}").write_bytes(content)
            (folder / f"labels/{split}/{number:05}.txt").write_text(_label(chance))
    return total


def _picture(index: int) -> tuple[str, bytes]:
    chance = numpy.random.default_rng(index)
    coarse = chance.integers(0, 255, (24, 32, 3), numpy.uint8)
    if index % 2:
        photo = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        noise = chance.integers(0, 24, photo.shape, numpy.uint8)
        return ".jpg", cv2.imencode(".jpg", cv2.add(photo, noise), [cv2.IMWRITE_JPEG_QUALITY, 72])[1].tobytes()
    drawing = cv2.resize(coarse, (768, 576), interpolation=cv2.INTER_NEAREST)
    for _ in range(400):
        ends = chance.integers(0, 576, 4).tolist()
        cv2.line(drawing, tuple(ends[:2]), tuple(ends[2:]), chance.integers(0, 255, 3).tolist(), 1, cv2.LINE_AA)
    return ".png", cv2.imencode(".png", drawing[::4, ::4])[1].tobytes()


def _made_unique(suffix: str, content: bytes, words: str) -> bytes:
    if suffix == ".png":
        return content[:PNG_START] + chunk(b"tEXt", b"Comment\0" + words.encode()) + content[PNG_START:]
    return content[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2) + words.encode() + content[2:]


def _label(chance: random.Random) -> str:
    rows = []
    for _ in range(chance.randint(4, 14)):
        x, y, width, height = chance.uniform(0.1, 0.6), chance.uniform(0.1, 0.6), *(chance.uniform(0.05, 0.3),) * 2
        corners = [(x, y), (x + width, y), (x + width, y + height), (x + width / 2, y + height * 1.1), (x, y + height)]
        rows.append(" ".join([str(chance.randrange(3)), *(f"{value:.6f}" for corner in corners for value in corner)]))
    return "\n".join(rows) + "\n"


def run(folder: Path, *options: str) -> tuple[float, float, float]:
    """Seconds, processor seconds and most memory in MB of one check in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "traindrop", "check", str(folder), *options], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the check ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure() -> dict[str, Any]:
    """Medians of checks for people and for scripts, which have the fingerprint too, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        image_bytes = write(folder)
        ways: dict[str, tuple[str, ...]] = {"text": (), "json": ("--json",)}
        rounds = [{way: run(folder, *options) for way, options in ways.items()} for _ in range(ROUNDS)]
    found: dict[str, Any] = {"images": sum(IMAGES.values()), "image_bytes": image_bytes}
    for way in ways:
        columns = zip(*(figures[way] for figures in rounds), strict=True)
        seconds, processor, memory = (statistics.median(column) for column in columns)
        found[way] = {
            "seconds": round(seconds, 2),
            "processor_seconds": round(processor, 2),
            "megabytes": round(memory),
        }
    return found


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if a check takes longer than is promised."""
    mean = figures["image_bytes"] / figures["images"] / 1000
    print(f"traindrop check, {figures['images']:,} images of {mean:.0f} KB and as many labels, medians of {ROUNDS}")
    print(f"{'':<8}{'seconds':>9}{'processor s':>13}{'MB':>6}")
    for way in ("text", "json"):
        found = figures[way]
        print(f"{way:<8}{found['seconds']:>9.2f}{found['processor_seconds']:>13.2f}{found['megabytes']:>6}")
    slow = [way for way in ("text", "json") if figures[way]["seconds"] > MOST_SECONDS]
    if slow:
        print(f"slower than {MOST_SECONDS:g} s: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(show(measure()))
