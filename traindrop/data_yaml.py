"""What a data.yaml means: class names, and where the images of each split lie.

Of its keys only these are read, by ultralytics' own rules; what else it says is dropped and never acted on.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from traindrop.problems import Problem
from traindrop.yaml_text import NotYaml, read_yaml

DATA_FILES = ("data.yaml", "data.yml")
_YAML_LIMIT = 256 * 1024
_MOST_PATHS = 1000
_MOST_CLASSES = 10_000
_NAME_LIMIT = 128
_SPLIT_KEYS = {
    "train": ("training", "images/train"),
    "val": ("validation", "images/val"),
    "test": ("test", "images/test"),
}
_SHOWN = reprlib.Repr()
_SHOWN.maxlevel = 2  # aliases can make a small file print as gigabytes
_SHOWN.maxstring = 60


@dataclass(frozen=True)
class Description:
    """A data.yaml that was read: class names by index, and as they were written the path and the entries of each split.

    A split has one entry alone or a list of them, which ultralytics reads differently; `Layout.place` says where they
    lead.
    """

    names: dict[int, str]
    splits: Mapping[str, str | list[str]]
    path: str = ""


def describe(text: bytes, place: str) -> tuple[Description | None, list[Problem]]:
    """Read a data.yaml; unknown keys, `download:` among them, are dropped and never acted on.

    The rules are those of `check_det_dataset` (ultralytics 8.4.190). None stands for a file with errors.
    """
    problems: list[Problem] = []
    values = _values(text, place, problems)
    if values is None:
        return None, problems
    names = _names(values, place, problems)
    splits: dict[str, str | list[str]] = {}
    for split, (key, cure) in _SPLIT_KEYS.items():
        written = "validation" if split == "val" and "val" not in values else split
        if (value := values.get(written)) not in (None, "", []):
            splits[split] = _entries(value, f"{place}: {written}", problems)
        elif split != "test":
            problems.append(
                Problem(
                    "data_yaml.no_split",
                    f"{place} has no `{split}:`; name the folder of the {key} images, such as `{split}: {cure}`",
                    [place],
                )
            )
    path = values.get("path")
    if not isinstance(path, str | None):
        problems.append(
            Problem("data_yaml.bad_path", f"{place}: `path` is {_SHOWN.repr(path)}, no path; leave it out", [place])
        )
    problems += _other_tasks(values, place)
    if any(not problem.warning for problem in problems):
        return None, problems
    return Description(names, splits, path or ""), problems


def _values(text: bytes, place: str, problems: list[Problem]) -> dict[Any, Any] | None:
    """The top level of the file, in which the word None is null to ultralytics."""
    if len(text) > _YAML_LIMIT:
        words = f"{place} has {len(text)} bytes; at most {_YAML_LIMIT} are read"
        problems.append(Problem("data_yaml.too_large", words, [place]))
        return None
    try:
        values = read_yaml(text.decode("utf-8-sig").encode())
    except UnicodeDecodeError as error:
        words = f"{place} is not UTF-8 text (byte {error.start}); save it as such"
        problems.append(Problem("data_yaml.not_yaml", words, [place]))
        return None
    except NotYaml as error:
        problems.append(Problem("data_yaml.not_yaml", f"{place} is not YAML: {error}", [place]))
        return None
    if not isinstance(values, dict):
        words = f"{place} must hold `train:`, `val:` and `names:`"
        problems.append(Problem("data_yaml.not_a_mapping", words, [place]))
        return None
    return {key: None if isinstance(value, str) and value == "None" else value for key, value in values.items()}


def _other_tasks(values: Mapping[Any, Any], place: str) -> Iterator[Problem]:
    """What says that the dataset is for something else than segmentation or detection in colour."""
    if values.get("kpt_shape") is not None or values.get("flip_idx") is not None:
        yield Problem(
            "task.unsupported",
            f"{place} describes keypoints (`kpt_shape`), so this is a pose dataset; segmentation and detection alone "
            "are trained here. Export polygons or boxes",
            [place],
        )
    channels = values.get("channels")
    if type(channels) is int and channels == 1:
        yield Problem(
            "data_yaml.one_channel",
            f"{place} says `channels: 1`; the images are trained on as colour images of 3 channels, grey ones too",
            [place],
            warning=True,
        )
    elif channels is not None and not (type(channels) is int and channels == 3):
        yield Problem(
            "data_yaml.channels",
            f"{place} says `channels: {_SHOWN.repr(channels)}`; only images of 3 channels are trained on",
            [place],
        )


def _names(values: Mapping[str, Any], place: str, problems: list[Problem]) -> dict[int, str]:
    names, count = values.get("names"), _count(values, place, problems)
    if names is None and count is not None and 0 < count <= _MOST_CLASSES:
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
    if count is not None and count != len(names):
        problems.append(
            Problem(
                "data_yaml.names_differ_from_nc",
                f"{place} says nc: {count} but names {len(names)} classes; correct one of the two, or leave nc out",
                [place],
            )
        )
    return dict(sorted(named.items()))


def _count(values: Mapping[Any, Any], place: str, problems: list[Problem]) -> int | None:
    """The number of classes that `nc` gives, a whole number in whatever form; None without one."""
    if "nc" not in values:
        return None
    try:
        count = float(values["nc"])
        if count.is_integer():
            return int(count)
    except (TypeError, ValueError, OverflowError):
        pass
    problems.append(
        Problem(
            "data_yaml.bad_nc",
            f"{place}: `nc` is {_SHOWN.repr(values['nc'])}, no number of classes; correct it, or leave it out",
            [place],
        )
    )
    return None


def _is_name(value: Any) -> bool:
    """Whether a class can be called that; an alias to a whole tree, which prints without end, is looked at only."""
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return bool(text.strip()) and len(text) <= _NAME_LIMIT and text.isprintable()


def _entries(value: Any, place: str, problems: list[Problem]) -> str | list[str]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) and entry.strip() for entry in entries):
        words = f"{place} must be a path or a list of paths"
    elif len(entries) > _MOST_PATHS or any(len(entry) > 1024 or not entry.isprintable() for entry in entries):
        words = f"{place} must be at most {_MOST_PATHS} paths of printable characters; list images in a .txt file"
    else:
        return entries if isinstance(value, list) else str(value)
    problems.append(Problem("data_yaml.bad_split", words, [place]))
    return []
