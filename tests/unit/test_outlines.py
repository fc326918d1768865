"""Polygons of masks: exact where they are traced, and simple whatever the mask."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traindrop import outlines
from traindrop.letterbox import Image


def canvas(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (60, 80)) -> Image:
    """A mask of rectangles: left, top, right, bottom."""
    mask = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def corners(points: Any) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for x, y in points}


def overlap(points: outlines.Points, mask: Image, scale: int = 8) -> float:
    """Intersection over union of a polygon and a mask, at so many samples a pixel's side."""
    height, width = mask.shape
    drawn = np.zeros((height * scale, width * scale), np.uint8)
    cv2.fillPoly(drawn, [np.round(points * scale - 0.5).astype(np.int32)], 1)
    truth = np.kron(mask, np.ones((scale, scale), np.uint8))
    return float((drawn & truth).sum() / (drawn | truth).sum())


def test_an_outline_runs_along_the_edges_of_pixels() -> None:
    assert corners(outlines.trace(canvas((10, 5, 30, 25)))) == {(10, 5), (30, 5), (30, 25), (10, 25)}


def test_one_pixel_has_four_corners() -> None:
    found = outlines.trace(canvas((7, 3, 8, 4)))
    assert corners(found) == corners(outlines.simplify(found)) == {(7, 3), (8, 3), (8, 4), (7, 4)}


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines.trace(canvas()).shape == (0, 2)
    assert outlines.trace(np.zeros((0, 0), np.uint8)).shape == (0, 2)


def test_a_mask_that_fills_its_frame_is_the_frame() -> None:
    found = outlines.trace(np.ones((20, 30), np.uint8))
    assert corners(outlines.simplify(found)) == {(0, 0), (30, 0), (30, 20), (0, 20)}


def test_holes_are_filled_and_small_parts_left_out() -> None:
    mask = canvas((10, 10, 40, 40), (60, 10, 65, 15))
    mask[20:25, 20:25] = 0
    assert corners(outlines.trace(mask)) == {(10, 10), (40, 10), (40, 40), (10, 40)}


def test_parts_that_touch_at_a_corner_only_are_two() -> None:
    found = outlines.trace(canvas((10, 10, 30, 30), (30, 30, 40, 40)))
    assert corners(found) == {(10, 10), (30, 10), (30, 30), (10, 30)}


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_the_area_of_an_outline_is_the_number_of_its_pixels(height: int, width: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, np.uint8).reshape(height, width)
    found = outlines.trace(mask)
    if not mask.any():
        assert len(found) == 0
        return
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    part = (parts == 1 + int(figures[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    # What the background reaches from outside is no hole of it.
    ground = np.pad(1 - part, 1, constant_values=1)
    outside = cv2.connectedComponents(ground, connectivity=4)[1]
    filled = (outside != outside[0, 0]).sum()
    assert filled <= outlines.area(found) <= filled + len(found) / 8
    simple = outlines.simplify(found)
    assert outlines.sound(simple)
    assert outlines.sound(outlines.straighten(simple))


def test_a_staircase_of_pixels_becomes_a_straight_wall() -> None:
    mask = np.zeros((200, 200), np.uint8)
    room = np.array([[30, 32], [150, 30], [152, 160], [32, 162]])
    cv2.fillPoly(mask, [room], 1)
    traced = outlines.trace(mask)
    simple = outlines.simplify(traced)
    assert len(traced) > 8
    assert len(simple) == 4
    assert overlap(simple, mask) > 0.98


def turned(points: Any, degrees: float) -> outlines.Points:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    found: outlines.Points = np.array(points, float) @ turn
    return found


L_SHAPE = [(0, 0), (100, 0), (100, 60), (40, 60), (40, 120), (0, 120)]


@pytest.mark.parametrize("degrees", [0, 1, -7, 30, 44, 45, 60, 89, 180, -91])
def test_straightening_leaves_right_angles_where_they_are(degrees: float) -> None:
    room = turned(L_SHAPE, degrees)
    assert sorted(np.round(outlines.straighten(room), 6).tolist()) == sorted(np.round(room, 6).tolist())


@pytest.mark.parametrize("degrees", [0, 1, 20, 45, 100])
def test_straightening_makes_angles_right_that_nearly_are(degrees: float) -> None:
    noise = np.array([(1, -1), (-1, 2), (1, 1), (-2, 0), (1, -1), (0, 2)])
    found = outlines.straighten(turned(L_SHAPE + noise, degrees))
    edges = np.roll(found, -1, axis=0) - found
    assert len(found) == 6
    assert np.abs((edges * np.roll(edges, -1, axis=0)).sum(axis=1)).max() < 1e-6
    assert outlines.area(found) == pytest.approx(8400, rel=0.05)


def test_straightening_joins_two_pieces_of_one_wall() -> None:
    found = outlines.straighten(np.array([(0.0, 0), (50, 2), (100, 0), (100, 80), (0, 80)]))
    assert len(found) == 4
    assert outlines.area(found) == pytest.approx(7900, rel=0.02)


def test_straightening_gives_back_a_corner_that_was_cut() -> None:
    found = outlines.straighten(np.array([*L_SHAPE[:3], (45, 60), (40, 65), *L_SHAPE[4:]], float))
    assert np.allclose(sorted(found.tolist()), sorted(L_SHAPE), atol=0.5)


def test_a_room_with_a_slanting_wall_stays_as_it_is() -> None:
    room = np.array([(0.0, 0), (100, 0), (100, 40), (60, 80), (0, 80)])
    assert outlines.straighten(room) is room


@pytest.mark.parametrize("points", [[(0.0, 0), (10, 0), (5, 9)], [(0.0, 0), (10, 0), (0, 1)]])
def test_a_triangle_stays_one(points: list[tuple[float, float]]) -> None:
    room = np.array(points)
    assert outlines.straighten(room) is room


def test_area_and_perimeter_are_in_pixels() -> None:
    room = np.array(L_SHAPE, float)
    assert (outlines.area(room), outlines.perimeter(room)) == (8400, 440)
    assert outlines.area(room[::-1]) == 8400


def test_what_is_simplified_too_far_is_simplified_less() -> None:
    assert outlines.sound(outlines.simplify(outlines.trace(canvas((10, 10, 40, 12))), 0.5))
