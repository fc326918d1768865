from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.pictures import png
from traindrop import dataset as rules
from traindrop.manifest import FILE
from training_entry import archive, guard
from training_entry.dataset import prepare
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
        "manifest": FILE,
    }
    return Job(**{**values, **changes})


def note(paths: Paths, pairs: Mapping[str, list[tuple[str, str]]], files: Mapping[str, bytes]) -> None:
    """Write the manifest of a check that found these pairs, telling files by their sizes."""
    splits = {
        split: [[item for name in pair if name for item in (name, len(files[name]), "")] for pair in found]
        for split, found in pairs.items()
    }
    document = {"checksum": "", "archive_bytes": 1, "splits": splits}
    paths.config.mkdir(exist_ok=True)
    (paths.config / FILE).write_bytes(gzip.compress(json.dumps(document).encode()))


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


POLYGON = b"0 .1 .1 .9 .1 .9 .9\n"
MEMBERS = {
    "images/train/a.png": png(),
    "images/train/deep/b.PNG": png(),
    "images/val/c.png": png(),
    "labels/train/a.txt": POLYGON,
    "images/train/notes.md": b"",
    "__MACOSX/images/train/._a.png": b"",
    "images/train/.hidden.png": b"",
}
PAIRS = {
    "train": [("images/train/a.png", "labels/train/a.txt"), ("images/train/deep/b.PNG", "")],
    "val": [("images/val/c.png", "")],
}


def lay(paths: Paths, files: Mapping[str, bytes], pairs: Mapping[str, list[tuple[str, str]]] = PAIRS) -> None:
    """A folder in the dataset channel, with the manifest of its check."""
    note(paths, pairs, files)
    for name, content in files.items():
        (paths.dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.dataset / name).write_bytes(content)


FOLDER = make_job(form="folder", file="")


def test_a_zip_is_unpacked_and_listed_by_absolute_paths(paths: Paths) -> None:
    note(paths, PAIRS, MEMBERS)
    pack(paths.dataset / "rooms.zip", {f"top/{name}": content for name, content in MEMBERS.items()})
    found = prepare(make_job(data_root="top/"), paths)
    base = paths.work / "dataset/0/images"
    assert found.images["train"] == [base / "images/train/a.png", base / "images/train/deep/b.PNG"]
    described = yaml.safe_load(found.description.read_text())
    assert described == {
        "path": str(paths.work / "dataset"),
        "train": str(paths.work / "train.txt"),
        "val": str(paths.work / "val.txt"),
        "names": {0: "room", 1: "Tür: #1"},
    }
    assert (paths.work / "val.txt").read_text() == f"{base}/images/val/c.png\n"


def test_only_known_keys_reach_ultralytics_whatever_the_datasets_own_description_says(paths: Paths) -> None:
    lay(paths, {**MEMBERS, "data.yaml": b"download: touch /hacked\nactivation: evil()\n"})
    described = yaml.safe_load(prepare(FOLDER, paths).description.read_text())
    assert sorted(described) == ["names", "path", "train", "val"]


def test_of_a_folder_images_and_labels_reach_ultralytics_and_no_cache_that_it_would_unpickle(paths: Paths) -> None:
    more = ("labels/train.cache", "images/val/c.npy", "yolov8n-seg.yaml", "labels/val/c.txt", "images/val/later.png")
    lay(paths, {**MEMBERS, **dict.fromkeys(more, b"")})
    for _ in range(2):
        prepare(FOLDER, paths)
    place = paths.work / "dataset/0/images/images"
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()) == [
        "train/a.png",
        "train/deep/b.PNG",
        "val/c.png",
    ]
    assert [path.name for path in (paths.work / "dataset").rglob("*.*") if place not in path.parents] == ["a.txt"]
    assert all(path.exists() for path in paths.dataset.rglob("*"))


NAMES = st.lists(
    st.sampled_from(["images", "Images", "labels", "a", "A", "a.b", "a.png", "x/images"]), min_size=1, max_size=4
).map("/".join)
FILES = st.tuples(NAMES, st.sampled_from([".png", ".jpg", ".PNG"]), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.lists(FILES, min_size=1, max_size=6), st.lists(NAMES, max_size=3))
def test_ultralytics_finds_the_label_of_the_check_for_every_image_and_no_other(
    named: list[tuple[str, str, bool]], later: list[str]
) -> None:
    labelled = {stem + suffix: f"{stem}{suffix}.{number}" for number, (stem, suffix, yes) in enumerate(named) if yes}
    pairs = [(stem + suffix, labelled.get(stem + suffix, "")) for stem, suffix, _ in named]
    pairs = list(dict.fromkeys(pairs))
    folders = {str(above) for pair in pairs for name in pair if name for above in PurePosixPath(name).parents}
    assume(not folders & {name for pair in pairs for name in pair})
    with TemporaryDirectory() as folder:
        paths = Paths(Path(folder, "images/ml"), Path(folder, "images/work"))
        paths.work.mkdir(parents=True)
        contents = {name: POLYGON for _, name in pairs if name} | {name: png() for name, _ in pairs}
        # The first image is there again with a label of its own, since without one there is nothing to train on.
        contents |= {"first.bmp": png(), "first.txt": POLYGON}
        paths.dataset.mkdir(parents=True)
        lay(paths, contents, {"train": [("first.bmp", "first.txt"), *pairs], "val": pairs})
        for name in later:
            with contextlib.suppress(OSError):
                (paths.dataset / name).with_suffix(".txt").write_bytes(POLYGON)
        found = prepare(FOLDER, paths)
        base = paths.dataset
        seen = [
            (
                image.readlink().relative_to(base).as_posix(),
                label.readlink().relative_to(base).as_posix() if label.exists() else "",
            )
            for image in found.images["val"]
            for label in [ultralytics_label_of(image)]
        ]
    assert seen == pairs


def ultralytics_label_of(image: Path) -> Path:
    """`img2label_paths` of ultralytics 8.4.190."""
    return Path("/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt")


def test_noise_is_what_it_is_to_the_check() -> None:
    for name in ("a.png", ".DS_Store", "x/._a.png", "Thumbs.db", "labels/train.cache", "__MACOSX/a", "x/__MACOSX/a"):
        assert archive.is_noise(name) == rules.is_noise(name)


@pytest.mark.parametrize(
    ("name", "content", "task", "said"),
    [
        ("labels/train/d.txt", b"0 .1 .1 .9 .1 .9 .9\n0 a b c d e f\n", "segment", "labels/train/d.txt:2: "),
        ("labels/train/d.txt", b"2 .1 .1 .9 .1 .9 .9\n", "segment", "labels/train/d.txt:1: "),
        ("labels/train/d.txt", b"\xff\xfe0\x00", "segment", "labels/train/d.txt:1: "),
        ("labels/train/d.txt", b"0 .5 .5 .1 .1\n", "segment", "labels/train/d.txt holds boxes, and to learn masks all"),
        ("labels/train/d.txt", b"0 .5 .5 .1\n", "detect", "labels/train/d.txt:1: "),
        ("images/train/d.png", b"<html>not found</html>", "segment", ""),
        ("images/train/d.png", b"", "segment", ""),
    ],
)
def test_what_ultralytics_would_drop_or_end_the_job_for_is_left_out_and_said(
    paths: Paths, capsys: pytest.CaptureFixture[str], name: str, content: bytes, task: str, said: str
) -> None:
    files = {**MEMBERS, "images/train/d.png": png(), "labels/train/d.txt": POLYGON, name: content}
    pair = ("images/train/d.png", "labels/train/d.txt")
    lay(paths, files, {"train": [*PAIRS["train"], pair], "val": PAIRS["val"]})
    found = prepare(make_job(form="folder", file="", task=task), paths)
    assert [image.name for image in found.images["train"]] == ["a.png", "b.PNG"]
    assert found.left_out == 1
    assert not list((paths.work / "dataset").rglob("d.*"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("LEFT OUT")]
    assert line.startswith(f"LEFT OUT images/train/d.png: {said}")


@pytest.mark.parametrize(
    ("label", "changes"),
    [
        (b"", {}),
        (b"0 .5 .5 .1 .1\n", {"task": "detect"}),
        (b"0 .1 .1 .9 .1 .9 .9\n", {"task": "detect"}),
        (b"7 .1 .1 .9 .1 .9 .9\n", {"arguments": {"epochs": 1, "single_cls": True}}),
        (b"0 .1 .1 .9 .9 .9 .1 .1 .9\n", {}),
    ],
    ids=["empty", "boxes to detect", "polygons to detect", "any class where all are one", "crossing edges"],
)
def test_what_ultralytics_trains_on_is_not_left_out(paths: Paths, label: bytes, changes: dict[str, Any]) -> None:
    lay(paths, {**MEMBERS, "labels/train/a.txt": label})
    found = prepare(make_job(form="folder", file="", **changes), paths)
    assert (len(found.images["train"]), found.left_out) == (2, 0)


@pytest.mark.parametrize(("end", "kept"), [(b"\xff\xd9", 2), (b"", 1)])
def test_an_image_that_is_followed_by_other_data_is_no_cut_one(paths: Paths, end: bytes, kept: int) -> None:
    tables, frame, scan = bytes(65), b"\x08\0\x20\0\x20\1\1\x11\0", b"\1\1\0\0\x3f\0"
    segments = ((b"\xff\xdb", tables), (b"\xff\xc0", frame), (b"\xff\xda", scan))
    header = b"".join(marker + (len(content) + 2).to_bytes(2) + content for marker, content in segments)
    photo = b"\xff\xd8" + header + bytes(40_000) + end + b"film" * 10_000
    files = {**MEMBERS, "images/train/photo.jpg": photo}
    pairs = {"train": [PAIRS["train"][0], ("images/train/photo.jpg", "")], "val": PAIRS["val"]}
    lay(paths, files, pairs)
    assert len(prepare(FOLDER, paths).images["train"]) == kept


def test_twenty_are_named_and_the_others_counted(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {f"images/train/{number:02}.png": b"" for number in range(25)}
    pairs = {"train": [*PAIRS["train"], *((name, "") for name in bad)], "val": PAIRS["val"]}
    lay(paths, {**MEMBERS, **bad}, pairs)
    assert prepare(FOLDER, paths).left_out == 25
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("LEFT OUT")]
    assert (len(lines), lines[0][:31], lines[20]) == (21, "LEFT OUT images/train/00.png: i", "LEFT OUT 5 more")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"images/val/c.png": b""},
            "None of the 1 images of the val split can be used, for instance images/val/c",
        ),
        (
            {"labels/train/a.txt": b"0 0\n"},
            "No image of the train split has a label and can be used, for instance images/train/a.png: labels",
        ),
    ],
)
def test_a_split_of_which_nothing_can_be_used_ends_the_job(paths: Paths, change: dict[str, bytes], said: str) -> None:
    lay(paths, {**MEMBERS, **change})
    with pytest.raises(BadDataset, match=said):
        prepare(FOLDER, paths)
    assert not (paths.work / "data.yaml").exists()


def test_a_fault_of_the_guard_itself_ends_no_training(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(guard, "judge", fail)
    lay(paths, MEMBERS)
    assert len(prepare(FOLDER, paths).images["train"]) == 2


def test_only_the_exact_zip_is_opened(paths: Paths) -> None:
    note(paths, PAIRS, MEMBERS)
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
