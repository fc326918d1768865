"""A folder synced by the AWS CLI, trained for real from pretrained weights out of the cache."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import floor_plans
from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.e2e.conftest import ROOT, Showing
from tests.stack import Stack

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

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with LocalCloud.start(trainer="real") as cloud:
        yield Stack(cloud, deploy(cloud))


def aws(stack: Stack, *arguments: str) -> str:
    environment = {**os.environ, **stack.cloud.environment}
    return subprocess.run([str(AWS), *arguments], env=environment, text=True, capture_output=True, check=True,
                          timeout=120).stdout


def rooms_found(model: Path, image: Path, scratch: Path) -> int:
    environment = {**os.environ, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(scratch)}
    done = subprocess.run([str(PYTHON), "-c", FIND_ROOMS, str(model), str(image)], env=environment, text=True,
                          capture_output=True, check=True, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"] == {"0": "room"}
    return int(found["rooms"])


def test_a_synced_folder_is_trained_from_cached_weights_and_its_model_finds_rooms(
        stack: Stack, demo: Showing, tmp_path: Path) -> None:
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
    log = aws(stack, "logs", "filter-log-events", "--log-group-name", "/aws/sagemaker/TrainingJobs",
              "--filter-pattern", "TRANSFERRED", "--query", "events[].message", "--output", "text")
    transferred = re.search(r"TRANSFERRED (\d+) of (\d+)", log)
    assert transferred, log
    assert int(transferred[1]) > 0
    model = tmp_path / "best.pt"
    aws(stack, "s3", "cp", run["model_uri"], str(model))
    plan = sorted((rooms / "images/val").iterdir())[0]
    assert rooms_found(model, plan, tmp_path) >= 2
