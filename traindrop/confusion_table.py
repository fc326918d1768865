"""What the model takes for what, as a table that the report draws from numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traindrop.comparison import classes_of
from traindrop.figures import count

_BACKGROUND = "background"
_NAME_LENGTH = 28


@dataclass(frozen=True)
class Cell:
    """How often a class was taken for another, as `kind` (hit, miss or nothing) and as a share of its row, 0 to 1."""

    count: int
    kind: str
    share: float


@dataclass(frozen=True)
class Row:
    """A true class, or the background, and what its objects were taken for."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Confusions:
    """The whole matrix, or of very many classes the largest confusions (true, predicted, how many, of how many)."""

    columns: Sequence[str]
    rows: Sequence[Row]
    largest: Sequence[tuple[str, str, int, int]]
    told: str


def confusions(metrics: Mapping[str, Any]) -> Confusions | None:
    """The confusions in metrics.json, or None where it has none.

    Rows are true classes, columns predicted ones, as scikit-learn has them; ultralytics' pictures turn it round. The
    background's row counts what is not there and was found, its column what is there and was missed.
    """
    seen = metrics.get("predictions") or {}
    names = classes_of(metrics) or []
    images = count(seen.get("images"))
    how = (
        f"{images} validation image{'' if images == 1 else 's'}, at a confidence of {seen.get('confidence', 0):g} and "
        f"upwards; two outlines are one object from an IoU of {seen.get('iou', 0):g} on"
    )
    if "largest" in seen:
        largest = [
            (_name(one.get("true")), _name(one.get("predicted")), count(one.get("count")), count(one.get("of")))
            for one in seen["largest"]
        ]
        return Confusions([], [], largest, how) if largest else None
    matrix = [[count(value) for value in row] for row in seen.get("matrix") or []]
    if not any(map(any, matrix)) or {len(matrix), *map(len, matrix)} != {len(names) + 1}:
        return None
    names = [*(name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…" for name in names), _BACKGROUND]
    return Confusions(
        names,
        [Row(name, _cells(row, number)) for number, (name, row) in enumerate(zip(names, matrix, strict=True))],
        [],
        how,
    )


def _cells(row: Sequence[int], own: int) -> list[Cell]:
    whole = max(1, sum(row))
    return [
        Cell(value, "" if not value else "hit" if column == own else "miss", round(value / whole, 3))
        for column, value in enumerate(row)
    ]


def _name(name: Any) -> str:
    return _BACKGROUND if name is None else str(name)
