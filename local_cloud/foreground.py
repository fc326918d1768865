"""`make local`: the local cloud in the foreground, with the stack deployed, until Ctrl-C.

Writes `.local/env` (lines to source in a shell) and `.local/outputs.json` (the stack's outputs) and prints READY when
both can be used; both are gone when it ends. TRAINER=stub swaps the training for one that ends in under a second,
PORT asks for a port.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from local_cloud.asked import Asked, until_asked
from local_cloud.deploy import deploy
from local_cloud.process import ROOT, LocalCloud, LocalCloudError

LOCAL = ROOT / ".local"
TRAINERS = ("real", "stub")


def main() -> int:
    """Serve until asked to end; answer 0 then, 1 if it could not start, 2 for a wrong TRAINER or PORT.

    Asked before it was READY it answers as a shell does for what a signal ended: 130 for Ctrl-C, 143 for a termination.
    """
    trainer, port = os.environ.get("TRAINER") or "real", os.environ.get("PORT") or None
    if trainer not in TRAINERS or (port and not (port.isdecimal() and 0 < int(port) < 65_536)):
        print(f"TRAINER is one of {', '.join(TRAINERS)} and PORT a number.", file=sys.stderr)
        return 2
    with until_asked():
        return _serve(trainer, int(port) if port else None)


def _serve(trainer: str, port: int | None) -> int:
    written: list[Path] = []
    ready = False
    try:
        _say("Starting the local cloud …")
        with LocalCloud.start(trainer=trainer, port=port) as cloud:
            _say(f"It answers at {cloud.endpoint}. Building and deploying template.yaml with the SAM CLI …")
            outputs = deploy(cloud)
            _write(written, LOCAL / "outputs.json", json.dumps(outputs, indent=2) + "\n")
            _write(written, LOCAL / "env", env_file(cloud.environment))
            _say("\n".join(f"  {name:<22} {value}" for name, value in outputs.items()))
            _say(f"In another shell: . {shlex.quote(str((LOCAL / 'env').relative_to(ROOT)))}")
            ready = True
            _say(f"Log: {cloud.log_path}. Ctrl-C ends it.\nREADY")
            cloud.wait()
    except Asked as asked:
        _say("The local cloud has ended; nothing of it is left.")
        return 0 if ready else asked.exit_code
    except LocalCloudError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def env_file(environment: Mapping[str, str]) -> str:
    """Lines that make a shell talk to the local cloud, with this project's `aws`, `sam` and `traindrop` on its PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN"]
    paths = ":".join(shlex.quote(str(ROOT / ".venvs" / name / "bin")) for name in ("aws", "sam", "dev"))
    return "\n".join([*lines, f'export PATH={paths}:"$PATH"', ""])


def _write(written: list[Path], path: Path, content: str) -> None:
    """Write a file that only this user can read, because it may hold keys."""
    path.parent.mkdir(exist_ok=True)
    written.append(path)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)


def _say(text: str) -> None:
    print(text, flush=True)
