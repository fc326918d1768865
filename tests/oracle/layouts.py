"""Which images ultralytics' own loader lists for each split of a dataset."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ultralytics.data import base, utils
from ultralytics.utils import YAML

base.check_file_speeds = lambda *_, **__: None
utils.check_font = lambda *_, **__: None


def images(files: dict[str, str], text: str) -> dict[str, Any]:
    """The images that each split of a dataset lists, or why there are none.

    The dataset's folder is the working directory, and stands for any `path` that is not there.

    Args:
        files: texts of the files by their paths.
        text: what data.yaml says; both with lone surrogates for bytes that are not UTF-8.

    Returns:
        `{"error": "…"}`, or for each split that is named either such an error or `{"listed": […], "missing": […]}`:
        sorted paths of the images that are there, as often as they are listed, and of those that are not. A folder
        that is named like an image is left out, as it is when the image is to be opened.
    """
    above = Path(tempfile.mkdtemp()).resolve()
    root = above / "somewhere/else/rooms"
    home = Path.cwd()
    try:
        for name, content in {**files, "data.yaml": text}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content.encode(errors="surrogateescape"))
        os.chdir(root)
        try:
            _stand_for_the_path(root)
            data = utils.check_det_dataset(root / "data.yaml", autodownload=False)
        except Exception as error:  # noqa: BLE001  (whatever it is, ultralytics does not take it)
            return {"error": repr(error)}
        return {
            split: _listed(root, data[split])
            for split in ("train", "val", "test")
            if split != "test" or data.get(split)
        }
    finally:
        os.chdir(home)
        shutil.rmtree(above)


def _stand_for_the_path(root: Path) -> None:
    """Write the `path` of data.yaml as the absolute one of the folder that is meant."""
    data = YAML.load(root / "data.yaml")
    path = data.get("path")
    if not path or not isinstance(path, str):
        return
    there = (root / path).resolve()
    if Path(path).is_absolute() or not there.exists() or not there.is_relative_to(root):
        parts = [part for part in os.path.normpath(path.replace("\\", "/")).split("/") if part not in ("", ".", "..")]
        ends = (root.joinpath(*parts[start:]) for start in range(len(parts)))
        there = next((end for end in ends if end.is_dir() and _has(end, data.get("train"))), root)
    data["path"] = str(there)
    (root / "data.yaml").write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")


def _has(folder: Path, train: Any) -> bool:
    if isinstance(train, str):
        return (folder / train).resolve().exists() or (
            train.startswith("../") and (folder / train[3:]).resolve().exists()
        )
    return isinstance(train, list) and all(
        isinstance(entry, str) and (folder / entry).resolve().exists() for entry in train
    )


def _listed(root: Path, entries: Any) -> dict[str, Any]:
    dataset = object.__new__(base.BaseDataset)
    dataset.prefix, dataset.fraction = "", 1.0
    try:
        paths = [Path(os.path.abspath(path)) for path in dataset.get_img_files(entries)]  # noqa: PTH100
    except FileNotFoundError as error:
        return {"error": repr(error)}
    return {
        "listed": sorted(str(path.relative_to(root)) for path in paths if path.is_file()),
        "missing": sorted(str(path) for path in paths if not path.exists()),
    }
