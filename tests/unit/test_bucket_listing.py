"""Whatever lies below a prefix is listed once, with what S3 says of it, however many pages and folders that takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from traindrop.bucket_listing import objects_below

ODD = ("a b+c.txt", "m\u00e1s/\U0001f3e0 & <b> \"q\" 'a'.txt", "x%41#?~*.txt", "a//1.png", "a/./2.png", "dir/")


class Paged:
    """As much of an S3 client as a listing takes, with three keys a page."""

    meta = SimpleNamespace(events=SimpleNamespace(register_last=lambda *_, **__: None))

    def __init__(self, keys: set[str]) -> None:
        self._keys = sorted(keys)
        self.requests = 0

    def list_objects_v2(self, **asked: str) -> dict[str, Any]:
        self.requests += 1
        prefix, delimiter = asked["Prefix"], asked.get("Delimiter", "")
        last = after = asked.get("ContinuationToken", asked.get("StartAfter", ""))
        contents: list[dict[str, str]] = []
        folders: list[dict[str, str]] = []
        for key in self._keys:
            if not key.startswith(prefix) or key <= after:
                continue
            inner, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            folder = {"Prefix": prefix + inner + found}
            if found and folder in folders:
                continue
            if len(contents) + len(folders) == 3:
                return {"IsTruncated": True, "NextContinuationToken": last, "Contents": contents}
            (folders if found else contents).append(folder if found else {"Key": key})
            last = key
        return {"IsTruncated": False, "Contents": contents, "CommonPrefixes": folders}


KEYS = st.sets(
    st.lists(st.sampled_from(["", "a", "b", "images", "train"]), min_size=1, max_size=5).map("/".join), max_size=40
)


@given(KEYS)
def test_every_object_is_listed_once(names: set[str]) -> None:
    keys = {f"datasets/rooms/{name}" for name in names}
    bucket: Any = Paged(keys | {"datasets/other/1.png", "datasets/rooms.zip"})
    assert sorted(item["Key"] for item in objects_below(bucket, "bucket", "datasets/rooms/")) == sorted(keys)


def test_a_folder_of_many_folders_is_not_asked_for_each() -> None:
    bucket: Any = Paged({f"datasets/rooms/{number:03}/1.png" for number in range(300)})
    assert len(list(objects_below(bucket, "bucket", "datasets/rooms/"))) == 300
    assert bucket.requests <= 103


def test_objects_are_described_as_botocore_does(s3: Any) -> None:
    for key in ODD:
        s3.put_object(Bucket="data", Key=f"datasets/{key}", Body=key.encode())
    expected = s3.list_objects_v2(Bucket="data", Prefix="datasets/")["Contents"]
    found = list(objects_below(s3, "data", "datasets/"))
    parsed: list[int] = []
    s3.meta.events.register_last(
        "before-parse.s3.ListObjectsV2",
        lambda response_dict, **_: parsed.append(response_dict["body"].count(b"<Contents>")),
        "after",
    )
    assert list(objects_below(s3, "data", "datasets/")) == found
    assert found == [{name: item[name] for name in ("Key", "LastModified", "ETag", "Size")} for item in expected]
    assert len(found) == len(ODD)
    assert max(parsed) == 0, "botocore was left nothing to read"
