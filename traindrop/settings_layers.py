"""Settings from layers in rising order of rank, and errors that name the key, the value and the cure."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from traindrop.pricing import dearest, seconds_for
from traindrop.problems import Problem
from traindrop.settings import SHORTEST_SECONDS, Checks, Expect, TrainingSettings, closest
from traindrop.train_arguments import TrainArguments
from traindrop.yaml_text import NotYaml, read_yaml

_TEXT_LIMIT = 64 * 1024
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Layer:
    """Settings from one place, named for error messages: the text of a file, or values that were given otherwise."""

    place: str
    content: bytes | Mapping[str, Any]


def merge(layers: Sequence[Layer]) -> tuple[TrainingSettings, list[Problem]]:
    """Settings from layers in rising order of rank, with the problems found; a bad layer counts as empty.

    A later one replaces a key of an earlier one as a whole, but for `train`, whose arguments are merged.
    """
    merged: dict[str, Any] = {}
    problems: list[Problem] = []
    for layer in layers:
        values, found = values_of(layer)
        problems += found
        extra = {**merged.get("train", {}), **values.get("train", {})}
        merged |= values
        if extra:
            merged["train"] = extra
    settings = TrainingSettings.model_validate(merged)
    if settings.max_wait_hours < settings.max_runtime_hours:
        problems.append(
            Problem(
                "settings.wait_below_runtime",
                f"max_wait_hours is {settings.max_wait_hours:g}, below max_runtime_hours "
                f"{settings.max_runtime_hours:g}: waiting and running together cannot take less than "
                "running; raise max_wait_hours or lower max_runtime_hours",
            )
        )
    fitting = min(
        settings.max_runtime_hours * 3600, seconds_for(settings.max_cost_usd, dearest(settings.instance_types))
    )
    if fitting < SHORTEST_SECONDS:
        problems.append(
            Problem(
                "settings.cap_too_small",
                f"max_runtime_hours {settings.max_runtime_hours:g} and max_cost_usd {settings.max_cost_usd:g} leave "
                f"{fitting:.1f} s on {dearest(settings.instance_types)}, and below {SHORTEST_SECONDS} s nothing can be "
                "trained; raise them, or list cheaper instance_types",
            )
        )
    return settings, problems


def values_of(layer: Layer) -> tuple[dict[str, Any], list[Problem]]:
    """What one layer sets, as JSON has it, and what is wrong with it; a bad one sets nothing."""
    problems: list[Problem] = []
    values = _read(layer, problems)
    try:
        given = TrainingSettings.model_validate(values)
    except ValidationError as error:
        return {}, [*problems, *_explain(layer.place, error)]
    return given.model_dump(mode="json", exclude_unset=True), problems


_SHOWN = reprlib.Repr()
_SHOWN.maxlevel = 2  # aliases can make a small file print as gigabytes
_GROUPS: dict[str, type[BaseModel]] = {"train": TrainArguments, "expect": Expect, "checks": Checks}


def _read(layer: Layer, problems: list[Problem]) -> dict[str, Any]:
    values: Any = layer.content
    if isinstance(values, bytes):
        if len(values) > _TEXT_LIMIT:
            problems.append(
                Problem(
                    "settings.too_large",
                    f"{layer.place} has {len(values)} bytes; settings need less than {_TEXT_LIMIT}",
                    [layer.place],
                )
            )
            return {}
        try:
            values = read_yaml(values)
        except NotYaml as error:
            problems.append(Problem("settings.not_yaml", f"{layer.place} is not YAML: {error}", [layer.place]))
            return {}
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        problems.append(
            Problem(
                "settings.not_a_mapping",
                f"{layer.place} must hold `key: value` lines, such as `epochs: 50`",
                [layer.place],
            )
        )
        return {}
    return values


def _explain(place: str, error: ValidationError) -> Iterable[Problem]:
    for item in error.errors(include_url=False)[:_MOST_PROBLEMS]:
        path = [str(part) for part in item["loc"]]
        key = ".".join(part for part in path if part in _GROUPS or part in _keys()) or path[0]
        value = item["input"]
        if item["type"] == "extra_forbidden":
            key = ".".join(path)
            group = _GROUPS.get(path[0], TrainingSettings)
            allowed = group.model_fields
            where = f"{path[0]} takes" if group is not TrainingSettings else "the keys are"
            yield Problem(
                "settings.unknown_key",
                f"{place}: {key[:80]!r} is not a setting{closest(path[-1][:80], allowed)}; "
                f"{where} {', '.join(allowed)}",
                [place],
            )
        else:
            reason = item["msg"].removeprefix("Value error, ")
            yield Problem(
                "settings.bad_value",
                f"{place}: {key} is {_SHOWN.repr(value):.80}; it should be: {_allowed(reason)}",
                [place],
            )


def _keys() -> set[str]:
    return {*TrainingSettings.model_fields, *TrainArguments.model_fields, *Expect.model_fields, *Checks.model_fields}


def _allowed(reason: str) -> str:
    return re.sub(r"^Input should be (a )?", "", reason)
