"""Closed polygons, by the x and the y of their corners: how much they cover, and whether their edges cross.

Pure, and standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import gt

_ONWARD = 1e-12
"""A turn is sure, in spite of rounding, if the triangle that it spans has more than half of this."""


def seen_from(middle_x: float, middle_y: float, xs: Sequence[float], ys: Sequence[float]) -> tuple[float, bool]:
    """The area of a closed polygon; and whether its corners go once round a point, always onward: no edges can cross.

    True of what is convex, if the point is within, and of many outlines; of others it is not known whether edges cross.
    """
    twice = 0.0
    back = forth = False
    before_x, before_y = xs[-1] - middle_x, ys[-1] - middle_y
    for corner_x, corner_y in zip(xs, ys, strict=True):
        x, y = corner_x - middle_x, corner_y - middle_y
        turn = before_x * y - x * before_y
        twice += turn
        if turn < _ONWARD:
            back = True
        if turn > -_ONWARD:
            forth = True
        before_x, before_y = x, y
    return abs(twice) / 2, not (back and forth) and _goes_round_once(ys, middle_y)


def _goes_round_once(ys: Sequence[float], middle_y: float) -> bool:
    """Whether corners, each less than half a round from the one before, come to lie above the middle only once."""
    if len(ys) <= 4:  # Too few for two rounds.
        return True
    above = [y < middle_y for y in ys]
    return [*map(gt, above, above[1:] + above[:1])].count(True) == 1


def crosses(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether two edges of a closed polygon cross; edges that only touch do not."""
    ends = zip(xs, ys, (*xs[1:], xs[0]), (*ys[1:], ys[0]), strict=True)
    edges = sorted([(ax, ay, bx, by) if ax < bx else (bx, by, ax, ay) for ax, ay, bx, by in ends])
    for place, (ax, ay, bx, by) in enumerate(edges, 1):
        low, high = (ay, by) if ay < by else (by, ay)
        for cx, cy, ex, ey in edges[place:]:
            if cx >= bx:
                break
            if (cy >= high and ey >= high) or (cy <= low and ey <= low):
                continue
            dx, dy = bx - ax, by - ay
            if (dx * (cy - ay) - dy * (cx - ax)) * (dx * (ey - ay) - dy * (ex - ax)) < 0.0 and (
                ((ex - cx) * (ay - cy) - (ey - cy) * (ax - cx)) * ((ex - cx) * (by - cy) - (ey - cy) * (bx - cx)) < 0.0
            ):
                return True
    return False
