"""Properties over many values, each a row of the fault table; and values that more than one of them takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.conftest import Rows

EXAMPLES = pytest.mark.parametrize(
    "examples", [pytest.param(200, marks=pytest.mark.brief), pytest.param(10_000, marks=pytest.mark.long)]
)
MOMENT = datetime(2026, 11, 12, 1, 2, 3, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ANY_TEXT = st.text(max_size=60) | st.sampled_from(
    ["\ud800", "a\r\nSubject: x", "\u202e", "x" * 3000, "\0", "'; rm -rf /"]
)
FILES = st.sampled_from(["data.yaml", "data.yml", "training.yaml", "Data.yaml", "x.zip", ".zip", "a.ZIP", "1.png", ""])
KEYS = st.builds(
    lambda root, parts, file: (root + "/".join([*parts, file]))[:1024],
    st.sampled_from(["datasets/", "", "/", "datasets//", "Datasets/"]),
    st.lists(TEXT | st.sampled_from(["..", ".", "a" * 129, "\U0001f600", " "]), max_size=4),
    FILES | st.builds(lambda text: f"{text}.zip", TEXT),
)


def hold(examples: int, property_: Callable[[Any], None], values: st.SearchStrategy[Any]) -> None:
    """Try a property on so many values; whatever it raises is the test's failure."""
    tried = given(values)(property_)
    settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples <= 200,
        suppress_health_check=list(HealthCheck),
    )(tried)()


def fill(row: Rows, what: str, injected: str, examples: int, property_: Callable[[Any], None], values: Any) -> None:
    """Fill a row of the table with one property."""
    line = row(24, fault=what, injected=f"{examples:,} {injected}", promise="no error but the declared ones")
    line.figure("an undeclared error")
    hold(examples, property_, values)
    line.figure(f"undeclared errors = 0 of {examples:,}")


def declared(right: bool) -> None:
    """An error says what is wrong in the way that is promised."""
    assert right
