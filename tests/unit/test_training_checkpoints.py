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
    save(store(tmp_path), files, 5, 6, 7)
    once_more = store(tmp_path)
    once_more.restore()
    save(once_more, files, 8)
    (tmp_path / "checkpoints/b.zip").unlink()
    left = store(tmp_path).restore()
    assert left
    assert left.epoch == 7


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
    for slot in ("a.zip", "b.zip"):
        (tmp_path / "checkpoints" / slot).write_bytes(b"")
    target = store(tmp_path)
    assert target.register_start(target.restore()).checkpoints_rejected == (
        *first.checkpoints_rejected,
        "a.zip: File is not a zip file; b.zip: File is not a zip file; training began anew",
    )


def test_what_is_told_of_a_damage_is_bounded_and_so_is_what_is_remembered(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    name = "n" * 300
    Store(tmp_path / "checkpoints", name).save(1, finished=False, files=files)
    for _ in range(2):
        target = store(tmp_path)
        target.rejected.append("earlier: " + "e" * 400)
        assert target.restore() is None
        (told,) = target.register_start(None).checkpoints_rejected[-1:]
    assert target.rejected == ["earlier: " + "e" * 400]
    for number in range(12):
        target = store(tmp_path)
        target.rejected.append(str(number))
        history = target.register_start(None)
    assert history.host_starts == 14
    assert len(history.checkpoints_rejected) == 10
    assert history.checkpoints_rejected[-1] == "11; training began anew"
    assert len(told) == len("earlier: ") + 400 + len("; training began anew")
    target.rejected[:] = ["x" * 600]
    assert target.register_start(None).checkpoints_rejected[-1] == "x" * 500


def test_a_rejection_names_its_file_and_the_beginning_of_its_reason(tmp_path: Path, files: dict[str, Path]) -> None:
    Store(tmp_path / "checkpoints", "n  \n" * 200).save(1, finished=False, files=files)
    target = store(tmp_path)
    assert target.restore() is None
    assert target.rejected == [("a.zip: " + "it belongs to run " + "n " * 200)[: len("a.zip: ") + 200]]
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    with zipfile.ZipFile(tmp_path / "checkpoints/a.zip", "w") as packed:
        packed.writestr("manifest.json", "[]")
    target = store(tmp_path)
    assert target.restore() is None
    assert target.rejected[0].startswith("a.zip: ")


def test_a_damaged_file_in_a_generation_is_named(tmp_path: Path, files: dict[str, Path]) -> None:
    target = store(tmp_path)
    save(target, files, 1)
    place = tmp_path / "checkpoints/a.zip"
    with zipfile.ZipFile(place) as packed:
        manifest = packed.read("manifest.json")
    with zipfile.ZipFile(place, "w") as packed:
        packed.writestr("last.pt", "another epoch's")
        packed.writestr("best.pt", files["best.pt"].read_bytes())
        packed.writestr("manifest.json", manifest)
    assert target.restore() is None
    assert target.rejected == ["a.zip: its last.pt is damaged"]
    save(target, files, 2)
    with zipfile.ZipFile(place) as packed:
        changed = packed.read("manifest.json").replace(b'"epoch": 2', b'"epoch": 7')
    with zipfile.ZipFile(place, "w") as packed:
        packed.writestr("manifest.json", changed)
    assert target.restore() is None
    assert target.rejected[1:] == ["a.zip: what it says is damaged"]


def test_a_generation_is_unpacked_into_an_emptied_folder_and_files_are_not_packed_smaller(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    target = Store(tmp_path / "deep/checkpoints", "run-1")
    save(target, files, 1)
    generation = target.restore()
    assert generation
    out = tmp_path / "deeper/out"
    for _ in range(2):
        generation.unpack(out)
        assert sorted(path.name for path in out.iterdir()) == ["best.pt", "last.pt"]
        (out / "stale.pt").touch()
    with zipfile.ZipFile(generation.path) as packed:
        assert {info.compress_type for info in packed.infolist()} == {zipfile.ZIP_STORED}


def test_a_store_that_restored_nothing_begins_with_the_first_slot(tmp_path: Path, files: dict[str, Path]) -> None:
    target = store(tmp_path)
    save(target, files, 1)
    (tmp_path / "checkpoints/a.zip").write_bytes(b"torn")
    assert target.restore() is None
    save(target, files, 2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["a.zip"]


def test_a_document_is_whole_in_whatever_order_its_keys_are(tmp_path: Path) -> None:
    target = store(tmp_path)
    target.mark_done({"b": 1, "a": 2})
    marker = tmp_path / "checkpoints/done.json"
    content = json.loads(marker.read_text())
    marker.write_text(json.dumps(dict(reversed(content.items()))))
    assert target.done() == {"b": 1, "a": 2}
    assert Store(tmp_path / "checkpoints", "run-2").done() is None


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
