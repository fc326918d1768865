"""What counts as a drop, and how runs are named."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traindrop.drops import RUN_ID, Drop, Misplaced, recognise, run_id_of, run_id_of_execution, slug_of

MOMENT = datetime(2026, 11, 12, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "dataset", "form"),
    [
        ("datasets/rooms.zip", "rooms", "archive"),
        ("datasets/Rooms.ZIP", "Rooms", "archive"),
        ("datasets/My rooms + más/data.yaml", "My rooms + más", "folder"),
        ("datasets/a%2Bb/data.yml", "a%2Bb", "folder"),
        ("datasets/rooms/training.yaml", "rooms", "folder"),
    ],
)
def test_a_drop_is_recognised_by_its_raw_key(key: str, dataset: str, form: str) -> None:
    found = recognise(key)
    assert isinstance(found, Drop)
    assert found == Drop(key, dataset, form)  # type: ignore[arg-type]
    assert found.prefix == (key if form == "archive" else f"datasets/{dataset}/")


ARCHIVE = "an archive starts a run only directly under datasets/"
DESCRIPTION = "a data.yaml starts a run only directly in its dataset's folder, datasets/<name>/"
CASE = "ultralytics looks for this file under its lower-case name"
LONG = "n" * 129


def named(length: int) -> str:
    return f"a dataset's name has 1 to 128 printable characters; this one has {length}"


@pytest.mark.parametrize(
    ("key", "names", "reason"),
    [
        ("x.zip", ["x"], ARCHIVE),
        ("a/b/x.zip", ["x", "a"], ARCHIVE),
        ("datasets/a/images.zip", ["images", "a"], ARCHIVE),
        ("datasets/a/a.ZIP", ["a"], ARCHIVE),
        ("data.yaml", ["my-dataset"], DESCRIPTION),
        ("datasets/data.yaml", ["my-dataset"], DESCRIPTION),
        ("rooms/data.yaml", ["rooms"], DESCRIPTION),
        ("datasets/a/b/data.yaml", ["a", "b"], DESCRIPTION),
        ("datasets/a/b/c/d/data.yml", ["a", "d"], DESCRIPTION),
        ("datasets/a/a/data.yaml", ["a"], DESCRIPTION),
        ("a/ /data.yaml", ["a"], DESCRIPTION),
        (f"datasets/{LONG}.zip", ["n" * 40], named(129)),
        ("datasets/.zip", ["my-dataset"], named(0)),
        ("datasets/..zip", ["my-dataset"], named(1)),
        ("datasets/...zip", ["my-dataset"], named(2)),
        (f"datasets/{LONG}/data.yaml", ["n" * 40], named(129)),
        ("datasets/ a\nb. /data.yaml", ["a_b"], named(6)),
        ("datasets/./training.yaml", ["my-dataset"], named(1)),
        ("datasets/../data.yaml", ["my-dataset"], named(2)),
        ("datasets//data.yaml", ["my-dataset"], named(0)),
        ("datasets/X X/\u0000/x.zip", ["x", "X X"], ARCHIVE),
    ],
)
def test_a_misplaced_drop_is_told_its_right_keys_and_why(key: str, names: list[str], reason: str) -> None:
    form = "{}.zip" if key.lower().endswith(".zip") else "{}/data.yaml"
    right = tuple(f"datasets/{form.format(name)}" for name in names)
    assert recognise(key) == Misplaced(key, names[0], right, reason)


@pytest.mark.parametrize(
    ("key", "name", "right"),
    [
        ("datasets/rooms/Data.yaml", "rooms", "datasets/rooms/data.yaml"),
        ("datasets/rooms/TRAINING.YML", "rooms", "datasets/rooms/training.yml"),
        (f"datasets/{LONG}/Data.yaml", "n" * 40, f"datasets/{'n' * 40}/data.yaml"),
    ],
)
def test_a_file_in_capitals_is_told_its_right_name(key: str, name: str, right: str) -> None:
    assert recognise(key) == Misplaced(key, name, (right,), CASE)


def test_a_name_may_have_128_characters() -> None:
    assert recognise(f"datasets/{LONG[:128]}.zip") == Drop(f"datasets/{LONG[:128]}.zip", LONG[:128], "archive")


@pytest.mark.parametrize(
    "key",
    [
        "datasets/training.yaml",
        "datasets/a/images/1.jpg",
        "datasets/a/labels/1.txt",
        "a/b/training.yaml",
        "datasets/",
        "notes.yaml",
    ],
)
def test_everything_else_is_ignored(key: str) -> None:
    assert recognise(key) is None


@given(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=128))
def test_different_names_never_share_a_slug_and_every_slug_fits(one: str, other: str) -> None:
    for name in (one, other):
        assert len(slug_of(name)) <= 35
        assert RUN_ID.fullmatch(run_id_of(name, MOMENT, "x"))
        assert len(f"{run_id_of(name, MOMENT, 'x')}-99") <= 63
    assert (slug_of(one) == slug_of(other)) == (one == other)


def test_a_name_that_looks_like_a_hashed_slug_gets_a_hash_of_its_own() -> None:
    hashed = slug_of("Rooms")
    assert slug_of(hashed) != hashed
    assert slug_of("rooms") == "rooms"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("rooms", "rooms"),
        ("a" * 26, "a" * 26),
        ("a" * 27, "a" * 26 + "-"),
        ("Rooms", "rooms-"),
        ("Grundrisse Büro (2)", "grundrisse-buro-2-"),
        ("-x-", "x-"),
        ("X" + "y" * 24 + " z", "x" + "y" * 24 + "-"),
        ("XX", "xx-"),
        ("間取り", "dataset-"),
    ],
)
def test_a_slug_shows_the_name_as_far_as_it_can(name: str, slug: str) -> None:
    assert re.fullmatch(re.escape(slug) + ("[0-9a-f]{8}" if slug.endswith("-") else ""), slug_of(name))


def test_the_same_event_gives_the_same_run_and_an_execution_by_hand_gets_one_like_it() -> None:
    run_id = run_id_of("rooms", MOMENT, "bucket", "key", "1")
    assert run_id == run_id_of("rooms", MOMENT, "bucket", "key", "1")
    assert run_id != run_id_of("rooms", MOMENT, "bucket", "key", "2")
    # Other versions of the code give it the same name, since an event may come again after an update.
    assert run_id == "rooms-20261112T010203-c3e7ba02"
    assert run_id_of_execution(run_id, MOMENT, "rooms") == run_id
    assert run_id != run_id_of("rooms", MOMENT, "bucketkey", "1")
    by_hand = run_id_of_execution("0f1c", MOMENT, "rooms")
    assert RUN_ID.fullmatch(by_hand)
    assert by_hand == run_id_of("rooms", MOMENT, "0f1c")
    assert by_hand != run_id_of_execution("0f1d", MOMENT, "rooms")
