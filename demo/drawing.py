"""A plan as a scanned sheet of paper: walls, openings, furniture, names, dimensions, and what a scanner adds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.furniture import furnish
from demo.layout import SHEET, Box, Opening, Plan, Room
from demo.pen import Image, Pen, text_width

_OVERSAMPLING = 2
_METRES_PER_UNIT = 0.02


@dataclass(frozen=True)
class Scan:
    """A drawn plan: a picture (rows, columns, BGR), and each room's outline as points from 0 to 1."""

    picture: Image
    outlines: list[NDArray[np.float64]]


@dataclass(frozen=True)
class Style:
    """How an office draws and scans its plans.

    How heavy its lines are, whether rooms are furnished, between which degrees a sheet is turned and which sizes the
    drawing has on it; the colours of ink and paper (BGR), by chance where there are none.
    """

    heaviness: float = 1.0
    furnished: bool = True
    turn: tuple[float, float] = (-1.1, 1.1)
    zoom: tuple[float, float] = (0.97, 1.03)
    colours: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None


OURS = Style()
THEIRS = Style(
    heaviness=2.0,
    furnished=False,
    turn=(10.0, 25.0),
    zoom=(0.55, 0.7),
    colours=((40.0, 50.0, 120.0), (185.0, 215.0, 230.0)),
)


def scan(plan: Plan, size: int, rng: random.Random, style: Style = OURS) -> Scan:
    """Draw a plan and scan it: turned, blurred, unevenly lit and noisy, `size` pixels wide and high."""
    scale = _OVERSAMPLING * size / SHEET
    sheet = np.full((_OVERSAMPLING * size,) * 2, 255, np.uint8)
    _draw(plan, Pen(sheet, scale, heaviness=style.heaviness), rng, furnished=style.furnished)
    turn = cv2.getRotationMatrix2D((SHEET / 2, SHEET / 2), rng.uniform(*style.turn), rng.uniform(*style.zoom))
    turn[:, 2] += [rng.uniform(-8, 8), rng.uniform(-8, 8)]
    shown = turn.copy()
    shown[:, 2] *= scale
    sheet = cv2.warpAffine(sheet, shown, sheet.shape, flags=cv2.INTER_LINEAR, borderValue=255)
    small = cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA)
    outlines = [np.array(room.outline, float) @ turn[:, :2].T + turn[:, 2] for room in plan.rooms]
    picture = _through_scanner(small, rng, style=style)
    return Scan(picture, [np.clip(outline / SHEET, 0, 1) for outline in outlines])


def _draw(plan: Plan, pen: Pen, rng: random.Random, *, furnished: bool) -> None:
    _walls(plan, pen, rng)
    for room in plan.rooms:
        if room.name in ("BATH", "WC") and rng.random() < 0.8:
            _tiles(room, pen.inked(205, 0.6))
    for opening in plan.openings:
        {"window": _window, "passage": _passage}.get(opening.kind, _door)(opening, pen)
    free = np.zeros((SHEET, SHEET), np.uint8)
    for room in plan.rooms:
        for x0, y0, x1, y1 in room.boxes:
            free[y0 : y1 + 1, x0 : x1 + 1] = 1
    for opening in plan.openings:
        if opening.kind != "window":
            x0, y0, x1, y1 = _clearance(opening)
            free[max(0, y0) : y1, max(0, x0) : x1] = 0
    for room in plan.rooms:
        _label(room, pen.inked(40, 0.9), free)
    for room in plan.rooms if furnished else ():
        furnish(pen.inked(105, 0.7), room, free, rng)
    _dimensions(plan, pen.inked(85, 0.6))
    _margin(pen.inked(60, 0.7), rng)


def _walls(plan: Plan, pen: Pen, rng: random.Random) -> None:
    style = rng.choice(("solid", "solid", "grey", "hatched"))
    if style == "hatched":
        for cell in plan.cells:
            pen.inked(235).box(*cell.outside, filled=True)
        _hatch(plan, pen.inked(90, 0.6))
        body, line = 255, 1.6
    else:
        body, line = (25, 1.0) if style == "solid" else (120, 1.6)
        for cell in plan.cells:
            pen.inked(body).box(*cell.outside, filled=True)
    for room in plan.rooms:
        for box in room.boxes:
            pen.inked(255).box(*box, filled=True)
    for room in plan.rooms:
        pen.inked(20, line).line(*room.outline, closed=True)
    mask = np.zeros((SHEET, SHEET), np.uint8)
    for cell in plan.cells:
        x0, y0, x1, y1 = cell.outside
        mask[y0 : y1 + 1, x0 : x1 + 1] = 1
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        pen.inked(20, line).line(*((float(x), float(y)) for x, y in contour[:, 0]), closed=True)


def _hatch(plan: Plan, pen: Pen) -> None:
    """Diagonal lines over every cell with its walls; floors are cleared afterwards."""
    for cell in plan.cells:
        x0, y0, x1, y1 = cell.outside
        for shift in range(y0 + x0 - (y0 + x0) % 5, x1 + y1, 5):
            a, b = max(x0, shift - y1), min(x1, shift - y0)
            if a < b:
                pen.line((a, shift - a), (b, shift - b))


def _tiles(room: Room, pen: Pen) -> None:
    for x0, y0, x1, y1 in room.boxes:
        for x in range(x0 + 15 - x0 % 15, x1, 15):
            pen.line((x, y0 + 1), (x, y1 - 1))
        for y in range(y0 + 15 - y0 % 15, y1, 15):
            pen.line((x0 + 1, y), (x1 - 1, y))


def _frame(opening: Opening, pen: Pen) -> Pen:
    """A pen in the opening's frame: x along the wall from 0 to its width, y across with the wall around 0."""
    if opening.upright:
        return pen.placed(opening.at, opening.end, 3)
    return pen.placed(opening.start, opening.at, 0)


def _gap(opening: Opening, pen: Pen) -> tuple[Pen, float, float]:
    """Open the wall, with jambs on both sides; answer the opening's frame, its width and half its depth."""
    frame, width, half = _frame(opening, pen), opening.end - opening.start, opening.thickness / 2
    frame.inked(255).box(0, -half - 0.9, width, half + 0.9, filled=True)
    for x in (0, width):
        frame.inked(20, 1.4).line((x, -half), (x, half))
    return frame, width, half


def _window(opening: Opening, pen: Pen) -> None:
    frame, width, half = _gap(opening, pen)
    thin = frame.inked(30, 0.7)
    for y in (-half, -1.5, 1.5, half):
        thin.line((0, y), (width, y))
    thin.line((width / 2, -1.5), (width / 2, 1.5))


def _passage(opening: Opening, pen: Pen) -> None:
    frame, width, half = _gap(opening, pen)
    for y in (-half, half):
        frame.inked(110, 0.7).dashes((0, y), (width, y))


def _door(opening: Opening, pen: Pen) -> None:
    frame, width, half = _gap(opening, pen)
    # In the frame of an upright wall, y grows to the right of the sheet and x upwards.
    side = 1 if opening.forward else -1
    at_zero = opening.hinge_at_end == opening.upright
    hinge, swing = (0.0, 1) if at_zero else (float(width), -1)
    y = side * half
    leaf = frame.inked(20, 1.2)
    leaf.box(
        min(hinge, hinge + 2.5 * swing),
        min(y, y + side * width),
        max(hinge, hinge + 2.5 * swing),
        max(y, y + side * width),
    )
    start, end = 90.0 * side, 0.0 if at_zero else 180.0 * side
    frame.inked(70, 0.7).arc(hinge, y, width, start, end)
    if opening.kind == "entrance":
        tip = -side * (half + 6)
        frame.inked(40).fill((width / 2, tip), (width / 2 - 6, tip - side * 12), (width / 2 + 6, tip - side * 12))


def _clearance(opening: Opening) -> Box:
    """Boxes that furniture and names keep out of: where the leaf swings, and a step on the other side."""
    width, half = opening.end - opening.start, opening.thickness // 2
    ahead, behind = half + width + 3, half + 24
    low, high = (behind, ahead) if opening.forward else (ahead, behind)
    if opening.upright:
        return opening.at - low, opening.start - 3, opening.at + high, opening.end + 3
    return opening.start - 3, opening.at - low, opening.end + 3, opening.at + high


def _label(room: Room, pen: Pen, free: Image) -> None:
    """Name and area where the room is widest, in letters that fit."""
    floor = np.zeros((SHEET, SHEET), np.uint8)
    for x0, y0, x1, y1 in room.boxes:
        floor[y0 : y1 + 1, x0 : x1 + 1] = free[y0 : y1 + 1, x0 : x1 + 1]
    floor[[0, -1]] = floor[:, [0, -1]] = 0
    distance = cv2.distanceTransform(floor, cv2.DIST_L2, 3)
    height = next(h for h in (9.0, 8.0, 7.0, 6.0) if h == 6.0 or text_width(room.name, h) < 1.9 * distance.max() + 16)
    half = text_width(room.name, height) / 2 + 3
    distance[:, : math.ceil(half)] = 0
    wide = cv2.erode(floor, np.ones((29, 2 * int(half) + 1), np.uint8))
    where = distance * wide if wide.any() else distance
    y, x = (int(v) for v in np.unravel_index(int(where.argmax()), where.shape))
    pen.text(x, y - 7, room.name, height)
    area = f"{room.area * _METRES_PER_UNIT**2:.1f} m"
    small = pen.inked(pen.grey, 0.7)
    small.text(x - 2, y + 7, area, 6.5)
    small.text(x + text_width(area, 6.5) / 2 + 0.5, y + 4, "2", 4)
    free[max(0, y - 15) : y + 16, max(0, int(x - half)) : int(x + half) + 1] = 0


def _dimensions(plan: Plan, pen: Pen) -> None:
    """Two chains of dimensions above and left of the building: its parts, then the whole."""
    x0, y0, x1, y1 = plan.footprint
    top, left = (
        sorted({c.box[i] for c in plan.cells for i in sides} | whole)
        for sides, whole in (((0, 2), {x0, x1}), ((1, 3), {y0, y1}))
    )
    edge = 24
    for at, marks in ((edge, _apart(top)), (edge + 19, [x0, x1])):
        _chain(pen, marks, at, lambda along, across: (along, y0 - across), upright=False)
    for at, marks in ((edge, _apart(left)), (edge + 19, [y0, y1])):
        _chain(pen, marks, at, lambda along, across: (x0 - across, along), upright=True)


def _apart(marks: Sequence[int]) -> list[int]:
    """Marks at least 40 units from their neighbours, the first and last among them."""
    kept = [marks[0]]
    kept += [mark for mark in marks[1:-1] if mark - kept[-1] >= 40 and marks[-1] - mark >= 40]
    thinned = [kept[0]]
    for mark in kept[1:]:
        if mark - thinned[-1] >= 40:
            thinned.append(mark)
    return [*thinned, marks[-1]]


def _chain(
    pen: Pen, marks: Sequence[int], at: int, place: Callable[[float, float], tuple[float, float]], *, upright: bool
) -> None:
    pen.line(place(marks[0] - 4, at), place(marks[-1] + 4, at))
    for mark in marks:
        pen.line(place(mark, at - 5), place(mark, at + 5))
        bold = pen.inked(pen.grey, 1.1)
        bold.line(place(mark - 3, at - 3), place(mark + 3, at + 3))
    for low, high in pairwise(marks):
        pen.text(*place((low + high) / 2, at + 7), f"{(high - low) * _METRES_PER_UNIT:.2f}", 6, upright=upright)


def _margin(pen: Pen, rng: random.Random) -> None:
    """Sheet title, scale bar and north arrow."""
    floor = rng.choice(("GROUND FLOOR", "FIRST FLOOR", "SECOND FLOOR", "ATTIC", "MEZZANINE"))
    title = f"{floor}   UNIT {rng.randint(1, 48)}   1:{rng.choice((50, 100))}"
    pen.text(100 + text_width(title, 7.5) / 2, 612, title, 7.5)
    for metre in range(4):
        pen.box(420 + 50 * metre / 2, 609, 420 + 50 * (metre + 1) / 2, 613, filled=metre % 2 == 0)
        pen.box(420 + 50 * metre / 2, 609, 420 + 50 * (metre + 1) / 2, 613)
    for metre in (0, 1, 2):
        pen.text(420 + 50 * metre, 602, f"{metre}", 5.5)
    pen.text(529, 612, "m", 5.5)
    pen.oval(578, 602, 11, 11)
    pen.fill((578, 588), (573, 606), (578, 602))
    pen.line((578, 588), (583, 606), (578, 602))
    pen.text(578, 581, "N", 6)


def _through_scanner(grey: Image, rng: random.Random, *, style: Style) -> Image:
    """Colour ink on tinted paper, uneven light, blur, grain and specks."""
    noise = np.random.default_rng(rng.getrandbits(32))
    size = grey.shape[0]
    ink = rng.randint(16, 44) + np.array([rng.randint(-6, 12), rng.randint(-4, 4), rng.randint(-6, 6)], np.float32)
    if rng.random() < 0.2:
        ink = np.array([rng.randint(90, 130), rng.randint(45, 70), rng.randint(20, 40)], np.float32)
    light = rng.randint(236, 252)
    paper = np.array([light - rng.randint(2, 16), light - rng.randint(0, 6), light], np.float32)
    if style.colours:
        ink, paper = (np.array(colour, np.float32) for colour in style.colours)
    soft = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.35, 0.75) * size / SHEET).astype(np.float32) / 255
    slope_x, slope_y = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    shade = 0.97 + slope_x * ramp[None, :] + slope_y * ramp[:, None] - abs(slope_x) * ramp[None, :] ** 2
    picture = (ink + (paper - ink) * soft[..., None]) * np.clip(shade, 0.85, 1.0)[..., None]
    grain = noise.normal(0, rng.uniform(2.0, 5.5), (size, size, 1)).astype(np.float32)
    picture += grain
    for _ in range(rng.randint(4, 26)):
        spot = (rng.randrange(size), rng.randrange(size))
        cv2.circle(picture, spot, rng.choice((0, 1, 1)), ink.tolist(), -1)
    scanned: Image = np.clip(picture, 0, 255).astype(np.uint8)
    return scanned
