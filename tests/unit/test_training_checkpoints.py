from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from training_entry import durable
from training_entry.checkpoints import Generation, History, Store


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    answer = {}
    for name in ("last.pt", "best.pt"):
        path = tmp_path / "source" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode() * 5000)
        answer[name] = path
    return answer


def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "checkpoints", "run-1")


def save(target: Store, files: dict[str, Path], *epochs: int) -> None:
    for epoch in epochs:
        files["last.pt"].write_bytes(str(epoch).encode() * 9000)
        target.save(epoch, finished=epoch == 9, files=files)


def test_the_newest_generation_is_restored(tmp_path: Path, files: dict[str, Path]) -> None:
    save(store(tmp_path), files, 1, 2, 9)
    generation = store(tmp_path).restore()
    assert generation
    assert (generation.epoch, generation.finished) == (9, True)
    generation.unpack(tmp_path / "out")
    assert (tmp_path / "out/last.pt").read_bytes() == b"9" * 9000
    assert (tmp_path / "out/best.pt").read_bytes() == files["best.pt"].read_bytes()


def test_two_generations_are_kept_and_no_draft(tmp_path: Path, files: dict[str, Path]) -> None:
    save(store(tmp_path), files, 1, 2, 3, 4)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["a.zip", "b.zip"]


def test_a_restored_store_overwrites_the_older_generation(tmp_path: Path, files: dict[str, Path]) -> None:
    save(store(tmp_path), files, 1, 2)
    again = store(tmp_path)
    again.restore()
    save(again, files, 3)
    (tmp_path / "checkpoints/a.zip").unlink()
    left = store(tmp_path).restore()
    assert left
    assert left.epoch == 2


def test_no_single_flipped_bit_or_cut_goes_unnoticed(tmp_path: Path, files: dict[str, Path]) -> None:
    """Every damage is either seen, or leaves each restored file as it was."""
    save(store(tmp_path), files, 1, 2)
    newest = tmp_path / "checkpoints/b.zip"
    whole = newest.read_bytes()
    expected = {name: path.read_bytes() for name, path in files.items()}
    damages = [whole[:cut] for cut in range(0, len(whole), 997)]
    damages += [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(0, len(whole), 499)]
    for damage in damages:
        newest.write_bytes(damage)
        target = store(tmp_path)
        generation = target.restore()
        assert generation
        if target.rejected:
            assert generation.epoch == 1
        else:
            generation.unpack(tmp_path / "out")
            assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected
    assert damages


def test_with_both_generations_damaged_nothing_is_restored_and_both_are_named(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    save(store(tmp_path), files, 1, 2)
    for slot in ("a.zip", "b.zip"):
        (tmp_path / "checkpoints" / slot).write_bytes(b"PK torn")
    target = store(tmp_path)
    assert target.restore() is None
    assert [line.split(":")[0] for line in target.rejected] == ["a.zip", "b.zip"]
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_kill_while_a_generation_is_written_leaves_the_others(tmp_path: Path, files: dict[str, Path]) -> None:
    save(store(tmp_path), files, 1, 2)
    (tmp_path / "checkpoints/.a.zip.tmp").write_bytes(b"half")
    target = store(tmp_path)
    generation = target.restore()
    assert generation
    assert (generation.epoch, target.rejected) == (2, [])
    assert not (tmp_path / "checkpoints/.a.zip.tmp").exists()


def test_another_runs_checkpoint_is_not_taken(tmp_path: Path, files: dict[str, Path]) -> None:
    save(Store(tmp_path / "checkpoints", "run-2"), files, 1)
    target = store(tmp_path)
    assert target.restore() is None
    assert target.rejected == ["a.zip: it belongs to run run-2"]


def test_an_archive_that_is_no_generation_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with zipfile.ZipFile(tmp_path / "checkpoints/a.zip", "w") as packed:
        packed.writestr("last.pt", "x")
    assert store(tmp_path).restore() is None


def test_every_start_of_a_host_is_counted(tmp_path: Path) -> None:
    three, whole = (Generation(tmp_path, 3, finished) for finished in (False, True))
    assert store(tmp_path).register_start(None) == History(1)
    assert store(tmp_path).register_start(three) == History(2, (3,))
    assert store(tmp_path).register_start(whole) == History(3, (3,))


@pytest.mark.parametrize(
    "damage", [lambda text: text[:20], lambda text: text.replace("1", "7"), lambda _: "[]", lambda _: ""]
)
def test_a_damaged_history_begins_anew_and_is_told(tmp_path: Path, damage: Callable[[str], str]) -> None:
    store(tmp_path).register_start(None)
    place = tmp_path / "checkpoints/history.json"
    place.write_text(damage(place.read_text()))
    target = store(tmp_path)
    history = target.register_start(Generation(tmp_path, 5, finished=False))
    assert (history.host_starts, history.resumed_from_epochs) == (1, (5,))
    (told,) = history.checkpoints_rejected
    assert told.startswith("history.json: ")
    assert told.endswith("; training went on from epoch 5")
    assert store(tmp_path).register_start(None).checkpoints_rejected == (told,)


def test_what_was_rejected_is_remembered_with_how_training_went_on(tmp_path: Path, files: dict[str, Path]) -> None:
    save(store(tmp_path), files, 1, 2)
    (tmp_path / "checkpoints/b.zip").write_bytes(b"PK torn")
    target = store(tmp_path)
    first = target.register_start(target.restore())
    assert first.checkpoints_rejected == ("b.zip: File is not a zip file; training went on from epoch 1",)
    (tmp_path / "checkpoints/a.zip").write_bytes(b"")
    target = store(tmp_path)
    assert target.register_start(target.restore()).checkpoints_rejected == (
        *first.checkpoints_rejected,
        "a.zip: File is not a zip file; training began anew",
    )


def test_the_done_marker_is_believed_only_when_whole(tmp_path: Path) -> None:
    target = store(tmp_path)
    assert target.done() is None
    target.mark_done({"map50_mask": 0.9})
    assert store(tmp_path).done() == {"map50_mask": 0.9}
    marker = tmp_path / "checkpoints/done.json"
    marker.write_text(marker.read_text().replace("0.9", "1.0"))
    assert store(tmp_path).done() is None


def test_what_lies_beside_the_generations_is_rewritten_only_when_it_changed(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    target = store(tmp_path)
    target.show(files)
    shown = tmp_path / "checkpoints/best.pt"
    before = shown.stat().st_ino
    target.show(files)
    assert shown.stat().st_ino == before
    files["best.pt"].write_text("better")
    target.show(files)
    assert shown.read_text() == "better"


def test_durable_files_are_replaced_whole(tmp_path: Path) -> None:
    durable.write_json(tmp_path / "new/a.json", {"a": 1})
    durable.copy(tmp_path / "new/a.json", tmp_path / "other/b.json")
    assert json.loads((tmp_path / "other/b.json").read_text()) == {"a": 1}
    assert durable.digest(tmp_path / "other/b.json") == durable.digest(tmp_path / "new/a.json")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["b.json"]
