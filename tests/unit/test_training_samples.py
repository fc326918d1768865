from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from training_entry import confusion, drawing, samples
from training_entry.confusion import Confusion
from training_entry.dataset import Dataset
from training_entry.job import Job
from training_entry.matching import Match, Shape, match, overlaps
from training_entry.samples import Seen, chosen

NAMES = {0: "room", 1: "door"}


def square(left: float, top: float, side: float, kind: int = 0) -> Shape:
    corners = [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]
    return Shape(kind, np.array(corners, float))


def matched(truth: list[Shape], found: list[Shape]) -> Match:
    return match(truth, found, 200, 200)


def test_overlaps_are_intersection_over_union() -> None:
    found = overlaps([square(0, 0, 100).outline], [square(50, 0, 100).outline, square(150, 150, 40).outline], 200, 200)
    assert found[0, 0] == pytest.approx(1 / 3, abs=0.02)
    assert found[0, 1] == 0


def test_overlaps_in_a_large_image_are_the_same() -> None:
    small = overlaps([square(0, 0, 100).outline], [square(20, 0, 100).outline], 200, 200)
    large = overlaps([square(0, 0, 2000).outline], [square(400, 0, 2000).outline], 4000, 4000)
    assert float(small[0, 0]) == pytest.approx(float(large[0, 0]), abs=0.02)


def test_what_overlaps_by_less_than_half_is_missed_and_wrong() -> None:
    seen = matched([square(0, 0, 100)], [square(50, 0, 100)])
    assert (seen.pairs, seen.missed, seen.wrong, seen.quality) == ([], [0], [0], 0.0)


def test_one_found_object_is_one_true_object_and_the_closest() -> None:
    seen = matched([square(0, 0, 100)], [square(10, 0, 100), square(1, 0, 100)])
    assert [(one, other) for one, other, _ in seen.pairs] == [(0, 1)]
    assert seen.wrong == [0]


def test_the_right_class_comes_before_the_closer_outline() -> None:
    seen = matched([square(0, 0, 100, kind=1)], [square(0, 0, 100, kind=0), square(10, 0, 100, kind=1)])
    assert [(one, other) for one, other, _ in seen.right] == [(0, 1)]


def test_an_object_of_another_class_is_paired_but_missed_and_wrong() -> None:
    seen = matched([square(0, 0, 100)], [square(0, 0, 100, kind=1)])
    assert len(seen.pairs) == 1
    assert (seen.right, seen.missed, seen.wrong, seen.quality) == ([], [0], [0], 0.0)


def test_quality_is_the_mean_overlap_times_f1() -> None:
    perfect = matched([square(0, 0, 80), square(100, 100, 80)], [square(0, 0, 80), square(100, 100, 80)])
    assert perfect.quality == pytest.approx(1)
    one_missed = matched([square(0, 0, 80), square(100, 100, 80)], [square(0, 0, 80)])
    assert one_missed.quality == pytest.approx(2 / 3)
    assert matched([], []).quality == 1
    assert matched([], [square(0, 0, 50)]).quality == 0


def test_confusion_counts_true_against_predicted_with_the_background_last() -> None:
    counted = Confusion()
    counted.add(
        matched(
            [square(0, 0, 50, kind=0), square(60, 0, 50, kind=1), square(0, 60, 50, kind=1)],
            [square(0, 0, 50, kind=0), square(60, 0, 50, kind=0), square(120, 120, 50, kind=1)],
        )
    )
    assert counted.document(NAMES) == {"matrix": [[1, 0, 0], [1, 0, 1], [0, 1, 0]]}


def test_of_many_classes_the_largest_confusions_are_told() -> None:
    names = {number: f"class {number}" for number in range(confusion.MOST_CLASSES + 1)}
    counted = Confusion()
    for _ in range(3):
        counted.add(matched([square(0, 0, 50, kind=4)], [square(0, 0, 50, kind=7)]))
    counted.add(matched([square(0, 0, 50, kind=4)], [square(0, 0, 50, kind=4), square(100, 0, 50, kind=9)]))
    assert counted.document(names) == {
        "largest": [
            {"true": "class 4", "predicted": "class 7", "count": 3, "of": 4},
            {"true": None, "predicted": "class 9", "count": 1, "of": 1},
        ]
    }


def test_as_many_confusions_as_there_may_be_stay_bounded() -> None:
    counted = Confusion()
    for number in range(2 * confusion.LARGEST):
        counted.counts[number, number + 1] = 1
    names = {number: str(number) for number in range(1000)}
    assert len(counted.document(names)["largest"]) == confusion.LARGEST


def seen(*qualities: float, empty: tuple[int, ...] = ()) -> list[Seen]:
    return [Seen(Path(f"{n}.png"), quality, n not in empty) for n, quality in enumerate(qualities)]


def test_the_three_worst_and_the_three_best_are_chosen_in_order() -> None:
    found = chosen(seen(0.5, 0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.6))
    assert [(rank, one.quality) for rank, one in found] == [
        ("worst", 0.1),
        ("worst", 0.2),
        ("worst", 0.3),
        ("best", 0.9),
        ("best", 0.8),
        ("best", 0.7),
    ]


@pytest.mark.parametrize("count", range(7))
def test_of_few_images_each_is_chosen_once(count: int) -> None:
    found = [one.path for _, one in chosen(seen(*[0.5] * count))]
    assert sorted(found) == [Path(f"{n}.png") for n in range(count)]


def test_an_image_without_objects_is_among_the_best_only_where_there_is_no_other() -> None:
    assert [one.quality for rank, one in chosen(seen(0.1, 0.1, 0.1, 0.5, 0.6, 0.7, 1.0, empty=(6,)))][3:] == [
        0.7,
        0.6,
        0.5,
    ]


class Looks:
    """A model that finds in every image the first object of a list of its own."""

    def predict(self, image: Any, **options: Any) -> list[Any]:
        assert options["conf"] == 0.25
        height, width = image.shape[:2]
        boxes = np.array([[0.1 * width, 0.1 * height, 0.5 * width, 0.5 * height]])
        return [SimpleNamespace(boxes=SimpleNamespace(cls=np.array([0.0]), xyxy=boxes), masks=None)]


def small_dataset(folder: Path, labels: list[str]) -> Dataset:
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    images = []
    for number, label in enumerate(labels):
        images.append(folder / f"images/plan {number}.png")
        cv2.imwrite(str(images[-1]), np.full((60, 80, 3), 255, np.uint8))
        (folder / f"labels/plan {number}.txt").write_text(label)
    return Dataset(folder, {"val": images}, 0, "")


def job(**changes: Any) -> Job:
    given = {"run_id": "r", "task": "detect", "model": "", "arguments": {"epochs": 1}, "form": "folder", "file": ""}
    return Job(**{**given, "data_root": "", "names": NAMES, "manifest": "", **changes})


def test_pictures_are_named_for_the_archive_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ultralytics", SimpleNamespace(YOLO=lambda _: Looks()))
    right, other, none = "0 0.3 0.3 0.4 0.4\n", "1 0.3 0.3 0.4 0.4\n", ""
    data = small_dataset(tmp_path, [right, other, none, right])
    told = samples.draw(tmp_path / "best.pt", data, job(), tmp_path / "samples", "cpu")
    assert (told["images"], told["matrix"]) == (4, [[2, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert [(one["rank"], one["objects"], one["missed"], one["wrong"]) for one in told["samples"]] == [
        ("worst", 1, 1, 1),
        ("worst", 0, 0, 1),
        ("best", 1, 0, 0),
        ("best", 1, 0, 0),
    ]
    files = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert files == [one["file"] for one in told["samples"]]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}\.jpg", name) for name in files)


def test_the_look_at_images_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ultralytics", SimpleNamespace(YOLO=lambda _: Looks()))
    data = small_dataset(tmp_path, [""] * 9)
    monkeypatch.setattr(samples, "IMAGES", 5)
    assert samples.draw(tmp_path, data, job(), tmp_path / "samples", "cpu")["images"] == 5
    monkeypatch.setattr(samples, "_SECONDS", -1)
    assert samples.draw(tmp_path, data, job(), tmp_path / "samples", "cpu")["images"] == 1


def test_a_sample_is_a_legible_jpeg_of_limited_size_whatever_the_image() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1100, 3), dtype=np.uint8)
    seen = Match([square(100, 100, 800, kind=1)], [], [])
    for image in (noise, noise.transpose(1, 0, 2)[:500].copy(), noise[:40, :40]):
        encoded = drawing.compose(image, seen, NAMES)
        assert len(encoded) <= drawing.MAX_BYTES
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        height, width = picture.shape[:2]
        assert max(height, width) >= 300
        assert 0.5 <= width / height <= 2


def sides(seen: Match, names: dict[int, str]) -> tuple[Any, Any]:
    """A pixel of the object on the side of the truth, and on that of the prediction, near its upper left corner."""
    image = np.full((200, 200, 3), 255, np.uint8)
    picture = cv2.imdecode(np.frombuffer(drawing.compose(image, seen, names), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    height, width = picture.shape[:2]
    return picture[height // 3, width // 8], picture[height // 3, width // 2 + width // 8]


def test_what_is_right_is_drawn_in_two_colours_and_what_is_not_in_a_third() -> None:
    shape = square(20, 20, 160)
    truth, prediction = (pixel.astype(int) for pixel in sides(matched([shape], [shape]), {0: "room"}))
    assert truth[1] > max(truth[0], truth[2]) + 20  # green
    assert prediction[1] < min(prediction[0], prediction[2]) - 20  # magenta
    for pixel in sides(matched([shape], [square(20, 20, 160, kind=1)]), NAMES):
        blue, green, red = pixel.astype(int)
        assert red > green > blue  # orange


@pytest.mark.parametrize(
    ("name", "told"), [("door", "door"), ("x" * 99, "x" * 20), ("Tür", "class 3"), ("a\n", "class 3")]
)
def test_names_are_written_in_letters_that_opencv_has(name: str, told: str) -> None:
    assert drawing._plain(name, 3) == told


def test_the_truth_is_read_from_polygons_and_boxes(tmp_path: Path) -> None:
    label = tmp_path / "a.txt"
    label.write_text("0 0.1 0.2 0.3 0.2 0.3 0.4\n1 0.5 0.5 0.2 0.4\n0 broken\n")
    polygon, box = samples.truth(label, 100, 50)
    assert (polygon.kind, box.kind) == (0, 1)
    assert polygon.outline.tolist() == [[10, 10], [30, 10], [30, 20]]
    assert np.allclose(box.outline, [[40, 15], [60, 15], [60, 35], [40, 35]])
    assert samples.truth(tmp_path / "none.txt", 100, 50) == []


def test_the_truth_is_told_as_the_model_learns_it(tmp_path: Path) -> None:
    label = tmp_path / "a.txt"
    label.write_text("4 0.1 0.2 0.3 0.2 0.3 0.4\n")
    (boxed,) = samples.truth(label, 100, 50, boxes=True, one_class=True)
    assert boxed.kind == 0
    assert boxed.outline.tolist() == [[10, 10], [30, 10], [30, 20], [10, 20]]
