"""A folder in S3 is read through obstore as through boto3: any key, with the function's credentials, through faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import environment
import pytest

from local_cloud.process import LocalCloud
from tests.contract.lambdas import unique
from traindrop.errors import AccessDenied
from traindrop.folder_in_s3 import FolderSource
from traindrop.object_reads import ObjectGone, Piece, can_be_read
from traindrop.read_ahead import ReadAhead
from traindrop.sources import SourceError

PLAIN = (
    "a b+c.txt",
    "m\u00e1s/\u00f1 & 100%.txt",
    "x%41.txt",
    "a#b?c~d*e.txt",
    "\U0001f3e0 \u56f3.txt",
    "a=b;c:e@f,g$h!i'j(k)\"l<m>n|o^p`q{r}s[t]",
    "g\\h",
)
FOLDER = "datasets/My rooms + m\u00e1s/"
NOT_AHEAD = {"at_rest_since": 0.0}
ODD = ("images//1.txt", "images/./2.txt")


@pytest.fixture
def bucket(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {**cloud.environment, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(environment, "_clients", {"s3": cloud.client("s3")})
    name = unique("bucket")
    cloud.client("s3").create_bucket(Bucket=name)
    yield name
    cloud.clear_faults()


def put(cloud: LocalCloud, bucket: str, *keys: str) -> dict[str, bytes]:
    contents = {key: f"content of {key}".encode() for key in keys}
    for key, content in contents.items():
        cloud.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}{key}", Body=content)
    return contents


def source(cloud: LocalCloud, bucket: str, **how: float) -> FolderSource:
    reads = ReadAhead(environment.object_reads(bucket))
    return FolderSource(cloud.client("s3"), reads, bucket, FOLDER, **how)


def test_any_key_that_can_be_in_a_dataset_is_read(cloud: LocalCloud, bucket: str) -> None:
    contents = put(cloud, bucket, *PLAIN, *ODD) | {"empty.txt": b""}
    cloud.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}empty.txt", Body=b"")
    put(cloud, bucket, "folder/")
    found = source(cloud, bucket)
    assert set(found.files) == set(contents)
    assert dict(found.contents(list(contents))) == contents
    assert {name: (head, tail) for name, head, tail in found.ends(list(contents))} == {
        name: (content, content) for name, content in contents.items()
    }
    assert {name: found.read(name) for name in contents} == contents
    assert [can_be_read(name) for name in (*PLAIN, *ODD)] == [True] * len(PLAIN) + [False] * len(ODD)


def test_many_objects_are_read_though_a_hundred_calls_fail(cloud: LocalCloud, bucket: str) -> None:
    contents = put(cloud, bucket, *[f"{number}.txt" for number in range(200)])
    found = source(cloud, bucket, **NOT_AHEAD)
    meant: dict[str, Any] = {"service": "s3", "operation": "GetObject", "times": 35}
    cloud.inject({"api": [{**meant, "error": error} for error in ("SlowDown", "InternalError", "reset")]})
    assert dict(found.contents(list(contents))) == contents
    assert not cloud.faults().get("api")
    cloud.inject({"api": [{**meant, "error": error} for error in ("SlowDown", "InternalError", "reset")]})
    assert dict(source(cloud, bucket).contents(list(contents))) == contents, "read ahead or not"


def test_a_file_that_vanishes_or_is_replaced_is_an_upload_that_has_not_ended(cloud: LocalCloud, bucket: str) -> None:
    put(cloud, bucket, "gone.txt", "replaced.txt")
    found = source(cloud, bucket, **NOT_AHEAD)
    cloud.client("s3").delete_object(Bucket=bucket, Key=f"{FOLDER}gone.txt")
    put(cloud, bucket, "replaced.txt")
    cloud.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}replaced.txt", Body=b"other")
    for read in (
        lambda: found.read("gone.txt"),
        lambda: list(found.contents(["gone.txt"])),
        lambda: list(found.ends(["replaced.txt"])),
    ):
        with pytest.raises(SourceError, match=r"(gone|replaced)\.txt was deleted or replaced") as caught:
            read()
        assert caught.value.problem.passing
    with pytest.raises(ObjectGone):
        list(environment.object_reads(bucket).fetch([Piece(f"{FOLDER}replaced.txt", 0, 5, '"no"')]))


def test_what_may_not_be_read_is_denied(cloud: LocalCloud, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cloud, bucket, "1.txt")
    found = source(cloud, bucket)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    stranger = source(cloud, bucket)
    with pytest.raises(AccessDenied, match="may not do that"):
        list(stranger.contents(list(found.files)))


def test_obstore_is_loaded_by_the_validation_alone() -> None:
    functions = Path(environment.__file__).parent
    users = [path.name for path in functions.glob("*.py") if "object_reads" in path.read_text()]
    assert sorted(users) == ["environment.py", "validate_dataset.py"]
