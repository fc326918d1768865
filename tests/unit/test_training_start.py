"""What a training decides before it trains: the job, the device, the weights, the packages; and why it fails."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from training_entry import devices, failure, requirements, weights
from training_entry.failure import BadDataset, BadJob, BadWeights, GpuMissing, OutOfMemory, TrainingError
from training_entry.job import Job, Paths, read_job

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = {
    "run_id": "run",
    "dataset": "rooms",
    "task": "segment",
    "model": "yolov8n-seg.pt",
    "arguments": {"epochs": 3, "imgsz": 1024},
    "data": {
        "form": "archive",
        "file": "rooms.zip",
        "root": "",
        "names": {"10": "k", "2": "c"},
    },
    "manifest": "manifest.json.gz",
}


def write_job(folder: Path, document: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(document))
    return folder


def test_a_job_is_read_with_its_classes_in_order(tmp_path: Path) -> None:
    job = read_job(write_job(tmp_path, DOCUMENT))
    assert (job.epochs, job.form, job.manifest) == (3, "archive", "manifest.json.gz")
    assert list(job.names.items()) == [(2, "c"), (10, "k")]


@pytest.mark.parametrize("change", [{"task": "pose"}, {"data": None}, {"arguments": 3}, {"data": {"form": "tar"}}])
def test_a_job_that_makes_no_sense_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BadJob, match=r"job\.json does not describe a training"):
        read_job(write_job(tmp_path, {**DOCUMENT, **change}))


def test_a_missing_job_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadJob, match="FileNotFoundError"):
        read_job(tmp_path)


def fake_torch(monkeypatch: pytest.MonkeyPatch, *, gpus: int, broken: str = "") -> None:
    torch = ModuleType("torch")

    def zeros(*_: Any, **__: Any) -> Any:
        if broken:
            raise RuntimeError(broken)
        return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 0.0))

    cuda = SimpleNamespace(is_available=lambda: bool(gpus), device_count=lambda: gpus)
    vars(torch).update(__version__="2.10", cuda=cuda, zeros=zeros)
    monkeypatch.setitem(sys.modules, "torch", torch)


@pytest.mark.parametrize(("gpus", "batch", "device"), [(0, 8, "cpu"), (1, 8, "0"), (4, 8, "0,1,2,3"), (4, 2, "0,1")])
def test_every_gpu_that_a_batch_can_feed_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpus: int, batch: int, device: str
) -> None:
    fake_torch(monkeypatch, gpus=gpus)
    assert devices.choose(tmp_path, batch) == device


def test_only_sagemakers_own_gpu_instances_must_have_a_gpu() -> None:
    assert devices.pays_for_gpu(Path("/opt/ml"), "ml.g4dn.xlarge")
    assert devices.pays_for_gpu(Path("/opt/ml"), "ml.p5.48xlarge")
    assert not devices.pays_for_gpu(Path("/opt/ml"), "ml.m5.xlarge")
    assert not devices.pays_for_gpu(Path("/opt/ml"), None)
    assert not devices.pays_for_gpu(Path("/home/somebody/state/opt/ml"), "ml.g4dn.xlarge")


@pytest.mark.parametrize(
    ("gpus", "broken", "said"),
    [
        (0, "", "torch 2.10 sees no CUDA device"),
        (1, "no kernel image is available for execution on the device", "no kernel image is available"),
    ],
)
def test_a_gpu_that_is_paid_for_and_cannot_be_used_ends_the_job(
    monkeypatch: pytest.MonkeyPatch, gpus: int, broken: str, said: str
) -> None:
    fake_torch(monkeypatch, gpus=gpus, broken=broken)
    monkeypatch.setattr(devices, "instance_type", lambda _: "ml.g4dn.xlarge")
    with pytest.raises(GpuMissing, match=rf"ml\.g4dn\.xlarge has a GPU, but {said}"):
        devices.choose(Path("/opt/ml"), 8)


def test_the_instance_type_comes_from_sagemakers_own_file(tmp_path: Path) -> None:
    assert devices.instance_type(tmp_path) is None
    place = tmp_path / "input/config/resourceconfig.json"
    place.parent.mkdir(parents=True)
    place.write_text('{"current_instance_type": "ml.g5.xlarge"}')
    assert devices.instance_type(tmp_path) == "ml.g5.xlarge"


def make_job(tmp_path: Path, model: str) -> tuple[Job, Paths]:
    job = read_job(write_job(tmp_path / "job", {**DOCUMENT, "model": model}))
    return job, Paths(tmp_path / "ml", tmp_path / "work")


def fill_channel(paths: Paths, *names: str) -> None:
    paths.weights.mkdir(parents=True)
    for name in names:
        (paths.weights / name).touch()


@pytest.mark.parametrize(
    ("model", "file"),
    [("yolov8n-seg.pt", "yolov8n-seg.pt"), ("best", "best.pt"), ("s3://artifacts/models/x/best.pt", "best.pt")],
)
def test_weights_are_the_exact_file_of_their_channel(tmp_path: Path, model: str, file: str) -> None:
    job, paths = make_job(tmp_path, model)
    fill_channel(paths, file, f"{file}.bak")
    assert weights.resolve(job, paths) == paths.weights / file


def test_a_channel_without_the_weights_is_named(tmp_path: Path) -> None:
    job, paths = make_job(tmp_path, "best")
    fill_channel(paths, "best.pt.bak")
    with pytest.raises(BadWeights, match=r"did not reach the job \(there is best.pt.bak\)"):
        weights.resolve(job, paths)


def test_an_architecture_needs_no_weights(tmp_path: Path) -> None:
    job, paths = make_job(tmp_path, "yolo11n-seg.yaml")
    assert weights.resolve(job, paths) == Path("yolo11n-seg.yaml")


@pytest.mark.parametrize("model", ["best", "s3://artifacts/x/best.pt", "../../evil.yaml", "https://example.com/x.pt"])
def test_nothing_but_ultralytics_own_models_is_ever_downloaded(tmp_path: Path, model: str) -> None:
    job, paths = make_job(tmp_path, model)
    with pytest.raises(BadWeights, match="only ultralytics' own models can be downloaded"):
        weights.resolve(job, paths)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            OutOfMemory,
            "The GPU ran out of memory with batch 8 and imgsz 1024",
        ),
        (MemoryError(), OutOfMemory, "The instance ran out of memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), OutOfMemory, "fewer workers"),
        (OSError(errno.ENOSPC, "No space left on device"), TrainingError, "The job's volume is full"),
        (RuntimeError("OSError: [Errno 28] No space left on device: 'x'"), TrainingError, "The job's volume is full"),
        (RuntimeError("MemoryError: "), OutOfMemory, "The instance ran out of memory"),
        (RuntimeError("Dataset '/tmp/data.yaml' error ❌ 'val:' key missing"), BadDataset, "'val:' key missing"),
        (
            ValueError("Segment dataset requires equal numbers of boxes and segments"),
            BadDataset,
            "some of its labels are",
        ),
        (
            RuntimeError("\x1b[34mtrain: \x1b[0mNo labels found in /x/train.cache"),
            BadDataset,
            "No labels found in a split",
        ),
        (BadWeights("its own words"), BadWeights, "its own words"),
        (KeyError("surprise"), TrainingError, "The training failed with KeyError: 'surprise'"),
    ],
)
def test_a_failure_is_told_in_one_line_with_its_cure(
    tmp_path: Path, error: Exception, kind: type[TrainingError], said: str
) -> None:
    reason = failure.explain(error, {"batch": 8, "imgsz": 1024})
    assert type(reason) is kind
    failure.report(reason, tmp_path / "output/failure")
    text = (tmp_path / "output/failure").read_text()
    assert said in text
    assert len(text.splitlines()) == 1
    assert len(text) <= 1024


def test_images_that_cannot_be_used_are_named_below_the_dataset() -> None:
    text = "No valid images found in /x.\n" + "".join(
        f"\x1b[34mtrain: \x1b[0m/w/dataset/0/images/{name}: ignoring corrupt image/label: No module named 'pi_heif'\n"
        for name in ("x/dataset/1/images/a.png", "b.png")
    )
    assert "(2 are named), for instance x/dataset/1/images/a.png: it is no readable image" in str(
        failure.explain(ValueError(text), {})
    )


def test_the_shipped_list_is_the_lock_without_what_the_image_has() -> None:
    """After a new lock: `python3 -m training_entry.requirements --from requirements/training.txt`."""
    shipped = (REPOSITORY / "training_entry/requirements.txt").read_text()
    assert shipped == requirements.selection((REPOSITORY / "requirements/training.txt").read_text())
    names = {line.split("==")[0] for line in shipped.splitlines() if "==" in line}
    assert names >= {"ultralytics", "opencv-python-headless", "onnx", "onnxruntime", "onnxslim", "cloudpickle"}
    assert not names & {"torch", "torchvision", "numpy", "opencv-python", "pillow"}
    assert shipped.count("==") <= shipped.count("--hash=sha256:")


def test_packages_are_missing_unless_their_version_is_the_pinned_one() -> None:
    from importlib.metadata import version

    here = version("pytest")
    listed = (
        f"pytest=={here} \\\n    --hash=sha256:0\npytest==0.1 \\\n    --hash=sha256:0\nno-such==1\n"
        "elsewhere==1 ; sys_platform == 'never' \\\n    --hash=sha256:0\n"
    )
    assert requirements.missing(listed) == ["pytest==0.1", "no-such==1"]
