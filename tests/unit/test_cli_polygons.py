"""`traindrop polygons`, by a Python that has ONNX Runtime and cannot import torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests import tiny_models
from tests.without_torch import NEVER, Ended, commands


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    return folder


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Path:
    """A folder with the models and a plan of 256 x 128 pixels, of which a model of 64 x 64 sees rows 16 to 48."""
    folder = shutil.copytree(models, tmp_path / "place")
    cv2.imwrite(str(folder / "plan.png"), np.full((128, 256, 3), 255, np.uint8))
    return Path(folder)


def polygons(model: str, image: str = "plan.png", *more: str) -> list[str]:
    return ["polygons", "--model", model, "--image", image, *more]


def corners(polygon: dict[str, Any]) -> set[tuple[float, float]]:
    """On a grid of four pixels, for a mask is soft where prototypes of another sign meet."""
    return {(4 * round(x / 4), 4 * round(y / 4)) for x, y in polygon["points"]}


def test_rooms_are_polygons_in_pixels_of_the_image(place: Path) -> None:
    ((code, out, err),) = commands(
        polygons("segment.onnx", "plan.png", "--output", "r.json", "--overlay", "o.png"), folder=place
    )
    assert (code, out, err) == (0, "plan.png: 1 room, 1 door; written to r.json, o.png\n", "")
    found = json.loads((place / "r.json").read_text())
    assert {key: value for key, value in found.items() if key != "polygons"} == {
        "image": "plan.png",
        "width": 256,
        "height": 128,
    }
    room, door = found["polygons"]
    assert list(room) == ["class", "score", "points", "normalized", "area", "perimeter"]
    assert (room["class"], room["score"], door["class"], door["score"]) == ("room", 0.9, "door", 0.75)
    # Four pixels of the plan are one of the model, whose rows begin 16 further up; the box is cut by the image.
    assert corners(room) == {(16, 0), (112, 0), (112, 64), (64, 64), (64, 128), (16, 128)}
    assert corners(door) == {(160, 96), (224, 96), (224, 128), (160, 128)}
    assert (room["area"], room["perimeter"]) == pytest.approx((96 * 64 + 48 * 64, 2 * (96 + 128)), rel=0.01)
    assert (door["area"], door["perimeter"]) == (64 * 32, 2 * (64 + 32))
    for (x, y), normalized in zip(room["points"], room["normalized"], strict=True):
        assert normalized == pytest.approx((x / 256, y / 128), abs=1e-4)
    drawn = cv2.imread(str(place / "o.png"))
    assert drawn is not None
    assert drawn.shape == (128, 256, 3)
    assert drawn[100, 40].tolist() != [255, 255, 255]
    assert drawn[10, 240].tolist() == [255, 255, 255]


def test_without_output_the_document_is_printed_and_a_pt_stands_for_the_onnx_beside_it(place: Path) -> None:
    (place / "segment.pt").write_bytes(b"a checkpoint")
    printed, by_pt = commands(polygons("segment.onnx"), polygons("segment.pt"), folder=place)
    assert printed == by_pt
    assert printed[0] == 0
    assert len(json.loads(printed[1])["polygons"]) == 2


@pytest.mark.parametrize("model", ["detect.onnx", "rows.onnx"])
def test_boxes_are_polygons_of_four_corners(model: str, place: Path) -> None:
    ((code, out, _),) = commands(polygons(model), folder=place)
    assert code == 0
    room, door = json.loads(out)["polygons"]
    assert corners(room) == {(16, 0), (112, 0), (112, 128), (16, 128)}
    assert (room["class"], door["class"], len(door["points"])) == ("room", "door", 4)


def test_any_image_that_opencv_reads_will_do(place: Path) -> None:
    grey = np.full((128, 256), 255, np.uint8)
    images = {
        "grey.jpg": grey,
        "alpha.png": np.dstack([grey] * 4),
        "sixteen.png": grey.astype(np.uint16) * 256,
        "plän 1.webp": np.dstack([grey] * 3),
        "thin.bmp": grey[:1],
        "one.png": grey[:1, :1],
    }
    for name, image in images.items():
        cv2.imwrite(str(place / "x") + Path(name).suffix, image)
        (place / "x").with_suffix(Path(name).suffix).rename(place / name)
    ended = commands(*[polygons("segment.onnx", name) for name in images], folder=place)
    assert [code for code, _, _ in ended] == [0] * len(images), ended
    documents = [json.loads(out) for _, out, _ in ended]
    assert [found["image"] for found in documents] == list(images)
    assert [(found["width"], found["height"]) for found in documents] == [(256, 128)] * 4 + [(256, 1), (1, 1)]


def refusal(ended: Ended) -> str:
    """What a command says that was refused: one line, nothing on stdout, exit code 2."""
    code, out, err = ended
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("traindrop: ")
    return err


def test_a_model_that_cannot_be_used_is_refused_with_the_reason_and_a_cure(place: Path) -> None:
    (place / "lonely.pt").write_bytes(b"a checkpoint")
    (place / "empty.onnx").write_bytes(b"")
    (place / "folder.onnx").mkdir()
    said = {
        "nowhere.onnx": "the model nowhere.onnx does not exist",
        "nowhere.pt": "nowhere.onnx, which is not there",
        "folder.onnx": "the model folder.onnx is not a file",
        "lonely.pt": "needs PyTorch; the same model for ONNX Runtime would be lonely.onnx, which is not there: fetch",
        "broken.onnx": "ONNX Runtime cannot load it",
        "empty.onnx": "ONNX Runtime cannot load it",
        "plan.png": "ONNX Runtime cannot load it",
        "bare.onnx": "it says nothing of its task, names, imgsz, stride, so it is no ONNX file of a YOLO model; give",
        "pose.onnx": "it is a model for 'pose'; give one for segmentation",
        "mixed up.onnx": "2 outputs",
        "other classes.onnx": "does not belong to 1 classes",
        "other size.onnx": "where one tensor(float) [1, 3, 32, 32] is expected",
    }
    ended = commands(*[polygons(model) for model in said], folder=place)
    for words, told in zip(said.values(), ended, strict=True):
        assert words in refusal(told)


def test_an_image_that_is_none_is_refused(place: Path) -> None:
    (place / "text.png").write_text("no image")
    (place / "empty.png").write_bytes(b"")
    (place / "cut.png").write_bytes((place / "plan.png").read_bytes()[:40])
    (place / "plan.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    said = {
        "nowhere.png": "the image nowhere.png does not exist",
        ".": "the image . is not a file",
        "text.png": "text.png is not an image that OpenCV can read",
        "empty.png": "empty.png is not an image",
        "cut.png": "cut.png is not an image",
        "plan.pdf": "save it as PNG or JPEG",
        "no\nwhere": "no\\nwhere",
    }
    ended = commands(*[polygons("segment.onnx", image) for image in said], folder=place)
    for words, told in zip(said.values(), ended, strict=True):
        assert words in refusal(told)


def test_what_cannot_be_written_is_refused_and_what_was_read_is_not_overwritten(place: Path) -> None:
    shutil.copy(place / "segment.onnx", place / "best.onnx")
    (place / "best.pt").write_bytes(b"a checkpoint")
    said = {
        ("--output", "no/where.json"): "no/where.json cannot be written",
        ("--output", "."): "cannot be written",
        ("--overlay", "over.lay"): "give --overlay a name that ends in .png or .jpg",
        ("--output", "plan.png"): "plan.png would be overwritten",
        ("--overlay", "./best.onnx"): "best.onnx would be overwritten",
        ("--output", "best.pt"): "best.pt would be overwritten",
        ("--output", "a.png", "--overlay", "a.png"): "are the same file",
        ("--outptu", "a.json"): "--outptu",
    }
    before = {path: path.read_bytes() for path in place.iterdir()}
    ended = commands(*[polygons("best.pt", "plan.png", *more) for more in said], folder=place)
    for words, told in zip(said.values(), ended, strict=True):
        assert words in refusal(told)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.parametrize("missing", ["onnxruntime", "cv2"])
def test_without_its_packages_it_says_how_to_get_them(missing: str, place: Path) -> None:
    (told,) = commands(polygons("segment.onnx"), folder=place, never=(*NEVER, missing))
    assert missing in refusal(told)
    assert "`pip install 'traindrop[polygons]'`" in refusal(told)
