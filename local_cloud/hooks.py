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


def replace(
    place: ModuleType | type | dict[str, Any],
    name: str,
    parameters: str,
    build: Callable[[Any], Any],
    *,
    within: str = "",
) -> None:
    """Put `build(original)` in the place of an attribute of a module or class, or of an entry of a table.

    `parameters` are the names that the original must have, separated by spaces; `within` names a table in messages.
    HookMissing says what is not there.
    """
    where = f"{within or _name(place)}.{name}"
    original = place.get(name) if isinstance(place, dict) else getattr(place, name, None)
    if original is None:
        raise HookMissing(f"{where} does not exist; the local cloud replaces it (ministack {_installed()})")
    found = " ".join(inspect.signature(original).parameters)
    if found != parameters:
        raise HookMissing(f"{where} takes ({found}) and not ({parameters}); the local cloud replaces it")
    if isinstance(place, dict):
        place[name] = build(original)
    else:
        setattr(place, name, build(original))


def require(module: ModuleType | type, *names: str) -> None:
    """Raise HookMissing unless the module has what an adapter calls."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise HookMissing(f"{_name(module)} has no {', '.join(missing)} (ministack {_installed()})")


def _name(place: Any) -> str:
    return f"{place.__module__}.{place.__qualname__}" if isinstance(place, type) else str(place.__name__)


def _installed() -> str:
    try:
        return version("ministack")
    except PackageNotFoundError:
        return "none"
