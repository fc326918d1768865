"""What of a job's archive, or of its checkpoints, is delivered where."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from traindrop import model_archive
from traindrop.model_archive import NoModel, UnexpectedArchive

ARCHIVE = "training-output/n-1/output/model.tar.gz"


class Bucket:
    """S3 as far as this needs it: objects, and what type each was uploaded with."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.types: dict[str, str] = {}
        self.moments: dict[str, datetime] = {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "art"
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def upload_fileobj(self, file: Any, bucket: str, key: str, *, ExtraArgs: dict[str, str]) -> None:  # noqa: N803
        assert bucket == "art"
        assert not hasattr(file, "seek")
        self.objects[key] = file.read(3) + file.read()
        self.types[key] = ExtraArgs["ContentType"]

    def copy(self, source: dict[str, str], bucket: str, key: str) -> None:
        assert source["Bucket"] == bucket == "art"
        self.objects[key] = self.objects[source["Key"]]

    def get_paginator(self, operation: str) -> Bucket:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        assert Bucket == "art"
        found = [{"Key": key, "LastModified": self.moments[key]} for key in self.objects if key.startswith(Prefix)]
        return [{"Contents": found[:2]}, {"Contents": found[2:]} if found[2:] else {}]


def tar(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for named, content in members:
            info = tarfile.TarInfo(named) if isinstance(named, str) else named
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def extract(bucket: Bucket) -> list[str]:
    return model_archive.extract(
        cast("Any", bucket), bucket="art", archive_key=ARCHIVE, target_prefix="models/r/", weights_prefix="weights/"
    )


def test_what_a_training_writes_is_delivered_each_under_its_type_and_nothing_else() -> None:
    names = ["best.pt", "./best.onnx", "metrics.json", "results.csv", "args.yaml", "curve_1.png", "samples/a-B.jpg"]
    skipped = ["notes.txt", "a/best.pt", "../best.pt", "/best.pt", "x" * 81 + ".png", "samples/a.png", "last.pt"]
    members = [(name, name.encode() * 9) for name in (*names, *skipped, "pretrained/yolov8n-seg.pt")]
    bucket = Bucket({ARCHIVE: tar(*members)})
    delivered = [name.removeprefix("./") for name in names]
    assert extract(bucket) == delivered
    del bucket.objects[ARCHIVE]
    assert bucket.objects == {
        **{f"models/r/{name.removeprefix('./')}": name.encode() * 9 for name in names},
        "weights/yolov8n-seg.pt": b"pretrained/yolov8n-seg.pt" * 9,
    }
    assert bucket.types == {
        "models/r/best.pt": "application/octet-stream",
        "models/r/best.onnx": "application/octet-stream",
        "models/r/metrics.json": "application/json",
        "models/r/results.csv": "text/csv",
        "models/r/args.yaml": "application/yaml",
        "models/r/curve_1.png": "image/png",
        "models/r/samples/a-B.jpg": "image/jpeg",
        "weights/yolov8n-seg.pt": "application/octet-stream",
    }


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_only_a_regular_file_is_a_model_and_of_two_the_first(kind: bytes) -> None:
    other = tarfile.TarInfo("best.pt")
    other.type, other.linkname = kind, "metrics.json"
    bucket = Bucket(
        {ARCHIVE: tar(("metrics.json", b"{}"), (other, b""), ("best.pt", b"first"), ("best.pt", b"second"))}
    )
    assert extract(bucket) == ["metrics.json", "best.pt"]
    assert bucket.objects["models/r/best.pt"] == b"first"


def test_no_archive_and_one_without_a_model_are_no_model_and_a_refusal_stays_one() -> None:
    with pytest.raises(NoModel, match=rf"^the training job left no s3://art/{ARCHIVE}$"):
        extract(Bucket())
    with pytest.raises(NoModel, match=rf"^s3://art/{ARCHIVE} holds no best\.pt$"):
        extract(Bucket({ARCHIVE: tar(("results.csv", b"x"))}))

    class Refusing(Bucket):
        def get_object(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    with pytest.raises(ClientError, match="AccessDenied"):
        extract(Refusing())


def many(count: int) -> bytes:
    return tar(*((f"plot{number}.png", b"") for number in range(count - 1)), ("best.pt", b"x"))


def test_as_many_members_as_a_training_may_write_and_no_more() -> None:
    assert len(extract(Bucket({ARCHIVE: many(300)}))) == 300
    with pytest.raises(
        UnexpectedArchive, match=r"more than 300 members or 8 GiB, or less than nothing\); the job's chec"
    ):
        extract(Bucket({ARCHIVE: many(301)}))


def test_as_many_bytes_as_a_model_may_have_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_archive, "_MAX_BYTES", 10)
    assert extract(Bucket({ARCHIVE: tar(("best.pt", b"123456"), ("notes.txt", b"1234"))})) == ["best.pt"]
    with pytest.raises(UnexpectedArchive, match="more than 300 members or 0 GiB"):
        extract(Bucket({ARCHIVE: tar(("best.pt", b"123456"), ("notes.txt", b"12345"))}))


def test_a_member_of_less_than_nothing_is_refused_and_an_empty_one_is_not() -> None:
    less = tarfile.TarInfo("notes.txt")
    less.size = -1
    with pytest.raises(UnexpectedArchive, match="or less than nothing"):
        extract(Bucket({ARCHIVE: gzip.compress(less.tobuf(tarfile.GNU_FORMAT) + bytes(1024))}))
    assert extract(Bucket({ARCHIVE: tar(("notes.txt", b""), ("best.pt", b"x"))})) == ["best.pt"]


def test_a_broken_archive_is_named_with_what_to_do() -> None:
    with pytest.raises(UnexpectedArchive) as raised:
        extract(Bucket({ARCHIVE: tar(("best.pt", bytes(9000)))[:60]}))
    assert str(raised.value).startswith(f"s3://art/{ARCHIVE} is no whole tar.gz of a training (")
    assert str(raised.value).endswith("); the job's checkpoints are kept. Drop the dataset again to train anew")


def test_a_header_that_goes_on_and_on_is_refused_and_a_long_name_is_not() -> None:
    long = tarfile.TarInfo("n" * 200_000)
    assert extract(Bucket({ARCHIVE: tar((long, b""), ("best.pt", b"x"))})) == ["best.pt"]
    endless = tarfile.TarInfo("n" * 300_000)
    with pytest.raises(UnexpectedArchive, match=r"a header of more than 256 KiB"):
        extract(Bucket({ARCHIVE: tar((endless, b""), ("best.pt", b"x"))}))


def at(second: int) -> datetime:
    return datetime(2026, 11, 12, 0, 0, second, tzinfo=UTC)


def checkpoint(bucket: Bucket) -> list[str]:
    return model_archive.best_checkpoint(
        cast("Any", bucket), bucket="art", checkpoint_prefix="checkpoints/r/", target_prefix="models/r/"
    )


def test_the_newest_best_model_among_the_checkpoints_is_delivered_with_the_figures_beside_it() -> None:
    bucket = Bucket()
    for key, second in {
        "checkpoints/r/new/metrics.json": 1,
        "checkpoints/r/old/best.pt": 2,
        "checkpoints/r/old/results.csv": 9,
        "checkpoints/r/new/results.csv": 1,
        "checkpoints/r/new/best.pt": 3,
        "checkpoints/r/new/notbest.pt": 8,
        "checkpoints/other/best.pt": 9,
    }.items():
        bucket.objects[key], bucket.moments[key] = key.encode(), at(second)
    assert checkpoint(bucket) == ["best.pt", "metrics.json", "results.csv"]
    assert bucket.objects["models/r/best.pt"] == b"checkpoints/r/new/best.pt"
    assert bucket.objects["models/r/metrics.json"] == b"checkpoints/r/new/metrics.json"
    assert bucket.objects["models/r/results.csv"] == b"checkpoints/r/new/results.csv"


def test_of_checkpoints_of_one_moment_the_last_by_name_is_taken() -> None:
    bucket = Bucket()
    for key in ("checkpoints/r/b/best.pt", "checkpoints/r/a/best.pt"):
        bucket.objects[key], bucket.moments[key] = key.encode(), at(1)
    assert checkpoint(bucket) == ["best.pt"]
    assert bucket.objects["models/r/best.pt"] == b"checkpoints/r/b/best.pt"


def test_without_a_checkpoint_there_is_no_model() -> None:
    bucket = Bucket({"checkpoints/r/a.zip": b""})
    bucket.moments["checkpoints/r/a.zip"] = at(1)
    message = "^the training left no model and no checkpoint below s3://art/checkpoints/r/$"
    with pytest.raises(NoModel, match=message):
        checkpoint(bucket)
    with pytest.raises(NoModel, match=message):
        checkpoint(Bucket())
