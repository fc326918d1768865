"""What the rows about real trainings share: a dataset that trains in seconds, and the logs of a job, host by host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.stack import Stack
from tests.training_host import draw_dataset

SETTINGS = """\
model: yolov8n-seg.yaml
epochs: {epochs}
imgsz: 64
batch: 4
patience: 0
train: {{optimizer: AdamW, lr0: 0.002, warmup_epochs: 1, mosaic: 0.0, nbs: 4, pretrained: false, amp: false,
        plots: false, workers: 0, deterministic: false}}
"""


def plans(folder: Path, *, epochs: int, marker: str = "") -> dict[str, bytes]:
    """A small dataset of real pictures, its settings, and a file that makes a zip of it another one."""
    draw_dataset(folder, {"train": 12, "val": 4})
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {**files, "training.yaml": SETTINGS.format(epochs=epochs).encode(), "notes.md": marker.encode()}


def hosts(stack: Stack, job: str) -> list[list[str]]:
    """What each host of a job printed, in the order of the hosts."""
    logs: Any = stack.cloud.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    return [
        [
            event["message"]
            for event in logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        ]
        for name in sorted(stream["logStreamName"] for stream in streams)
    ]


def epochs_of(lines: list[str]) -> list[int]:
    """The epochs that a host finished, in its order."""
    found = (re.match(r"METRIC epoch=(\d+);", line) for line in lines)
    return [int(match[1]) for match in found if match]


def resumed_from(lines: list[str]) -> int | None:
    """The epoch that a host went on from, by its own words."""
    found = (re.match(r"RESUME from epoch (\d+)", line) for line in lines)
    return next((int(match[1]) for match in found if match), None)
