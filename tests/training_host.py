"""A machine of a training job: the entry as a container runs it, below a root of its own, without a network."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traindrop.data_yaml import describe
from traindrop.dataset import resolve
from traindrop.manifest import FILE, manifest
from traindrop.on_disk import open_path
from traindrop.training_code import code

REPOSITORY = Path(__file__).resolve().parents[1]
TRAINING = REPOSITORY / ".venvs/training/bin"
SIZE = 64
METRIC = re.compile(r"^METRIC .*?\bmap50_mask=([0-9.eE+-]+);", re.MULTILINE)
DEADLINE_SECONDS = 120
NO_NETWORK = """
import socket, urllib.request, os
def refuse(*args, **kwargs):
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{args} {kwargs}\\n")
    raise OSError("no network in this test")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = urllib.request.urlopen = refuse
"""


@dataclass
class Host:
    """A machine of a training job: its folders, and what its container printed."""

    folder: Path
    printed: list[str] = field(default_factory=list)
    deadline_seconds: float = DEADLINE_SECONDS

    @property
    def root(self) -> Path:
        return self.folder / "opt/ml"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def network_log(self) -> Path:
        return self.folder / "network.log"

    @property
    def log(self) -> str:
        return "".join(self.printed)

    @property
    def failure(self) -> str:
        return (self.root / "output/failure").read_text()

    def metrics(self) -> dict[str, Any]:
        return dict(json.loads((self.model / "metrics.json").read_text()))

    def csv_epochs(self) -> list[int]:
        return [int(row.split(",")[0]) for row in (self.model / "results.csv").read_text().splitlines()[1:]]

    def start(self, **environment: str) -> subprocess.Popen[str]:
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(NO_NETWORK)
        self.printed.clear()
        return subprocess.Popen(
            ["/bin/sh", str(self.root / "input/data/code/entry.sh")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={
                "PATH": f"{TRAINING}:/usr/bin:/bin",
                "HOME": str(self.folder),
                "PYTHONPATH": str(site),
                "NETWORK_LOG": str(self.network_log),
                **environment,
            },
        )

    def run(self, on_line: Callable[[subprocess.Popen[str], str], None] | None = None, **environment: str) -> int:
        """Run the container to its end, or to the deadline; `on_line` sees every line as it comes."""
        with self.start(**environment) as process:
            watchdog = threading.Timer(self.deadline_seconds, process.kill)
            watchdog.start()
            try:
                assert process.stdout
                for line in process.stdout:
                    self.printed.append(line)
                    if on_line:
                        on_line(process, line)
                return process.wait()
            finally:
                watchdog.cancel()
                process.kill()

    def meets(self, model: bytes, run_id: str = "rooms-20251231T000000-00000000") -> None:
        """Have the best model so far come to the job."""
        (self.root / "input/data/champion").mkdir(exist_ok=True)
        (self.root / "input/data/champion/best.pt").write_bytes(model)
        (self.root / "input/config").mkdir(exist_ok=True)
        (self.root / "input/config/hyperparameters.json").write_text(json.dumps({"champion": run_id}))

    def emptied(self, folder: Path) -> Host:
        """A fresh host with the same channels, on which only the checkpoints were restored."""
        shutil.copytree(self.root / "input", folder / "opt/ml/input")
        if self.checkpoints.is_dir():
            shutil.copytree(self.checkpoints, folder / "opt/ml/checkpoints")
        return Host(folder)


def signal_at(number: signal.Signals, text: str, delay: float) -> Callable[[subprocess.Popen[str], str], None]:
    sent: list[bool] = []

    def react(process: subprocess.Popen[str], line: str) -> None:
        if text in line and not sent:
            sent.append(True)
            time.sleep(delay)
            process.send_signal(number)

    return react


def draw_dataset(folder: Path, counts: dict[str, int]) -> None:
    """Plans of two rooms each, rectangles on white."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            image = np.full((SIZE, SIZE, 3), 255, np.uint8)
            rows = []
            for left in (2, SIZE // 2):
                x, y = left + int(random.integers(0, 6)), int(random.integers(2, 20))
                right, bottom = x + int(random.integers(14, 22)), y + int(random.integers(14, 40))
                cv2.rectangle(image, (x, y), (right, bottom), (0, 0, 0), 2)
                corners = (x, y, right, y, right, bottom, x, bottom)
                rows.append("0 " + " ".join(f"{value / SIZE:.5f}" for value in corners))
            cv2.imwrite(str(folder / f"images/{split}/plan {number}.png"), image)
            (folder / f"labels/{split}/plan {number}.txt").write_text("\n".join(rows) + "\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [room]\ndownload: touch /hacked\n")


def manifest_of(data: Path) -> bytes:
    """The manifest of a dataset as it is now."""
    source = open_path(data)
    description, problems = describe(source.read("data.yaml"), "data.yaml")
    assert description, problems
    splits, _ = resolve(description, source.files, source.read)
    return manifest(source, splits)


def make_host(folder: Path, data: Path, **changes: Any) -> Host:
    """A host with code, job, manifest and dataset in its channels; a zip comes as an archive below a top folder."""
    host = Host(folder)
    channels = host.root / "input/data"
    for name, content in code().items():
        (channels / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (channels / "code" / name).write_bytes(content)
    (channels / "dataset").mkdir()
    if data.is_dir():
        shutil.copytree(data, channels / "dataset", dirs_exist_ok=True)
        source = {"form": "folder", "file": None, "root": ""}
    else:
        shutil.copy(data, channels / "dataset/rooms.zip")
        (channels / "dataset/rooms.zip.bak").write_text("a neighbour that S3Prefix brings along")
        source = {"form": "archive", "file": "rooms.zip", "root": "top/"}
    job = {
        "run_id": "rooms-20260101T000000-00000000",
        "dataset": "rooms",
        "task": "segment",
        "model": "yolov8n-seg.yaml",
        "arguments": {
            "epochs": 2,
            "imgsz": SIZE,
            "batch": 4,
            "patience": 20,
            "seed": 0,
            "optimizer": "AdamW",
            "lr0": 0.002,
            "warmup_epochs": 1,
            "mosaic": 0.0,
            "nbs": 4,
            "workers": 0,
            "amp": False,
            "plots": False,
            "pretrained": False,
            "deterministic": False,
        },
        "data": {**source, "names": {"0": "room"}},
        "manifest": FILE,
    }
    arguments = {**job["arguments"], **changes.pop("arguments", {})}  # type: ignore[dict-item]
    (channels / "config").mkdir()
    (channels / "config" / FILE).write_bytes(manifest_of(data))
    (channels / "config/job.json").write_text(json.dumps({**job, **changes, "arguments": arguments}))
    return host
