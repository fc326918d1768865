"""What was checked is what is trained on: written by the gate's side, compared by the entry's."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import chunk, png
from tests.plain_reads import PlainReads
from traindrop import dataset as rules
from traindrop.data_yaml import describe
from traindrop.folder_in_s3 import FolderSource
from traindrop.manifest import FILE, manifest
from traindrop.read_ahead import ReadAhead
from traindrop.sources import Source
from traindrop.zip_in_s3 import ArchiveSource
from training_entry.dataset import Dataset, label_of, prepare
from training_entry.failure import BadJob, DatasetChanged
from training_entry.job import Job, Paths
from training_entry.manifest import read


def picture(number: int) -> bytes:
    """A PNG of its own; all have the same size."""
    return png(before=chunk(b"tEXt", bytes([number])))


FILES = {
    "data.yaml": b"train: images/train\nval: images/val\nnames: [room]\n",
    "images/train/1.png": picture(1),
    "images/train/2.png": picture(2),
    "images/val/3.png": picture(3),
    "labels/train/1.txt": b"0 0 0 1 0 1 1 0 1\n",
    "labels/val/3.txt": b"0 0 0 1 0 1 1 0 1\n",
    "notes.md": b"trained on by nobody",
}
Change = Callable[[dict[str, bytes]], object]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "work").mkdir()
    (tmp_path / "ml/input/data/config").mkdir(parents=True)
    return Paths(tmp_path / "ml", tmp_path / "work")


def write_zip(place: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(f"top/{name}", content)


def write_folder(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def checked(s3: Any, form: str, tmp_path: Path) -> Source:
    """The dataset as it lay in the bucket when it was checked."""
    if form == "archive":
        write_zip(tmp_path / "checked.zip", FILES)
        s3.upload_file(str(tmp_path / "checked.zip"), "data", "datasets/rooms.zip")
        return ArchiveSource(s3, PlainReads(s3, "data"), "data", "datasets/rooms.zip")
    for name, content in FILES.items():
        s3.put_object(Bucket="data", Key=f"datasets/rooms/{name}", Body=content)
    return FolderSource(s3, ReadAhead(PlainReads(s3, "data")), "data", "datasets/rooms/")


def written(source: Source, paths: Paths) -> dict[str, Any]:
    description, _ = describe(source.read("data.yaml"), "data.yaml")
    assert description
    splits, problems = rules.resolve(description, source.files, source.read)
    assert not problems
    (paths.config / FILE).write_bytes(manifest(source, splits))
    document: dict[str, Any] = json.loads(gzip.decompress((paths.config / FILE).read_bytes()))
    return document


def job(form: Any) -> Job:
    return Job(
        run_id="run",
        task="segment",
        model="yolov8n-seg.pt",
        arguments={"epochs": 1},
        form=form,
        file="rooms.zip" if form == "archive" else "",
        data_root="top/" if form == "archive" else "",
        names={0: "room"},
        manifest=FILE,
    )


def arrive(form: str, files: dict[str, bytes], paths: Paths) -> None:
    """What reached the job."""
    shutil.rmtree(paths.dataset, ignore_errors=True)
    if form == "archive":
        write_zip(paths.dataset / "rooms.zip", files)
    else:
        write_folder(paths.dataset, files)


PAIRS = [
    ("images/train/1.png", "labels/train/1.txt"),
    ("images/train/2.png", ""),
    ("images/val/3.png", "labels/val/3.txt"),
]


def trained_on(found: Dataset, paths: Paths) -> list[tuple[str, str]]:
    """The images that ultralytics is given with the labels that it finds, by their paths in the dataset."""
    base = paths.dataset if (paths.dataset / "images").is_dir() else paths.work / "unpacked/top"
    images = [
        Path(line) for split in ("train", "val") for line in (paths.work / f"{split}.txt").read_text().split("\n")
    ]
    pairs = [(image, label_of(image)) for image in images if image.name]
    assert [image for image, _ in pairs] == [*found.images["train"], *found.images["val"]]
    return [
        (
            image.readlink().relative_to(base).as_posix(),
            label.readlink().relative_to(base).as_posix() if label.is_file() else "",
        )
        for image, label in pairs
    ]


FORMS = pytest.mark.parametrize("form", ["archive", "folder"])


@FORMS
def test_a_dataset_that_is_as_it_was_is_trained_on(s3: Any, form: str, paths: Paths, tmp_path: Path) -> None:
    document = written(checked(s3, form, tmp_path), paths)

    def digest(content: bytes) -> str:
        return f"{zlib.crc32(content):08x}" if form == "archive" else md5(content)

    def row(*names: str) -> list[str | int]:
        return [item for name in names for item in (name, len(FILES[name]), digest(FILES[name]))]

    assert document == {
        "checksum": {"archive": "crc32", "folder": "md5"}[form],
        "archive_bytes": (tmp_path / "checked.zip").stat().st_size if form == "archive" else 0,
        "splits": {
            "train": [row("images/train/1.png", "labels/train/1.txt"), row("images/train/2.png")],
            "val": [row("images/val/3.png", "labels/val/3.txt")],
        },
    }
    arrive(form, {**FILES, "notes.md": b"changed, and no matter"}, paths)
    assert trained_on(prepare(job(form), paths), paths) == PAIRS


@FORMS
def test_what_came_after_the_check_is_not_trained_on(s3: Any, form: str, paths: Paths, tmp_path: Path) -> None:
    written(checked(s3, form, tmp_path), paths)
    later = {"images/train/4.png": picture(4), "labels/train/4.txt": b"", "labels/train/2.txt": b"0 0 0 1 0 1 1 0 1\n"}
    arrive(form, {**FILES, **later}, paths)
    assert trained_on(prepare(job(form), paths), paths) == PAIRS


@FORMS
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"images/train/1.png": picture(9)}), "images/train/1.png was changed"),
        (lambda files: files.update({"images/train/1.png": picture(1) + b" "}), "images/train/1.png was changed"),
        (lambda files: files.update({"labels/val/3.txt": b"0 0 0 1 0 1 1 0 0\n"}), "labels/val/3.txt was changed"),
        (lambda files: files.pop("labels/train/1.txt"), "labels/train/1.txt is missing"),
        (lambda files: files.pop("images/val/3.png"), "images/val/3.png is missing"),
        (lambda files: files.clear(), "images/train/1.png is missing"),
    ],
    ids=["overwritten", "resized", "relabelled", "unlabelled", "deleted", "all-deleted"],
)
def test_what_was_changed_since_is_named_and_not_trained_on(
    s3: Any, form: str, change: Change, said: str, paths: Paths, tmp_path: Path
) -> None:
    written(checked(s3, form, tmp_path), paths)
    files = dict(FILES)
    change(files)
    arrive(form, files, paths)
    with pytest.raises(DatasetChanged, match=r"^DatasetChanged: .*Drop it again .* redrive the execution\.$") as caught:
        prepare(job(form), paths)
    assert said in str(caught.value)
    assert not (paths.work / "data.yaml").exists()


def test_three_files_are_named_and_the_others_counted(s3: Any, paths: Paths, tmp_path: Path) -> None:
    written(checked(s3, "folder", tmp_path), paths)
    arrive("folder", {name: content + b" " for name, content in FILES.items()}, paths)
    with pytest.raises(DatasetChanged) as caught:
        prepare(job("folder"), paths)
    assert str(caught.value).count("was changed") == 3 + 1
    assert " and 2 more." in str(caught.value)


def test_a_zip_packed_anew_with_the_same_files_is_the_same_dataset(s3: Any, paths: Paths, tmp_path: Path) -> None:
    written(checked(s3, "archive", tmp_path), paths)
    write_zip(paths.dataset / "rooms.zip", FILES, zipfile.ZIP_DEFLATED)
    assert (paths.dataset / "rooms.zip").stat().st_size != (tmp_path / "checked.zip").stat().st_size
    assert prepare(job("archive"), paths)


def test_a_zip_replaced_by_what_is_none_was_changed(s3: Any, paths: Paths, tmp_path: Path) -> None:
    written(checked(s3, "archive", tmp_path), paths)
    paths.dataset.mkdir()
    (paths.dataset / "rooms.zip").write_bytes(b"something else")
    with pytest.raises(DatasetChanged, match=r"rooms\.zip was changed"):
        prepare(job("archive"), paths)


def test_an_object_uploaded_in_parts_is_told_by_its_size_alone(s3: Any, paths: Paths, tmp_path: Path) -> None:
    checked(s3, "folder", tmp_path)
    key = "datasets/rooms/images/train/1.png"
    upload = s3.create_multipart_upload(Bucket="data", Key=key)["UploadId"]
    part = s3.upload_part(Bucket="data", Key=key, UploadId=upload, PartNumber=1, Body=picture(1))["ETag"]
    s3.complete_multipart_upload(
        Bucket="data", Key=key, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
    )
    document = written(FolderSource(s3, ReadAhead(PlainReads(s3, "data")), "data", "datasets/rooms/"), paths)
    assert document["splits"]["train"][0][:3] == ["images/train/1.png", len(picture(1)), ""]
    assert document["splits"]["val"][0][2] == md5(picture(3))
    assert len(picture(9)) == len(picture(1))
    arrive("folder", {**FILES, "images/train/1.png": picture(9)}, paths)
    assert prepare(job("folder"), paths)
    arrive("folder", {**FILES, "images/train/1.png": picture(9) + b" "}, paths)
    with pytest.raises(DatasetChanged, match=r"images/train/1\.png was changed"):
        prepare(job("folder"), paths)


class EncryptedByKms:
    """An S3 client whose ETags follow from the encrypted bytes, as with a KMS key."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def get_object(self, **arguments: Any) -> dict[str, Any]:
        return {**self._s3.get_object(**arguments), "ETag": f'"{"0" * 32}"'}


def test_where_etags_are_no_md5s_sizes_alone_tell(s3: Any, paths: Paths, tmp_path: Path) -> None:
    checked(s3, "folder", tmp_path)
    encrypted: Any = EncryptedByKms(s3)
    document = written(FolderSource(encrypted, ReadAhead(PlainReads(s3, "data")), "data", "datasets/rooms/"), paths)
    assert document["checksum"] == ""
    assert {digest for rows in document["splits"].values() for row in rows for digest in row[2::3]} == {""}
    arrive("folder", FILES, paths)
    assert prepare(job("folder"), paths)


class Large:
    """A source of which the files' digests are told."""

    checksum, archive_bytes = "md5", 0

    def __init__(self, files: list[rules.File]) -> None:
        self._files = {file.name: file.digest for file in files}

    def digests(self, names: list[str]) -> dict[str, str]:
        return {name: self._files[name] for name in names}


def large_split(images: int) -> rules.Split:
    def files(kind: str, end: str, size: int) -> list[rules.File]:
        names = [f"{kind}/train/floor plan {number:06}.{end}" for number in range(images)]
        return [rules.File(name, size + number % 999, md5(name.encode())) for number, name in enumerate(names)]

    return rules.Split(files("images", "png", 48_000), files("labels", "txt", 700))


def test_of_a_large_dataset_an_image_with_its_label_takes_few_bytes_of_the_manifest_and_of_memory() -> None:
    """So 100,000 take 5.4 MB of the one and 80 MB of the other."""
    split = large_split(10_000)
    source: Any = Large([*split.images, *split.labels])
    tracemalloc.start()
    try:
        content = manifest(source, {"train": split})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(json.loads(gzip.decompress(content))["splits"]["train"]) == 10_000
    assert len(content) < 10_000 * 60
    assert peak < 10_000 * 1000


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


BROKEN = (
    b"{}",
    b"[]",
    b'{"checksum": "md5", "archive_bytes": 0, "splits": {"train": []}}',
    b'{"checksum": "md5", "archive_bytes": 0, "splits": {"train": [["1.png", 3]], "val": []}}',
    b'{"checksum": "md5", "archive_bytes": 0, "splits": {"train": [["../1.png", 3, ""]], "val": []}}',
    b'{"checksum": "md5", "archive_bytes": 0, "splits": {"train": [["1.png", 3, "", "/l.txt", 3, ""]], "val": []}}',
    b'{"checksum": "sha1", "archive_bytes": 0, "splits": {"train": [], "val": []}}',
)


@pytest.mark.parametrize("content", [b"", b"{}", *(gzip.compress(text, mtime=0) for text in BROKEN), None])
def test_a_manifest_that_cannot_be_read_is_our_fault_and_says_so(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BadJob, match="a fault of Traindrop"):
        read(tmp_path / FILE)
