"""How well and how fast rooms of unseen plans become polygons, and whether ONNX Runtime sees what ultralytics does.

Run by `.venvs/dev/bin/python -m benchmarks polygons`.

The model is trained by the training entry on the demo's plans, with the demo's settings but at 256 pixels and for 12
epochs: 150 seconds of two cores, once for a version of the code. A room that is not found counts as 0.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import yaml

from demo import drawing, floor_plans, furniture, layout
from tests.oracle import Oracle
from tests.training_host import METRIC, make_host
from tests.without_torch import PYTHON, ROOT
from traindrop.training_code import code, digest

PLANS = 120
SIZE = 640
LARGE = 2500
"""Pixels a side of a plan that is asked about by a model of 1024 pixels, the default."""
IMGSZ, EPOCHS = 256, 12
STARTS = 5
MOST_SECONDS = 0.5
LEAST_IOU = 0.85
MOST_LOST = 0.01
"""IoU that simplification may cost."""
LEAST_MATCHED = 0.99
CACHE = ROOT / ".cache/polygons"
Outline = Sequence[Sequence[float]]


def measure() -> dict[str, Any]:
    """Overlap with the truth before and after simplification, corners, seconds, and equality with ultralytics."""
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        model = trained(work)
        truths, images = [], []
        for number in range(PLANS):
            drawn = floor_plans.floor_plan(f"unseen/{number}", SIZE)
            images.append(str(work / f"{number}.png"))
            cv2.imwrite(images[-1], drawn.picture)
            truths.append([(outline * SIZE).tolist() for outline in drawn.outlines])
        large = str(work / "large.png")
        cv2.imwrite(large, floor_plans.floor_plan("unseen/large", LARGE).picture)
        with Oracle(work) as oracle:
            oracle.ask("onnx_models.export", str(model / "best.pt"), 1024, str(work / "1024.onnx"))
            found = asked(model / "best.onnx", images)
            compared = oracle.ask("onnx_models.compare", str(model), images, IMGSZ, found["traced"])
        at_1024 = asked(work / "1024.onnx", [large] * 20)
        starts = [seconds_of_a_command(model / "best.onnx", images[0]) for _ in range(STARTS)]
    before, after = (overlaps(truths, found[kind]) for kind in ("traced", "simplified"))
    rooms = [room for plan in found["simplified"] for room in plan]
    return {
        "plans": PLANS,
        "rooms": sum(map(len, truths)),
        "rooms_found": sum(value > 0 for value in after),
        "mean_iou_before": round(fmean(before), 4),
        "mean_iou_after": round(fmean(after), 4),
        "mean_iou_after_of_those_found": round(fmean(value for value in after if value), 4),
        "mean_iou_without_straightening": round(fmean(overlaps(truths, found["not_straightened"])), 4),
        "corners_a_room": round(fmean(map(len, rooms)), 2),
        "corners_a_room_without_straightening": round(
            fmean(len(room) for plan in found["not_straightened"] for room in plan), 2
        ),
        "corners_a_room_truth": round(fmean(len(room) for plan in truths for room in plan), 2),
        "seconds_a_plan": spread(found),
        "seconds_a_large_plan_at_1024": spread(at_1024),
        "start_seconds": round(found["start_seconds"], 3),
        "command_seconds": round(median(starts), 3),
        "in_the_job": json.loads((model / "metrics.json").read_text())["onnx"],
        "ultralytics": compared,
    }


def trained(work: Path) -> Path:
    """The model folder of a training by the entry; cached."""
    drawn = "".join(inspect.getsource(module) for module in (floor_plans, drawing, furniture, layout))
    version = digest(code()) + hashlib.sha256(f"{drawn}{IMGSZ}{EPOCHS}".encode()).hexdigest()[:8]
    place = CACHE / version
    if not place.is_dir():
        print("training the model that is asked, once", flush=True)
        floor_plans.generate(work / "plans")
        settings = yaml.safe_load(floor_plans.TRAINING_YAML)
        model, train = settings.pop("model"), settings.pop("train")
        arguments = {**settings, **train, "deterministic": True, "imgsz": IMGSZ, "epochs": EPOCHS}
        (work / "host").mkdir()
        host = make_host(work / "host", work / "plans", model=model, arguments=arguments)
        with host.start() as process:
            for line in process.stdout or ():
                host.printed.append(line)
                if METRIC.search(line):
                    print(f"  epoch {len(METRIC.findall(host.log))} of {EPOCHS}", flush=True)
        if process.returncode:
            raise RuntimeError(f"the training ended with {process.returncode}:\n{host.log}")
        shutil.rmtree(CACHE, ignore_errors=True)
        shutil.copytree(host.model, place.with_suffix(".part"))
        place.with_suffix(".part").rename(place)
    return place


def asked(model: Path, images: Sequence[str]) -> dict[str, Any]:
    """What a process without torch finds in the images, and how long it takes."""
    done = subprocess.run(
        [PYTHON, "-m", "benchmarks.polygons_without_torch", model],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(images),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def seconds_of_a_command(model: Path, image: str) -> float:
    """Seconds of `traindrop polygons` from start to end."""
    before = time.perf_counter()
    subprocess.run(
        [PYTHON, "-m", "traindrop", "polygons", "--model", model, "--image", image, "--output", f"{image}.json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - before


def overlaps(truths: Sequence[Sequence[Outline]], found: Sequence[Sequence[Outline]]) -> list[float]:
    """For each true room the intersection over union with the polygon that is taken for it, at least 0.5, or 0."""
    best: list[float] = []
    for rooms, polygons in zip(truths, found, strict=True):
        here = [0.0] * len(rooms)
        drawn, true = [raster(polygon) for polygon in polygons], [raster(room) for room in rooms]
        pairs = sorted(
            (
                (float((one & other).sum()) / float((one | other).sum()), room, polygon)
                for room, one in enumerate(true)
                for polygon, other in enumerate(drawn)
            ),
            reverse=True,
        )
        taken: set[int] = set()
        for overlap, room, polygon in pairs:
            if overlap >= 0.5 and not here[room] and polygon not in taken:
                here[room] = overlap
                taken.add(polygon)
        best += here
    return best


def raster(polygon: Outline) -> Any:
    """The polygon's pixels, at two a pixel's side."""
    drawn = np.zeros((2 * SIZE, 2 * SIZE), np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(polygon) * 2 - 0.5).astype(np.int32)], 1)
    return drawn


def spread(found: dict[str, Any]) -> dict[str, float]:
    """Seconds by the clock, the fastest, median and 95th percentile, and the median of seconds of all cores."""
    seconds = found["seconds"]
    return {
        "fastest": round(min(seconds), 4),
        "median": round(median(seconds), 4),
        "p95": round(quantiles(seconds, n=20)[-1], 4),
        "processor_median": round(median(found["processor_seconds"]), 4),
    }


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if one is worse than is promised."""
    theirs, job = figures["ultralytics"], figures["in_the_job"]
    print(
        f"{figures['rooms_found']} of {figures['rooms']} rooms of {figures['plans']} unseen plans found; mean IoU with "
        f"the truth {figures['mean_iou_before']} as traced, {figures['mean_iou_after']} simplified "
        f"({figures['mean_iou_without_straightening']} without straightening; "
        f"{figures['mean_iou_after_of_those_found']} of those found; promised {LEAST_IOU})\n"
        f"{figures['corners_a_room']} corners a room, {figures['corners_a_room_without_straightening']} without "
        f"straightening; the truth has {figures['corners_a_room_truth']}\n"
        f"seconds a plan: {figures['seconds_a_plan']}, {LARGE} x {LARGE} pixels by a model of 1024 "
        f"{figures['seconds_a_large_plan_at_1024']} (promised {MOST_SECONDS}); start {figures['start_seconds']}, the "
        f"whole command {figures['command_seconds']}\n"
        f"best.onnx and best.pt differ by {job['largest_difference']} on {job['images']} images in the job "
        f"(promised {job['tolerance']})\n"
        f"of {theirs['predictions']} predictions of ultralytics with best.pt {theirs['matched']:.2%} are ours too, of "
        f"those with best.onnx {theirs['matched_onnx']:.2%} (promised {LEAST_MATCHED:.0%}); ours are {theirs['ours']}; "
        f"masks overlap by {theirs['mean_mask_iou']}, the worst by {theirs['least_mask_iou']}"
    )
    return int(
        figures["mean_iou_after"] < LEAST_IOU
        or figures["mean_iou_before"] - figures["mean_iou_after"] > MOST_LOST
        or figures["mean_iou_after"] < figures["mean_iou_without_straightening"] - MOST_LOST / 10
        or figures["seconds_a_plan"]["median"] > MOST_SECONDS
        # Of two cores, whatever else runs there: this one keeps both busy.
        or figures["seconds_a_large_plan_at_1024"]["processor_median"] / 2 > MOST_SECONDS
        or job["largest_difference"] > job["tolerance"]
        or min(theirs["matched"], theirs["matched_onnx"]) < LEAST_MATCHED
    )
