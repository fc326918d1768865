"""A packed dataset is an ordinary zip, the same for the same files, that is judged with a few reads."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.stack import dataset_files
from traindrop.on_disk import open_path
from traindrop.packing import Joined, WholeFile, pack, packed_bytes, packed_names, reader
from traindrop.sources import SourceError
from traindrop.validation import validate


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def packed(path: Path, instead: Mapping[str, bytes] | None = None) -> bytes:
    source = open_path(path)
    names = packed_names({*source.files, *(instead or {})})
    return b"".join(pack(names, reader(path, source, instead or {})))


def members(content: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_files_give_the_same_bytes_wherever_and_whenever_they_were_written(tmp_path: Path) -> None:
    files = dataset_files()
    one = write(tmp_path / "one", files)
    other = write(tmp_path / "other", dict(reversed(files.items())))
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert packed(one) == packed(other)
    assert members(packed(one)) == files


def test_what_is_judged_comes_first_and_what_nobody_reads_is_left_out() -> None:
    names = [
        "images/b.PNG",
        "z.txt",
        "best.pt",
        "images/a.jpg",
        "training.yaml",
        "labels/a.txt",
        "data.yaml",
        "old.zip",
    ]
    assert packed_names(names) == [
        "data.yaml",
        "training.yaml",
        "labels/a.txt",
        "z.txt",
        "images/a.jpg",
        "images/b.PNG",
    ]


def test_images_are_stored_and_text_is_deflated(tmp_path: Path) -> None:
    content = packed(write(tmp_path / "rooms", {**dataset_files(), "images/train/é.png": b"not small" * 99}))
    for info in zipfile.ZipFile(io.BytesIO(content)).infolist():
        stored = info.filename.startswith("images/")
        assert info.compress_type == (zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
        assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_a_packed_dataset_is_judged_as_its_folder_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "rooms", dataset_files())
    (tmp_path / "rooms.zip").write_bytes(packed(folder))
    verdicts = [validate("rooms", open_path(path), None).verdict for path in (folder, tmp_path / "rooms.zip")]
    assert verdicts[0].ok
    assert verdicts[0] == verdicts[1]


def test_a_zip_is_packed_anew_from_its_folder(tmp_path: Path) -> None:
    files = dataset_files()
    with zipfile.ZipFile(tmp_path / "rooms.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"top/{name}", content)
        archive.writestr("__MACOSX/top/._data.yaml", b"x")
    assert members(packed(tmp_path / "rooms.zip", {"training.yaml": b"epochs: 1\n"})) == {
        **files,
        "training.yaml": b"epochs: 1\n",
    }


def test_a_file_that_changes_meanwhile_ends_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "rooms", dataset_files())
    source = open_path(folder)
    read = reader(folder, source, {})
    (folder / "labels/train/0.txt").write_text("0 0.5\n")
    with pytest.raises(SourceError, match=r"labels/train/0\.txt was changed or deleted .* had 34 bytes and has 6"):
        read("labels/train/0.txt")
    (folder / "labels/train/1.txt").unlink()
    with pytest.raises(SourceError, match="No such file"):
        read("labels/train/1.txt")


def test_a_file_larger_than_a_zip_may_hold_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "rooms", dataset_files())
    with (folder / "images/train/huge.png").open("wb") as file:
        file.truncate(1024**3 + 1)
    with pytest.raises(SourceError, match=r"images/train/huge\.png has 1073741825 bytes"):
        reader(folder, open_path(folder), {})("images/train/huge.png")


def test_more_files_than_a_plain_zip_counts_are_packed() -> None:
    names = [f"labels/train/{number:06}.txt" for number in range(70_000)]
    content = b"".join(pack(names, lambda _: b""))
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == names


def test_the_size_is_known_before_to_what_deflating_saves() -> None:
    files = {f"images/{number}é.png": os.urandom(number) for number in range(100)}
    expected = packed_bytes(list(files), lambda name: len(files[name]))
    assert expected == len(b"".join(pack(files, files.__getitem__)))


def test_blocks_are_read_as_one_file() -> None:
    blocks = [b"", b"abc", b"", b"defgh", b"i"]
    assert Joined(blocks).read() == b"abcdefghi"
    buffer = bytearray(4)
    joined = Joined(blocks)
    seen = b""
    while size := joined.readinto(memoryview(buffer)):
        seen += buffer[:size]
    assert seen == b"abcdefghi"


def test_a_whole_file_must_stay_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rooms.zip"
    path.write_bytes(b"x" * 100)
    with WholeFile(path) as file:
        assert file.read() == b"x" * 100
    with WholeFile(path) as file:
        path.write_bytes(b"y" * 101)
        assert file.readinto(memoryview(bytearray(101))) == 101
        with pytest.raises(SourceError, match="was changed"):
            file.readinto(memoryview(bytearray(1)))
