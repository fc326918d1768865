"""The SAM CLI, run as its users would; what it says is kept in a file and shown when it fails."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from deployment import CannotDeploy
from deployment.template import ROOT

SAM = Path(sys.executable).with_name("sam")
LOG = ROOT / ".aws-sam/deployment.log"
_SHOWN = 25


def require() -> None:
    """See that the SAM CLI and uv, by which it builds, are beside this Python.

    Raises:
        CannotDeploy: this is not the environment that `make deploy` makes.
    """
    missing = [name for name in ("sam", "uv") if not SAM.with_name(name).exists()]
    if missing:
        raise CannotDeploy(f"{' and '.join(missing)} is not in {SAM.parent}: run `make deploy`, which installs it")


@contextlib.contextmanager
def begin(arguments: list[str], *, region: str, parameters: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sam` with these arguments, the values of the stack's parameters after them; it ends with the block."""
    LOG.parent.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # halves its start
    with LOG.open("ab") as log:
        sam = subprocess.Popen(
            [SAM, *arguments, "--region", region, "--parameter-overrides", *pairs(parameters)],
            cwd=ROOT,
            env={
                **kept,
                "PATH": os.pathsep.join([str(SAM.parent), os.environ.get("PATH", os.defpath)]),
                "SAM_CLI_TELEMETRY": "0",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield sam
    except BaseException:
        sam.terminate()
        raise
    finally:
        sam.wait()


def pairs(parameters: Mapping[str, str]) -> list[str]:
    """As the SAM CLI wants them: quoted, because it splits at spaces."""
    return [f'{name}="{value}"' for name, value in sorted(parameters.items())]


def said() -> str:
    """The end of what it said last."""
    lines = [line.rstrip() for line in LOG.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-_SHOWN:])
