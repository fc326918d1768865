"""A zip in S3 is judged by its directory and a few ranged reads."""

import io
import zipfile
from typing import Any

import pytest

from tests.plain_reads import PlainReads
from traindrop.folder_in_s3 import FolderSource
from traindrop.read_ahead import ReadAhead
from traindrop.sources import SourceError
from traindrop.zip_in_s3 import ArchiveSource

YAML = "train: images/train\nval: images/val\nnames: [room]\n"


def archive(files: dict[str, str | bytes], **external: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = external.get(name.replace(".", "_"), 0)
            target.writestr(info, content)
    return buffer.getvalue()


def put(s3: Any, body: bytes) -> ArchiveSource:
    s3.put_object(Bucket="data", Key="datasets/rooms.zip", Body=body)
    return ArchiveSource(s3, PlainReads(s3, "data"), "data", "datasets/rooms.zip")


def code_of(s3: Any, body: bytes) -> str:
    with pytest.raises(SourceError) as caught:
        put(s3, body)
    return caught.value.problem.code


def test_a_zip_with_a_top_folder_is_read_relative_to_it(s3: Any) -> None:
    source = put(
        s3,
        archive(
            {
                "rooms/data.yaml": YAML,
                "rooms/images/train/1.jpg": b"x",
                "rooms/.DS_Store": b"",
                "__MACOSX/rooms/._1.jpg": b"",
            }
        ),
    )
    assert source.root == "rooms/"
    assert sorted(source.files) == ["data.yaml", "images/train/1.jpg"]
    assert source.read("data.yaml") == YAML.encode()


def test_a_large_zip_costs_few_requests(s3: Any) -> None:
    body = archive(
        {
            "data.yaml": YAML,
            **{f"labels/train/{n}.txt": b"0 .1 .1 .2 .2 .3 .3" for n in range(500)},
            **{f"images/train/{n}.jpg": b"x" * 10_000 for n in range(500)},
        }
    )
    calls: list[str] = []
    s3.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    source = put(s3, body)
    source.read("data.yaml")
    source.read("labels/train/1.txt")
    assert calls.count("GetObject") <= 3
    assert len(source.files) == 1001


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"images/1.jpg": b""}, "data_yaml.missing"),
        ({"a/b/data.yaml": YAML}, "data_yaml.missing"),
        ({"data.yaml": YAML, "../evil": b""}, "archive.unsafe_name"),
        ({"data.yaml": YAML, "/etc/evil": b""}, "archive.unsafe_name"),
        ({"data.yaml": YAML, "a\nb": b""}, "archive.unsafe_name"),
    ],
)
def test_a_zip_that_cannot_be_right_is_refused_by_name(s3: Any, files: dict[str, Any], code: str) -> None:
    assert code_of(s3, archive(files)) == code


def test_what_is_no_zip_a_link_or_a_duplicate_is_refused(s3: Any) -> None:
    assert code_of(s3, b"not a zip") == "archive.not_a_zip"
    assert code_of(s3, b"") == "archive.not_a_zip"
    assert code_of(s3, archive({"data.yaml": YAML, "link": "target"}, link=0o120777 << 16)) == "archive.not_a_file"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("data.yaml", YAML)
        with pytest.warns(UserWarning, match="Duplicate name"):
            target.writestr("data.yaml", YAML)
    assert code_of(s3, buffer.getvalue()) == "archive.duplicate_name"


def test_a_folder_lists_what_lies_below_it_and_when_the_last_came(s3: Any) -> None:
    for key in ("data.yaml", "images/1.jpg", ".DS_Store", "sub/"):
        s3.put_object(Bucket="data", Key=f"datasets/My rooms + más/{key}", Body=b"x")
    source = FolderSource(s3, ReadAhead(PlainReads(s3, "data")), "data", "datasets/My rooms + más/")
    assert sorted(source.files) == ["data.yaml", "images/1.jpg"]
    assert source.read("data.yaml") == b"x"
    assert source.newest.year >= 2024


def test_labels_begin_to_be_read_while_a_folder_is_listed_and_each_is_read_once(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"labels/{split}/{number}.txt" for split in ("train", "val") for number in range(5)]
    others = ["data.yaml", "images/train/1.png", "labels/test/1.txt", "test/labels/1.txt", "labels//1.txt"]
    contents = {name: f"content of {name}".encode() for name in (*labels, *others)} | {"labels/empty.txt": b""}
    for name, content in contents.items():
        s3.put_object(Bucket="data", Key=f"datasets/rooms/{name}", Body=content)
    begun: list[str] = []
    begin = ReadAhead.begin
    monkeypatch.setattr(ReadAhead, "begin", lambda self, piece: begin(self, piece) or begun.append(piece.key))  # type: ignore[func-returns-value]
    got: list[str] = []
    s3.meta.events.register("before-call.s3.GetObject", lambda params, **_: got.append(params["url_path"]))
    source = FolderSource(s3, ReadAhead(PlainReads(s3, "data")), "data", "datasets/rooms/")
    assert begun == [f"datasets/rooms/{name}" for name in labels]
    assert dict(source.contents(list(contents))) == contents
    assert len(got) == len(set(got)) == len(labels) + len(others)
