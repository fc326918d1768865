from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from traindrop import dataset as rules
from traindrop import layout
from traindrop.data_yaml import Description
from training_entry import archive
from training_entry.dataset import IMAGE_SUFFIXES, label_of, prepare
from training_entry.failure import BadDataset, DatasetChanged
from training_entry.job import Job, Paths


def make_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "run_id": "run",
        "task": "segment",
        "model": "yolov8n-seg.pt",
        "arguments": {"epochs": 1},
        "form": "archive",
        "file": "rooms.zip",
        "data_root": "",
        "names": {0: "room", 1: "Tür: #1"},
        "splits": {"train": ["images/train"], "val": ["images/val"]},
        "expected": {},
    }
    return Job(**{**values, **changes})


def pack(path: Path, members: Mapping[str, str | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "work").mkdir()
    (tmp_path / "ml/input/data/dataset").mkdir(parents=True)
    return Paths(tmp_path / "ml", tmp_path / "work")


MEMBERS = {
    "images/train/a.png": "",
    "images/train/deep/b.JPG": "",
    "images/val/c.webp": "",
    "labels/train/a.txt": "",
    "images/train/notes.md": "",
    "__MACOSX/images/train/._a.png": "",
    "images/train/.hidden.png": "",
}


def shown(images: list[Path], base: Path) -> list[str]:
    return [image.relative_to(base).as_posix() for image in images]


def test_a_zip_is_unpacked_and_listed_by_absolute_paths(paths: Paths) -> None:
    pack(paths.dataset / "rooms.zip", {f"top/{name}": text for name, text in MEMBERS.items()})
    found = prepare(make_job(data_root="top/"), paths)
    base = paths.work / "dataset"
    assert shown(found.images["train"], base) == ["images/train/a.png", "images/train/deep/b.JPG"]
    described = yaml.safe_load(found.description.read_text())
    assert described == {
        "path": str(base),
        "train": str(paths.work / "train.txt"),
        "val": str(paths.work / "val.txt"),
        "names": {0: "room", 1: "Tür: #1"},
    }
    assert (paths.work / "val.txt").read_text() == f"{base}/images/val/c.webp\n"


def test_only_known_keys_reach_ultralytics_whatever_the_datasets_own_description_says(paths: Paths) -> None:
    pack(paths.dataset / "rooms.zip", {**MEMBERS, "data.yaml": "download: touch /hacked\nactivation: evil()\n"})
    described = yaml.safe_load(prepare(make_job(), paths).description.read_text())
    assert sorted(described) == ["names", "path", "train", "val"]


def test_of_a_folder_images_and_labels_reach_ultralytics_and_no_cache_that_it_would_unpickle(paths: Paths) -> None:
    for name in (*MEMBERS, "labels/train.cache", "images/val/c.npy", "yolov8n-seg.yaml"):
        (paths.dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.dataset / name).touch()
    for _ in range(2):
        found = prepare(make_job(form="folder", file=""), paths)
    place = paths.work / "dataset"
    assert shown(found.images["val"], place) == ["images/val/c.webp"]
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()) == [
        "images/train/a.png",
        "images/train/deep/b.JPG",
        "images/val/c.webp",
        "labels/train/a.txt",
    ]
    assert all(path.exists() for path in paths.dataset.rglob("*"))


@pytest.mark.parametrize(
    "entries",
    [
        ["images/train"],
        ["images"],
        ["."],
        ["images/val", "images/train"],
        ["all.txt"],
        ["images/some.txt"],
    ],
)
def test_splits_mean_the_same_as_when_the_dataset_was_validated(paths: Paths, entries: list[str]) -> None:
    members = {
        **MEMBERS,
        "all.txt": "./images/val/c.webp\nimages/train/a.png\n/images/train/deep/b.JPG\r\n\n"
        "images/none.png\nimages/train/notes.md\n",
        "images/some.txt": "./train/a.png\n",
    }
    pack(paths.dataset / "rooms.zip", members)
    found = prepare(make_job(splits={"train": entries, "val": ["images/val"]}), paths)
    files = {name: rules.File(name, 1, "") for name in members if not rules.is_noise(name)}
    validated, _ = rules.resolve(
        Description({0: "room"}, {"train": entries}), files, lambda name: members[name].encode()
    )
    assert validated["train"].images
    trained = sorted(shown(found.images["train"], paths.work / "dataset"))
    assert trained == [image.name for image in validated["train"].images]


def test_the_rules_of_files_are_those_of_validation() -> None:
    assert IMAGE_SUFFIXES == layout.IMAGE_SUFFIXES
    for name in ("a/images/b.png", "images/b.c.jpg", "b.png", "images/x/images/y.png", "ximages/a.png"):
        assert label_of(Path("/d") / name) == Path("/d") / rules.label_of(name)
    for name in ("a.png", ".DS_Store", "x/._a.png", "Thumbs.db", "labels/train.cache", "__MACOSX/a", "x/__MACOSX/a"):
        assert archive.is_noise(name) == rules.is_noise(name)


def test_a_count_that_differs_from_the_verdict_is_named(paths: Paths) -> None:
    pack(paths.dataset / "rooms.zip", MEMBERS)
    with pytest.raises(DatasetChanged, match="DatasetChanged: the train split has 2 images, but 3 were there"):
        prepare(make_job(expected={"train": 3, "val": 1}), paths)


def test_a_list_cannot_reach_outside_of_the_dataset(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "secret.png").touch()
    pack(paths.dataset / "rooms.zip", {**MEMBERS, "train.txt": f"../../secret.png\n{tmp_path}/secret.png\n"})
    with pytest.raises(BadDataset, match="The train split has no images"):
        prepare(make_job(splits={"train": ["train.txt"], "val": ["images/val"]}), paths)
    with pytest.raises(BadDataset, match="outside of the dataset"):
        prepare(make_job(splits={"train": ["../.."], "val": ["images/val"]}), paths)


def test_only_the_exact_zip_is_opened(paths: Paths) -> None:
    pack(paths.dataset / "rooms.zip.bak", MEMBERS)
    with pytest.raises(DatasetChanged, match=r"the zip 'rooms.zip' did not reach the job \(there is rooms.zip.bak\)"):
        prepare(make_job(), paths)


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "..\\x.png", "C:/x.png", "a\x07.png"])
def test_a_zip_with_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "in/a.zip", {"good.png": "", name: ""})
    with pytest.raises(BadDataset, match="leaves its folder"):
        archive.extract(path, tmp_path / "in/out")
    assert not (tmp_path / "in/out").exists()


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(BadDataset, match="link or a device"):
        archive.extract(path, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.png", "a.png"], "twice"),
        (["x/a.png", "x//a.png"], "twice"),
        (["x\\a.png", "x/a.png"], "twice"),
        (["x", "x/a.png"], "^a.zip holds 'x' both as a file and as a folder; pack it again\\.$"),
    ],
)
def test_a_zip_with_colliding_names_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.writestr(name, "")
    with pytest.raises(BadDataset, match=said):
        archive.extract(path, tmp_path / "out")


def test_a_zip_that_unpacks_to_more_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": bytes(1_000_000), "b.png": bytes(1_000_000)})
    with pytest.raises(BadDataset, match="more than the job has room for"):
        archive.extract(path, tmp_path / "out", max_bytes=1_500_000)
    assert archive.extract(path, tmp_path / "out", max_bytes=2_000_000).keys() == {"a.png", "b.png"}


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": bytes(range(256)) * 100})
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with pytest.raises(BadDataset, match="is not a readable zip"):
        archive.extract(path, tmp_path / "out")
    path.write_bytes(b"no zip at all")
    with pytest.raises(BadDataset, match="is not a readable zip"):
        archive.extract(path, tmp_path / "out2")


@pytest.mark.parametrize("name", [".DS_Store", "x/Thumbs.db", "desktop.ini", "x/Icon\r", "a.cache", "__MACOSX/a.png"])
def test_what_systems_leave_behind_is_not_unpacked_wherever_it_lies(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.zip", {name: "", "x/": "", "y\\": "", "a.png": ""})
    assert archive.extract(path, tmp_path / "out", max_bytes=0) == {"a.png": "00000000"}
    assert [place.name for place in (tmp_path / "out").iterdir()] == ["a.png"]


def test_without_a_limit_all_but_two_gigabytes_of_the_disk_may_be_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": "1234"})
    for free, fits in ((2 * 1024**3 + 4, True), (2 * 1024**3 + 3, False), (5, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        if fits:
            assert archive.extract(path, tmp_path / "out") == {"a.png": "9be3e0a3"}
        else:
            with pytest.raises(
                BadDataset, match=r"^a.zip unpacks to more than the job has room for \(0.0 GB\); drop a "
            ):
                archive.extract(path, tmp_path / "out2")
    assert archive.extract(pack(tmp_path / "b.zip", {"a.png": ""}), tmp_path / "out3")


@pytest.mark.parametrize("name", ["/".join("p" * 64), "ü" * 127 + "p"])
def test_a_path_as_deep_and_as_long_as_a_disk_takes_is_unpacked(tmp_path: Path, name: str) -> None:
    assert archive.extract(pack(tmp_path / "a.zip", {name: ""}), tmp_path / "out").keys() == {name}


@pytest.mark.parametrize("name", ["/".join("p" * 65), "ü" * 128, "/".join(["p" * 205] * 5)])
def test_a_path_that_a_disk_does_not_take_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.zip", {"good.png": "", name: ""})
    with pytest.raises(BadDataset, match=r"^a.zip holds .*, a path too long or too deep for a disk; pack it anew\.$"):
        archive.extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def altered(tmp_path: Path, **changes: int) -> Path:
    """A zip whose directory says something else of its one member."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", b"1234")
        for name, value in changes.items():
            setattr(packed.infolist()[0], name, value)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flag_bits": 0x1}, r"^a.zip is encrypted; pack it without a password\.$"),
        ({"flag_bits": 0x40}, r"^a.zip is encrypted; pack it without a password\.$"),
        ({"flag_bits": 0x2000}, r"^a.zip is encrypted; pack it without a password\.$"),
        (
            {"compress_type": zipfile.ZIP_BZIP2},
            r"^a.zip holds 'a.png', neither stored nor deflated; pack with ordinary",
        ),
        ({"external_attr": 0o060666 << 16}, r"^a.zip holds 'a.png', which is a link or a device; pack real files\.$"),
        (
            {"file_size": 1024**3 + 1},
            r"^a.zip unpacks to more than the job has room for \(99.0 GB\); drop a smaller data",
        ),
    ],
)
def test_what_no_plain_file_is_is_refused_by_name(tmp_path: Path, changes: dict[str, int], said: str) -> None:
    with pytest.raises(BadDataset, match=said):
        archive.extract(altered(tmp_path, **changes), tmp_path / "out", max_bytes=99 * 10**9)
    assert not (tmp_path / "out").exists()


def test_a_plain_file_with_its_rights_is_one(tmp_path: Path) -> None:
    assert archive.extract(altered(tmp_path, external_attr=0o100644 << 16), tmp_path / "out") == {"a.png": "9be3e0a3"}


def test_a_zip_of_more_files_than_are_accepted_is_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "a.zip", {f"{number}.png": "" for number in range(5)})
    monkeypatch.setattr(archive, "_MAX_ENTRIES", 5)
    assert len(archive.extract(path, tmp_path / "out")) == 5
    monkeypatch.setattr(archive, "_MAX_ENTRIES", 4)
    with pytest.raises(BadDataset, match=r"^a.zip holds too many files; at most 4 are accepted\.$"):
        archive.extract(path, tmp_path / "out2")


def test_a_directory_of_more_bytes_than_are_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.zip", {f"{'n' * 60}{number}.png": "" for number in range(9)})
    with zipfile.ZipFile(path) as opened:
        directory = path.stat().st_size - opened.start_dir - 22
    monkeypatch.setattr(archive, "_MAX_DIRECTORY", directory)
    assert len(archive.extract(path, tmp_path / "out")) == 9
    monkeypatch.setattr(archive, "_MAX_DIRECTORY", directory - 1)
    with pytest.raises(BadDataset, match=r"^a.zip holds too many files; at most 400000 are accepted\.$"):
        archive.extract(path, tmp_path / "out2")
