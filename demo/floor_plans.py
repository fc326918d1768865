"""A small dataset of generated floor plans: scanned-looking sheets, every room outlined.

`python -m demo.floor_plans FOLDER` writes it; the same seed always gives the same plans.
"""

from __future__ import annotations

import argparse
import random
import sys
import zipfile
from pathlib import Path

import cv2

from demo.drawing import OURS, Scan, Style, scan
from demo.layout import apartment

DATA_YAML = """\
# Rooms of generated floor plans: one class, its polygon is the inner outline of a room.
path: .
train: images/train
val: images/val
names:
  0: room
"""

# Settings that learn these plans from nothing on two processor cores in about a minute.
TRAINING_YAML = """\
model: yolov8n-seg.yaml
epochs: 9
imgsz: 160
batch: 4
patience: 0
seed: 0
train:
  optimizer: AdamW
  lr0: 0.002
  warmup_epochs: 1
  mosaic: 0.0
  nbs: 4
  pretrained: false
  amp: false
  plots: false
  cache: ram
  workers: 0
"""
_QUALITY = 88


def generate(
    directory: Path, *, train: int = 100, val: int = 25, size: int = 640, seed: int = 0, style: Style = OURS
) -> None:
    """Write a YOLO segmentation dataset with its `data.yaml` and `training.yaml` into a folder.

    Args:
        directory: made if it is not there; files of the same names are replaced.
        train: how many plans to train on.
        val: how many plans to validate on.
        size: width and height of a picture in pixels.
        seed: decides every plan; plan number n of a split does not depend on how many there are.
        style: how they are drawn.
    """
    for split, count in (("train", train), ("val", val)):
        images, labels = directory / "images" / split, directory / "labels" / split
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            drawn = floor_plan(f"{seed}/{split}/{number}", size, style)
            name = f"plan-{number:03d}"
            cv2.imwrite(str(images / f"{name}.jpg"), drawn.picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            (labels / f"{name}.txt").write_text(label(drawn), encoding="ascii")
    (directory / "data.yaml").write_text(DATA_YAML, encoding="ascii")
    (directory / "training.yaml").write_text(TRAINING_YAML, encoding="ascii")


def floor_plan(seed: str, size: int = 640, style: Style = OURS) -> Scan:
    """The plan of a seed."""
    rng = random.Random(seed)
    return scan(apartment(rng), size, rng, style)


def label(drawn: Scan) -> str:
    """A plan's YOLO segmentation label: one line a room, class 0 and its outline."""
    return "".join("0 " + " ".join(f"{v:.5f}" for v in outline.ravel()) + "\n" for outline in drawn.outlines)


def pack(directory: Path, zip_path: Path) -> None:
    """Zip a dataset: yaml files and labels first, in one stretch, so that they can be read without the images.

    The same files always give the same bytes: no clock goes into the archive.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path != zip_path)
    files.sort(key=lambda path: (path.suffix != ".yaml", path.suffix != ".txt"))
    with zipfile.ZipFile(zip_path, "w") as archive:
        for path in files:
            method = zipfile.ZIP_STORED if path.suffix == ".jpg" else zipfile.ZIP_DEFLATED
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix())
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), compress_type=method)


def main(arguments: list[str] | None = None) -> int:
    """Write a dataset where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m demo.floor_plans", description="Generate floor plans for YOLO.")
    parser.add_argument("folder", type=Path, help="where the dataset goes")
    parser.add_argument("--train", type=int, default=100, help="plans to train on (%(default)s)")
    parser.add_argument("--val", type=int, default=25, help="plans to validate on (%(default)s)")
    parser.add_argument("--size", type=int, default=640, help="pixels a side (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other plans (%(default)s)")
    parser.add_argument("--zip", type=Path, help="also pack the dataset into this file")
    asked = parser.parse_args(arguments)
    generate(asked.folder, train=asked.train, val=asked.val, size=asked.size, seed=asked.seed)
    if asked.zip:
        pack(asked.folder, asked.zip)
    sys.stdout.write(f"{asked.train} plans to train on and {asked.val} to validate on are in {asked.folder}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
