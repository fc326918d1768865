"""The SAM CLI against the local cloud, and `make local` around both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud import deploy
from local_cloud.process import ROOT, LocalCloud
from tests.contract.lambdas import invoke, unique

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  FunctionRuntime: {Type: String}
  FunctionArchitecture: {Type: String}
  Greeting: {Type: String, Default: none}
Resources:
  HelloFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: python-uv}
    Properties:
      Runtime: !Ref FunctionRuntime
      Architectures: [!Ref FunctionArchitecture]
      CodeUri: functions/
      Handler: hello.handler
      Environment: {Variables: {GREETING: !Ref Greeting}}
Outputs:
  Name: {Value: !Ref HelloFunction}
"""
CONFIG = """
version = 0.1
[local.deploy.parameters]
capabilities = "CAPABILITY_IAM"
resolve_s3 = true
confirm_changeset = false
fail_on_empty_changeset = false
parameter_overrides = ["Greeting=from samconfig"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A tiny project of the shape of this one: a function that uses the package beside it."""
    files = {
        "template.yaml": TEMPLATE,
        "samconfig.toml": CONFIG,
        "README.md": "",
        "pyproject.toml": '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "tiny"\nversion = "1"\n[tool.setuptools]\npackages = ["traindrop"]\n'
        '[tool.uv]\ncache-keys = [{ file = "traindrop/**/*" }]\n',
        "functions/requirements.txt": ".\n",
        "functions/hello.py": "import os\nfrom traindrop.words import word\n"
        "def handler(event, context): return [word, os.environ['GREETING']]\n",
        "traindrop/__init__.py": "",
        "traindrop/words.py": "word = 'one'\n",
    }
    for name, content in files.items():
        place = tmp_path / "project" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return tmp_path / "project"


@pytest.fixture
def stack_name(cloud: LocalCloud) -> Iterator[str]:
    name = unique("tiny")
    yield name
    cloud.client("cloudformation").delete_stack(StackName=name)


@pytest.mark.slow
def test_changed_sources_are_built_anew_unchanged_ones_are_not_and_parameters_arrive(
    cloud: LocalCloud, project: Path, tmp_path: Path, stack_name: str
) -> None:
    cache = tmp_path / "cache"
    first = deploy.build(project, cache=cache)
    stamp = (first / ".aws-sam/build/template.yaml").stat().st_mtime_ns
    outputs = deploy.deploy(cloud, stack_name=stack_name, source=project, cache=cache)
    assert invoke(cloud, outputs["Name"]) == (["one", "from samconfig"], None)
    assert (first / ".aws-sam/build/template.yaml").stat().st_mtime_ns == stamp

    (project / "traindrop/words.py").write_text("word = 'two'\n")
    outputs = deploy.deploy(cloud, stack_name=stack_name, source=project, cache=cache, parameters={"Greeting": "given"})
    assert invoke(cloud, outputs["Name"]) == (["two", "given"], None)
    assert {path.name for path in project.iterdir()} == {
        "template.yaml",
        "samconfig.toml",
        "README.md",
        "pyproject.toml",
        "functions",
        "traindrop",
    }


@pytest.mark.slow
def test_where_lambda_is_foreign_the_functions_packages_are_those_of_the_host(
    cloud: LocalCloud, project: Path, tmp_path: Path, stack_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    outputs = deploy.deploy(cloud, stack_name=stack_name, source=project, cache=tmp_path / "cache")
    assert invoke(cloud, outputs["Name"])[0][0] == "one"


@pytest.mark.slow
def test_a_failing_build_and_a_failing_deployment_say_why(cloud: LocalCloud, project: Path, tmp_path: Path) -> None:
    (project / "functions/requirements.txt").write_text("no-such-package-anywhere-at-all\n")
    with pytest.raises(deploy.DeployError, match="no-such-package-anywhere-at-all"):
        deploy.build(project, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    (project / "functions/requirements.txt").write_text("")
    template = TEMPLATE.replace("Environment:", "Role: arn:aws:iam::000000000000:role/nobody\n      Environment:")
    (project / "template.yaml").write_text(template)
    with pytest.raises(deploy.DeployError, match="HelloFunction"):
        deploy.deploy(cloud, stack_name=unique("tiny"), source=project, cache=tmp_path / "cache")


@pytest.mark.slow
def test_two_builds_at_once_of_the_same_sources_give_one(project: Path, tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(deploy.build(project, cache=tmp_path / "cache"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    assert len(set(found)) == 1


def test_the_hosts_runtime_and_architecture_are_what_lambda_has() -> None:
    parameters = deploy.host_parameters()
    assert parameters["FunctionRuntime"] == f"python3.{sys.version_info.minor}"
    assert parameters["FunctionArchitecture"] in ("x86_64", "arm64")


@pytest.mark.slow
def test_make_local_serves_plain_aws_commands_until_it_is_told_to_end(tmp_path: Path) -> None:
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    for name in (*deploy.SOURCES, "local_cloud", "requirements"):
        place = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        (
            shutil.copytree(place, checkout / name, ignore=ignore)
            if place.is_dir()
            else shutil.copy(place, checkout / name)
        )
    (checkout / ".venvs").symlink_to(ROOT / ".venvs")
    (checkout / ".cache").symlink_to(ROOT / ".cache")
    serving = subprocess.Popen(
        [sys.executable, "-m", "local_cloud"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TRAINER": "stub"},
    )
    try:
        assert serving.stdout is not None
        said = []
        for line in serving.stdout:
            said.append(line)
            if line == "READY\n":
                break
        assert said[-1:] == ["READY\n"], "".join(said)
        outputs = json.loads((checkout / ".local/outputs.json").read_text())
        assert set(outputs) >= {
            "DatasetBucketName",
            "ArtifactBucketName",
            "NotificationTopicArn",
            "StateMachineArn",
            "RunsTableName",
            "DashboardUrl",
        }
        assert (checkout / ".local/env").stat().st_mode & 0o077 == 0
        script = (
            ". .local/env && aws s3 ls && aws stepfunctions describe-state-machine --query status --output text"
            f" --state-machine-arn {outputs['StateMachineArn']}"
        )
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        assert outputs["DatasetBucketName"] in done.stdout
        assert done.stdout.endswith("ACTIVE\n")
    finally:
        serving.send_signal(signal.SIGINT)
        started = time.monotonic()
        serving.communicate(timeout=30)
    assert serving.returncode == 0
    assert time.monotonic() - started < 15
    assert list((checkout / ".local").iterdir()) == []
