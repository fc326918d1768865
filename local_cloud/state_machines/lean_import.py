"""moto's interpreter without what it does not need: importing this first halves the time in which the server starts.

For one list of names the interpreter imports moto's AWS Batch, and with it all of EC2's instance types and zones.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _without_models(package: str) -> None:
    """Let modules of a package be imported without what its `__init__` imports."""
    found = importlib.util.find_spec("moto")
    if found is not None and found.origin is not None and package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = [str(Path(found.origin).parent / package.rsplit(".", 1)[1])]
        sys.modules[package] = module


_without_models("moto.batch")
