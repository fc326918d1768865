"""What counts as a drop, and how runs are named."""

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
    assert (found.dataset, found.form) == (dataset, form)


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("x.zip", "datasets/x.zip"),
        ("datasets/a/b/data.yaml", "datasets/a/data.yaml"),
        ("datasets/a/images.zip", "datasets/images.zip"),
        ("datasets/data.yaml", "datasets/my-dataset/data.yaml"),
        ("rooms/data.yaml", "datasets/rooms/data.yaml"),
        ("datasets/rooms/Data.yaml", "datasets/rooms/data.yaml"),
        (f"datasets/{'n' * 129}.zip", f"datasets/{'n' * 40}.zip"),
    ],
)
def test_a_misplaced_drop_is_told_its_right_key(key: str, right: str) -> None:
    found = recognise(key)
    assert isinstance(found, Misplaced)
    assert right in found.right_keys


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


def test_the_same_event_gives_the_same_run_and_an_execution_by_hand_gets_one_like_it() -> None:
    run_id = run_id_of("rooms", MOMENT, "bucket", "key", "1")
    assert run_id == run_id_of("rooms", MOMENT, "bucket", "key", "1")
    assert run_id != run_id_of("rooms", MOMENT, "bucket", "key", "2")
    assert run_id.startswith("rooms-20261112T010203-")
    assert run_id_of_execution(run_id, MOMENT, "rooms") == run_id
    assert RUN_ID.fullmatch(run_id_of_execution("0f1c", MOMENT, "rooms"))
