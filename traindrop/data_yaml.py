"""What a data.yaml means: class names, and where the images of each split lie.

Of its keys only these are read, by ultralytics' own rules; what else it says is dropped and never acted on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traindrop.problems import Problem
from traindrop.yaml_text import NotYaml, read_yaml

DATA_FILES = ("data.yaml", "data.yml")
_YAML_LIMIT = 256 * 1024
_MOST_PATHS = 1000
_MOST_CLASSES = 10_000
_NAME_LIMIT = 128
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class Description:
    """A normalised data.yaml: class names by index and, per split, paths relative to the dataset's root."""

    names: dict[int, str]
    splits: dict[str, list[str]]


def describe(text: bytes, place: str) -> tuple[Description | None, list[Problem]]:
    """Normalise a data.yaml; unknown keys, `download:` among them, are dropped and never acted on."""
    if len(text) > _YAML_LIMIT:
        return None, [
            Problem("data_yaml.too_large", f"{place} has {len(text)} bytes; at most {_YAML_LIMIT} are read", [place])
        ]
    try:
        values = read_yaml(text.decode("utf-8-sig", errors="replace").encode())
    except NotYaml as error:
        return None, [Problem("data_yaml.not_yaml", f"{place} is not YAML: {error}", [place])]
    if not isinstance(values, dict):
        return None, [Problem("data_yaml.not_a_mapping", f"{place} must hold `train:`, `val:` and `names:`", [place])]
    problems: list[Problem] = []
    names = _names(values, place, problems)
    splits: dict[str, list[str]] = {}
    for split, keys in _SPLIT_KEYS.items():
        value = next((values[key] for key in keys if values.get(key) is not None), None)
        if value is None:
            if split != "test":
                problems.append(
                    Problem(
                        "data_yaml.no_split",
                        f"{place} has no `{split}:`; name the folder of the "
                        f"{'validation' if split == 'val' else 'training'} images, such as "
                        f"`{split}: images/{split}`",
                        [place],
                    )
                )
            continue
        base = values.get("path")
        paths = _paths(value, base if isinstance(base, str) else "", f"{place}: {split}", problems)
        if paths:
            splits[split] = paths
    return (None if problems else Description(names, splits)), problems


def _names(values: Mapping[str, Any], place: str, problems: list[Problem]) -> dict[int, str]:
    names, count = values.get("names"), values.get("nc")
    if names is None and isinstance(count, int) and 0 < count <= _MOST_CLASSES:
        return {index: f"class_{index}" for index in range(count)}
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        problems.append(
            Problem(
                "data_yaml.no_names",
                f"{place} has no class names; write `names: [room]` or `names: {{0: room}}`",
                [place],
            )
        )
        return {}
    if len(names) > _MOST_CLASSES:
        problems.append(
            Problem(
                "data_yaml.too_many_classes",
                f"{place} names {len(names)} classes; at most {_MOST_CLASSES} can be trained",
                [place],
            )
        )
        return {}
    bad = next((str(key)[:20] for key, value in names.items() if not _is_name(value)), None)
    if bad is not None:
        problems.append(
            Problem(
                "data_yaml.bad_class_name",
                f"{place}: the name of class {bad} is no printable text of 1 to {_NAME_LIMIT} characters; correct it",
                [place],
            )
        )
        return {}
    try:
        named = {int(key): str(value) for key, value in names.items()}
    except (TypeError, ValueError, OverflowError):
        named = {}
    if sorted(named) != list(range(len(names))):
        problems.append(
            Problem(
                "data_yaml.bad_names",
                f"{place}: the keys of `names` must be 0 to {len(names) - 1} without a hole",
                [place],
            )
        )
    if isinstance(count, int) and count != len(names):
        problems.append(
            Problem(
                "data_yaml.names_differ_from_nc",
                f"{place} says nc: {count} but names {len(names)} classes; correct one of the two, or leave nc out",
                [place],
            )
        )
    return dict(sorted(named.items()))


def _is_name(value: Any) -> bool:
    """Whether a class can be called that; an alias to a whole tree, which prints without end, is looked at only."""
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return bool(text.strip()) and len(text) <= _NAME_LIMIT and text.isprintable()


def _paths(value: Any, base: str, place: str, problems: list[Problem]) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, str) and entry.strip() for entry in entries):
        problems.append(Problem("data_yaml.bad_split", f"{place} must be a path or a list of paths", [place]))
        return []
    if len(entries) > _MOST_PATHS or any(len(entry) > 1024 or not entry.isprintable() for entry in entries):
        problems.append(
            Problem(
                "data_yaml.bad_split",
                f"{place} must be at most {_MOST_PATHS} paths of printable characters; list images in a .txt file",
                [place],
            )
        )
        return []
    return list(dict.fromkeys(_relative(entry, base, roboflow=isinstance(value, str)) for entry in entries))


def _relative(entry: str, base: str, *, roboflow: bool) -> str:
    """Path of a split below the dataset's root, as ultralytics finds it.

    The root is the folder of data.yaml whatever `path` says, because that is where the drop lies; an absolute
    `path` of the author's machine is cut off. `../train/images` of Roboflow's exports means `train/images`.
    """
    entry = entry.strip().replace("\\", "/")
    base = base.strip().replace("\\", "/").rstrip("/")
    if base and entry.startswith(f"{base}/"):
        entry = entry[len(base) + 1 :]
    if roboflow and entry.startswith("../"):
        entry = entry[3:]
    parts = [part for part in posixpath.normpath(entry.lstrip("/")).split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "."
