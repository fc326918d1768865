"""The real SAM CLI builds the shipped template and deploys it to the local cloud.

A build is kept in `.cache/sam/` under the digest of what it was made from, so the same sources are built once. It is
made from a copy of the sources, so builds that run side by side do not meet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from local_cloud.process import KEEPER, ROOT, LocalCloud, LocalCloudError

SOURCES = (
    "template.yaml",
    "samconfig.toml",
    "pyproject.toml",
    "README.md",
    "functions",
    "traindrop",
    "training_entry",
    "statemachine",
)
"""What a build is made from; README.md because the project's metadata names it."""
SAM_BIN = ROOT / ".venvs/sam/bin"
CACHE = ROOT / ".cache/sam"
KEPT_BUILDS = 4
UNUSED_SECONDS = 3600.0
"""A build is removed when there are more than KEPT_BUILDS and nobody has used it for so long."""
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class DeployError(LocalCloudError):
    """The SAM CLI failed; the message ends with what it said."""


def host_parameters() -> dict[str, str]:
    """The template's parameters that make functions run on this host."""
    machine = platform.machine().lower()
    if machine not in ARCHITECTURES:
        raise DeployError(f"Lambda has no architecture for {machine}; there are x86-64 and arm64")
    return {
        "FunctionRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "FunctionArchitecture": ARCHITECTURES[machine],
    }


def build(source: Path = ROOT, *, parameters: Mapping[str, str] | None = None, cache: Path = CACHE) -> Path:
    """Build the template with `sam build` and answer a folder with the sources and the build in `.aws-sam/build`.

    Answers at once if these sources with these parameters have been built before.
    """
    chosen = {**host_parameters(), **(parameters or {})}
    folder = cache / _digest(source, chosen)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as scratch:
                copy = Path(scratch, "sources")
                _copy(source, copy)
                _sam(
                    ["build", "--config-env", "local", "--beta-features", "--parameter-overrides", *_pairs(chosen)],
                    cwd=copy,
                    scratch=Path(scratch, "sam"),
                )
                if platform.system() != "Linux":
                    _install_for_host(copy)
                copy.rename(folder)
        os.utime(folder)
    _forget_old_builds(cache)
    return folder


def deploy(
    cloud: LocalCloud,
    *,
    stack_name: str = "traindrop",
    parameters: Mapping[str, str] | None = None,
    source: Path = ROOT,
    cache: Path = CACHE,
) -> dict[str, str]:
    """Build if necessary, deploy with `sam deploy` and samconfig's `local`, and answer the stack's outputs.

    `parameters` go before those of samconfig. DeployError names the resources that failed.
    """
    host = host_parameters()
    built = build(source, cache=cache)
    chosen = {**_local_parameters(built / "samconfig.toml"), **host, **(parameters or {})}
    scratch = Path(tempfile.mkdtemp(prefix="sam-", dir=cloud.state_dir))
    command = [
        "deploy",
        "--config-env",
        "local",
        "--stack-name",
        stack_name,
        "--no-progressbar",
        "--parameter-overrides",
        *_pairs(chosen),
    ]
    client = cloud.client("cloudformation")
    try:
        _sam(command, cwd=built, scratch=scratch, environment=cloud.environment)
    except DeployError as error:
        raise DeployError(f"{error}\n{_failures(client, stack_name)}".rstrip()) from error
    stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _sam(arguments: list[str], *, cwd: Path, scratch: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run the SAM CLI with the user's environment less everything about AWS; DeployError carries what it said.

    It ends with this process, its own children and its files in `scratch` too.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # with its own bytecode the SAM CLI starts in half the time
    scratch.mkdir(exist_ok=True)
    with subprocess.Popen(
        [*KEEPER, str(scratch), str(SAM_BIN / "sam"), *arguments],
        cwd=cwd,
        env={
            **kept,
            "PATH": os.pathsep.join([str(SAM_BIN), os.environ.get("PATH", os.defpath)]),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.5",
            "__SAM_CLI_APP_DIR": str(scratch / "sam-home"),
            "TMPDIR": str(scratch),  # sam deploy leaves a folder a function there
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
            **{name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1"])) for name in ("NO_PROXY", "no_proxy")},
            "PYTHONWARNINGS": "ignore",
            **(environment or {}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as sam:
        said = [line for line in sam.stdout or () if line.strip()]
    if sam.returncode:
        raise DeployError(f"`sam {arguments[0]}` failed:\n" + "".join(said[-25:]).rstrip())


def _install_for_host(sources: Path) -> None:
    """SAM always builds for Linux; elsewhere the functions' packages are installed once more, for this host."""
    for folder in {path.parent for path in sources.glob(".aws-sam/build/*/*.py")}:
        subprocess.run(
            [
                str(SAM_BIN / "uv"),
                "pip",
                "install",
                "--quiet",
                "--reinstall",
                "--python",
                str(ROOT / ".venvs/lambda/bin/python"),
                "--target",
                str(folder),
                "-r",
                "functions/requirements.txt",
            ],
            cwd=sources,
            check=True,
        )


def _pairs(parameters: Mapping[str, str]) -> list[str]:
    """As the SAM CLI wants them: quoted, because it splits at spaces."""
    return [f'{name}="{value}"' for name, value in parameters.items()]


def _local_parameters(samconfig: Path) -> dict[str, str]:
    """The parameters of samconfig's `local`, which any on the command line would replace as a whole."""
    found = tomllib.loads(samconfig.read_text()).get("local", {}).get("deploy", {}).get("parameters", {})
    pairs = found.get("parameter_overrides", [])
    return dict(pair.split("=", 1) for pair in (pairs.split() if isinstance(pairs, str) else pairs))


def _files(source: Path) -> Iterable[Path]:
    for name in SOURCES:
        place = source / name
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _digest(source: Path, parameters: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(parameters.items())).encode())
    for path in _files(source):
        digest.update(f"{path.relative_to(source)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    if (pins := ROOT / "requirements/sam.txt").exists():
        digest.update(pins.read_bytes())
    return digest.hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    for path in _files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)


def _forget_old_builds(cache: Path) -> None:
    builds = sorted(
        (path for path in cache.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name)),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for folder in builds[KEPT_BUILDS:]:
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
            (cache / f"{folder.name}.lock").unlink(missing_ok=True)
    for scratch in cache.glob("building-*"):  # of a build that was killed
        if time.time() - scratch.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(scratch, ignore_errors=True)


def _failures(client: object, stack_name: str) -> str:
    """Which resources failed and why, a line each; nothing if there is no such stack."""
    from botocore.exceptions import ClientError

    try:
        events = client.describe_stack_events(StackName=stack_name)["StackEvents"]  # type: ignore[attr-defined]
    except ClientError:
        return ""
    return "\n".join(
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
        for event in events
        if "FAILED" in event["ResourceStatus"] and event.get("ResourceStatusReason")
    )
