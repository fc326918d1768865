"""best.json: its history, and that of several who change it none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from traindrop import champion
from traindrop.champion import KEPT, PROMOTED, ROLLED_BACK, Best


def entry(run_id: str, how: str = PROMOTED, score: float = 0.5) -> dict[str, Any]:
    return champion.entry(run_id, "data", "rooms", score=score, at="2026-11-25", how=how, why="")


def make_best(s3: Any, *entries: dict[str, Any]) -> None:
    for item in entries:
        champion.change(s3, "data", "rooms", lambda _, item=item: (None, item))  # type: ignore[misc]


def document(s3: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(s3.get_object(Bucket="data", Key="models/rooms/best.json")["Body"].read())
    return found


def test_the_document_is_its_newest_entry_and_keeps_the_older_ones(s3: Any) -> None:
    make_best(s3, entry("a"), entry("b"))
    found = document(s3)
    assert (found["run_id"], found["model_uri"]) == ("b", "s3://data/models/rooms/b/best.pt")
    assert [item["run_id"] for item in found["history"]] == ["a", "b"]
    assert "history" not in found["history"][0]


def test_the_history_is_bounded(s3: Any) -> None:
    make_best(s3, *(entry(f"run{number}") for number in range(KEPT + 3)))
    history = document(s3)["history"]
    assert [history[0]["run_id"], history[-1]["run_id"], len(history)] == ["run3", f"run{KEPT + 2}", KEPT]


def test_what_an_earlier_version_wrote_is_the_first_of_the_history(s3: Any) -> None:
    old = {"run_id": "a", "model_uri": "s3://data/models/rooms/a/best.pt", "score": 0.4, "previous_score": None}
    s3.put_object(Bucket="data", Key="models/rooms/best.json", Body=json.dumps(old).encode())
    make_best(s3, entry("b"))
    assert [(item["run_id"], item["how"]) for item in document(s3)["history"]] == [("a", PROMOTED), ("b", PROMOTED)]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"score": 1}', b'{"run_id": "a", "history": [3]}', b"null"])
def test_a_document_that_says_nothing_is_replaced(s3: Any, text: bytes) -> None:
    s3.put_object(Bucket="data", Key="models/rooms/best.json", Body=text)
    assert champion.read(s3, "data", "rooms").now is None
    make_best(s3, entry("a"))
    assert document(s3)["run_id"] == "a"


class Hurried:
    """An S3 in which others are quicker: before each of the first puts somebody else changes best.json."""

    def __init__(self, s3: Any, others: list[dict[str, Any]]) -> None:
        self.s3, self.others = s3, others

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def put_object(self, **request: Any) -> Any:
        if self.others:
            make_best(self.s3, self.others.pop(0))
        return self.s3.put_object(**request)


def if_better(score: float) -> Callable[[Best], tuple[bool, Mapping[str, Any] | None]]:
    def decide(best: Best) -> tuple[bool, Mapping[str, Any] | None]:
        better = best.now is None or score > best.now["score"]
        return better, entry("mine", score=score) if better else None

    return decide


@pytest.mark.parametrize("first", [[], [entry("old", score=0.1)]])
def test_whoever_was_overtaken_decides_anew_and_nothing_is_lost(s3: Any, first: list[dict[str, Any]]) -> None:
    make_best(s3, *first)
    hurried: Any = Hurried(s3, [entry("theirs", score=0.4), entry("another's", score=0.6)])
    assert champion.change(hurried, "data", "rooms", if_better(0.7)) is True
    names = [item["run_id"] for item in document(s3)["history"]]
    assert names == [item["run_id"] for item in first] + ["theirs", "another's", "mine"]


def test_whoever_was_overtaken_by_a_better_one_leaves_it(s3: Any) -> None:
    hurried: Any = Hurried(s3, [entry("theirs", score=0.9)])
    assert champion.change(hurried, "data", "rooms", if_better(0.7)) is False
    assert [item["run_id"] for item in document(s3)["history"]] == ["theirs"]


def test_whoever_is_overtaken_again_and_again_gives_up_with_awss_own_error(s3: Any) -> None:
    hurried: Any = Hurried(s3, [entry("theirs", score=0.1)] * 20)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        champion.change(hurried, "data", "rooms", if_better(0.7))


def of(*entries: tuple[str, str]) -> Best:
    return Best([entry(run_id, how) for run_id, how in entries])


@pytest.mark.parametrize(
    ("history", "before"),
    [
        ([], None),
        ([("a", PROMOTED)], None),
        ([("a", PROMOTED), ("b", PROMOTED)], "a"),
        # Back from c to b, and once more: to a, not to c again.
        ([("a", PROMOTED), ("b", PROMOTED), ("c", PROMOTED), ("b", ROLLED_BACK)], "a"),
        ([("a", PROMOTED), ("b", PROMOTED), ("a", ROLLED_BACK)], None),
        ([("a", PROMOTED), ("b", PROMOTED), ("a", ROLLED_BACK), ("d", PROMOTED)], "a"),
        ([("x", ROLLED_BACK)], None),
    ],
)
def test_before_the_best_was_the_one_that_it_was_promoted_over(
    history: list[tuple[str, str]], before: str | None
) -> None:
    found = of(*history).before()
    assert (found and found["run_id"]) == before
