"""A dataset on disk is read like one in S3: a folder or a zip, and nothing beyond it."""

import hashlib
import os
import zipfile
import zlib
from pathlib import Path

import pytest

from traindrop.images import HEAD_BYTES, TAIL_BYTES
from traindrop.on_disk import open_path
from traindrop.sources import Source, SourceError

YAML = b"train: images/train\nval: images/val\nnames: [room]\n"
LARGE = os.urandom(200_000)
FILES = {
    "data.yaml": YAML,
    "images/train/large.png": LARGE,
    "images/train/small.png": b"small",
    "labels/train/empty.txt": b"",
    "labels/train/plan #1 más.txt": b"0 0.5 0.5 0.1 0.1\n" * 20,
}
FORMS = ("folder", "stored", "deflated")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "rooms" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for noise in (".DS_Store", "images/Thumbs.db", "labels/train.cache"):
        (tmp_path / "rooms" / noise).write_bytes(b"noise")
    return tmp_path / "rooms"


def opened(folder: Path, form: str) -> Source:
    if form == "folder":
        return open_path(folder)
    with zipfile.ZipFile(folder.with_suffix(".ZIP"), "w", zipfile.ZIP_DEFLATED if form == "deflated" else 0) as target:
        for path in sorted(folder.rglob("*")):
            target.write(path, path.relative_to(folder.parent))
    return open_path(folder.with_suffix(".ZIP"))


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        open_path(path)
    return caught.value.problem.code


@pytest.mark.parametrize("form", FORMS)
def test_every_file_is_listed_and_read(folder: Path, form: str) -> None:
    source = opened(folder, form)
    assert {name: file.size for name, file in source.files.items()} == {k: len(v) for k, v in FILES.items()}
    assert source.image_sample is None
    assert (source.root, source.archive_bytes > 0) == (("", False) if form == "folder" else ("rooms/", True))
    assert source.newest.timestamp() > 0
    assert source.affordable(list(FILES)) == list(FILES)
    assert dict(source.contents(list(FILES))) == FILES
    assert {name: source.read(name) for name in FILES} == FILES


@pytest.mark.parametrize("form", FORMS)
def test_heads_and_tails_are_those_of_the_files(folder: Path, form: str) -> None:
    found = {name: (head, tail) for name, head, tail in opened(folder, form).ends(list(FILES))}
    expected = {name: (content[:HEAD_BYTES], content[-TAIL_BYTES:]) for name, content in FILES.items()}
    if form == "deflated":
        expected["images/train/large.png"] = (LARGE[:HEAD_BYTES], b"")
    assert found == expected


@pytest.mark.parametrize("form", FORMS)
def test_digests_are_what_s3_or_the_zip_says_of_the_contents(folder: Path, form: str) -> None:
    source = opened(folder, form)
    if form == "folder":
        assert source.checksum == "md5"
        expected = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}  # noqa: S324
    else:
        assert source.checksum == "crc32"
        expected = {name: f"{zlib.crc32(content):08x}" for name, content in FILES.items()}
    assert source.digests(list(FILES)) == expected


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "images/val").symlink_to(folder / "images/train")
    (folder / "labels/train/other.txt").symlink_to("empty.txt")
    source = open_path(folder)
    assert source.read("images/val/small.png") == b"small"
    assert source.files["labels/train/other.txt"].size == 0


@pytest.mark.parametrize("target", ["/etc/hostname", "/etc", "..", ".", "nowhere", "images/../.."])
def test_a_link_that_loops_or_leaves_the_folder_is_refused_by_name(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    assert refusal(folder) == "folder.link"


def test_a_folder_reached_by_a_link_is_a_dataset_like_any_other(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert set(open_path(tmp_path / "link").files) == set(FILES)


def test_a_pipe_is_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "images/train/pipe.png")
    assert refusal(folder) == "folder.not_a_file"


def test_a_name_that_no_bucket_should_hold_is_refused(folder: Path) -> None:
    (folder / "images/train/a\nb.png").write_bytes(b"x")
    assert refusal(folder) == "folder.unsafe_name"


def test_a_path_that_holds_no_dataset_is_refused_with_a_cure(folder: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path) == "data_yaml.missing"
    with pytest.raises(SourceError, match=r"give .*rooms, which has one"):
        open_path(tmp_path)
    assert refusal(tmp_path / "nothing") == "dataset.not_found"
    with pytest.raises(SourceError, match="give the folder that it lies in"):
        open_path(folder / "data.yaml")
    assert refusal(folder / "images/train/large.png") == "archive.not_a_zip"


def test_a_file_that_vanishes_is_told_by_name(folder: Path) -> None:
    source = open_path(folder)
    (folder / "images/train/small.png").unlink()
    with pytest.raises(SourceError, match=r"small\.png cannot be read"):
        source.read("images/train/small.png")
