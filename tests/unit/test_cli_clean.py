"""`traindrop clean`: what goes, what stays and why, what is said, and that it can be run again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar

import boto3
import pytest

from traindrop import champion
from traindrop.champion import DELETED, PROMOTED
from traindrop.clearing import Clearing, Kept, Reason
from traindrop.cli import INTERRUPTED, clean, main
from traindrop.holdings import Holding, delete, is_data_of, prefixes_of_dataset, prefixes_of_run

A, B, OTHER = "rooms-20261101T000000-0000000a", "rooms-20261102T000000-0000000b", "rooms-2-20261101T000000-0000000c"
ARTIFACTS = [
    f"models/rooms/{A}/best.pt",
    f"models/rooms/{A}/report.html",
    f"models/rooms/{B}/best.pt",
    f"checkpoints/{A}/last.tar",
    f"training-output/{A}-1/output/model.tar.gz",
    f"training-input/{A}/job.json",
    f"verdicts/{A}.json",
    f"verdicts/{OTHER}.json",
    f"models/rooms-2/{OTHER}/best.pt",
    "weights/rooms/yolov8n-seg.pt",
    "weights/yolov8n-seg.pt",
    "code/0a1b/entry.sh",
]
DATA = ["datasets/rooms.ZIP", "datasets/rooms/data.yaml", "datasets/rooms-2.zip", "datasets/training.yaml", "notes.txt"]


class Account:
    """What boto3 makes clients of: a stack whose buckets and tables are moto's, and whose executions are given."""

    on: ClassVar[list[str]] = []

    def __init__(self, *, region_name: str | None, **_options: Any) -> None:
        self.region_name = region_name

    def client(self, service: str, **_options: Any) -> Any:
        names = ("DatasetBucketName", "ArtifactBucketName", "RunsTableName", "StateMachineArn")
        outputs = [
            {"OutputKey": key, "OutputValue": value}
            for key, value in zip(names, ("data", "artifacts", "runs", "arn:machine"), strict=True)
        ]
        if service == "cloudformation":
            return SimpleNamespace(describe_stacks=lambda StackName: {"Stacks": [{"Outputs": outputs}]})  # noqa: ARG005, N803
        if service == "stepfunctions":
            items = [{"executionArn": f"arn:{name}", "name": name, "startDate": datetime.now(UTC)} for name in self.on]
            pages = SimpleNamespace(paginate=lambda **_: [{"executions": items}])
            return SimpleNamespace(get_paginator=lambda _: pages)
        return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, s3: Any, dynamodb: Any) -> Any:
    """Two datasets, of which `rooms` has B for its best; every object has an older version, one is marked deleted."""
    monkeypatch.setattr(boto3.session, "Session", Account)
    monkeypatch.setattr(Account, "on", [])
    monkeypatch.delenv("TRAINDROP_STACK", raising=False)
    assert dynamodb
    for bucket, keys in (("artifacts", ARTIFACTS), ("data", DATA)):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in keys * 2:
            s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 500)
    s3.delete_object(Bucket="data", Key="notes.txt")
    for run_id in (A, B):
        entry = champion.entry(run_id, "artifacts", "rooms", score=0.5, at="", how=PROMOTED, why="")
        champion.change(s3, "artifacts", "rooms", lambda _, entry=entry: (None, entry))  # type: ignore[misc]
    return s3


def left(s3: Any, bucket: str = "artifacts") -> set[str]:
    """The keys of which anything is left, old versions, delete markers and unfinished uploads included."""
    versions, uploads = s3.list_object_versions(Bucket=bucket), s3.list_multipart_uploads(Bucket=bucket)
    found = [*versions.get("Versions", []), *versions.get("DeleteMarkers", []), *uploads.get("Uploads", [])]
    return {item["Key"] for item in found}


def run(*arguments: str) -> int:
    return main(["clean", *arguments])


def test_all_of_a_run_goes_and_nothing_else(kept: Any) -> None:
    before = left(kept)
    assert run(A, "--yes") == 0
    assert before - left(kept) == {key for key in ARTIFACTS if A in key}


def test_all_of_a_dataset_goes_but_its_best_and_its_data(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rooms", "--yes") == 0
    best = {f"models/rooms/{B}/best.pt", "models/rooms/best.json"}
    assert left(kept) == best | {key for key in ARTIFACTS if OTHER in key} | {
        "weights/yolov8n-seg.pt",
        "code/0a1b/entry.sh",
    }
    assert left(kept, "data") == set(DATA)
    said = capsys.readouterr().out
    assert f"Kept: {B}, as it is the best model of its dataset (" in said
    assert "Kept: the data of rooms, as it is data that was dropped (2 KB" not in said
    assert "Kept: the data of rooms, as it is data that was dropped (1.95 KB, $0.00 a month); --data deletes it" in said


def test_what_was_told_twice_goes_too(kept: Any) -> None:
    assert run("rooms", "--data", "--champion", "--yes") == 0
    assert not [key for key in left(kept) if "rooms/" in key]
    assert left(kept, "data") == {"datasets/rooms-2.zip", "datasets/training.yaml", "notes.txt"}


def test_an_emptied_stack_can_be_uninstalled(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kept.create_multipart_upload(Bucket="data", Key="datasets/half.zip")
    assert run("--all", "--data", "--champion", "--yes") == 0
    for bucket in ("data", "artifacts"):
        kept.delete_bucket(Bucket=bucket)
    assert "aws dynamodb delete-table --table-name runs" in capsys.readouterr().out


def test_without_being_told_twice_best_models_and_data_outlive_all(kept: Any) -> None:
    champion.change(
        kept,
        "artifacts",
        "rooms-2",
        lambda _: (None, champion.entry(OTHER, "artifacts", "rooms-2", score=1, at="", how=PROMOTED, why="")),
    )
    assert run("--all", "--yes") == 0
    assert {key for key in left(kept) if key.endswith("best.pt")} == {
        f"models/rooms/{B}/best.pt",
        f"models/rooms-2/{OTHER}/best.pt",
    }
    assert left(kept, "data") == set(DATA)


def test_the_best_is_said_to_be_deleted_and_can_be_rolled_back_from(
    kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(B) == 0
    assert "--champion deletes it too" in capsys.readouterr().out
    assert run(B, "--yes") == 1
    assert run(B, "--champion") == 0
    assert champion.present(kept, "artifacts", "rooms") == B
    assert run(B, "--champion", "--yes") == 0
    now = champion.read(kept, "artifacts", "rooms").now
    assert now
    assert (now["run_id"], now["how"]) == (B, DELETED)
    assert champion.present(kept, "artifacts", "rooms") == ""
    assert main(["rollback", "rooms"]) == 0
    assert champion.present(kept, "artifacts", "rooms") == A


@pytest.mark.usefixtures("kept")
def test_what_could_not_be_deleted_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = f"s3://artifacts/verdicts/{A}.json: Access Denied"
    monkeypatch.setattr(clean, "delete", lambda _, batch: [error] if batch else [])
    assert run(A, "--yes") == 1
    assert f"Could not be deleted (1); the same command tries again:\n  {error}" in capsys.readouterr().out


def test_errors_of_keys_are_answered_with_the_key() -> None:
    answer = {"Errors": [{"Key": "k", "VersionId": "v", "Code": "AccessDenied", "Message": "no"}]}
    denying = SimpleNamespace(delete_objects=lambda **_: answer)
    assert delete(denying, [Holding("artifacts", "k", 1, "v")]) == ["s3://artifacts/k: no"]  # type: ignore[arg-type]


def test_it_can_be_run_again_after_an_interrupt(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "BATCH", 3)
    done: list[int] = []

    def interrupted(s3: Any, batch: Any) -> list[str]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(batch))
        return delete(s3, batch)

    monkeypatch.setattr(clean, "delete", interrupted)
    assert run("rooms", "--champion", "--yes") == INTERRUPTED
    assert done == [3, 3]
    monkeypatch.setattr(clean, "delete", delete)
    assert run("rooms", "--champion", "--yes") == 0
    assert not [key for key in left(kept) if "rooms/" in key or A in key]


def test_the_document_has_amounts_and_the_command_that_deletes(kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    upload = kept.create_multipart_upload(Bucket="artifacts", Key=f"models/rooms/{A}/best.onnx")["UploadId"]
    part = {"Bucket": "artifacts", "Key": f"models/rooms/{A}/best.onnx", "UploadId": upload, "PartNumber": 1}
    kept.upload_part(Body=b"x" * 2**20, **part)
    assert run(A, "--stack", "other stack", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    counts = {key: document[key] for key in ("deleted", "objects", "old_versions", "unfinished_uploads", "bytes")}
    assert counts == {"deleted": False, "objects": 6, "old_versions": 6, "unfinished_uploads": 1, "bytes": 6000 + 2**20}
    assert document["command"] == f"traindrop clean {A} --stack 'other stack' --yes"
    assert document["kinds"]["models"]["bytes"] == 2000 + 2**20
    assert len(left(kept)) > len(ARTIFACTS)


def test_a_run_that_is_on_is_left_alone(
    kept: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Account, "on", [A])
    assert run(A, "--yes", "--champion") == 1
    assert f"a run that is on needs what {A} keeps" in capsys.readouterr().err
    assert run("rooms", "--data", "--champion", "--yes") == 0
    assert {key for key in ARTIFACTS if "rooms/" in key or A in key} <= left(kept)
    assert left(kept, "data") == set(DATA)


def test_the_model_that_a_run_began_from_is_left_too(kept: Any, dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "plans-20261103T000000-0000000d"
    starts_from = {"S": f"s3://artifacts/models/rooms/{A}/best.pt"}
    dynamodb.put_item(TableName="runs", Item={"run_id": {"S": other}, "starts_from": starts_from})
    monkeypatch.setattr(Account, "on", [other])
    before = left(kept)
    assert run(A, "--yes") == 1
    assert run("--all", "--yes") == 0
    assert {key for key in before if A in key or key.startswith(("code/", "weights/yolo"))} <= left(kept)


@pytest.mark.parametrize("arguments", [(), ("rooms", "--all"), (A, "--data")])
def test_mistyped_commands_are_refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("kept")
def test_a_name_of_which_nothing_is_kept_is_questioned(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("roms", "--yes") == 0
    assert capsys.readouterr().out == "Nothing is to be deleted of roms; is the name right?\n"


def test_a_best_model_stays_while_a_run_of_its_dataset_measures_it() -> None:
    clearing = Clearing("data", on={A}, champions={B}, with_champions=True)
    clearing.take([Holding("artifacts", f"models/rooms/{B}/best.pt", 1, "v")])
    assert (clearing.goes, list(clearing.stays)) == ([], [Kept(B, Reason.ON)])


@pytest.mark.parametrize(
    ("key", "run_id", "slug"),
    [
        (f"models/rooms-2/{OTHER}/best.pt", OTHER, "rooms-2"),
        (f"training-output/{A}-12/output/model.tar.gz", A, "rooms"),
        (f"verdicts/{A}.json", A, "rooms"),
        ("models/rooms/best.json", "", "rooms"),
        ("weights/rooms/yolov8n.pt", "", "rooms"),
        ("weights/yolov8n.pt", "", ""),
        (f"somewhere/{A}/x", "", ""),
    ],
)
def test_keys_belong_to_runs_and_datasets(key: str, run_id: str, slug: str) -> None:
    holding = Holding("artifacts", key, 1)
    assert (holding.run_id, holding.slug) == (run_id, slug)
    assert not slug or any(key.startswith(prefix) for prefix in prefixes_of_dataset(slug))
    assert not run_id or any(key.startswith(prefix) for prefix in prefixes_of_run(run_id))


@pytest.mark.parametrize(
    ("key", "is_its"),
    [
        ("datasets/rooms.zip", True),
        ("datasets/rooms.Zip", True),
        ("datasets/rooms/a", True),
        ("datasets/rooms.zip.bak", False),
        ("datasets/rooms-2/a", False),
        ("rooms/a", False),
    ],
)
def test_data_belong_to_the_dataset_of_their_folder_or_zip(key: str, is_its: bool) -> None:
    assert is_data_of(Holding("data", key, 1), "rooms") is is_its
