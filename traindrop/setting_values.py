"""What values of training.yaml are, told apart as JSON Schema does: `50.0` is a whole number, `true` is none."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, field_validator

Share = Annotated[StrictFloat, Field(ge=0, le=1)]
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+", re.ASCII)


class Values(BaseModel):
    """A group of settings: nothing but its own keys, and only finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_number(cls, value: Any) -> Any:
        """The number that a value is: `1e-3` is one to editors (YAML 1.2), and a text to PyYAML (1.1)."""
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        return int(value) if isinstance(value, float) and value.is_integer() else value


def empty_is_default(value: Any) -> Any:
    """The value of a group, of which only the name may be left, as when all its lines are made comments."""
    return {} if value is None else value
