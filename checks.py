"""`make check`: lint, types, templates, state machine, security. Nothing here leaves the machine.

`.venvs/dev/bin/python checks.py template security` runs those two only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.template.rendering import ROOT, definition, transformed, written

DEV, SAM, CHECKOV = (ROOT / f".venvs/{name}/bin" for name in ("dev", "sam", "checkov"))
SILENT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "SAM_CLI_TELEMETRY": "0",
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
    "BC_SKIP_MAPPING": "true",
    "LOG_LEVEL": "ERROR",
}
"""What keeps the tools from asking AWS, or their makers, for anything."""


class Finding(Exception):
    """A check found something; the message is what."""


def lint(_: Path) -> None:
    """Run ruff: format, style, likely errors, docstrings."""
    run(DEV / "ruff", "format", "--check", "--quiet", ".")
    run(DEV / "ruff", "check", "--quiet", ".")


def types(_: Path) -> None:
    """Run mypy, strict."""
    run(DEV / "mypy", "--no-error-summary")


def template(scratch: Path) -> None:
    """Run cfn-lint on the template as written and as the SAM transform leaves it, the state machine inside."""
    rendered = scratch / "transformed.json"
    rendered.write_text(json.dumps(transformed(), indent=1))
    run(DEV / "cfn-lint", "template.yaml")
    run(DEV / "cfn-lint", str(rendered))


def sam(scratch: Path) -> None:
    """Run `sam validate --lint`, by the SAM CLI's own idea of a template."""
    home = scratch / "sam"
    home.mkdir()
    # SAM CLI asks PyPI for a newer version unless it did so this week.
    (home / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time(), "telemetryEnabled": False}))
    run(SAM / "sam", "validate", "--lint", __SAM_CLI_APP_DIR=str(home))


def state_machine(scratch: Path) -> None:
    """Run statelint; it knows no expressions where numbers stand, so those are numbers here."""
    shown = definition()
    for state in shown["States"].values():
        if isinstance(state.get("Seconds"), str):
            state["Seconds"] = 1
    place = scratch / "training.asl.json"
    place.write_text(json.dumps(shown))
    said = run(DEV / "statelint", "--ignore", "FLOAT", str(place))
    if said.strip():
        raise Finding(said)


def security(scratch: Path) -> None:
    """Run checkov on the transformed template: it finds what the template's Metadata argues, and nothing else.

    An argument for something that checkov does not find any more is a finding too.
    """
    rendered = scratch / "security.json"
    rendered.write_text(json.dumps(transformed(), indent=1))
    said = run(
        CHECKOV / "checkov",
        "--file",
        str(rendered),
        "--framework",
        "cloudformation",
        "--output",
        "json",
        "--quiet",
        "--compact",
        "--skip-download",
        "--soft-fail",
    )
    report = json.loads(said[said.index("{") :])
    if not report["summary"]["passed"] or report["summary"]["parsing_errors"]:
        raise Finding(f"checkov could not read the template: {report['summary']}")
    found = {
        (check["check_id"], check["resource"].rsplit(".", 1)[0]): check["check_name"]
        for check in report["results"]["failed_checks"]
    }
    argued = {(entry["rule"], entry["type"]) for entry in written()["Metadata"]["SecurityExceptions"]}
    problems = [f"{rule} on {kind}: {found[rule, kind]}" for rule, kind in sorted(set(found) - argued)]
    problems += [
        f"{rule} on {kind} is argued, but checkov has nothing against it" for rule, kind in sorted(argued - set(found))
    ]
    if problems:
        raise Finding("\n".join(problems))


CHECKS: tuple[Callable[[Path], None], ...] = (lint, types, template, sam, state_machine, security)


def run(program: Path, *arguments: str, **environment: str) -> str:
    """Run a tool at the root and answer what it printed; Finding if it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    done = subprocess.run(
        [str(program), *arguments],
        cwd=ROOT,
        env={**kept, **SILENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Finding(f"{done.stdout}{done.stderr}")
    return done.stdout


def main(names: list[str]) -> int:
    """Run the named checks, or all; answer a process exit code."""
    known = {check.__name__: check for check in CHECKS}
    if unknown := set(names) - set(known):
        print(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name, check in known.items():
        if names and name not in names:
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            try:
                check(Path(scratch))
                outcome = "ok"
            except Finding as finding:
                print(str(finding).strip(), file=sys.stderr)
                failed.append(name)
                outcome = "FAILED"
        print(f"{name:<14} {outcome:<7} {time.monotonic() - started:5.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
