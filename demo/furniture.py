"""Furniture symbols, and a way to stand them along the walls of a room where nothing is in the way.

Every symbol is drawn with its back on the x axis: x from 0 to its width, y from 0 (wall) to its depth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.layout import Box, Room
from demo.pen import Image, Pen


@dataclass(frozen=True)
class Piece:
    """A piece of furniture: how wide and deep it is in units, how it is drawn, whether it stands free of walls."""

    width: int
    depth: int
    draw: Callable[[Pen, float, float], None]
    free_standing: bool = False


def _bed(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pillow = width / 2 - 6
    for x in (4.0, width / 2 + 2):
        pen.rounded(x, 4, x + pillow, 20, 4)
    pen.line((0, 28), (width, 28))
    pen.line((width * 0.45, 28), (width, 28 + width * 0.4))


def _single_bed(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.rounded(5, 4, width - 5, 20, 4)
    pen.line((0, 28), (width, 28))


def _wardrobe(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.line((0, depth / 2), (width, depth / 2))
    for x in range(6, int(width) - 3, 7):
        pen.line((x, depth * 0.2), (x + 2, depth * 0.8))


def _sofa(pen: Pen, width: float, depth: float) -> None:
    pen.rounded(0, 0, width, depth, 5)
    pen.line((9, depth), (9, 11), (width - 9, 11), (width - 9, depth))
    for x in (9 + (width - 18) / 3, 9 + (width - 18) * 2 / 3):
        pen.line((x, 11), (x, depth))


def _armchair(pen: Pen, width: float, depth: float) -> None:
    pen.rounded(0, 0, width, depth, 7)
    pen.rounded(7, 8, width - 7, depth - 2, 4)


def _low_table(pen: Pen, width: float, depth: float) -> None:
    pen.rounded(3, 3, width - 3, depth - 3, 6)
    pen.rounded(7, 7, width - 7, depth - 7, 4)


def _sideboard(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.line((width * 0.2, depth * 0.65), (width * 0.8, depth * 0.65))
    pen.line((width * 0.5, depth * 0.3), (width * 0.5, depth * 0.65))


def _dining(pen: Pen, width: float, depth: float) -> None:
    pen.box(14, 13, width - 14, depth - 13)
    for x in (width * 0.3, width * 0.7):
        pen.rounded(x - 9, 1, x + 9, 15, 3)
        pen.rounded(x - 9, depth - 15, x + 9, depth - 1, 3)
    for x in (1, width - 17):
        pen.rounded(x, depth / 2 - 9, x + 16, depth / 2 + 9, 3)


def _round_table(pen: Pen, width: float, depth: float) -> None:
    x, y = width / 2, depth / 2
    pen.oval(x, y, width / 2 - 13, depth / 2 - 13)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        cx, cy = x + dx * (width / 2 - 7), y + dy * (depth / 2 - 7)
        pen.rounded(cx - 6, cy - 6, cx + 6, cy + 6, 3)


def _desk(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, 26)
    pen.rounded(width / 2 - 10, 22, width / 2 + 10, depth, 6)
    pen.box(width * 0.3, 5, width * 0.7, 9)


def _counter(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    stove = 8.0
    pen.box(stove, 3, stove + 27, depth - 3)
    for x in (stove + 7.5, stove + 19.5):
        for y in (10.0, depth - 10):
            pen.oval(x, y, 4.2, 4.2)
    sink = width - 46
    pen.rounded(sink, 5, sink + 20, depth - 5, 4)
    pen.box(sink + 22, 6, sink + 40, depth - 6)
    pen.oval(sink + 10, depth / 2, 1.5, 1.5)
    for x in (sink + 27, sink + 31, sink + 35):
        pen.line((x, 8), (x, depth - 8))


def _fridge(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.line((0, 0), (width, depth))
    pen.line((width, 0), (0, depth))


def _bath(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.rounded(4, 4, width - 4, depth - 4, 10)
    pen.oval(12, depth / 2, 2, 2)


def _shower(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.line((0, 0), (width, depth))
    pen.line((width, 0), (0, depth))
    pen.oval(width / 2, depth / 2, 3, 3)


def _toilet(pen: Pen, width: float, depth: float) -> None:
    pen.rounded(1, 0, width - 1, 9, 2)
    pen.oval(width / 2, 9 + (depth - 9) / 2, width / 2 - 1, (depth - 9) / 2)
    pen.oval(width / 2, 10 + (depth - 9) / 2, width / 2 - 5, (depth - 9) / 2 - 4)


def _basin(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.oval(width / 2, depth / 2 + 1, width / 2 - 4, depth / 2 - 4)
    pen.oval(width / 2, depth / 2, 1, 1)


def _washer(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.oval(width / 2, depth / 2 + 2, width / 2 - 5, width / 2 - 5)


def _shelf(pen: Pen, width: float, depth: float) -> None:
    pen.box(0, 0, width, depth)
    pen.line((0, 0), (width, depth))


BED, SINGLE = Piece(80, 100, _bed), Piece(46, 100, _single_bed)
WARDROBE, SIDEBOARD, SHELF = Piece(92, 29, _wardrobe), Piece(74, 22, _sideboard), Piece(60, 18, _shelf)
SOFA, ARMCHAIR, LOW_TABLE = Piece(104, 42, _sofa), Piece(40, 40, _armchair), Piece(58, 36, _low_table, True)
DINING, ROUND_TABLE = Piece(104, 68, _dining, True), Piece(66, 66, _round_table, True)
DESK, COUNTER, FRIDGE = Piece(68, 42, _desk), Piece(128, 31, _counter), Piece(31, 31, _fridge)
BATH, SHOWER, TOILET = Piece(84, 38, _bath), Piece(44, 44, _shower), Piece(20, 34, _toilet)
BASIN, WASHER = Piece(30, 24, _basin), Piece(31, 31, _washer)

OF_ROOM: dict[str, Sequence[Piece]] = {
    "LIVING": (SOFA, DINING, SIDEBOARD, LOW_TABLE, ARMCHAIR, SHELF),
    "BEDROOM": (BED, SINGLE, WARDROBE, DESK),
    "KITCHEN": (COUNTER, FRIDGE, ROUND_TABLE),
    "DINING": (DINING, ROUND_TABLE, SIDEBOARD),
    "STUDY": (DESK, SHELF, ARMCHAIR, SHELF),
    "OFFICE": (DESK, DESK, SHELF),
    "BATH": (BATH, SHOWER, TOILET, BASIN),
    "WC": (TOILET, BASIN),
    "HALL": (WARDROBE, SIDEBOARD),
    "STORE": (SHELF, SHELF, WASHER),
    "LAUNDRY": (WASHER, WASHER, SHELF),
}
_INSTEAD = {id(BED): SINGLE, id(BATH): SHOWER, id(DINING): ROUND_TABLE}


def furnish(pen: Pen, room: Room, free: Image, rng: random.Random) -> None:
    """Stand a room's furniture where `free`, one value per unit, is not 0; what is taken up becomes 0.

    Of two pieces that replace each other (a bath and a shower) at most one is set down.
    """
    placed: set[int] = set()
    for piece in OF_ROOM.get(room.name.split()[0], ()):
        if any(id(piece) == id(other) and first in placed for first, other in _INSTEAD.items()):
            continue
        for _ in range(60):
            box, turns = _somewhere(piece, rng.choice(room.boxes), rng)
            x0, y0, x1, y1 = box
            if x0 < 0 or y0 < 0 or not free[y0 : y1 + 1, x0 : x1 + 1].all():
                continue
            free[max(0, y0 - 3) : y1 + 4, max(0, x0 - 3) : x1 + 4] = 0
            x, y = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))[turns]
            piece.draw(pen.placed(x, y, turns), piece.width, piece.depth)
            placed.add(id(piece))
            break


def _somewhere(piece: Piece, floor: Box, rng: random.Random) -> tuple[Box, int]:
    """A place along one of a floor's walls, its corners more often than not; and the quarter turns to stand there."""
    turns = rng.randrange(4)
    x0, y0, x1, y1 = floor
    along, across = (piece.width, piece.depth) if turns % 2 == 0 else (piece.depth, piece.width)
    slack_x, slack_y = max(0, x1 - x0 - along - 2), max(0, y1 - y0 - across - 2)
    if piece.free_standing:
        dx, dy = rng.randint(0, slack_x), rng.randint(0, slack_y)
    else:
        slide = rng.choice((0.0, 1.0, rng.random()))
        dx = (round(slide * slack_x), slack_x, round(slide * slack_x), 0)[turns]
        dy = (0, round(slide * slack_y), slack_y, round(slide * slack_y))[turns]
    left, top = x0 + 1 + dx, y0 + 1 + dy
    return (left, top, left + along, top + across), turns
