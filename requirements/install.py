"""Install the project's environments under `.venvs/`, each from its hash-pinned list in `requirements/`.

    python3 requirements/install.py dev sam training

Runs on nothing but the standard library of Python >= 3.11. uv, itself installed from a pinned wheel, does the
work: an environment is rebuilt only when its list or the interpreter changed, and two installs at once wait for
each other. `torch` takes a road of its own, because the registry's Linux build drags gigabytes of CUDA along.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "requirements"
VENVS = ROOT / ".venvs"
TORCH = "2.13.0"
MEGABYTES = {
    "uv": 41,
    "dev": 234,
    "lambda": 23,
    "sam": 92,
    "aws": 23,
    "training": 330,
    "checkov": 79,
    "audit": 7,
    "mutation": 28,
    "images": 300,
}
"""What each environment downloads when the cache is cold, measured on x86-64 Linux."""
COMMAND = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here/../../..${PYTHONPATH:+:$PYTHONPATH}" exec "$here/python" -m traindrop "$@"
"""
"""The command `traindrop` of a clone, which runs what lies there."""


def main(names: list[str]) -> int:
    """Install the named environments; answer a process exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  (whoever has an older one is told so here)
        print(
            f"Traindrop needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
            "Point make at a newer one: make PYTHON=python3.12",
            file=sys.stderr,
        )
        return 2
    unknown = [name for name in names if name not in MEGABYTES]
    if unknown:
        print(f"no such environment: {', '.join(unknown)}; there are {', '.join(MEGABYTES)}", file=sys.stderr)
        return 2
    VENVS.mkdir(exist_ok=True)
    with (VENVS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [name for name in ["uv", *names] if not is_current(name)]
        if missing:
            total = sum(MEGABYTES[name] for name in missing)
            print(f"Setting up {', '.join(missing)}: about {total} MB to download if nothing is cached.", flush=True)
        try:
            for name in missing:
                started = time.monotonic()
                install(name)
                (VENVS / name / ".installed").write_text(stamp(name))
                print(f"  {name}: ready after {time.monotonic() - started:.0f} s", flush=True)
        except (subprocess.CalledProcessError, SetupFailed) as error:
            print(f"Setting up {name} failed: {error}", file=sys.stderr)
            return 1
    return 0


class SetupFailed(Exception):
    """An environment cannot be made; the message says why and what to do."""


def stamp(name: str) -> str:
    """What an environment was made from: its lists, the road that torch takes, and the interpreter."""
    digest = hashlib.sha256((LISTS / f"{name}.txt").read_bytes())
    if name == "training":
        digest.update((LISTS / "torch.txt").read_bytes() + (LISTS / "torch-cpu.txt").read_bytes())
        digest.update(f"{TORCH} {inspect.getsource(install_torch)}".encode())
    if name == "dev":
        digest.update(COMMAND.encode())
    return f"{digest.hexdigest()} {sys.version} {sys.executable}"


def is_current(name: str) -> bool:
    """Whether the environment stands as its list wants it."""
    installed = VENVS / name / ".installed"
    return installed.exists() and installed.read_text() == stamp(name)


def install(name: str) -> None:
    """Make one environment anew from its list."""
    (VENVS / name / ".installed").unlink(missing_ok=True)
    if name == "uv":
        install_uv()
        return
    if not (VENVS / name / "pyvenv.cfg").exists():
        uv("venv", "--quiet", "--python", sys.executable, str(VENVS / name))
    if name == "training":
        install_torch()
        how = ["install", "--no-deps", "-r"]
    else:
        how = ["sync"]
    uv(
        "pip",
        *how,
        str(LISTS / f"{name}.txt"),
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--python",
        str(VENVS / name),
    )
    if name == "dev":
        command = VENVS / name / "bin/traindrop"
        command.write_text(COMMAND)
        command.chmod(0o755)


def install_uv() -> None:
    """Install uv with the interpreter's own venv and pip."""
    target = VENVS / "uv"
    shutil.rmtree(target, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(target)], capture_output=True, text=True)
    if made.returncode:
        raise SetupFailed(
            "this Python cannot make virtual environments (on Debian and Ubuntu: "
            f"apt-get install python3-venv). It said:\n{made.stdout}{made.stderr}"
        )
    subprocess.run(
        [
            str(target / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(LISTS / "uv.txt"),
        ],
        check=True,
    )


def install_torch() -> None:
    """Install the CPU build of torch: by pip where its sources offer one, else by uv from PyTorch's own index.

    The registry's build for Linux needs some 3 GB of CUDA packages, so it is not an alternative there; for macOS
    it is the CPU build.
    """
    python = VENVS / "training/bin/python"
    found = subprocess.run(
        [str(python), "-c", f"import torch; assert torch.__version__.split('+')[0] == '{TORCH}'"], capture_output=True
    )
    if found.returncode:
        if sys.platform == "darwin":
            uv(
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--python",
                str(python),
                "-r",
                str(LISTS / "torch.txt"),
            )
        else:
            wheels = VENVS / "torch"
            pip = [
                str(VENVS / "uv/bin/python"),
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                str(wheels),
                f"torch=={TORCH}+cpu",
            ]
            offered = subprocess.run(pip, capture_output=True, text=True)
            source = ["--no-index", "--find-links", str(wheels), "--require-hashes", "-r", str(LISTS / "torch-cpu.txt")]
            if offered.returncode:
                source = ["--torch-backend", "cpu", f"torch=={TORCH}"]
            try:
                uv("pip", "install", "--quiet", "--no-deps", "--python", str(python), *source)
            except subprocess.CalledProcessError as error:
                raise SetupFailed(
                    f"no CPU build of torch {TORCH} could be had for this Python and platform, neither "
                    "from pip's configured sources nor from PyTorch's index; a wheel of it in a folder "
                    "named by PIP_FIND_LINKS will do"
                ) from error
            shutil.rmtree(wheels, ignore_errors=True)
    site = next((VENVS / "training/lib").glob("python3.*")) / "site-packages"
    shutil.copytree(LISTS / "torchvision_stand_in/torchvision", site / "torchvision", dirs_exist_ok=True)
    facts = site / "torchvision-0.28.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")


def uv(*arguments: str) -> None:
    """Run uv with its progress hidden unless it fails."""
    environment = {**os.environ, "UV_NO_PROGRESS": "1", "UV_NO_CONFIG": "1", "VIRTUAL_ENV": ""}
    subprocess.run([str(VENVS / "uv/bin/uv"), *arguments], check=True, env=environment)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
