"""What `sam build` ships: how large each function is, for which processor, and what importing it costs.

Run by `.venvs/dev/bin/python -m benchmarks.artefacts`.

A cold start pays for unpacking the artefact and importing the handler; SAM ships no compiled bytecode, so the import
compiles too. Times are processor seconds, so other work on the machine does not count.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local_cloud.deploy import build

ROOT = Path(__file__).resolve().parent.parent
LAMBDA_PYTHON = ROOT / ".venvs/lambda/bin/python"
MACHINES = {183: "arm64", 62: "x86_64"}
"""ELF's e_machine."""
LIMIT_BYTES = 40 * 1024 * 1024
"""A sixth of Lambda's 250 MB, and the most that a function of this project may come to."""
GLIBC = (2, 34)
"""Of Amazon Linux 2023, on which Lambda's Python runtimes stand."""
ROUNDS = 3
IMPORT = "import time; before = time.process_time(); import {module}; print(time.process_time() - before)"


def default_parameters() -> dict[str, str]:
    """Runtime and architecture as they are deployed when nothing is said."""
    parameters = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    return {name: parameters[name]["Default"] for name in ("FunctionRuntime", "FunctionArchitecture")}


def functions(built: Path) -> dict[str, tuple[Path, str]]:
    """Folder and handler module of each function of a build."""
    place = built / ".aws-sam/build"
    resources = yaml_parse((place / "template.yaml").read_text())["Resources"]
    return {
        name: (place / resource["Properties"]["CodeUri"], resource["Properties"]["Handler"].split(".")[0])
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def size(folder: Path) -> int:
    """Bytes that a folder unpacks to."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def unfit_libraries(folder: Path, *, runtime: str, architecture: str) -> list[str]:
    """Compiled files that Lambda could not load, each with the reason."""
    tag = "cp" + runtime.removeprefix("python").replace(".", "")
    return [
        f"{path.relative_to(folder)}: {reason}"
        for path in sorted(folder.rglob("*.so*"))
        for reason in _faults(path, tag, architecture)
    ]


def _faults(path: Path, tag: str, architecture: str) -> Iterator[str]:
    data = path.read_bytes()
    if data[:4] != b"\x7fELF":
        yield "no ELF file"
        return
    machine = MACHINES.get(struct.unpack_from("<H", data, 18)[0], "another processor")
    if machine != architecture:
        yield f"for {machine}, not for {architecture}"
    interpreter = re.search(r"\.(cpython-(\d+)|abi3)[.-]", path.name)
    if interpreter and interpreter[2] and f"cp{interpreter[2]}" != tag:
        yield f"for cp{interpreter[2]}, not for {tag}"
    needed = max(((int(a), int(b)) for a, b in re.findall(rb"GLIBC_(\d+)\.(\d+)", data)), default=(0, 0))
    if needed > GLIBC:
        yield f"needs glibc {needed[0]}.{needed[1]}"


def import_seconds(folder: Path, module: str) -> float:
    """Processor seconds of a fresh interpreter's import of a handler, the least of three."""
    command = [str(LAMBDA_PYTHON), "-B", "-c", IMPORT.format(module=module)]
    environment = {"PYTHONPATH": str(folder), "AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_TRACE_DISABLED": "1"}
    return min(
        float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(ROUNDS)
    )


def measure() -> dict[str, Any]:
    """Sizes of the default build, and import times of the same functions built for this machine."""
    parameters = default_parameters()
    shipped = functions(build(parameters=parameters))
    here = functions(build())
    baseline = import_seconds(next(iter(here.values()))[0], "boto3")
    figures: dict[str, Any] = {"parameters": parameters, "boto3_import_seconds": round(baseline, 3), "functions": {}}
    for name, (folder, _) in shipped.items():
        own, module = here[name]
        seconds = import_seconds(own, module)
        figures["functions"][name] = {
            "bytes": size(folder),
            "import_seconds": round(seconds, 3),
            "import_to_boto3": round(seconds / baseline, 2),
            "unfit": unfit_libraries(
                folder, runtime=parameters["FunctionRuntime"], architecture=parameters["FunctionArchitecture"]
            ),
        }
    return figures


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if a function is too large or could not run."""
    print(
        f"{' '.join(figures['parameters'].values())}; importing boto3 alone takes "
        f"{figures['boto3_import_seconds']:.3f} s of processor time here"
    )
    print(f"{'function':<26}{'MB':>7}{'import s':>11}{'/ boto3':>9}")
    bad = []
    for name, found in figures["functions"].items():
        print(f"{name:<26}{found['bytes'] / 1e6:>7.1f}{found['import_seconds']:>11.3f}{found['import_to_boto3']:>9.2f}")
        bad += found["unfit"]
        if found["bytes"] > LIMIT_BYTES:
            bad.append(f"{name} is {found['bytes'] / 1e6:.1f} MB")
    if bad:
        print(json.dumps(bad, indent=1), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(show(measure()))
