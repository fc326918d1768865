"""`traindrop check`: what is printed, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import traindrop.cli.check
from tests.memory_source import MemorySource
from tests.stack import dataset_files
from traindrop.cli import main
from traindrop.fingerprint import fingerprint
from traindrop.validation import validate

ROOT = Path(__file__).resolve().parents[2]
BAD_LABEL = b"0 .1 .1 .2 .1 .2 .2\n\n7 .1 .1 .2 .1 .2 .2\n"


def folder(place: Path, **changes: bytes | None) -> Path:
    """A dataset of four images; `changes` replaces files, `labels__train__x.txt` being labels/train/x.txt."""
    contents: dict[str, bytes | None] = {**dataset_files(train=3, val=1, settings="")}
    contents |= {name.replace("__", "/"): content for name, content in changes.items()}
    for name, content in contents.items():
        if content is not None:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    return place


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    return folder(tmp_path / "rooms")


def first_label(place: Path) -> Path:
    return sorted(place.glob("labels/train/*.txt"))[0]


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(capsys, "check", "--json", *arguments)[1])
    return found


def test_a_valid_dataset_is_ok(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = printed(capsys, "check", rooms)
    lines = out.splitlines()
    assert (code, err, lines[-1]) == (0, "", "OK")
    assert lines[0] == "rooms: segment, 1 class: room"
    table = [line.split() for line in lines if line.startswith(("split", "train", "val"))]
    assert table == [
        ["split", "images", "labels", "backgrounds", "instances"],
        ["train", "3", "3", "0", "3"],
        ["val", "1", "1", "0", "1"],
    ]


def test_an_invalid_one_names_code_place_and_cure(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_label(rooms).write_bytes(BAD_LABEL)
    code, out, err = printed(capsys, "check", rooms)
    told = " ".join(out.split())
    assert (code, err, out.splitlines()[-1]) == (1, "", "NOT OK: 1 error")
    assert "label.class_out_of_range" in told
    assert f"{first_label(rooms).relative_to(rooms)}:3 (class 7; " in told
    assert "Correct the class" in told


def test_warnings_come_after_errors_and_reject_nothing(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_label(rooms).write_bytes(first_label(rooms).read_bytes() * 2)
    code, out, _ = printed(capsys, "check", rooms)
    assert (code, out.splitlines()[-1]) == (0, "OK: 1 warning")
    sorted(rooms.glob("images/val/*"))[0].write_bytes(b"GIF89a")
    code, out, _ = printed(capsys, "check", rooms)
    assert (code, out.splitlines()[-1]) == (1, "NOT OK: 1 error, 1 warning")
    assert out.index("image.unsupported") < out.index("label.duplicate")


def test_json_is_the_verdict_document_and_nothing_else(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = printed(capsys, "check", rooms, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert list(found) == ["ok", "dataset", "fingerprint", "task", "names", "splits", "errors", "warnings"]
    assert (found["ok"], found["dataset"], found["task"], found["names"]) == (True, "rooms", "segment", ["room"])
    assert (
        found["splits"]["train"] | {"images": 3, "labels": 3, "backgrounds": 0, "instances": 3}
        == (found["splits"]["train"])
    )
    first_label(rooms).write_bytes(BAD_LABEL)
    code, out, _ = printed(capsys, "check", rooms, "--json")
    problem = json.loads(out)["errors"][0]
    assert (code, problem["code"], problem["count"]) == (1, "label.class_out_of_range", 1)
    assert problem["examples"] == [f"{first_label(rooms).relative_to(rooms)}:3"]


def test_the_fingerprint_is_that_of_the_same_files_in_s3(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = {path.relative_to(rooms).as_posix(): path.read_bytes() for path in rooms.rglob("*") if path.is_file()}
    source = MemorySource(contents)
    found = validate("rooms", source, None)
    assert found.description
    expected = fingerprint(source, found.description, found.splits, found.settings, found.settings.model)
    assert document(capsys, rooms)["fingerprint"] == expected
    (rooms / "training.yaml").write_text("model: best\n")
    assert document(capsys, rooms)["fingerprint"] == ""


def test_a_zip_is_judged_like_its_folder(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = rooms.parent / "Floor 1.ZIP"
    with zipfile.ZipFile(packed, "w") as target:
        for path in sorted(rooms.rglob("*")):
            target.write(path, path.relative_to(rooms.parent))
    found = document(capsys, packed)
    assert (found["ok"], found["dataset"]) == (True, "Floor 1")
    assert found["splits"] == document(capsys, rooms)["splits"]


def test_the_name_is_that_of_the_folder_unless_given(
    rooms: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert document(capsys, rooms, "--name", "a b")["dataset"] == "a b"
    assert document(capsys, folder(rooms.parent / "plans.v2"))["dataset"] == "plans.v2"
    monkeypatch.chdir(rooms)
    assert document(capsys, ".")["dataset"] == "rooms"


def test_training_yaml_is_honoured(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rooms / "training.yaml").write_text("epoch: 3\n")
    assert [problem["code"] for problem in document(capsys, rooms)["errors"]] == ["settings.unknown_key"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["chek"], "chek"),
        (["check"], "PATH"),
        (["check", "nowhere"], "nowhere does not exist"),
        (["check", ""], "does not exist"),
        (["check", "no\nwhere"], r"no\nwhere"),
        (["check", "data.yaml"], "give the folder"),
        (["check", ".", "--jsn"], "--jsn"),
    ],
)
def test_usage_is_told_in_one_line(
    arguments: list[str],
    word: str,
    rooms: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(rooms)
    code, out, err = printed(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("traindrop: ")
    assert word in err


@pytest.mark.parametrize("broken", [b"PK\3\4 cut", b"no zip at all", b""])
def test_a_zip_that_cannot_be_read_is_an_invalid_dataset(
    broken: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rooms.zip").write_bytes(broken)
    code, out, err = printed(capsys, "check", tmp_path / "rooms.zip")
    assert (code, err, out.splitlines()[-1]) == (1, "", "NOT OK: 1 error")
    assert "archive." in out


def test_a_folder_without_data_yaml_is_an_invalid_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, tmp_path)
    assert (found["ok"], [problem["code"] for problem in found["errors"]]) == (False, ["data_yaml.missing"])


def test_what_is_printed_is_narrow_and_bounded(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rooms / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames: [" + ", ".join(f"name{i}" for i in range(3000)) + "]\n"
    )
    for number in range(300):
        (rooms / f"labels/train/lost{number}.txt").write_bytes(BAD_LABEL)
    code, out, _ = printed(capsys, "check", rooms)
    assert code == 1
    assert "label.without_image (300)" in out
    assert max(map(len, out.splitlines())) <= 100
    assert len(out) < 4000


def test_an_interrupt_ends_it_without_a_word(
    rooms: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(traindrop.cli.check, "validate", interrupted)
    assert printed(capsys, "check", rooms) == (130, "", "")


def test_a_fault_of_our_own_is_told_without_a_traceback(
    rooms: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by a fault")

    monkeypatch.setattr(traindrop.cli.check, "validate", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, out, err = printed(capsys, "check", rooms)
    (log,) = tmp_path.glob("traindrop-*.log")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: by a fault" in err
    assert str(log) in err
    assert "def broken" not in err
    assert "in broken" in log.read_text()


def test_help_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = printed(capsys, "--help")
    assert (code, err) == (0, "")
    assert "check" in out
    code, out, _ = printed(capsys)
    assert code == 2
    assert "check" in out


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **options.pop("environment", {})}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, **options
    )


def test_it_runs_as_a_module_where_stdout_knows_ascii_only(rooms: Path) -> None:
    (rooms / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [Küche]\n", encoding="utf-8")
    done = command("-m", "traindrop", "check", rooms, stdout=subprocess.PIPE, environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "K\\xfcche" in done.stdout


def test_a_reader_that_goes_away_changes_nothing(rooms: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = command("-m", "traindrop", "check", rooms, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_imports_nothing_that_only_the_cloud_needs(rooms: Path) -> None:
    code = (
        "import sys; from traindrop.cli import main; main(['check', sys.argv[1], '--json']); "
        "sys.exit(','.join({'boto3', 'botocore', 'obstore', 'aws_lambda_powertools', 'jinja2'} & {*sys.modules}) or 0)"
    )
    done = command("-c", code, rooms, stdout=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
