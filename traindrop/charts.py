"""Curves over epochs as numbers that a template can draw: SVG coordinates, ticks and marks, no markup."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 14, 36
_MOST_POINTS = 400

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Tick:
    """A line across the chart: where, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One series: its SVG points, its last value, and its dots (x, y, tip) where there are few enough to tell apart."""

    label: str
    points: str
    last: str
    dots: Sequence[tuple[float, float, str]]


@dataclass(frozen=True)
class Chart:
    """A chart of `WIDTH` by `HEIGHT`, with `summary` saying in words what it shows."""

    title: str
    summary: str
    curves: Sequence[Curve]
    across: Sequence[Tick]
    along: Sequence[Tick]
    resumes: Sequence[Tick]
    best: float | None
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def read_epochs(results_csv: str) -> list[dict[str, float]]:
    """Rows of ultralytics' results.csv, by column; what is no finite number is left out, and rows without an epoch."""
    rows: list[dict[str, float]] = []
    for line in csv.DictReader(io.StringIO(results_csv)):
        row = {}
        for name, text in line.items():
            value = _number(text)
            if isinstance(name, str) and value is not None:
                row[name.strip()] = value
        if "epoch" in row:
            rows.append(row)
    return rows


def column(rows: Iterable[Mapping[str, float]], name: str) -> Points:
    """A column of `read_epochs` as (epoch, value)."""
    return [(int(row["epoch"]), row[name]) for row in rows if name in row]


def chart(
    title: str,
    series: Mapping[str, Points],
    *,
    resumed: Sequence[int] = (),
    share: bool = False,
    best_epoch: int | None = None,
) -> Chart | None:
    """A chart of series over epochs, or None where there is no point to draw.

    Args:
        title: what is shown.
        series: points by label; those without any are left out.
        resumed: epochs that were finished when a job went on after an interruption.
        share: the values are shares, drawn on an axis from 0 to 1.
        best_epoch: marked where it lies among the epochs.
    """
    kept = {label: points for label, points in series.items() if points}
    if not kept:
        return None
    epochs = [epoch for points in kept.values() for epoch, _ in points]
    values = [value for points in kept.values() for _, value in points]
    first, last = min(epochs), max(epochs)
    step = 0.2 if share else _step(max(values) - min(0.0, *values))
    low = 0.0 if share else math.floor(min(0.0, *values) / step) * step
    high = 1.0 if share else max(low + step, math.ceil(max(values) / step - 1e-9) * step)

    def x(epoch: float) -> float:
        if first == last:
            return (_LEFT + WIDTH - _RIGHT) / 2
        place = (min(max(epoch, first), last) - first) / (last - first)
        return round(_LEFT + place * (WIDTH - _RIGHT - _LEFT), 1)

    def y(value: float) -> float:
        place = (min(max(value, low), high) - low) / (high - low)
        return round(HEIGHT - _BOTTOM - place * (HEIGHT - _BOTTOM - _TOP), 1)

    curves = []
    for label, points in kept.items():
        dots = [(x(e), y(v), f"{label}, epoch {e}: {v:.3f}") for e, v in points] if len(points) <= 40 else []
        drawn = " ".join(f"{x(e)},{y(v)}" for e, v in _thinned(points))
        curves.append(Curve(label, drawn, f"{points[-1][1]:.3f}", dots))
    lines = round((high - low) / step)
    across = [Tick(y(low + i * step), f"{low + i * step:.10g}") for i in range(lines + 1)]
    marks = [Tick(x(n + 0.5), f"went on after epoch {n}") for n in sorted(set(resumed)) if first - 1 <= n <= last]
    best = x(best_epoch) if best_epoch is not None and first <= best_epoch <= last else None
    return Chart(
        title,
        _summary(title, kept, [n for n in resumed if first - 1 <= n <= last]),
        curves,
        across,
        [Tick(x(epoch), str(epoch)) for epoch in _whole_ticks(first, last)],
        marks,
        best,
    )


def _number(text: object) -> float | None:
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e9 else None


def _thinned(points: Points) -> Points:
    """At most about `_MOST_POINTS`, the last always among them."""
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    return [*points[:-1:stride], points[-1]]


def _step(span: float) -> float:
    """A round distance between three to six lines over a span."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if span / (power * factor) <= 5)


def _whole_ticks(first: int, last: int) -> list[int]:
    """Five to nine round epochs, the first among them."""
    stride = next(10**power * n for power in range(9) for n in (1, 2, 5) if (last - first) / (10**power * n) <= 8)
    return sorted({first, *range(math.ceil(first / stride) * stride, last + 1, stride)} - _crowding(first, stride))


def _crowding(first: int, stride: int) -> set[int]:
    following = math.ceil(first / stride) * stride
    return {following} if 0 < following - first < stride / 2 else set()


def _summary(title: str, series: Mapping[str, Points], resumed: Sequence[int]) -> str:
    parts = [
        f"{label} from {points[0][1]:.3f} in epoch {points[0][0]} to {points[-1][1]:.3f} in epoch {points[-1][0]}"
        for label, points in series.items()
    ]
    marks = f" Interrupted and resumed after epoch {', '.join(map(str, resumed))}." if resumed else ""
    return f"{title} per epoch: {'; '.join(parts)}.{marks}"
