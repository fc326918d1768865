"""A training goes on from its last epoch, whenever its host is taken away and whatever it was writing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from local_cloud.process import ROOT
from local_cloud.sagemaker.checkpoints import CheckpointSync
from tests.contract.bucket import Bucket
from tests.faults.conftest import Rows
from tests.faults.training import epochs_of, hosts, plans, resumed_from
from tests.stack import Stack
from training_entry.checkpoints import Store

SEED = 5
INTERRUPTIONS, EPOCHS = 5, 36
KILLS, RUN, PREFIX = 20, "rooms-20260101T000000-00000000", "s3://artifacts/checkpoints/rooms"
SIZES = {"last.pt": 20_000_000, "best.pt": 13_000_000, "results.csv": 20_000}
BOUNDARIES = ("before fsync", "before rename", "after rename")
WRITER = """
import os, sys, time
from pathlib import Path
from training_entry.checkpoints import Store

root, first, target, boundary = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sizes = {sizes}
store, here = Store(root / "checkpoints", {run!r}), {{}}
store.restore()

def at(moment):
    if boundary == moment and here.get("epoch") == target:
        print("AT", moment, flush=True)
        time.sleep(300)

fsync, replace = os.fsync, Path.replace
def stopping_fsync(file):
    at("before fsync")
    fsync(file)
def stopping_replace(self, name):
    at("before rename")
    answer = replace(self, name)
    at("after rename")
    return answer
os.fsync, Path.replace = stopping_fsync, stopping_replace

for epoch in range(first, first + 100):
    here["epoch"] = epoch
    files = {{name: root / name for name in sizes}}
    for name, size in sizes.items():
        files[name].write_bytes(b"%08d" % epoch * (size // 8))
    print("SAVING", epoch, flush=True)
    store.save(epoch, finished=False, files=files)
    print("SAVED", epoch, flush=True)
"""


@pytest.mark.long
def test_a_job_that_is_interrupted_at_random_moments_resumes_each_time(
    real_stack: Stack, row: Rows, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    moments = [round(chance.uniform(0, 2.5), 2) for _ in range(INTERRUPTIONS)]
    line = row(
        5,
        fault="spot interruption at random moments, each on an emptied host",
        injected=f"a real training job killed {INTERRUPTIONS} times, {moments} s after its host's first epoch",
        promise="resumes",
    )
    name = "interrupted"
    real_stack.cloud.inject({"training": {"interrupt_after_seconds": moments}})
    real_stack.drop_zip(name, plans(tmp_path / "plans", epochs=EPOCHS))
    execution = real_stack.ended(name, within=420)
    (job,) = real_stack.jobs(execution["name"])
    logs = hosts(real_stack, job["TrainingJobName"])
    taken = sum(1 for item in job["SecondaryStatusTransitions"] if item["Status"] == "Interrupted")
    done = [epochs_of(lines) for lines in logs]
    repeated = [len(set(chain(*done[:number])) & set(done[number])) for number in range(1, len(done))]
    resumes = sum(resumed_from(lines) is not None for lines in logs)
    model = f"models/{name}/{execution['name']}"
    csv = real_stack.s3.get_object(Bucket=real_stack.artifact_bucket, Key=f"{model}/results.csv")["Body"].read()
    rows = [int(text.split(",")[0]) for text in csv.decode().splitlines()[1:]]
    line.figure(
        f"resumes = {resumes}/{taken}, epochs repeated {repeated}, results.csv 1 to {rows[-1]} "
        f"{'without' if rows == list(range(1, EPOCHS + 1)) else 'WITH'} gap or duplicate"
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert (resumes, taken) == (INTERRUPTIONS, INTERRUPTIONS)
    assert max(repeated) <= 1
    assert rows == list(range(1, EPOCHS + 1))
    assert f"{model}/best.pt" in real_stack.artifacts(model)
    message = real_stack.message(name, "Completed", within=60)
    assert f"{EPOCHS} of {EPOCHS} epochs" in message["body"]
    assert f"{INTERRUPTIONS} spot interruptions survived" in message["body"]


class SlowBucket(Bucket):
    """A bucket that takes its time for each object, so that its objects are of different ages."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        time.sleep(self._chance.choice([0, 0, 0.05, 0.2]))
        super().put_object(Bucket=Bucket, Key=Key, Body=Body)


class Life:
    """One host: a process that writes checkpoints, and the sync that carries them to S3 file by file meanwhile."""

    def __init__(self, folder: Path, bucket: Bucket, first: int) -> None:
        self.folder, self.bucket, self.first = folder, bucket, first
        self.saved = first - 1
        self.carried = first - 1
        (folder / "checkpoints").mkdir(parents=True)
        self._sync = CheckpointSync(bucket, PREFIX, folder / "checkpoints")
        self._sync.restore(role_arn="", cancelled=lambda: False)
        self._gone = threading.Event()

    def end(self, target: int, boundary: str, delay: float, *, last_sync: bool) -> None:
        """Kill the process while it writes the target's checkpoint, at a boundary or after a delay."""
        syncing = threading.Thread(target=self._keep_syncing)
        program = WRITER.format(sizes=SIZES, run=RUN)
        arguments = [str(self.folder), str(self.first), str(target), boundary]
        with subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        ) as process:
            watchdog = threading.Timer(120, process.kill)
            watchdog.start()
            syncing.start()
            try:
                assert process.stdout
                for text in process.stdout:
                    if text.startswith("SAVED"):
                        self.saved = int(text.split()[1])
                    if text == f"AT {boundary}\n" or (not boundary and text == f"SAVING {target}\n"):
                        time.sleep(delay)
                        process.send_signal(signal.SIGKILL)
            finally:
                process.kill()
                watchdog.cancel()
                self._gone.set()
                syncing.join()
        assert process.returncode == -signal.SIGKILL
        if last_sync:
            self._push()

    @property
    def was_writing(self) -> bool:
        """Whether it died with a half-written checkpoint."""
        return any((self.folder / "checkpoints").glob(".*.tmp"))

    def _keep_syncing(self) -> None:
        while not self._gone.is_set():
            self._push()
            time.sleep(0.05)

    def _push(self) -> None:
        saved = self.saved
        self._sync.push()
        self.carried = saved


def newest_whole(folder: Path) -> int:
    """The newest epoch of which every byte is there, looked up without the store's own means; 0 if there is none."""
    whole = [0]
    for place in folder.glob("?.zip"):
        try:
            with zipfile.ZipFile(place) as packed:
                epoch = int(json.loads(packed.read("manifest.json"))["epoch"])
                if all(packed.read(name) == b"%08d" % epoch * (size // 8) for name, size in SIZES.items()):
                    whole.append(epoch)
        except (OSError, zipfile.BadZipFile, KeyError, ValueError):
            continue
    return max(whole)


@pytest.mark.long
def test_a_kill_while_a_checkpoint_is_written_leaves_the_right_one(row: Rows, tmp_path: Path) -> None:
    line = row(
        5,
        fault="SIGKILL mid-checkpoint, sync to S3 file by file at any moment",
        injected=f"{KILLS} kills of a process that writes 33 MB: {KILLS - 6} at random moments (seed {SEED}), 6 "
        "between write, fsync and rename; half of them with no last sync",
        promise="resumes",
    )
    chance = random.Random(SEED)
    bucket = SlowBucket(chance)
    first, right, writing = 1, 0, 0
    lost = {True: 0, False: 0}
    wrong: list[Any] = []
    for number in range(KILLS):
        life = Life(tmp_path / f"host-{number}", bucket, first)
        boundary = BOUNDARIES[number // 3 % 3] if number % 3 == 0 and number < 18 else ""
        delay = 0.0 if boundary else chance.uniform(0, 0.25)
        last_sync = chance.random() < 0.5
        life.end(first + chance.randrange(3), boundary, delay, last_sync=last_sync)
        writing += life.was_writing
        fresh = tmp_path / f"emptied-{number}"
        CheckpointSync(bucket, PREFIX, fresh).restore(role_arn="", cancelled=lambda: False)
        expected = newest_whole(fresh)
        generation = Store(fresh, RUN).restore()
        epoch = generation.epoch if generation else 0
        lost[last_sync] += max(0, life.saved - epoch)
        if epoch == expected and life.carried <= epoch <= life.saved + 1:
            right += 1
        else:
            wrong.append((number, boundary, epoch, expected, life.carried, life.saved))
        if generation:
            generation.unpack(tmp_path / "unpacked")
            content = (tmp_path / "unpacked/last.pt").read_bytes()
            assert content == b"%08d" % epoch * (SIZES["last.pt"] // 8)
        first = epoch + 1
    line.figure(
        f"resumes = {right}/{KILLS} ({writing} died half-way through a file); whole epochs lost with a last sync: "
        f"{lost[True]}, without: {lost[False]}"
    )
    assert not wrong
    assert lost[True] == 0
    assert right == KILLS
    assert writing >= KILLS // 4
