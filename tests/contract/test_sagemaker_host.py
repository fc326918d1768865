"""The parts of a host: where inputs land, how checkpoints travel, what a container gets and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from local_cloud.sagemaker import archive, billing
from local_cloud.sagemaker.checkpoints import CheckpointSync
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.errors import Cancelled, JobFailure
from local_cloud.sagemaker.host import Host
from local_cloud.sagemaker.inputs import download, local_name
from local_cloud.sagemaker.job import Job
from local_cloud.sagemaker.metrics import MetricDefinitions, finished_epoch
from local_cloud.sagemaker.reaper import Reaper
from local_cloud.sagemaker.settings import Settings
from tests.contract.bucket import Bucket
from tests.contract.training_jobs import request, until

ROLE = "arn:aws:iam::000000000000:role/training"


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()


@pytest.fixture
def host(tmp_path: Path, reaper: Reaper) -> Iterator[Host]:
    python = tmp_path / "python" / "bin" / "python"
    settings = Settings(endpoint="http://127.0.0.1:1", state_dir=tmp_path, training_python=python)
    job = Job(request(), arn="arn:aws:sagemaker:us-east-1:000000000000:training-job/j", publish=lambda _: None)
    host = Host(job, settings, reaper)
    yield host
    host.remove()


@pytest.mark.parametrize(
    ("prefix", "key", "place"),
    [
        ("datasets/rooms.zip", "datasets/rooms.zip", "rooms.zip"),
        ("datasets/rooms.zip", "datasets/rooms.zip.bak", "rooms.zip.bak"),
        ("datasets/rooms/", "datasets/rooms/images/train/p 1.png", "images/train/p 1.png"),
        ("datasets/rooms", "datasets/rooms/images/p1.png", "images/p1.png"),
        ("datasets/rooms", "datasets/rooms2/p1.png", "rooms2/p1.png"),
        ("", "data.yaml", "data.yaml"),
        ("datasets/rooms/", "datasets/rooms//a/./b.txt", "a/b.txt"),
        ("datasets/rooms/", "datasets/rooms/", None),
        ("datasets/rooms/", "datasets/rooms/images/", None),
    ],
)
def test_an_object_lands_where_s3prefix_puts_it(prefix: str, key: str, place: str | None) -> None:
    assert local_name(prefix, key) == (None if place is None else PurePosixPath(place))


@pytest.mark.parametrize("key", ["in/../../etc/passwd", "in/..", "in/a/../../../x"])
def test_a_key_that_leads_out_of_the_folder_fails_the_job(key: str, tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="leads out of the input directory"):
        download(Bucket(**{key: b"x"}), "s3://b/in/", tmp_path / "in", role_arn=ROLE, cancelled=lambda: False)
    assert not any(tmp_path.rglob("*"))


def test_a_prefix_of_many_objects_arrives_whole(tmp_path: Path) -> None:
    bucket = Bucket(**{f"in/{number // 100}/{number}.txt": str(number).encode() for number in range(500)})
    assert download(bucket, "s3://b/in/", tmp_path, role_arn=ROLE, cancelled=lambda: False) == 500
    assert (tmp_path / "4" / "499.txt").read_bytes() == b"499"


def test_a_name_that_is_both_file_and_folder_fails_the_job(tmp_path: Path) -> None:
    bucket = Bucket(**{"in/a": b"1", "in/a/b": b"2"})
    with pytest.raises(JobFailure, match=r"^ClientError: Data download failed:s3://b/in/a"):
        download(bucket, "s3://b/in/", tmp_path, role_arn=ROLE, cancelled=lambda: False)


def test_nothing_under_the_prefix_fails_the_job_in_sagemakers_words(tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        download(Bucket(), "s3://b/in/", tmp_path, role_arn=ROLE, cancelled=lambda: False)
    assert str(caught.value).startswith(
        'ClientError: Data download failed:No S3 objects found under S3 URL "s3://b/in/" given in input data source.'
    )


def test_a_download_stops_with_its_job(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        download(Bucket(**{"in/a": b"1"}), "s3://b/in/", tmp_path, role_arn=ROLE, cancelled=lambda: True)


def test_checkpoints_go_up_once_and_their_deletion_too(tmp_path: Path) -> None:
    bucket = Bucket()
    sync = CheckpointSync(bucket, "s3://b/checkpoints/run", tmp_path)
    assert sync.restore(role_arn=ROLE, cancelled=lambda: False) == 0
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "last.pt").write_bytes(b"1")
    assert sync.push()
    assert bucket.puts == ["checkpoints/run/a/last.pt"]
    assert not sync.push()
    (tmp_path / "a" / "last.pt").write_bytes(b"12")
    sync.push()
    assert bucket.objects == {"checkpoints/run/a/last.pt": b"12"}
    (tmp_path / "a" / "last.pt").unlink()
    sync.push()
    assert bucket.objects == {}


def test_a_checkpoint_that_may_not_be_deleted_stays(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.denied = {"delete_object"}
    sync = CheckpointSync(bucket, "s3://b/c", tmp_path)
    (tmp_path / "x").write_bytes(b"1")
    sync.push()
    (tmp_path / "x").unlink()
    sync.push()
    assert bucket.objects == {"c/x": b"1"}


def test_checkpoints_come_back_from_s3_alone(tmp_path: Path) -> None:
    bucket = Bucket(**{"c/run/a/last.pt": b"1", "c/run2/last.pt": b"2"})
    sync = CheckpointSync(bucket, "s3://b/c/run", tmp_path)
    assert sync.restore(role_arn=ROLE, cancelled=lambda: False) == 1
    assert (tmp_path / "a" / "last.pt").read_bytes() == b"1"
    assert not sync.push()


def test_a_role_that_may_not_write_checkpoints_fails_the_job(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.denied = {"put_object"}
    (tmp_path / "x").write_bytes(b"1")
    with pytest.raises(JobFailure, match=r"Checkpoint upload failed.*AccessDenied"):
        CheckpointSync(bucket, "s3://b/c", tmp_path).push()


def test_an_archive_has_its_members_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "model" / "samples").mkdir(parents=True)
    (tmp_path / "model" / "best.pt").write_bytes(b"1")
    (tmp_path / "model" / "samples" / "s.jpg").write_bytes(b"2")
    assert archive.pack(tmp_path / "model", tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.getnames() == ["best.pt", "samples", "samples/s.jpg"]


def test_an_empty_folder_leaves_no_archive(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert not archive.pack(tmp_path / "model", tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


def test_spot_bills_thirty_five_percent_of_the_seconds_of_all_hosts() -> None:
    training = billing.training_seconds([30.2, 69.9])
    assert training == 101
    assert billing.billable_seconds(training, spot=True) == 36
    assert billing.billable_seconds(training, spot=False) == 101


def test_metric_lines_give_their_numbers_and_epoch() -> None:
    definitions = MetricDefinitions(request()["AlgorithmSpecification"]["MetricDefinitions"])
    line = "METRIC epoch=5; epochs=50; precision_mask=0.1; map50_mask=9.3e-1; map50_95_mask=0.5;"
    assert [(item.name, item.value) for item in definitions.observe(line, 1.0)] == [("map50_mask", 0.93)]
    assert finished_epoch(line) == 5
    assert definitions.observe("METRIC map50_mask=e;", 1.0) == []
    assert finished_epoch("FRESH start") is None


def test_a_host_has_sagemakers_folders_and_files(host: Host) -> None:
    host.write_configuration()
    config = host.opt_ml / "input" / "config"
    assert sorted(path.name for path in config.iterdir()) == [
        "hyperparameters.json",
        "inputdataconfig.json",
        "resourceconfig.json",
    ]
    assert host.checkpoints == host.opt_ml / "checkpoints"
    assert all((host.opt_ml / name).is_dir() for name in ("input/data", "model", "output/data", "checkpoints"))


def test_a_removed_host_leaves_nothing(host: Host) -> None:
    locked = host.opt_ml / "model" / "locked"
    locked.mkdir()
    (locked / "file").write_text("x")
    locked.chmod(0o500)
    host.remove()
    assert not host.folder.exists()


def test_a_container_sees_a_clean_environment_and_its_own_root(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    entry = host.opt_ml / "input" / "data" / "code" / "entry.sh"
    entry.parent.mkdir()
    entry.write_text('echo "$0"; pwd; env')
    container = host.start({"AWS_ACCESS_KEY_ID": "ASIA1"}, "us-east-1", hold_after_epoch=None)
    printed = container.output.read().decode().splitlines()
    container.kill()
    container.output.close()
    assert printed[:2] == [str(entry), str(host.folder)]
    variables = dict(line.split("=", 1) for line in printed[2:])
    assert "SECRET_OF_THE_SERVER" not in variables
    assert "AWS_DEFAULT_REGION" not in variables
    assert variables["PATH"].split(":")[0].endswith("/python/bin")
    assert variables["HOME"] == str(host.folder / "root")
    expected = {
        "AWS_ACCESS_KEY_ID": "ASIA1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "TRAINING_JOB_NAME": request()["TrainingJobName"],
        "ULTRALYTICS_SAFE_LOAD": "1",
    }
    assert expected.items() <= variables.items()


def test_a_command_that_cannot_run_is_a_client_error(host: Host, reaper: Reaper) -> None:
    with pytest.raises(JobFailure, match=r"^ClientError: CannotStartContainerError"):
        Container(["/no/such/program"], folder=host.folder, environment={}, reaper=reaper)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -KILL $$", 137), ("true", 0)])
def test_exit_codes_are_those_of_a_container(host: Host, reaper: Reaper, script: str, code: int) -> None:
    container = Container(["/bin/sh", "-c", script], folder=host.folder, environment={}, reaper=reaper)
    until(lambda: container.exit_code() is not None)
    assert container.exit_code() == code
    container.output.close()
    container.kill()


def test_killing_a_container_kills_everything_it_started(host: Host, reaper: Reaper) -> None:
    container = Container(
        ["/bin/sh", "-c", "sleep 60 & echo $!; wait"], folder=host.folder, environment={}, reaper=reaper
    )
    child = int(container.output.readline())
    container.kill()
    container.output.close()
    until(lambda: not alive(child))


def test_what_a_killed_server_leaves_is_reaped(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    folder.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert server.stdout is not None
    child = int(server.stdout.readline())
    assert alive(child)
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    until(lambda: not alive(child) and not folder.exists())


SERVER = """
import sys, time
from pathlib import Path
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.reaper import Reaper
reaper = Reaper()
reaper.watch_folder(Path(sys.argv[1]))
container = Container(["/bin/sleep", "60"], folder=Path(sys.argv[1]), environment={}, reaper=reaper)
print(container.group, flush=True)
time.sleep(60)
"""


def alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
