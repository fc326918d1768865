from __future__ import annotations

import random
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from demo import floor_plans
from demo.layout import SHEET, apartment
from traindrop.settings import TrainingSettings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    floor_plans.generate(folder, train=6, val=3, size=320, seed=5)
    return folder


def outlines(label: Path) -> list[np.ndarray]:
    rows = [line.split() for line in label.read_text().splitlines()]
    assert {row[0] for row in rows} == {"0"}
    return [np.array(row[1:], float).reshape(-1, 2) for row in rows]


def test_every_picture_has_a_label(dataset: Path) -> None:
    for split, count in (("train", 6), ("val", 3)):
        images = sorted(path.stem for path in (dataset / "images" / split).glob("*.jpg"))
        labels = sorted(path.stem for path in (dataset / "labels" / split).glob("*.txt"))
        assert images == labels
        assert len(images) == count


def test_the_same_seed_gives_the_same_plans_and_another_seed_others(dataset: Path, tmp_path: Path) -> None:
    floor_plans.generate(tmp_path, train=2, val=1, size=320, seed=5)
    name = "train/plan-001"
    again = (tmp_path / f"images/{name}.jpg").read_bytes(), (tmp_path / f"labels/{name}.txt").read_bytes()
    assert again == ((dataset / f"images/{name}.jpg").read_bytes(), (dataset / f"labels/{name}.txt").read_bytes())
    assert floor_plans.label(floor_plans.floor_plan("6/train/1", 320)).encode() != again[1]


def test_training_and_validation_plans_differ(dataset: Path) -> None:
    labels = [path.read_text() for path in dataset.glob("labels/*/*.txt")]
    assert len(set(labels)) == len(labels)


def test_outlines_are_polygons_inside_the_sheet(dataset: Path) -> None:
    for label in dataset.glob("labels/*/*.txt"):
        for outline in outlines(label):
            assert len(outline) >= 4
            assert outline.min() >= 0
            assert outline.max() <= 1
            assert cv2.contourArea(outline.astype(np.float32)) > 0.005


@pytest.mark.parametrize("seed", range(40))
def test_rooms_of_an_apartment_do_not_overlap_and_have_different_names(seed: int) -> None:
    plan = apartment(random.Random(seed))
    assert 4 <= len(plan.rooms) <= 9
    count = np.zeros((SHEET, SHEET), np.uint8)
    for room in plan.rooms:
        floor = np.zeros_like(count)
        cv2.fillPoly(floor, [np.array(room.outline, np.int32)], 1)
        count += floor
    assert count.max() == 1
    names = [room.name for room in plan.rooms]
    assert len(set(names)) == len(names)
    assert all(names)


@pytest.mark.parametrize("seed", range(40))
def test_every_room_has_a_door(seed: int) -> None:
    plan = apartment(random.Random(seed))
    doors = [opening for opening in plan.openings if opening.kind in ("door", "passage")]
    assert len(doors) == len(plan.rooms) - 1
    assert sum(opening.kind == "entrance" for opening in plan.openings) == 1


def test_some_rooms_have_more_than_four_corners() -> None:
    rooms = [room for seed in range(30) for room in apartment(random.Random(seed)).rooms]
    assert sum(len(room.outline) >= 6 for room in rooms) > 15


def test_a_floor_is_paper_and_the_wall_beside_it_is_ink() -> None:
    for number in range(8):
        drawn = floor_plans.floor_plan(f"0/train/{number}", 640)
        grey = cv2.cvtColor(drawn.picture, cv2.COLOR_BGR2GRAY)
        floors, grown = np.zeros_like(grey), np.zeros_like(grey)
        for outline in drawn.outlines:
            cv2.fillPoly(floors, [np.round(outline * 640).astype(np.int32)], 1)
        cv2.dilate(floors, np.ones((9, 9), np.uint8), grown)
        assert np.median(grey[floors == 1]) - np.mean(grey[(grown == 1) & (floors == 0)]) > 25


def test_settings_of_the_dataset_are_valid_and_its_classes_one(dataset: Path) -> None:
    settings = TrainingSettings.model_validate(yaml.safe_load((dataset / "training.yaml").read_text()))
    assert settings.task == "segment"
    assert yaml.safe_load((dataset / "data.yaml").read_text())["names"] == {0: "room"}


def test_a_packed_dataset_begins_with_its_labels_in_one_stretch(dataset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "rooms.zip"
    floor_plans.pack(dataset, archive)
    with zipfile.ZipFile(archive) as packed:
        entries = sorted(packed.infolist(), key=lambda entry: entry.header_offset)
        assert packed.testzip() is None
    names = [entry.filename for entry in entries]
    assert sorted(names) == sorted(p.relative_to(dataset).as_posix() for p in dataset.rglob("*") if p.is_file())
    assert [name.rsplit(".", 1)[1] for name in names] == ["yaml"] * 2 + ["txt"] * 9 + ["jpg"] * 9


def test_the_same_dataset_packs_to_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    floor_plans.generate(tmp_path / "again", train=6, val=3, size=320, seed=5)
    floor_plans.pack(dataset, tmp_path / "one.zip")
    floor_plans.pack(tmp_path / "again", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_plans_are_drawn_quickly() -> None:
    began = time.process_time()
    for number in range(5):
        floor_plans.floor_plan(f"0/val/{number}", 640)
    assert time.process_time() - began < 2


def test_the_command_line_writes_a_dataset_and_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "plans.zip"
    assert (
        floor_plans.main([str(tmp_path / "d"), "--train", "1", "--val", "1", "--size", "160", "--zip", str(archive)])
        == 0
    )
    assert archive.exists()
    assert "1 plans to train on and 1 to validate on" in capsys.readouterr().out
