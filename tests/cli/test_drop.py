"""`traindrop drop` on the local cloud: from a folder or a zip on disk to a run, through interruptions."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, environment
from tests.pictures import chunk
from tests.stack import Stack, dataset_files, eventually, png, zipped
from traindrop.drops import RUN_ID
from traindrop.upload import composite, crc32

PART = 8 * 1024**2
BIG = ("north", "east", "south", "west")
"""What the parts of a large dataset hold, in the order of its images."""


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """A small dataset called as its folder, which is unlike that of any other test."""
    name = f"rooms-{random.SystemRandom().getrandbits(32):x}z"
    return write(tmp_path / name, dataset_files(marker=name))


@pytest.fixture
def large(rooms: Path) -> Path:
    """The same with four images, each as large as a part, with words half-way by which it is known."""
    for number, word in enumerate(BIG):
        filler = random.Random(number).randbytes(PART // 2)
        image = png(f"{rooms.name}{number}")
        content = image[:33] + chunk(b"tEXt", b"Comment\0" + filler + f"{word} wing".encode() + filler) + image[33:]
        write(rooms, {f"images/train/large{number}.png": content, f"labels/train/large{number}.txt": b""})
    return rooms


def object_of(stack: Stack, dataset: str) -> bytes:
    body: bytes = stack.s3.get_object(Bucket=stack.dataset_bucket, Key=f"datasets/{dataset}.zip")["Body"].read()
    return body


def in_zip(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {name: archive.read(name) for name in archive.namelist()}


def on_disk(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_packed_uploaded_and_trained(traindrop: Command, stack: Stack, rooms: Path) -> None:
    write(rooms, {".DS_Store": b"x", "labels/train.cache": b"x", "weights.pt": b"x", "images/train/Thumbs.db": b"x"})
    done = traindrop("drop", rooms)
    assert (done.returncode, done.stderr) == (0, "")
    ended = stack.ended(rooms.name)
    assert ended["status"] == "SUCCEEDED"
    assert f"Its run is {ended['name']}." in done.stdout
    assert f"traindrop watch {ended['name']}" in done.stdout
    assert "without 1 that no training reads, such as weights.pt" in done.stdout
    sent = in_zip(object_of(stack, rooms.name))
    assert sent == dataset_files(marker=rooms.name)
    assert list(sent)[:2] == ["data.yaml", "training.yaml"]
    assert [name.split("/")[0] for name in list(sent)[2:]] == ["labels"] * 6 + ["images"] * 6


def test_settings_of_the_command_line_are_sent_and_the_disk_is_left_alone(
    traindrop: Command, stack: Stack, rooms: Path
) -> None:
    before = on_disk(rooms)
    done = traindrop("drop", rooms, "--epochs", "2", "--set", "train.degrees=10", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert RUN_ID.fullmatch(told["run_id"])
    assert stack.ended(rooms.name)["name"] == told["run_id"]
    settings = stack.run(told["run_id"])["settings"]
    assert (settings["epochs"], settings["imgsz"], settings["train"]) == (2, 64, {"degrees": 10})
    assert on_disk(rooms) == before


def test_a_zip_is_uploaded_as_it_is_and_packed_anew_where_settings_differ(
    traindrop: Command, stack: Stack, tmp_path: Path, rooms: Path
) -> None:
    content = zipped({f"top/{name}": data for name, data in on_disk(rooms).items()})
    (tmp_path / "plans.zip").write_bytes(content)
    name = f"{rooms.name}-zip"
    done = traindrop("drop", "plans.zip", "--name", name)
    assert done.returncode == 0, done.stderr
    assert object_of(stack, name) == content
    assert stack.ended(name)["status"] == "SUCCEEDED"
    done = traindrop("drop", "plans.zip", "--name", f"{name}-again", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert "with epochs: 1 in its training.yaml" in done.stdout
    sent = in_zip(object_of(stack, f"{name}-again"))
    assert "epochs: 1\n" in sent.pop("training.yaml").decode()
    expected = on_disk(rooms)
    assert sent == {name: data for name, data in expected.items() if name != "training.yaml"}


def test_a_folder_goes_one_by_one_and_only_what_is_not_there_yet(traindrop: Command, stack: Stack, rooms: Path) -> None:
    done = traindrop("drop", rooms, "--folder", "--json")
    assert done.returncode == 0, done.stderr
    prefix = f"datasets/{rooms.name}/"
    listed = stack.s3.list_objects_v2(Bucket=stack.dataset_bucket, Prefix=prefix)["Contents"]
    assert {item["Key"].removeprefix(prefix) for item in listed} == set(on_disk(rooms))
    training = stack.s3.get_object(Bucket=stack.dataset_bucket, Key=f"{prefix}training.yaml")["Body"].read().decode()
    assert "expect:\n  train: 4\n  val: 2\n  backgrounds: 0\n" in training
    newest = sorted(listed, key=lambda item: item["LastModified"])[-1]["LastModified"]
    assert next(item for item in listed if item["Key"] == f"{prefix}data.yaml")["LastModified"] == newest
    assert json.loads(done.stdout)["run_id"] == stack.ended(rooms.name)["name"]
    write(rooms, {"images/train/0.png": png("another")})
    stack.cloud.inject({"api": [{"service": "s3", "operation": "PutObject", "error": "AccessDenied", "times": 99,
                                 "containing": [f"labels/train/{number}.txt"]} for number in range(4)]})  # fmt: skip
    try:
        done = traindrop("drop", rooms, "--folder", "--json")
    finally:
        stack.cloud.clear_faults()
    told = json.loads(done.stdout)
    everything = sum(map(len, on_disk(rooms).values()))
    assert everything > told["bytes_kept"] > 0.5 * everything
    stack.put(f"{prefix}images/train/old.png", png("old"))
    done = traindrop("drop", rooms, "--folder")
    assert done.returncode == 1
    assert "1 objects of another upload lie there" in done.stderr
    assert "images/train/old.png" in done.stderr


def test_what_cannot_train_is_not_uploaded(traindrop: Command, stack: Stack, rooms: Path) -> None:
    write(rooms, {"labels/train/0.txt": b"7 0.1 0.1 0.9 0.1 0.9 0.9\n"})
    for arguments in ((), ("--stack", "nobodys")):
        done = traindrop("drop", rooms, *arguments)
        assert (done.returncode, done.stderr) == (1, "")
        assert "label.class_out_of_range" in done.stdout
        assert "Uploading" not in done.stdout
    done = traindrop("drop", rooms, "--json", "--epochs", "3")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)
    assert not stack.s3.list_objects_v2(Bucket=stack.dataset_bucket, Prefix=f"datasets/{rooms.name}").get("Contents")


def test_what_is_mistyped_is_told_before_anything_is_sent(traindrop: Command, rooms: Path) -> None:
    for arguments, words in (
        (["--name", "a/b"], "no dataset can be called"),
        (["--epochs", "0"], "epochs is 0"),
        (["--set", "epoch=3"], "did you mean 'epochs'?"),
    ):
        done = traindrop("drop", rooms, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
    done = traindrop("drop", rooms, "--stack", "nobodys")
    assert done.returncode == 1
    assert "nothing was uploaded: there is no stack nobodys here" in done.stderr


@contextlib.contextmanager
def stopped_in_the_middle(stack: Stack, tmp_path: Path, dataset: Path, number: int) -> Iterator[str]:
    """What a drop said on stderr that was sent a signal when all of its parts but one had arrived."""
    missing = {"service": "s3", "operation": "UploadPart", "error": "reset", "times": 1000}
    stack.cloud.inject({"api": [{**missing, "containing": [f"{BIG[1]} wing"]}]})
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "traindrop", "drop", str(dataset)],
            cwd=tmp_path,
            env=environment(stack, tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                eventually(lambda: len(parts_of(stack, dataset.name)) >= len(BIG), within=60, what="the other parts")
                process.send_signal(number)
                said = process.communicate(timeout=30)[1]
            finally:
                process.kill()
        assert process.returncode == (130 if number == signal.SIGINT else -number)
    finally:
        stack.cloud.clear_faults()
    yield said


def parts_of(stack: Stack, dataset: str) -> list[Any]:
    """The parts of the unfinished upload of a dataset."""
    uploads = stack.s3.list_multipart_uploads(Bucket=stack.dataset_bucket, Prefix=f"datasets/{dataset}.zip")
    return [
        part
        for upload in uploads.get("Uploads", [])
        for part in stack.s3.list_parts(
            Bucket=stack.dataset_bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        ).get("Parts", [])
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_an_upload_goes_on_with_the_parts_that_are_missing(
    traindrop: Command, stack: Stack, tmp_path: Path, large: Path, number: int
) -> None:
    with stopped_in_the_middle(stack, tmp_path, large, number) as said:
        assert number == signal.SIGKILL or "the same command goes on there" in said
        assert "Traceback" not in said
    arrived = parts_of(stack, large.name)
    assert not stack.executions(large.name)
    again = {"service": "s3", "operation": "UploadPart", "error": "AccessDenied", "times": 99}
    stack.cloud.inject({"api": [{**again, "containing": [f"{word} wing"]} for word in BIG if word != BIG[1]]})
    try:
        done = traindrop("drop", large, "--json")
    finally:
        stack.cloud.clear_faults()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bytes_kept"] == sum(part["Size"] for part in arrived)
    content = object_of(stack, large.name)
    assert in_zip(content) == on_disk(large)
    sums = [crc32(content[start : start + PART]) for start in range(0, len(content), PART)]
    assert told["checksum_crc32"] == composite(sums)
    assert stack.ended(large.name)["status"] == "SUCCEEDED"
    assert not list((tmp_path / ".cache/traindrop/uploads").iterdir())


def test_what_was_changed_meanwhile_is_sent_as_it_is_now(
    traindrop: Command, stack: Stack, tmp_path: Path, large: Path
) -> None:
    with stopped_in_the_middle(stack, tmp_path, large, signal.SIGKILL):
        pass
    image = large / "images/train/large3.png"
    image.write_bytes(image.read_bytes().replace(b"west wing", b"best wing"))
    write(large, {"labels/train/large3.txt": b"0 0.1 0.1 0.9 0.1 0.9 0.9\n"})
    done = traindrop("drop", large, "--json")
    assert done.returncode == 0, done.stderr
    assert in_zip(object_of(stack, large.name)) == on_disk(large)
    assert stack.ended(large.name)["status"] == "SUCCEEDED"


def test_passing_errors_and_lost_answers_are_tried_again(traindrop: Command, stack: Stack, rooms: Path) -> None:
    stack.cloud.inject(
        {
            "api": [
                {"service": "s3", "operation": "CreateMultipartUpload", "error": "SlowDown"},
                {"service": "s3", "operation": "UploadPart", "error": "reset", "after_work": True},
                {"service": "s3", "operation": "CompleteMultipartUpload", "error": "reset", "after_work": True},
            ]
        }
    )
    try:
        done = traindrop("drop", rooms, "--json")
    finally:
        stack.cloud.clear_faults()
    assert done.returncode == 0, done.stderr
    assert stack.ended(rooms.name)["name"] == json.loads(done.stdout)["run_id"]


def test_a_terminal_shows_how_far_it_is(stack: Stack, tmp_path: Path, large: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "traindrop", "drop", str(large), "--json"],
        cwd=tmp_path,
        env={**environment(stack, tmp_path), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says at the end
        while block := os.read(master, 65536):
            shown += block
    os.close(master)
    assert process.wait(60) == 0
    assert b"uploading" in shown
    assert b"33.6 MB" in shown or b"MB/s" in shown
