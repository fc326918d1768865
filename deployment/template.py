"""What template.yaml says about parameters and regions, and samconfig.toml about names, before anything is built."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from deployment import Misused

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def _template() -> dict[str, Any]:
    found: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return found


def stack_name() -> str:
    """The name that plain `sam deploy` would take; `sam deploy --guided` writes the one that it was told."""
    default = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    return str(default["deploy"]["parameters"].get("stack_name") or default["global"]["parameters"]["stack_name"])


def default(name: str) -> str:
    """The value that a parameter has unless one is given."""
    return str(_template()["Parameters"][name]["Default"])


def known() -> frozenset[str]:
    """The names of all parameters."""
    return frozenset(_template()["Parameters"])


def checked(name: str, value: str) -> str:
    """The value, if the parameter takes it.

    Raises:
        Misused: it does not, or there is no such parameter; says what is allowed.
    """
    if name not in known():
        raise Misused(f"there is no parameter {name}; there are {', '.join(sorted(known()))}")
    parameter = _template()["Parameters"][name]
    if allowed := parameter.get("AllowedValues"):
        if value not in map(str, allowed):
            raise Misused(f"{value!r} will not do: {name} is one of {', '.join(map(str, allowed))}")
    elif parameter["Type"] == "Number":
        least, most = parameter["MinValue"], parameter["MaxValue"]
        if not (re.fullmatch(r"\d+(\.\d+)?", value) and least <= float(value) <= most):
            raise Misused(f"{value!r} will not do: {name} is a number from {least} to {most}")
    elif not re.fullmatch(parameter["AllowedPattern"], value):
        raise Misused(f"{value!r} will not do: {name} is {parameter['ConstraintDescription']}")
    return value


def region(name: str) -> str:
    """The region, if a training image is published in it.

    Raises:
        Misused: none is; names those that there are.
    """
    there = sorted(_template()["Mappings"]["TrainingImages"])
    if name not in there:
        raise Misused(f"AWS publishes no training image in {name or 'no region'!r}; there are {', '.join(there)}")
    return name
