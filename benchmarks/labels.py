"""How many instances a second the judging of labels comes to, beside ultralytics' own parser on the same bytes.

Run by `.venvs/dev/bin/python -m benchmarks labels`.

Seconds are of the processor, so other work on the machine counts little; runs take turns, and their median counts.
Ultralytics is given what a label holds from memory and its look at the image is left out, so both parse and no more.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Sequence
from math import cos, pi, sin
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.oracle import Oracle
from traindrop.labels import judge

PROMISED = 200_000
"""Instances of floor plans a second on one core, without the search for crossings."""
ROUNDS = 5
CLASSES = 80
CORNERS = (4, 6, 8, 10, 12)
WEIGHTS = (50, 25, 15, 7, 3)
"""Rooms of so many corners in a hundred: most are rectangles, and most of the others are an L, a T or a U."""
Corners = Sequence[tuple[float, float]]


def room(rng: random.Random) -> Corners:
    """A rectangle with steps cut into one corner, on a sheet that was scanned a little askew."""
    steps = rng.choices(CORNERS, WEIGHTS)[0] // 2 - 1
    left, top, width, height = (
        rng.uniform(0.05, 0.6),
        rng.uniform(0.05, 0.6),
        rng.uniform(0.1, 0.3),
        rng.uniform(0.1, 0.3),
    )
    xs = [left, *sorted(left + width * rng.random() for _ in range(steps - 1)), left + width]
    ys = [top, *sorted(top + height * rng.random() for _ in range(steps - 1)), top + height]
    stairs = [corner for step in range(steps) for corner in ((xs[step + 1], ys[step]), (xs[step + 1], ys[step + 1]))]
    askew = rng.uniform(-0.01, 0.01)
    return [(x + askew * y, y - askew * x) for x, y in [(left, top), *stairs, (left, top + height)]]


def outline(rng: random.Random) -> Corners:
    """The outline of some object, as COCO has them."""
    count, x, y, radius = rng.randint(12, 80), rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.02, 0.18)
    angles = [2 * pi * corner / count for corner in range(count)]
    reaches = [radius * rng.uniform(0.7, 1.0) for _ in range(count)]
    return [(x + far * cos(angle), y + far * sin(angle)) for angle, far in zip(angles, reaches, strict=True)]


def labels(draw: Callable[[random.Random], Corners], *, files: int, instances: int, classes: int) -> list[bytes]:
    """Label files of so many instances each."""
    rng = random.Random(0)

    def row() -> str:
        return f"{rng.randrange(classes)} " + " ".join(f"{x:.6f} {y:.6f}" for x, y in draw(rng))

    return ["".join(row() + "\n" for _ in range(instances)).encode() for _ in range(files)]


def seconds(texts: Sequence[bytes], *, search_crossings: bool) -> float:
    """Processor seconds to judge every label."""
    before = time.process_time()
    for text in texts:
        judge(text, CLASSES, search_crossings=search_crossings)
    return time.process_time() - before


def measure() -> dict[str, Any]:
    """Rates of each set: judged, judged with crossings searched, and parsed by ultralytics."""
    with TemporaryDirectory() as folder, Oracle(Path(folder)) as oracle:
        return {
            "floor plans": rates(labels(room, files=1000, instances=9, classes=1), oracle),
            "outlines as in COCO": rates(labels(outline, files=300, instances=7, classes=CLASSES), oracle),
        }


def rates(texts: Sequence[bytes], oracle: Oracle) -> dict[str, float]:
    """Figures of one set of labels, each the median of rounds in turns."""
    asked = [base64.b64encode(text).decode() for text in texts]
    rounds = [
        (
            seconds(texts, search_crossings=False),
            seconds(texts, search_crossings=True),
            float(oracle.ask("labels.processor_seconds", asked, CLASSES)),
        )
        for _ in range(ROUNDS)
    ]
    plain, searched, theirs = (median(column) for column in zip(*rounds, strict=True))
    instances = sum(judge(text, CLASSES).instances.total() for text in texts)
    tokens = sum(len(text.split()) for text in texts)
    return {
        "instances": instances,
        "corners_each": round((tokens / instances - 1) / 2, 1),
        "instances_per_second": round(instances / plain),
        "tokens_per_second": round(tokens / plain),
        "instances_per_second_crossings_searched": round(instances / searched),
        "instances_per_second_ultralytics": round(instances / theirs),
        "to_ultralytics": round(theirs / plain, 1),
        "to_ultralytics_crossings_searched": round(theirs / searched, 1),
    }


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if floor plans are judged slower than is promised."""
    columns = ("judged", "+ crossings", "ultralytics", "ratio", "ratio + cr.", "tokens/s")
    print(f"{'instances a second of one core':<40}" + "".join(f"{column:>13}" for column in columns))
    for name, found in figures.items():
        print(
            f"{name + ', ' + str(found['corners_each']) + ' corners each':<40}"
            f"{found['instances_per_second']:>13,}"
            f"{found['instances_per_second_crossings_searched']:>13,}"
            f"{found['instances_per_second_ultralytics']:>13,}"
            f"{found['to_ultralytics']:>13}"
            f"{found['to_ultralytics_crossings_searched']:>13}"
            f"{found['tokens_per_second']:>13,}"
        )
    return int(figures["floor plans"]["instances_per_second"] < PROMISED)
