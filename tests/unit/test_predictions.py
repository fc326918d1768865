"""From an image to what a model is given, and from what it answers to objects in the image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traindrop import predictions
from traindrop.letterbox import Letterbox
from traindrop.onnx_metadata import UNSAID, Metadata, UnknownModel

WRITTEN = {"task": "segment", "names": "{0: 'room', 1: 'door'}", "imgsz": "[64, 96]", "stride": "32"}
METADATA = Metadata.read(WRITTEN)
DETECT = replace(METADATA, task="detect")


def image(width: int, height: int, value: int = 200) -> Any:
    return np.full((height, width, 3), value, np.uint8)


@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_boxes_find_back_to_the_image(width: int, height: int, data: st.DataObject) -> None:
    letterbox = Letterbox.of(np.broadcast_to(np.uint8(0), (height, width, 3)), METADATA)
    xs, ys = (sorted(data.draw(st.tuples(st.floats(0, side), st.floats(0, side)))) for side in (width, height))
    box = np.array([[xs[0], ys[0], xs[1], ys[1]]])
    seen = box * np.array(letterbox.scale * 2) + np.array([letterbox.left, letterbox.top] * 2)
    assert (seen >= -1e-6).all()
    assert (seen <= np.array([96, 64, 96, 64]) + 1e-6).all()
    assert np.allclose(letterbox.back(seen.astype(np.float32)), box, atol=1e-3 * max(width, height))


def test_an_image_lies_in_the_middle_of_grey_as_red_green_blue_from_0_to_1() -> None:
    picture = image(192, 64)
    picture[..., 2] = 0
    letterbox = Letterbox.of(picture, METADATA)
    seen = letterbox.apply(picture, METADATA)
    assert seen.shape == (1, 3, 64, 96)
    assert seen.dtype == np.dtype(np.float32)
    assert (letterbox.inner, letterbox.left, letterbox.top) == ((96, 32), 0, 16)
    assert seen[0, :, 15, 50].tolist() == pytest.approx([114 / 255] * 3)
    assert seen[0, :, 16, 50].tolist() == pytest.approx([0, 200 / 255, 200 / 255])
    assert seen[0, :, 47, 50].tolist() == pytest.approx([0, 200 / 255, 200 / 255])
    assert seen[0, :, 48, 50].tolist() == pytest.approx([114 / 255] * 3)


def test_what_is_beyond_the_image_is_clipped() -> None:
    letterbox = Letterbox.of(image(192, 64), METADATA)
    assert letterbox.back(np.array([[-5, 0, 200, 64]], np.float32)).tolist() == [[0, 0, 192, 64]]


def test_the_preprocessing_is_what_the_file_says() -> None:
    said = {**WRITTEN, "letterbox_value": "0", "pixel_divisor": "1", "colour_order": "BGR", "confidence": "0.5"}
    found = Metadata.read(said)
    assert (found.padding, found.divisor, found.colour_order, found.confidence) == (0, 1.0, "BGR", 0.5)
    picture = image(96, 32)
    picture[..., 2] = 0
    seen = Letterbox.of(picture, found).apply(picture, found)
    assert seen[0, :, 32, 5].tolist() == [200, 200, 0]
    assert seen[0, :, 0, 5].tolist() == [0, 0, 0]


def test_what_no_exporter_says_is_as_ultralytics_does_by_default() -> None:
    assert Metadata.read({**WRITTEN, **UNSAID}) == METADATA
    assert (METADATA.padding, METADATA.divisor, METADATA.confidence, METADATA.iou, METADATA.most) == (
        114,
        255,
        0.25,
        0.7,
        300,
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"task": "pose"}, "it is a model for 'pose'"),
        ({"names": "__import__('os').abort()"}, "cannot be read"),
        ({"names": "['room']"}, "cannot be read"),
        ({"names": "{}"}, "make no sense"),
        ({"names": "{1: 'room'}"}, "make no sense"),
        ({"imgsz": "64"}, "cannot be read"),
        ({"imgsz": "[64, 10000000]"}, "make no sense"),
        ({"imgsz": "(" * 500}, "cannot be read"),
        ({"pixel_divisor": "0"}, "make no sense"),
        ({"colour_order": "YUV"}, "make no sense"),
    ],
)
def test_metadata_of_another_kind_are_refused(said: dict[str, str], words: str) -> None:
    with pytest.raises(UnknownModel, match=words):
        Metadata.read({**WRITTEN, **said})


def test_a_file_without_metadata_is_no_yolo_model() -> None:
    with pytest.raises(UnknownModel, match=r"nothing of its task, names, imgsz, stride.*give the best.onnx"):
        Metadata.read({})


def columns(*objects: tuple[float, ...]) -> Any:
    """An output as most models have it: a column a candidate, with centre, width and height."""
    return np.array([objects], np.float32).transpose(0, 2, 1)


def test_columns_are_read_as_centres() -> None:
    # Six candidates, for a table of six columns would be read as rows.
    found = predictions.candidates([columns((30, 20, 20, 10, 0.1, 0.8), *[(0.0,) * 6] * 6)], DETECT)
    assert found.repeated
    assert found.boxes[0].tolist() == [20, 15, 40, 25]
    assert found.scores[0].tolist() == pytest.approx([0.1, 0.8])


def test_rows_are_read_as_corners_with_their_class() -> None:
    rows = np.array([[(20, 15, 40, 25, 0.8, 1, 0.5), *[(0.0,) * 7] * 3]], np.float32)
    found = predictions.candidates([rows, np.zeros((1, 1, 8, 8), np.float32)], METADATA)
    assert not found.repeated
    assert found.boxes[0].tolist() == [20, 15, 40, 25]
    assert found.scores[0].tolist() == pytest.approx([0, 0.8])
    assert found.coefficients[0].tolist() == [0.5]


@pytest.mark.parametrize("shapes", [[(1, 9, 9)], [(1, 6)], [(1, 7, 9), (1, 1, 8, 8)]])
def test_outputs_of_another_shape_are_refused(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(UnknownModel, match="export the model anew"):
        predictions.candidates([np.zeros(shape, np.float32) for shape in shapes], DETECT)


def kept(*objects: tuple[float, ...], **changes: Any) -> list[list[float]]:
    metadata = replace(DETECT, **changes)
    found = predictions.candidates([columns(*objects, *[(0.0,) * 6] * 7)], metadata)
    return [[round(float(value), 3) for value in row] for row in predictions.predicted(found, metadata).scores]


def test_of_what_overlaps_in_a_class_the_likeliest_stays() -> None:
    one, same, other = (30, 30, 20, 20, 0.5, 0), (31, 30, 20, 20, 0.9, 0), (31, 30, 20, 20, 0, 0.4)
    beside = (50, 30, 20, 20, 0.3, 0)
    assert kept(one, same, other, beside) == [[0.9, 0], [0, 0.4], [0.3, 0]]
    assert kept(one, same, other, beside, iou=0.95) == [[0.9, 0], [0.5, 0], [0, 0.4], [0.3, 0]]
    assert kept(one, same, other, beside, most=2) == [[0.9, 0], [0, 0.4]]
    assert kept(one, same, other, beside, confidence=0.45) == [[0.9, 0]]


def test_nothing_likely_is_nothing() -> None:
    assert kept((30, 30, 20, 20, 0.2, 0.25)) == []


def test_a_mask_lies_where_its_box_is_and_follows_the_prototypes() -> None:
    letterbox = Letterbox.of(image(192, 128), METADATA)
    likeness = np.full((16, 24), -1, np.float32)
    likeness[:, :12] = 1
    pixels, left, top = predictions.mask(likeness, np.array([10.2, 20, 150, 100], np.float32), letterbox, (64, 96))
    assert (left, top, pixels.shape) == (11, 20, (80, 139))
    # Half of 24 prototypes is column 96 of the image.
    assert pixels[:, : 96 - 11].all()
    assert not pixels[:, 96 - 11 :].any()


def test_a_mask_in_steps_is_the_same_but_coarser() -> None:
    letterbox = Letterbox.of(image(192, 128), METADATA)
    likeness = np.full((16, 24), -1, np.float32)
    likeness[:, :12] = 1
    box = np.array([12, 20, 150, 100], np.float32)
    pixels, left, top = predictions.mask(likeness, box, letterbox, (64, 96), 4)
    assert (left, top, pixels.shape) == (3, 5, (20, 35))
    assert pixels[:, : 24 - 3].all()
    assert not pixels[:, 24 - 3 :].any()


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 9, 9), (7, 7, 6, 6), (0.2, 0, 0.9, 9)])
def test_an_empty_box_has_an_empty_mask(box: tuple[float, ...]) -> None:
    letterbox = Letterbox.of(image(192, 128), METADATA)
    pixels, _, _ = predictions.mask(np.ones((16, 24), np.float32), np.array(box, np.float32), letterbox, (64, 96))
    assert not pixels.size


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (16, 24)])
def test_a_mask_of_the_whole_image_is_whole_whatever_the_prototypes(shape: tuple[int, int]) -> None:
    letterbox = Letterbox.of(image(50, 70), METADATA)
    box = np.array([0, 0, 50, 70], np.float32)
    pixels, left, top = predictions.mask(np.ones(shape, np.float32), box, letterbox, (64, 96))
    assert (left, top, pixels.shape) == (0, 0, (70, 50))
    assert pixels.all()


def test_a_pixel_is_judged_at_its_middle() -> None:
    letterbox = Letterbox.of(image(192, 128), METADATA)
    rising = np.tile(np.arange(24, dtype=np.float32) - 11.4, (16, 1))
    pixels, _, _ = predictions.mask(rising, np.array([0, 0, 192, 128], np.float32), letterbox, (64, 96))
    # Prototype 11.4 lies at 95.2 pixels; the middle of pixel 95 is beyond.
    assert pixels[0].tolist() == [0] * 95 + [1] * 97
