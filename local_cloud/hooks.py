"""Where the adapters reach into MiniStack, and the guard that these places are still what they were.

The adapters replace functions that are no public interface. Exact versions are required, and a replaced function must
exist with the parameters that it had, so that an upgrade fails at the start with one message and never by behaviour.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

VERSIONS = {"ministack": "1.5.33", "moto": "5.2.5"}


class HookMissing(Exception):
    """The installed MiniStack or moto is not the one that the adapters were written for."""


def check_versions() -> None:
    """Raise HookMissing unless exactly the pinned versions are installed."""
    for package, wanted in VERSIONS.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "none"
        if found != wanted:
            raise HookMissing(
                f"the local cloud needs {package} {wanted} and found {found}: run "
                "`python3 requirements/install.py dev`, or move the adapters in local_cloud/ to the new version"
            )


def replace(module: ModuleType, name: str, parameters: str, build: Callable[[Any], Any]) -> None:
    """Put `build(original)` in the place of `module.name`.

    `parameters` are the names that the original must have, separated by spaces. HookMissing says what is not there.
    """
    place = f"{module.__name__}.{name}"
    original = getattr(module, name, None)
    if original is None:
        raise HookMissing(f"{place} does not exist; the local cloud replaces it (ministack {_installed()})")
    if callable(original):
        found = " ".join(inspect.signature(original).parameters)
        if found != parameters:
            raise HookMissing(f"{place} takes ({found}) and not ({parameters}); the local cloud replaces it")
    setattr(module, name, build(original))


def require(module: ModuleType, *names: str) -> None:
    """Raise HookMissing unless the module has what an adapter calls."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise HookMissing(f"{module.__name__} has no {', '.join(missing)} (ministack {_installed()})")


def _installed() -> str:
    try:
        return version("ministack")
    except PackageNotFoundError:
        return "none"
