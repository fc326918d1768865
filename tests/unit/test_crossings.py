"""Closed polygons: the area that they cover, and edges that cross."""

from __future__ import annotations

from math import cos, pi, sin

import pytest

from traindrop.crossings import crosses, seen_from

Corners = list[tuple[float, float]]


def turned_over(corners: Corners) -> list[tuple[list[float], list[float]]]:
    """The x and y of a polygon, from each of its corners on, and both ways round."""
    turns = [corners[first:] + corners[:first] for first in range(len(corners))]
    return [([x for x, _ in each], [y for _, y in each]) for turn in turns for each in (turn, turn[::-1])]


def regular(count: int, rounds: int) -> Corners:
    """Corners as far from the middle and from each other, so many times round."""
    angles = [2 * pi * rounds * corner / count + 0.1 for corner in range(count)]
    return [(cos(angle), sin(angle)) for angle in angles]


@pytest.mark.parametrize(
    ("corners", "middle", "area", "onward"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], (2, 2), 16, True),
        ([(0, 1), (4, 0), (5, 4), (1, 5)], (2.5, 2.5), 17, True),
        ([(0, 0), (4, 0), (4, 4), (1, 1.5), (0, 4)], (1, 1), 11, True),
        # From without, from a corner, and from where a corner hides another.
        ([(0, 0), (4, 0), (4, 4), (0, 4)], (5, 2), 16, False),
        ([(0, 0), (4, 0), (4, 4), (0, 4)], (4, 4), 16, False),
        ([(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)], (2, 2), 7, False),
        # A corner twice, an edge straight to the middle, and a needle thinner than rounding can tell.
        ([(0, 0), (4, 0), (4, 4), (4, 4), (0, 4)], (2, 2), 16, False),
        ([(0, 0), (4, 0), (4, 2), (3, 2), (4, 4), (0, 4)], (2, 2), 15, False),
        ([(0, 0), (1, 0), (1, 1e-13), (0, 1e-13)], (0.5, 0.5e-13), 1e-13, False),
        # Edges cross.
        ([(0, 0), (4, 4), (4, 0), (0, 4)], (2, 2), 0, False),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], (2, 1), 0, False),
        (regular(5, 1), (0, 0), 2.377641, True),
        (regular(5, 2), (0, 0), 1.469463, False),
        (regular(7, 3), (0, 0), 1.518593, False),
    ],
)
def test_corners_that_go_once_round_a_point_and_always_onward_are_known_as_such(
    corners: Corners, middle: tuple[float, float], area: float, onward: bool
) -> None:
    for xs, ys in turned_over(corners):
        covered, simple = seen_from(*middle, xs, ys)
        assert covered == pytest.approx(area, abs=1e-6)
        assert simple is onward
        assert not (onward and crosses(xs, ys))


@pytest.mark.parametrize(
    ("corners", "crossing"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], False),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], True),
        # L and U, slanted too.
        ([(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)], False),
        ([(0, 1), (5, 0), (6, 5), (4, 5), (4, 2), (2, 2), (2, 6), (0, 6)], False),
        # A corner on an edge, an edge walked twice, a corner met twice: they touch.
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], False),
        ([(0, 0), (4, 0), (4, 4), (6, 6), (4, 4), (0, 4)], False),
        ([(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)], False),
        # A hole reached over a bridge.
        ([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)], False),
        # A vertical edge through a horizontal one, a star, and the last edge through the first.
        ([(0, 0), (4, 0), (4, 3), (2, 3), (2, -1), (0, -1)], True),
        ([(0, 3), (6, 3), (1, 7), (3, 0), (5, 7)], True),
        ([(0, 0), (4, 0), (4, 4), (2, 4), (1, -1)], True),
    ],
)
@pytest.mark.parametrize("turned", range(4))
def test_edges_cross_where_they_share_a_point_that_ends_neither(corners: Corners, crossing: bool, turned: int) -> None:
    for _ in range(turned):
        corners = [(-y, x) for x, y in corners]
    for xs, ys in turned_over(corners):
        assert crosses(xs, ys) is crossing
