"""The demo as a user starts it, and the AWS CLI on a folder: real trainings, one from the weights of the other."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from demo import floor_plans
from local_cloud.deploy import deploy
from local_cloud.process import ROOT, LocalCloud
from tests.stack import Stack
from tests.without_torch import commands

pytestmark = pytest.mark.slow
DEADLINE_SECONDS = 600
NAME = "My rooms + más"
AWS = ROOT / ".venvs/aws/bin/aws"
PYTHON = ROOT / ".venvs/training/bin/python"
SETTINGS = """\
model: yolov8n-seg.pt
epochs: 2
imgsz: 160
batch: 4
train: {optimizer: AdamW, lr0: 0.0002, warmup_epochs: 0, mosaic: 0, nbs: 4, amp: false, plots: false, workers: 0,
        deterministic: false}
"""
FIND_ROOMS = """
import json, sys
from ultralytics import YOLO
found = YOLO(sys.argv[1])(sys.argv[2], imgsz=160, verbose=False)[0]
print(json.dumps({"names": found.names, "rooms": 0 if found.masks is None else len(found.masks)}))
"""


@dataclass(frozen=True)
class Showing:
    """What a demo left: exit code, output, its folder and the folder that its temporary files were in."""

    exit_code: int
    output: str
    folder: Path
    scratch: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Showing:
    """The demo, run once as a process of its own."""
    place = tmp_path_factory.mktemp("demo")
    scratch = place / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--folder", str(place / "demo")],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_SECONDS,
        check=False,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    return Showing(done.returncode, done.stdout, place / "demo", scratch)


def start(folder: Path, scratch: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def processes_in(scratch: Path) -> list[str]:
    """Command lines of processes that work in or below a folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=30).stdout
    return [line for line in listed.splitlines() if str(scratch) in line]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_a_dropped_dataset_becomes_a_model_a_report_and_one_message(demo: Showing) -> None:
    output, folder, scratch = demo.output, demo.folder, demo.scratch
    assert demo.exit_code == 0, output
    for state in ("ValidateDataset", "TrainModel", "ExtractModel", "PublishMetrics", "WriteReport", "ModelDelivered"):
        assert f"state {state}" in output
    assert "spot interruption" in output
    assert "went on from its checkpoint: 2 epochs were already done" in output
    epochs = [int(number) for number in re.findall(r"epoch (\d+)/9 ", output)]
    assert epochs == list(range(1, 10))
    assert output.count("message: Completed") == 1
    assert re.search(r"\$\d+\.\d{4} it would cost on AWS", output)
    assert re.search(r"\d\.\d s {2}drop \(upload included\) to training job", output)
    assert re.search(r"\d\.\d s {2}end of training to notification", output)
    assert "Traceback" not in output
    assert (folder / "best.pt").stat().st_size > 1_000_000
    assert (folder / "best.onnx").stat().st_size > 1_000_000
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "floor plans" in report
    assert "data:image/jpeg;base64," in report
    assert processes_in(scratch) == []
    assert list(scratch.iterdir()) == []


def test_its_best_onnx_gives_room_polygons_that_lie_on_the_rooms(demo: Showing, tmp_path: Path) -> None:
    assert demo.exit_code == 0, demo.output
    numbers = range(10)
    plans = [demo.folder / f"floor-plans/images/val/plan-{number:03d}.jpg" for number in numbers]
    asked = [
        ["polygons", "--model", demo.folder / "best.onnx", "--image", plan, "--output", f"{plan.stem}.json"]
        for plan in plans
    ]
    ended = commands(*asked, folder=tmp_path)
    assert [(code, err) for code, _, err in ended] == [(0, "")] * len(plans)
    overlaps = []
    for number, plan in zip(numbers, plans, strict=True):
        found = json.loads((tmp_path / f"{plan.stem}.json").read_text())
        assert {polygon["class"] for polygon in found["polygons"]} <= {"room"}
        drawn = [raster(polygon["normalized"]) for polygon in found["polygons"]]
        for outline in floor_plans.floor_plan(f"0/val/{number}").outlines:
            room = raster(outline)
            overlaps.append(max((float((room & one).sum() / (room | one).sum()) for one in drawn), default=0.0))
    # The demo's model is trained for a minute; `make bench` holds a better one to 0.85.
    assert statistics.fmean(overlaps) > 0.7


def raster(outline: Any) -> Any:
    """A polygon of coordinates from 0 to 1 as pixels."""
    drawn = np.zeros((1000, 1000), np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(outline) * 1000).astype(np.int32)], 1)
    return drawn


def test_an_interrupt_during_training_leaves_nothing_behind(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "demo"
    process = start(folder, scratch)
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + DEADLINE_SECONDS
        for line in process.stdout:
            if "job Training" in line:
                break
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "nothing is left running" in output
    assert "Traceback" not in output
    assert processes_in(scratch) == []
    assert list(scratch.iterdir()) == []
    assert not folder.exists()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with LocalCloud.start(trainer="real") as cloud:
        yield Stack(cloud, deploy(cloud))


def aws(stack: Stack, *arguments: str) -> str:
    environment = {**os.environ, **stack.cloud.environment}
    return subprocess.run(
        [str(AWS), *arguments], env=environment, text=True, capture_output=True, check=True, timeout=120
    ).stdout


def rooms_found(model: Path, image: Path, scratch: Path) -> int:
    environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(scratch)}
    done = subprocess.run(
        [str(PYTHON), "-c", FIND_ROOMS, str(model), str(image)],
        env=environment,
        text=True,
        capture_output=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"] == {"0": "room"}
    return int(found["rooms"])


def test_a_synced_folder_is_trained_from_cached_weights_and_its_model_finds_rooms(
    stack: Stack, demo: Showing, tmp_path: Path
) -> None:
    assert demo.exit_code == 0, demo.output
    pretrained = demo.folder / "best.pt"
    aws(stack, "s3", "cp", str(pretrained), f"s3://{stack.artifact_bucket}/weights/yolov8n-seg.pt")
    rooms = tmp_path / "rooms"
    floor_plans.generate(rooms, train=12, val=4, seed=7)
    (rooms / "training.yaml").write_text(SETTINGS)
    target = f"s3://{stack.dataset_bucket}/datasets/{NAME}/"
    aws(stack, "s3", "sync", str(rooms), target, "--exclude", "*", "--include", "*.yaml")
    aws(stack, "s3", "sync", str(rooms), target, "--exclude", "images/val/*")
    time.sleep(4)
    aws(stack, "s3", "sync", str(rooms), target)
    execution = stack.ended(NAME, within=240)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    stack.message(NAME, "Completed")
    (job,) = stack.jobs(execution["name"])
    run = stack.run(execution["name"])
    assert run["training_seconds"] == job["TrainingTimeInSeconds"]
    assert run["billable_seconds"] == job["BillableTimeInSeconds"]
    log = aws(
        stack,
        "logs",
        "filter-log-events",
        "--log-group-name",
        "/aws/sagemaker/TrainingJobs",
        "--filter-pattern",
        "TRANSFERRED",
        "--query",
        "events[].message",
        "--output",
        "text",
    )
    transferred = re.search(r"TRANSFERRED (\d+) of (\d+)", log)
    assert transferred, log
    assert int(transferred[1]) > 0
    model = tmp_path / "best.pt"
    aws(stack, "s3", "cp", run["model_uri"], str(model))
    plan = sorted((rooms / "images/val").iterdir())[0]
    assert rooms_found(model, plan, tmp_path) >= 2
    meets_its_rival(stack, run, target, rooms)


def meets_its_rival(stack: Stack, first: Mapping[str, Any], target: str, rooms: Path) -> None:
    """The next run goes on from the best model, and measures it on the same images: with the same figures as it had."""
    (rooms / "training.yaml").write_text(SETTINGS.replace("yolov8n-seg.pt", "best").replace("epochs: 2", "epochs: 1"))
    aws(stack, "s3", "cp", str(rooms / "training.yaml"), f"{target}training.yaml")
    _, second = stack.all_ended(2, first["slug"], within=240)
    assert second["status"] == "SUCCEEDED"
    document = stack.s3.get_object(
        Bucket=stack.artifact_bucket, Key=f"models/{first['slug']}/{second['name']}/metrics.json"
    )["Body"].read()
    metrics = json.loads(document)
    rival = metrics["champion"]
    assert rival.pop("run_id") == first["run_id"]
    recorded = {name: float(value) for name, value in first["metrics"].items() if name.startswith("map50")}
    assert recorded["map50_95_mask"] > 0.1
    assert {name: rival[name] for name in recorded} == pytest.approx(recorded, abs=1e-4)
    (message,) = [
        found for found in stack.messages(NAME) if found["run_id"] == second["name"] and found["outcome"] == "Completed"
    ]
    assert f"of the best so far (run {first['run_id']}), on 4 validation images with " in message["body"]
    assert "Both were measured by this job, on the same validation images." in message["body"]
    assert "Promoted: " in message["body"] or "Not promoted: " in message["body"]
