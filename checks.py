"""`make check`: lint, types, templates, state machine, security, secrets, dependencies.

Nothing here leaves the machine, but that `dependencies` asks PyPI which pinned versions have known vulnerabilities.

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
from typing import Any

from tests.template.rendering import ROOT, definition, transformed, written

DEV, SAM, CHECKOV, AUDIT = (ROOT / f".venvs/{name}/bin" for name in ("dev", "sam", "checkov", "audit"))
NO_SECRETS = {
    ("benchmarks/s3_server.py", "Secret Keyword"): "the key to a server that asks for none",
    ("local_cloud/sagemaker/stub_trainer.py", "Base64 High Entropy String"): "a picture, for the stub's report",
    ("tests/contract/test_iam.py", "AWS Access Key"): "a key that nobody has, to be refused",
    ("tests/contract/test_state_machines_language.py", "Hex High Entropy String"): "the digest of a known text",
}
"""What detect-secrets takes for a secret and is none, with the reason; held to be exact."""
VULNERABLE = "jinja2==2.4.1"
"""A release with known vulnerabilities: a service that does not name them knows nothing."""
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
    rendered, document = scratch / "transformed.json", transformed()
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            with_numbers(resource["Properties"]["Definition"])
    rendered.write_text(json.dumps(document, indent=1))
    run(DEV / "cfn-lint", "template.yaml")
    run(DEV / "cfn-lint", str(rendered))


def sam(scratch: Path) -> None:
    """Run `sam validate --lint`, by the SAM CLI's own idea of a template."""
    home = scratch / "sam"
    home.mkdir()
    # SAM CLI asks PyPI for a newer version unless it did so this week.
    (home / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time(), "telemetryEnabled": False}))
    run(SAM / "sam", "validate", "--lint", __SAM_CLI_APP_DIR=str(home))


def with_numbers(machine: dict[str, Any]) -> dict[str, Any]:
    """The state machine with numbers for the expressions that stand where linters know only those."""
    for state in machine["States"].values():
        for name in {"Seconds", "TimeoutSeconds"} & set(state):
            state[name] = 1
    return machine


def state_machine(scratch: Path) -> None:
    """Run statelint."""
    place = scratch / "training.asl.json"
    place.write_text(json.dumps(with_numbers(definition())))
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


def secrets(_: Path) -> None:
    """Run detect-secrets over every file in git but the lists of hashes: it finds what is argued, and nothing else."""
    listed = run(Path("git"), "ls-files", "-z").split("\0")
    files = [name for name in listed if name and not name.endswith("requirements.txt") and name not in pinned()]
    report = json.loads(run(AUDIT / "detect-secrets", "scan", "--no-verify", *files))
    found = {(name, item["type"]): item["line_number"] for name, items in report["results"].items() for item in items}
    problems = [f"{name}:{found[name, kind]}: {kind}" for name, kind in sorted(set(found) - set(NO_SECRETS))]
    problems += [f"{name}: {kind} is argued, but not there" for name, kind in sorted(set(NO_SECRETS) - set(found))]
    if problems:
        raise Finding("\n".join(problems))


def pinned() -> list[str]:
    """The hash-pinned lists; torch's CPU build is not on PyPI, and its version is in `torch.txt` too."""
    names = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements/*.txt"))
    return [*(name for name in names if not name.endswith("torch-cpu.txt")), "training_entry/requirements.txt"]


def dependencies(scratch: Path) -> None:
    """Run pip-audit over the pinned lists, where its service answers; say so where it does not.

    The service is asked for a release known to be vulnerable first: an index without that knowledge finds nothing wrong
    with anything.
    """
    known = scratch / "vulnerable.txt"
    known.write_text(VULNERABLE)
    if not vulnerabilities("--no-deps", "-r", str(known)):
        print("dependencies   not audited: no service for known vulnerabilities answers here")
        return
    found = vulnerabilities("--require-hashes", *(part for name in pinned() for part in ("-r", name)))
    if found:
        raise Finding("\n".join(found))


def vulnerabilities(*arguments: str) -> list[str]:
    """What pip-audit names, a line for each release; nothing where it gets no answer."""
    done = subprocess.run(
        [
            str(AUDIT / "pip-audit"),
            "--disable-pip",
            "--timeout",
            "10",
            "--progress-spinner",
            "off",
            "-f",
            "json",
            *arguments,
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    try:
        audited = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return []
    return [
        f"{item['name']} {item['version']}: {vulnerability['id']}, mended in {', '.join(vulnerability['fix_versions'])}"
        for item in audited
        for vulnerability in item.get("vulns", [])
    ]


CHECKS: tuple[Callable[[Path], None], ...] = (
    lint,
    types,
    template,
    sam,
    state_machine,
    security,
    secrets,
    dependencies,
)


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
