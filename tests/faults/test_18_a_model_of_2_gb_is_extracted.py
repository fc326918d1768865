"""A model.tar.gz of 2 GB is brought to its place in bounded memory and without a disk."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.config import Config

from tests.faults.conftest import Rows
from tests.faults.test_16_no_archive_reaches_outside import forget, function, most_memory
from tests.stack import Stack

MEGABYTE = 1 << 20
MEMBERS = {"best.pt": 1200, "best.onnx": 846, "metrics.json": 0}


class Packed(io.RawIOBase):
    """The archive, made while it is read: noise, which no packer makes smaller."""

    def __init__(self) -> None:
        self._parts, self._rest = self._pack(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = next(self._parts, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)], self._rest = taken, self._rest[len(taken) :]
        return len(taken)

    def _pack(self) -> Iterator[bytes]:
        noise = random.Random(18).randbytes(MEGABYTE)
        for name, megabytes in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = megabytes * MEGABYTE
            yield gzip.compress(info.tobuf(), 1)
            for number in range(megabytes):
                yield gzip.compress(number.to_bytes(4, "big") + noise[4:], 0)
        yield gzip.compress(bytes(1024), 1)


class Disk:
    """Watches the functions' /tmp while the context lasts; `most` is the most bytes that lay there."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._over = folder, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.most, self.looks = 0, 0

    def __enter__(self) -> Disk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            found = [path.stat().st_size for path in self._folder.glob("*/**/*") if path.is_file()]
            self.most, self.looks = max(self.most, sum(found)), self.looks + 1


@pytest.mark.long
def test_a_model_of_2_gb_is_extracted(stack: Stack, row: Rows) -> None:
    total = sum(MEMBERS.values())
    line = row(
        18,
        fault="a very large model",
        injected=f"a model.tar.gz of {total} MiB of noise, generated and streamed",
        promise="extracted in bounded memory, without a disk",
    )
    run, extract = "two-gigabytes", function(stack, "ExtractModel")
    archive, place = f"training-output/{run}/output/model.tar.gz", f"models/{run}/{run}/"
    stack.cloud.resource("dynamodb").Table(stack.outputs["RunsTableName"]).put_item(
        Item={"run_id": run, "slug": run, "job_name": run, "dataset": run}
    )
    patient = stack.cloud.client("lambda", config=Config(read_timeout=900, retries={"max_attempts": 0}))
    try:
        stack.s3.upload_fileobj(Packed(), stack.artifact_bucket, archive)
        with Disk(stack.cloud.state_dir / "functions") as disk:
            started = time.monotonic()
            answer = patient.invoke(FunctionName=extract, Payload=json.dumps({"run_id": run}))
            seconds = time.monotonic() - started
        said = json.loads(answer["Payload"].read())
        sizes = {name: stack.s3.head_object(Bucket=stack.artifact_bucket, Key=place + name) for name in MEMBERS}
        last = stack.s3.get_object(
            Bucket=stack.artifact_bucket, Key=f"{place}best.onnx", Range=f"bytes={845 * MEGABYTE}-{845 * MEGABYTE + 3}"
        )["Body"].read()
    finally:
        forget(stack, stack.artifact_bucket, archive)
        forget(stack, stack.artifact_bucket, place)
    memory = most_memory(stack, extract)
    line.figure(f"RSS {memory} MB; /tmp {disk.most} bytes in {disk.looks} looks; {total / seconds:.0f} MiB/s")
    assert said["files"] == len(MEMBERS)
    assert {name: found["ContentLength"] >> 20 for name, found in sizes.items()} == MEMBERS
    assert int.from_bytes(last, "big") == 845
    assert memory <= 200
    assert disk.looks > 0
    assert disk.most == 0
