"""Whatever a label file holds, it is corrupt for us where it is for ultralytics, and else holds the same instances."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Row, Rows
from tests.faults.label_texts import PLANS, Text, bunch
from tests.faults.properties import hold
from tests.label_table import TABLE
from tests.oracle import Oracle
from traindrop.labels import Label, judge

KINDS = """not_text not_a_number wrong_columns mixed odd_coordinates class_not_an_index class_out_of_range out_of_bounds
outside point flat tiny crossing class_form duplicate segment detect"""
"""Faults, oddities and tasks that must be among the cases, so that none is passed by never being tried."""
BATCH = 2000


def compare(texts: Sequence[Text], place: Path, row: Row, *, each_at_least: int) -> None:
    """Set the figure to the number of labels that ultralytics judges otherwise."""
    tried: Counter[str] = Counter()
    mismatches: list[tuple[Text, Any, Label]] = []
    with Oracle(place) as oracle:
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            asked = [(base64.b64encode(data).decode(), class_count) for data, class_count in batch]
            for text, theirs in zip(batch, oracle.ask("labels.verify", asked), strict=True):
                ours = judge(*text, tiny_below=0.2)
                verdict = ours.fault.code.removeprefix("label.") if ours.fault else ours.task or "background"
                tried.update([verdict, *ours.oddities])
                if theirs != plain(ours):
                    mismatches.append((text, theirs, ours))
    row.figure(f"mismatches = {len(mismatches)} of {len(texts):,}")
    assert not mismatches, min(mismatches, key=lambda mismatch: len(mismatch[0][0]))
    assert {kind: tried[kind] for kind in KINDS.split() if tried[kind] < each_at_least} == {}


def plain(label: Label) -> dict[str, Any] | None:
    """A verdict as the oracle answers it."""
    instances = [list(item) for item in sorted(label.instances.items())]
    return None if label.fault else {"task": label.task, "instances": instances}


@pytest.mark.parametrize(
    ("examples", "cases", "each_at_least"),
    [pytest.param(200, 1200, 1, marks=pytest.mark.brief), pytest.param(2600, 20_000, 50, marks=pytest.mark.long)],
)
def test_any_label_is_judged_as_ultralytics_judges_it(
    examples: int, cases: int, each_at_least: int, row: Rows, tmp_path: Path
) -> None:
    line = row(
        25,
        fault="any text as a label",
        injected="texts near the grammar and far from it, judged by ultralytics 8.4.190 too",
        promise="corrupt for both or for none; same task, same instances",
    )
    texts: dict[Text, None] = {}
    hold(examples, lambda plan: texts.update(dict.fromkeys(bunch(plan, seed=len(texts)))), PLANS)
    assert len(texts) >= cases
    compare(list(texts), tmp_path, line, each_at_least=each_at_least)


def test_labels_written_by_hand_are_judged_as_ultralytics_judges_them(row: Rows, tmp_path: Path) -> None:
    line = row(
        25,
        fault="a label by hand for each rule",
        injected=f"{len(TABLE)} labels, judged by ultralytics 8.4.190 too",
        promise="corrupt for both or for none; same task, same instances",
    )
    compare([(case.data, case.classes) for case in TABLE], tmp_path, line, each_at_least=0)
