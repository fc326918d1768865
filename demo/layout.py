"""Made-up apartments: where walls, rooms, doors and windows are.

Coordinates are whole units of about 2 cm, x to the right and y down, on a sheet of `SHEET` by `SHEET` units.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

SHEET = 640
_SMALLEST = 104
_DOOR = 42

Point = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass
class Wall:
    """A wall's thickness; an even number, so that half of it is a whole number."""

    thickness: int


@dataclass
class Cell:
    """A rectangle between the centre lines of four walls (left, top, right, bottom)."""

    box: Box
    walls: tuple[Wall, Wall, Wall, Wall]
    room: int = -1

    @property
    def inside(self) -> Box:
        """The floor: what is left of the rectangle between the faces of its walls."""
        halves = [wall.thickness // 2 for wall in self.walls]
        x0, y0, x1, y1 = self.box
        return x0 + halves[0], y0 + halves[1], x1 - halves[2], y1 - halves[3]

    @property
    def outside(self) -> Box:
        """The rectangle with its walls in full."""
        halves = [wall.thickness // 2 for wall in self.walls]
        x0, y0, x1, y1 = self.box
        return x0 - halves[0], y0 - halves[1], x1 + halves[2], y1 + halves[3]


@dataclass(frozen=True)
class Opening:
    """A door, passage or window: a stretch of a wall along one axis.

    `upright` walls run along y. `at` is the wall's centre line; `start` and `end` bound the opening along the wall.
    A door's leaf hangs at `end` if `hinge_at_end`, and swings to the side of rising coordinates if `forward`.
    """

    kind: str
    upright: bool
    at: int
    start: int
    end: int
    thickness: int
    hinge_at_end: bool = False
    forward: bool = False


@dataclass
class Room:
    """A room: its floor as boxes that overlap or touch, and as one outline."""

    boxes: list[Box]
    outline: list[Point] = field(default_factory=list)
    name: str = ""

    @property
    def area(self) -> float:
        """Floor area in square units."""
        return float(cv2.contourArea(np.array(self.outline, np.int32)))


@dataclass(frozen=True)
class Plan:
    """One apartment."""

    cells: list[Cell]
    rooms: list[Room]
    openings: list[Opening]
    footprint: Box


@dataclass(frozen=True)
class _Stretch:
    """Where two cells, or a cell and the open air (-1), share a wall."""

    rooms: tuple[int, int]
    upright: bool
    at: int
    start: int
    end: int
    thickness: int


def apartment(rng: random.Random) -> Plan:
    """An apartment of four to nine rooms, all of which can be reached through doors."""
    while True:
        plan = _attempt(rng)
        linked = sum(opening.kind in ("door", "passage") for opening in plan.openings) == len(plan.rooms) - 1
        if 4 <= len(plan.rooms) <= 9 and linked:
            return plan


def _attempt(rng: random.Random) -> Plan:
    width, height = rng.randint(430, 510), rng.randint(400, 490)
    x0, y0 = 84 + (520 - width) // 2, 70 + (500 - height) // 2
    shell = [Wall(rng.choice((14, 16, 18, 20))) for _ in range(4)]
    footprint = (x0, y0, x0 + width, y0 + height)
    cells = list(_split(Cell(footprint, (shell[0], shell[1], shell[2], shell[3])), rng, 0))
    if len(cells) > 5 and rng.random() < 0.25:
        _cut_corner(cells, shell, rng)
    for number, cell in enumerate(cells):
        cell.room = number
    rooms = _merge([Room([cell.inside]) for cell in cells], cells, rng)
    for room in rooms:
        room.outline = _outline(room.boxes)
    _name(rooms, rng)
    return Plan(cells, rooms, list(_openings(rooms, cells, rng)), footprint)


def _split(cell: Cell, rng: random.Random, depth: int) -> Iterator[Cell]:
    x0, y0, x1, y1 = cell.box
    width, height = x1 - x0, y1 - y0
    upright = width > height * rng.uniform(0.85, 1.15)
    length = width if upright else height
    done = width * height < 2 * 38_000 and (depth > 3 or rng.random() < 0.45)
    if length < 2 * _SMALLEST + 10 or done:
        yield cell
        return
    cut = rng.randint(max(_SMALLEST, int(length * 0.3)), min(length - _SMALLEST, int(length * 0.7)))
    wall, (left, top, right, bottom) = Wall(rng.choice((6, 6, 8, 8, 10, 12))), cell.walls
    if upright:
        first = Cell((x0, y0, x0 + cut, y1), (left, top, wall, bottom))
        second = Cell((x0 + cut, y0, x1, y1), (wall, top, right, bottom))
    else:
        first = Cell((x0, y0, x1, y0 + cut), (left, top, right, wall))
        second = Cell((x0, y0 + cut, x1, y1), (left, wall, right, bottom))
    yield from _split(first, rng, depth + 1)
    yield from _split(second, rng, depth + 1)


def _cut_corner(cells: list[Cell], shell: Sequence[Wall], rng: random.Random) -> None:
    """Take one corner room away, which leaves a building with an inner corner; walls that now face the air thicken."""
    corners = [cell for cell in cells if sum(any(wall is s for s in shell) for wall in cell.walls) == 2]
    small = [cell for cell in corners if (cell.box[2] - cell.box[0]) * (cell.box[3] - cell.box[1]) < 40_000]
    if not small:
        return
    gone = rng.choice(small)
    for wall in gone.walls:
        wall.thickness = max(wall.thickness, min(s.thickness for s in shell))
    cells.remove(gone)


def _merge(rooms: list[Room], cells: list[Cell], rng: random.Random) -> list[Room]:
    """Join one or two pairs of cells into rooms of L or T shape."""
    shared = [s for s in _stretches(cells) if -1 not in s.rooms and s.end - s.start > 60]
    rng.shuffle(shared)
    taken: set[int] = set()
    for stretch in shared:
        if len(taken) >= 2 * (1 + (len(cells) > 6)) or len(cells) - len(taken) // 2 <= 4:
            break
        one, two = (cells[i].inside for i in stretch.rooms)
        low, high = (1, 3) if stretch.upright else (0, 2)
        if taken & set(stretch.rooms) or (one[low], one[high]) == (two[low], two[high]):
            continue
        if _area(one) + _area(two) > 70_000:
            continue
        taken |= set(stretch.rooms)
        first, second = stretch.rooms
        half = stretch.thickness // 2
        gap = (
            (stretch.at - half, stretch.start, stretch.at + half, stretch.end)
            if stretch.upright
            else (stretch.start, stretch.at - half, stretch.end, stretch.at + half)
        )
        rooms[first].boxes += [gap, *rooms[second].boxes]
        cells[second].room = first
        rooms[second].boxes = []
    left = [number for number, room in enumerate(rooms) if room.boxes]
    for cell in cells:
        cell.room = left.index(cell.room)
    return [rooms[number] for number in left]


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _outline(boxes: Sequence[Box]) -> list[Point]:
    mask = np.zeros((SHEET, SHEET), np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0 : y1 + 1, x0 : x1 + 1] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [(int(x), int(y)) for x, y in max(contours, key=cv2.contourArea)[:, 0]]


def _stretches(cells: Sequence[Cell]) -> Iterator[_Stretch]:
    """Every stretch of wall between the floors of two cells, and between a cell and the open air."""
    for number, cell in enumerate(cells):
        for side in range(4):
            upright, at, thickness = side % 2 == 0, cell.box[side], cell.walls[side].thickness
            low, high = (1, 3) if upright else (0, 2)
            start, end = cell.inside[low], cell.inside[high]
            facing = [
                (other, max(start, cells[other].inside[low]), min(end, cells[other].inside[high]))
                for other in range(len(cells))
                if cells[other].box[(side + 2) % 4] == at and other != number
            ]
            facing = [item for item in facing if item[1] < item[2]]
            if side >= 2:
                yield from (_Stretch((number, other), upright, at, low, high, thickness) for other, low, high in facing)
            if not facing:
                air = (-1, number) if side < 2 else (number, -1)
                yield _Stretch(air, upright, at, start, end, thickness)


def _name(rooms: list[Room], rng: random.Random) -> None:
    ranked = sorted(rooms, key=lambda room: -room.area)
    ranked[0].name = "LIVING ROOM"
    ranked[-1].name = "BATH"
    middle = ranked[1:-1]
    narrow = [room for room in middle if min(_sides(room)) * 1.9 < max(_sides(room))]
    if narrow and len(rooms) > 4:
        narrow[-1].name = "HALL"
    names = iter(["BEDROOM 1", "KITCHEN", "BEDROOM 2", "STUDY", "DINING", "BEDROOM 3", "STORE", "WC", "LAUNDRY"])
    if rng.random() < 0.5:
        names = iter(["KITCHEN", "BEDROOM 1", "DINING", "BEDROOM 2", "OFFICE", "WC", "STORE", "LAUNDRY", "BEDROOM 3"])
    for room in middle:
        room.name = room.name or next(names)


def _sides(room: Room) -> tuple[int, int]:
    box = max(room.boxes, key=_area)
    return box[2] - box[0], box[3] - box[1]


def _openings(rooms: Sequence[Room], cells: Sequence[Cell], rng: random.Random) -> Iterator[Opening]:
    stretches = list(_stretches(cells))
    rng.shuffle(stretches)
    reached = {next(i for i, room in enumerate(rooms) if room.name == "LIVING ROOM")}
    inner = [s for s in stretches if -1 not in s.rooms and s.end - s.start > _DOOR + 16]
    while True:
        links = ((s, {cells[i].room for i in s.rooms}) for s in inner)
        found = next(((s, pair) for s, pair in links if len(pair & reached) == 1 and len(pair) == 2), None)
        if found is None:
            break
        stretch, pair = found
        reached |= pair
        yield _door(stretch, rng, forward=rng.random() < 0.5)
    outer = sorted((s for s in stretches if -1 in s.rooms), key=lambda s: s.end - s.start)
    entrance = _entrance(outer, cells, rooms)
    if entrance:
        yield _door(entrance, rng, forward=entrance.rooms[0] == -1, kind="entrance")
    for stretch in outer:
        length = stretch.end - stretch.start
        if stretch is entrance or length < 60 or rng.random() < 0.12:
            continue
        if length > 230:
            middle = (stretch.start + stretch.end) // 2
            yield from (_window(stretch, a, b, rng) for a, b in ((stretch.start, middle), (middle, stretch.end)))
        else:
            yield _window(stretch, stretch.start, stretch.end, rng)


def _entrance(outer: Sequence[_Stretch], cells: Sequence[Cell], rooms: Sequence[Room]) -> _Stretch | None:
    """Where the apartment is entered: not through a bathroom, and away from the dimensions above and on the left."""
    fit = [s for s in outer if s.end - s.start > _DOOR + 24]
    first = ("HALL", "LIVING ROOM", "KITCHEN", "DINING")

    def rank(stretch: _Stretch) -> tuple[bool, int]:
        name = rooms[cells[max(stretch.rooms)].room].name
        return stretch.rooms[0] == -1, first.index(name) if name in first else len(first)

    return min(fit, key=rank, default=None)


def _door(stretch: _Stretch, rng: random.Random, *, forward: bool, kind: str = "door") -> Opening:
    width = _DOOR + rng.choice((-4, 0, 0, 4))
    room = stretch.end - stretch.start - width
    near = rng.choice((8, room - 8, room // 2))
    start = stretch.start + min(max(near, 6), room - 6)
    if kind == "door" and rng.random() < 0.15:
        kind = "passage"
    hinge_at_end = near > room // 2
    return Opening(kind, stretch.upright, stretch.at, start, start + width, stretch.thickness, hinge_at_end, forward)


def _window(stretch: _Stretch, low: int, high: int, rng: random.Random) -> Opening:
    length = min(int((high - low) * rng.uniform(0.4, 0.65)), 110)
    start = (low + high - length) // 2
    return Opening("window", stretch.upright, stretch.at, start, start + length, stretch.thickness)
