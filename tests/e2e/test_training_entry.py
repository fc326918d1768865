"""The training entry as a container runs it: entry.sh below a root of its own, with real trainings of a few seconds."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.training_host import METRIC, REPOSITORY, TRAINING, Host, draw_dataset, make_host, signal_at
from tests.without_torch import commands
from training_entry.checkpoints import Store


@pytest.fixture(scope="module")
def folder_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    draw_dataset(folder, {"train": 12, "val": 4})
    return folder


@pytest.fixture(scope="module")
def zip_dataset(folder_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "rooms.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(folder_dataset.rglob("*")):
            packed.write(file, Path("top", file.relative_to(folder_dataset)))
    return path


@pytest.fixture(scope="module")
def finished(zip_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host after a whole training of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    host = make_host(folder, zip_dataset)
    assert host.run() == 0, host.log
    yield host
    shutil.rmtree(folder)


def test_a_training_publishes_model_metrics_and_samples(finished: Host) -> None:
    names = {path.relative_to(finished.model).as_posix() for path in finished.model.rglob("*")}
    assert names >= {"best.pt", "best.onnx", "metrics.json", "results.csv", "args.yaml"}
    metrics = finished.metrics()
    assert (metrics["task"], metrics["names"], metrics["epochs_trained"], metrics["host_starts"]) == (
        "segment",
        ["room"],
        2,
        1,
    )
    assert metrics["classes"]["room"]["instances"] == metrics["validation_instances"] == 8
    assert {"map50_mask", "map50_95_mask", "map50_box", "precision_mask", "recall_box"} <= metrics.keys()
    told = metrics["predictions"]
    samples = sorted(finished.model.glob("samples/*.jpg"))
    assert [path.name for path in samples] == [one["file"] for one in told["samples"]]
    assert sorted(path.name[2:] for path in samples) == [f"plan-{number}.jpg" for number in range(4)]
    assert [one["rank"] for one in told["samples"]] == ["worst", "worst", "best", "best"]
    assert told["images"] == 4
    assert sum(told["matrix"][0]) == 8  # every true room is found, or is not
    for path in samples:
        assert path.stat().st_size <= 150_000
        assert cv2.imread(str(path)) is not None


def test_every_epoch_has_one_metric_line(finished: Host) -> None:
    assert len(METRIC.findall(finished.log)) == 2
    lines = [line for line in finished.printed if line.startswith("METRIC ")]
    assert [line.split()[1] for line in lines] == ["epoch=1;", "epoch=2;"]
    for name in ("epochs", "seconds", "box_loss", "seg_loss", "val_seg_loss", "map50_95_box", "lr"):
        assert re.search(rf"\b{name}=[0-9.eE+-]+;", lines[0]), name
    assert finished.csv_epochs() == [1, 2]


def test_nothing_looks_for_the_network(finished: Host) -> None:
    assert not finished.network_log.exists(), finished.network_log.read_text()


def asked_of_onnx(host: Host, program: str) -> str:
    """What a program prints that has best.onnx as `session`."""
    opened = (
        "import json, sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
    )
    return subprocess.run(
        [TRAINING / "python", "-c", opened + program, str(host.model / "best.onnx")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_best_onnx_runs(finished: Host) -> None:
    answer = asked_of_onnx(
        finished,
        "given = session.get_inputs()[0]\n"
        "found = session.run(None, {given.name: numpy.zeros(given.shape, numpy.float32)})\n"
        "print(given.shape, [part.shape for part in found])\n",
    )
    assert answer == "[1, 3, 64, 64] [(1, 37, 84), (1, 32, 16, 16)]\n"


def test_best_onnx_was_compared_with_best_pt_and_says_how_to_use_it(finished: Host, tmp_path: Path) -> None:
    compared = finished.metrics()["onnx"]
    assert compared["images"] == 4
    assert compared["largest_difference"] <= compared["tolerance"] == 0.001
    assert "missing" not in finished.metrics()
    written = json.loads(asked_of_onnx(finished, "print(json.dumps(session.get_modelmeta().custom_metadata_map))\n"))
    assert (
        written.items()
        >= {
            "task": "segment",
            "names": "{0: 'room'}",
            "imgsz": "[64, 64]",
            "stride": "32",
            "letterbox_value": "114",
            "pixel_divisor": "255",
            "colour_order": "RGB",
            "confidence": "0.25",
            "iou": "0.7",
            "max_detections": "300",
        }.items()
    )
    image = tmp_path / "plan.png"
    cv2.imwrite(str(image), np.full((48, 64, 3), 255, np.uint8))
    asked = ["polygons", "--model", finished.model / "best.pt", "--image", image]
    ((code, out, err),) = commands(asked, folder=tmp_path)
    assert (code, err) == (0, "")
    assert json.loads(out).items() >= {"width": 64, "height": 48}.items()


def test_a_restart_after_the_end_publishes_the_same_again(finished: Host, tmp_path: Path) -> None:
    host = finished.emptied(tmp_path)
    assert host.run() == 0, host.log
    assert "ALREADY FINISHED" in host.log
    assert not METRIC.search(host.log)
    assert host.metrics() == {**finished.metrics(), "host_starts": 2}
    assert host.csv_epochs() == [1, 2]
    assert (host.model / "best.pt").read_bytes() == (finished.model / "best.pt").read_bytes()
    assert (host.model / "best.onnx").stat().st_size == (finished.model / "best.onnx").stat().st_size
    assert len(list(host.model.glob("samples/*.jpg"))) == 4


def test_the_best_so_far_is_measured_beside_the_new_model_and_a_damaged_one_or_code_ends_no_training(
    finished: Host, tmp_path: Path
) -> None:
    host = finished.emptied(tmp_path / "first")
    (host.checkpoints / "done.json").unlink()
    host.meets((finished.model / "best.pt").read_bytes())
    assert host.run() == 0, host.log
    metrics, before = host.metrics(), finished.metrics()
    rival = metrics.pop("champion")
    assert rival.pop("run_id") == "rooms-20251231T000000-00000000"
    assert {"map50_95_mask", "map50_95_box", "classes", "validation_images"} <= rival.keys()
    assert rival == {name: before[name] for name in rival}
    assert metrics == {**before, "host_starts": 2}
    again = host.emptied(tmp_path / "second")
    again.meets(b"", "rooms-20260101T000000-11111111")
    with zipfile.ZipFile(again.root / "input/data/champion/best.pt", "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps(Touch(str(tmp_path / "hacked")), protocol=2))
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    assert again.run() == 0, again.log
    rival = again.metrics()["champion"]
    assert (rival["run_id"], rival["not_measured"]) == ("rooms-20260101T000000-11111111", "damaged")
    assert "its best.pt cannot be loaded" in rival["reason"]
    assert not (tmp_path / "hacked").exists()


def test_a_run_that_stopped_early_and_was_killed_before_its_delivery_trains_no_further(
    finished: Host, tmp_path: Path
) -> None:
    host = finished.emptied(tmp_path)
    (host.checkpoints / "done.json").unlink()
    store = Store(host.checkpoints, "rooms-20260101T000000-00000000")
    generation = store.restore()
    assert generation
    generation.unpack(tmp_path / "files")
    shutil.rmtree(host.checkpoints)
    files = {path.name: path for path in (tmp_path / "files").iterdir()}
    Store(host.checkpoints, store.run_id).save(1, finished=True, files=files)
    assert host.run() == 0, host.log
    assert "ALREADY FINISHED" in host.log
    metrics = host.metrics()
    assert (metrics["epochs_trained"], metrics["stopped_early"]) == (1, True)
    assert metrics["validation_instances"] == 8
    assert (host.checkpoints / "done.json").is_file()


def test_a_torn_checkpoint_gives_way_to_the_one_before(finished: Host, tmp_path: Path) -> None:
    host = finished.emptied(tmp_path)
    (host.checkpoints / "done.json").unlink()
    newest = host.checkpoints / "b.zip"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert host.run() == 0, host.log
    assert "CHECKPOINT REJECTED b.zip: " in host.log
    assert "RESUME from epoch 1\n" in host.log
    assert host.csv_epochs() == [1, 2]
    assert host.metrics()["resumed_from_epochs"] == [1]


def test_without_a_whole_checkpoint_the_training_starts_afresh_and_says_so(finished: Host, tmp_path: Path) -> None:
    host = finished.emptied(tmp_path)
    for slot in ("a.zip", "b.zip"):
        os.truncate(host.checkpoints / slot, 5_000_000)
    host.run(signal_at(signal.SIGKILL, "FRESH start", 0))
    assert "CHECKPOINT REJECTED a.zip: " in host.log
    assert "CHECKPOINT REJECTED b.zip: " in host.log
    assert "FRESH start" in host.log


def test_a_killed_training_resumes_at_its_epoch_on_a_fresh_host(folder_dataset: Path, tmp_path: Path) -> None:
    killed = make_host(tmp_path / "first", folder_dataset, arguments={"epochs": 5})
    killed.run(signal_at(signal.SIGKILL, "METRIC epoch=2;", 0))
    assert (killed.model / "best.pt").is_file()
    host = killed.emptied(tmp_path / "second")
    assert host.run() == 0, host.log
    resumed = re.search(r"^RESUME from epoch (\d+)$", host.log, re.MULTILINE)
    assert resumed, host.log
    saved = int(resumed[1])  # the next epoch trains while the line comes
    assert 2 <= saved < 5
    assert [line.split()[1] for line in host.printed if line.startswith("METRIC ")] == [
        f"epoch={epoch};" for epoch in range(saved + 1, 6)
    ]
    assert host.csv_epochs() == [1, 2, 3, 4, 5]
    metrics = host.metrics()
    assert (metrics["epochs_trained"], metrics["host_starts"], metrics["resumed_from_epochs"]) == (5, 2, [saved])


def test_sigterm_delivers_the_best_model_so_far(folder_dataset: Path, tmp_path: Path) -> None:
    host = make_host(tmp_path, folder_dataset, arguments={"epochs": 50})
    host.meets(b"never looked at")
    sent: list[float] = []

    def stop(process: subprocess.Popen[str], line: str) -> None:
        if "METRIC epoch=1;" in line:
            sent.append(time.monotonic())
            process.terminate()

    assert host.run(stop) == 143, host.log
    assert time.monotonic() - sent[0] < 20
    stopped = re.search(r"^STOPPED after epoch (\d+)", host.log, re.MULTILINE)
    assert stopped, host.log
    assert 1 <= int(stopped[1]) < 50  # the next epoch trains while the line comes
    assert not (host.root / "output/failure").exists()
    assert (host.model / "best.pt").is_file()
    assert (host.model / "best.onnx").is_file()
    assert host.metrics()["epochs_trained"] == int(stopped[1])
    assert "champion" not in host.metrics()
    assert host.csv_epochs() == list(range(1, int(stopped[1]) + 1))


def test_pretrained_weights_come_from_their_channel(finished: Host, folder_dataset: Path, tmp_path: Path) -> None:
    host = make_host(
        tmp_path, folder_dataset, model="yolov8n-seg.pt", arguments={"epochs": 1, "pretrained": True, "plots": True}
    )
    weights = host.root / "input/data/weights"
    weights.mkdir()
    shutil.copy(finished.model / "best.pt", weights / "yolov8n-seg.pt")
    assert host.run() == 0, host.log
    found = re.search(r"^TRANSFERRED (\d+) of (\d+) layers from yolov8n-seg\.pt$", host.log, re.MULTILINE)
    assert found
    assert int(found[1]) == int(found[2]) > 0
    assert not host.network_log.exists(), host.network_log.read_text()
    assert {path.name for path in host.model.glob("*.png")} >= {"results.png", "confusion_matrix.png"}
    assert not (host.model / "pretrained").exists()


def test_a_pt_that_is_code_is_refused_and_not_run(folder_dataset: Path, tmp_path: Path) -> None:
    host = make_host(tmp_path, folder_dataset, model="s3://artifacts/models/x/best.pt")
    weights = host.root / "input/data/weights"
    weights.mkdir()
    with zipfile.ZipFile(weights / "best.pt", "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps(Touch(str(tmp_path / "hacked")), protocol=2))
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    assert host.run() == 12, host.log
    assert host.failure.startswith("s3://artifacts/models/x/best.pt cannot be loaded as a YOLO model")
    assert not (tmp_path / "hacked").exists()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.place, "w")


def test_a_hostile_zip_is_refused(tmp_path: Path, zip_dataset: Path) -> None:
    host = make_host(tmp_path / "host", zip_dataset)
    hostile = zip_dataset.read_bytes().replace(b"top/images/val/plan 0.png", b"top/../../../outside1.png")
    (host.root / "input/data/dataset/rooms.zip").write_bytes(hostile)
    assert host.run() == 11, host.log
    assert "a path that leaves its folder" in host.failure
    assert not list(tmp_path.rglob("outside1.png"))


def changed(dataset: Path, target: Path, files: dict[str, bytes]) -> Path:
    """A copy of a dataset in which some files are others."""
    shutil.copytree(dataset, target)
    for name, content in files.items():
        (target / name).write_bytes(content)
    return target


def test_labels_that_cannot_be_read_are_named(folder_dataset: Path, tmp_path: Path) -> None:
    labels = {f"labels/train/plan {number}.txt": b"0 a b c d\n" for number in range(12)}
    host = make_host(tmp_path, changed(folder_dataset, tmp_path / "set", labels))
    assert host.run() == 11, host.log
    assert "images/train/plan 0.png: labels/train/plan 0.txt:1: " in host.failure
    assert len(host.failure.splitlines()) == 1
    assert "FRESH start" not in host.log


def test_what_slipped_through_the_check_is_left_out_and_what_came_after_it_is_not_used(
    folder_dataset: Path, tmp_path: Path
) -> None:
    """Of each kind one would end ultralytics' training, be dropped in silence, or make it another one."""
    slipped = {
        "labels/train/plan 0.txt": b"0 0.5 0.5 0.2 0.2\n",
        "labels/train/plan 1.txt": b"7 0.1 0.1 0.9 0.1 0.9 0.9\n",
        "images/train/plan 2.png": b"<html>404</html>",
    }
    dataset = changed(folder_dataset, tmp_path / "set", slipped)
    (dataset / "labels/train/plan 3.txt").unlink()
    host = make_host(tmp_path / "host", dataset, arguments={"epochs": 1})
    channel = host.root / "input/data/dataset"
    (channel / "labels/train/plan 3.txt").write_text("0 a b c d\n")
    shutil.copy(channel / "images/train/plan 4.png", channel / "images/train/new.png")
    shutil.copy(channel / "labels/train/plan 4.txt", channel / "labels/train/new.txt")
    assert host.run() == 0, host.log
    left_out = [line.split(": ")[0] for line in host.printed if line.startswith("LEFT OUT ")]
    assert left_out == [f"LEFT OUT images/train/plan {number}.png" for number in (0, 1, 2)]
    scanned = re.findall(r"(\d+) images, (\d+) backgrounds, (\d+) corrupt", host.log)
    assert scanned[-2:] == [("8", "1", "0"), ("4", "0", "0")], scanned
    assert "UNUSABLE" not in host.log
    assert host.metrics()["left_out"] == 3


def test_only_what_is_missing_is_installed_and_the_image_stays_as_it_is(tmp_path: Path, folder_dataset: Path) -> None:
    host = make_host(tmp_path, folder_dataset)
    (host.root / "input/data/code/train.py").write_text("import sys, tiny_package\nprint(sys.argv, tiny_package)\n")
    wheel = tmp_path / "wheels/tiny_package-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("tiny_package.py", "")
        packed.writestr(
            "tiny_package-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\nRequires-Dist: torch==0.0\n",
        )
        packed.writestr(
            "tiny_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr("tiny_package-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirements = f"tiny-package==1.0 \\\n    --hash=sha256:{digest}\n"
    (host.root / "input/data/code/requirements.txt").write_text(requirements)
    pip: dict[str, Any] = {
        "PATH": f"{REPOSITORY / '.venvs/uv/bin'}:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(wheel.parent),
    }
    assert host.run(**pip) == 0, host.log
    assert "Installing: tiny-package==1.0" in host.log
    assert f"{tmp_path}/tmp/traindrop/packages/tiny_package.py" in host.log
    assert f"'{tmp_path}/opt/ml', '{tmp_path}/tmp/traindrop'" in host.log
    assert host.run(**pip) == 0, host.log
    assert "Installing" not in host.log


def test_sigterm_before_the_first_epoch_is_done_ends_quickly_and_without_a_model(
    folder_dataset: Path, tmp_path: Path
) -> None:
    host = make_host(tmp_path, folder_dataset)
    assert host.run(signal_at(signal.SIGTERM, "FRESH start", 0)) == 143, host.log
    assert "STOPPED before the first epoch was done" in host.log
    assert not (host.root / "output/failure").exists()
    assert not (host.model / "best.pt").exists()


def test_packages_that_cannot_be_installed_are_the_reason(folder_dataset: Path, tmp_path: Path) -> None:
    host = make_host(tmp_path, folder_dataset)
    with (host.root / "input/data/code/requirements.txt").open("a") as file:
        file.write(f"no-such-package==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    bare = REPOSITORY / ".venvs/uv/bin"
    assert host.run(PATH=f"{bare}:/usr/bin:/bin", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull) == 14, host.log
    assert "could not be installed (ERROR: No matching distribution found for" in host.failure
