"""Trainings side by side on one machine: the entry's as a container runs it, and plain ultralytics, arguments equal.

The processes take turns at the end of every epoch's training, so that all of them see the same machine; each tells its
clock and its processor time there. Neither knows of the other, and ultralytics' code is the same in both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.patched_imports import PATCHED_IMPORTS
from tests.training_host import TRAINING, Host, make_host

ARGUMENTS: dict[str, Any] = {
    "imgsz": 160,
    "batch": 8,
    "patience": 0,
    "seed": 0,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 1,
    "mosaic": 0.0,
    "nbs": 8,
    "workers": 0,
    "amp": False,
    "plots": False,
    "pretrained": False,
    "deterministic": True,
}
CALM = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "MPLBACKEND": "Agg",
}
HOOK = """
import os, time
EVENTS = ["on_pretrain_routine_start", "on_train_start", "on_train_batch_end", "on_train_epoch_end", "on_fit_epoch_end"]
told = set()
ours = [0.0]

def tell(event):
    moments = f"{time.perf_counter():.4f} {time.process_time():.4f} {sum(ours):.4f}"
    print(f"\\nTICK {event} {moments}\\n", end="", flush=True)

def trainer(module):
    run = module.BaseTrainer.run_callbacks
    def ticking(self, event):
        run(self, event)
        if event in EVENTS and (event not in told or event == "on_train_epoch_end"):
            told.add(event)
            tell(event)
            if event == "on_train_epoch_end" and "TURN" in os.environ:
                open(os.environ["TURN"]).read()
                tell("turn")
    module.BaseTrainer.run_callbacks = ticking

def epochs(module):
    def timed(work):
        def timing(*args):
            begun = time.thread_time()
            try:
                return work(*args)
            finally:
                ours.append(time.thread_time() - begun)
        return timing
    for name, work in list(vars(module.Epochs).items()):
        if name == "_write" or name.startswith("on_"):
            setattr(module.Epochs, name, timed(work))

PATCHES = {"ultralytics.engine.trainer": trainer, "training_entry.epochs": epochs}
"""
PLAIN = """
import json, sys, time
from ultralytics import YOLO
print(f"LOADED {time.time():.4f}", flush=True)
model, arguments = json.loads(sys.argv[1])
YOLO(model).train(**arguments)
"""


@dataclass(frozen=True)
class Tick:
    """An event of a training: seconds by its clock, processor seconds so far, and those that our callbacks took."""

    event: str
    clock: float
    processor: float
    callbacks: float


@dataclass
class Trained:
    """A training that is under way: what it prints, where it waits for its turn, and when it began (monotonic)."""

    process: subprocess.Popen[str]
    turn: Path
    begun: float

    def until(self, text: str) -> str:
        """The next line that begins so.

        Raises:
            RuntimeError: the training ended before; its last lines.
        """
        seen: list[str] = []
        for line in self.process.stdout or ():
            seen.append(line)
            if line.startswith(text):
                return line
        raise RuntimeError(f"no {text!r} in: {''.join(seen[-30:])}")

    def tick(self, event: str) -> Tick:
        """The next tick of an event."""
        _, name, *numbers = self.until(f"TICK {event} ").split()
        return Tick(name, *map(float, numbers))

    def go(self) -> None:
        """Give it its turn."""
        self.turn.write_text("")


@contextmanager
def started(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Trained]:
    """A training in a folder of its own, ended with all it started."""
    site, turn = folder / "site", folder / "turn"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(HOOK + PATCHED_IMPORTS)
    if not turn.exists():
        os.mkfifo(turn)
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={
            "PATH": f"{TRAINING}:/usr/bin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(site),
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
    )
    try:
        yield Trained(process, turn, begun)
    finally:
        process.kill()
        if process.stdout:
            process.stdout.close()
        process.wait()


def entry(host: Host, **environment: str) -> Any:
    """The entry's training on a host."""
    return started(["/bin/sh", str(host.root / "input/data/code/entry.sh")], host.folder, environment)


def plain(folder: Path, model: str, arguments: Mapping[str, Any], **environment: str) -> Any:
    """Ultralytics' own training, whose results are written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = json.dumps([model, {**arguments, "device": "cpu", "save_dir": str(folder / "run"), "exist_ok": True}])
    calm = {**CALM, "YOLO_CONFIG_DIR": str(folder / "config"), **environment}
    return started([str(TRAINING / "python"), "-c", PLAIN, given], folder, calm)


def host_of(folder: Path, data: Path, **arguments: Any) -> Host:
    """A host whose job trains on a dataset with the benchmark's arguments, and those given."""
    return make_host(folder, data, arguments={**ARGUMENTS, **arguments})


def copied(data: Path, target: Path) -> Path:
    """A copy of a dataset without ultralytics' caches; its data.yaml."""
    shutil.copytree(data, target, ignore=shutil.ignore_patterns("*.cache", "*.npy"))
    text = (target / "data.yaml").read_text().replace("path: .", f"path: {target}")
    (target / "data.yaml").write_text(text)
    return target / "data.yaml"
