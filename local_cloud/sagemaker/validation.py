"""Holds a request against the service model as AWS's front end does: types, ranges, patterns, enums.

botocore's own validator checks types, required members and minima only. The texts are those of AWS:
`2 validation errors detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: …; Value …`.
Stricter than AWS in one point, on purpose: a member that the model does not know is refused, where AWS's
front end drops it silently (a client built on the SDK refuses it before sending).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

from local_cloud.sagemaker.errors import ApiError, ValidationError


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """Botocore's model of SageMaker, parsed once."""
    return botocore.session.get_session().get_service_model("sagemaker")


def operation(name: str) -> OperationModel:
    """The model of one operation; UnknownOperationException for a name that SageMaker does not have."""
    if name not in service_model().operation_names:
        raise ApiError("UnknownOperationException", "")
    return service_model().operation_model(name)


def validate(name: str, request: Any) -> None:
    """Raise what AWS answers to a malformed request of this operation; return for a good one."""
    shape = operation(name).input_shape
    if shape is None:
        return
    problems = list(_problems(shape, request, ""))
    if problems:
        plural = "" if len(problems) == 1 else "s"
        raise ValidationError(f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    """One text for each constraint that the value breaks."""
    _check_type(shape, value)
    if shape.type_name == "structure":
        yield from _structure_problems(shape, value, path)
    elif shape.type_name == "list":
        yield from _breaches(shape, value, path)
        for position, item in enumerate(value, start=1):
            yield from _problems(shape.member, item, f"{path}.{position}.member")
    elif shape.type_name == "map":
        yield from _map_problems(shape, value, path)
    else:
        yield from _breaches(shape, value, path)


def _structure_problems(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in value:
        if name not in shape.members:
            place = f" at '{path}'" if path else ""
            yield f"Unknown parameter '{name}'{place}, must be one of: {', '.join(shape.members)}"
    for name, member in shape.members.items():
        here = f"{path}.{_member_path(name)}" if path else _member_path(name)
        if value.get(name) is not None:
            yield from _problems(member, value[name], here)
        elif name in shape.required_members:
            yield f"Value null at '{here}' failed to satisfy constraint: Member must not be null"


def _map_problems(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from _breaches(shape, value, path)
    for part, shown, items in (("keys", "Map keys", value), ("value", "Map value", value.values())):
        inner = shape.key if part == "keys" else shape.value
        for item in items:
            _check_type(inner, item)
        if inner.type_name == "string" and any(list(_broken(inner, item)) for item in items):
            rules = f"{shown} must satisfy constraint: [{', '.join(_rules(inner))}]"
            yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {rules}"


def _breaches(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for rule in _broken(shape, value):
        yield f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {rule}"


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """The rules of the shape that the value breaks, in AWS's words."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    number = shape.type_name in ("integer", "long", "float", "double")
    size = value if number else len(value) if isinstance(value, str | list | dict) else None
    what = "value" if number else "length"
    if size is not None and low is not None and size < low:
        yield f"Member must have {what} greater than or equal to {low}"
    if size is not None and high is not None and size > high:
        yield f"Member must have {what} less than or equal to {high}"
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not compiled(pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"


def _rules(shape: Shape) -> Iterator[str]:
    """Every rule of a map's key or value, as AWS lists them when one is broken."""
    for key, words in (("max", "less than or equal to"), ("min", "greater than or equal to")):
        if key in shape.metadata:
            yield f"Member must have length {words} {shape.metadata[key]}"
    if "pattern" in shape.metadata:
        yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}
_JAVA_NAMES = {"integer": "Integer", "long": "Long", "string": "String", "boolean": "Boolean", "float": "Float"}


def _check_type(shape: Shape, value: Any) -> None:
    """AWS's JSON parser refuses a wrong type before any constraint is looked at."""
    expected = _PYTHON_TYPES.get(shape.type_name, (object,))
    right = isinstance(value, expected) and not (
        isinstance(value, bool) and bool not in expected and expected != (object,)
    )
    if not right:
        found = {str: "STRING_VALUE", bool: "TRUE_VALUE" if value else "FALSE_VALUE", int: "NUMBER_VALUE"}
        found |= {float: "DECIMAL_VALUE", dict: "Start of structure or map found where not expected."}
        kind = found.get(type(value), "Unrecognized collection type")
        target = _JAVA_NAMES.get(shape.type_name)
        raise ApiError(
            "SerializationException", f"{kind} can not be converted to {_article(target)}" if target else kind
        )


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


def _member_path(name: str) -> str:
    return name[0].lower() + name[1:]


def _shown(value: Any) -> str:
    """A value as Java prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    r"""A Java pattern for Python: `\p{L}`, `\p{Z}`, `\p{N}`, `\p{S}` and `\p{Alnum}` spelt out, classes ASCII."""
    return re.compile(re.sub(r"\\p\{(\w+)\}", _category, pattern), re.ASCII)


def _category(match: re.Match[str]) -> str:
    return "a-zA-Z0-9" if match[1] == "Alnum" else _characters(match[1])


@lru_cache(maxsize=16)
def _characters(category: str) -> str:
    """The ranges of a Unicode category, for the inside of a character class."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(category):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
