"""`make deploy` against the local cloud, by somebody whose one policy is docs/deployer_policy.json."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local_cloud import deploy
from local_cloud.process import REGION, ROOT, LocalCloud
from tests.contract.lambdas import unique

PYTHON = ROOT / ".venvs/sam/bin/python"
STACK = "traindrop-deployed"
ADDRESS = "me@example.org"
DEADLINE = 400.0
PARAMETERS = " ".join(
    f"{name}={value}" for name, value in {**deploy.host_parameters(), "LogRetentionDays": "1"}.items()
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the whole stack and handlers that need no packages: little to build and to upload."""
    place = tmp_path_factory.mktemp("clone")
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, place / name)
    for name in ("deployment", "traindrop", "statemachine", "functions"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "functions/requirements.txt").write_text("")
    return place


@pytest.fixture(scope="module")
def deployer(cloud: LocalCloud) -> dict[str, str]:
    """The environment of a user whose one policy is the one that the docs hand out."""
    iam, name = cloud.client("iam"), unique("deployer")
    iam.create_user(UserName=name)
    policy = iam.create_policy(PolicyName=name, PolicyDocument=(ROOT / "docs/deployer_policy.json").read_text())
    iam.attach_user_policy(UserName=name, PolicyArn=policy["Policy"]["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": REGION,
    }


@pytest.fixture
def zero_quotas(cloud: LocalCloud) -> Iterator[None]:
    names = [f"ml.{kind}.xlarge for spot training job usage" for kind in ("g4dn", "g5")]
    cloud.inject({"training": {"zero_quotas": names}})
    yield
    cloud.clear_faults()


def environment(checkout: Path, given: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAM_")) and name != "NO_COLOR"
    }
    return {
        **kept,
        "HOME": str(checkout),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAM_CLI_POLL_DELAY": "0.5",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "TERM": "xterm",
        **given,
    }


def without_terminal(checkout: Path, given: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [PYTHON, "-m", "deployment"],
        cwd=checkout,
        env=environment(checkout, given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout


def transcript() -> str:
    """What docs/deploying.md shows of a first deployment."""
    _, shown, *_ = (ROOT / "docs/deploying.md").read_text().split("```text\n$ make deploy\n")
    return shown.partition("```")[0]


def masked(said: str) -> str:
    """What is said, without progress bars and with a star for what no two deployments share."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    lines = [line for line in plain.split("\n") if not re.search(r"\r(Uploading|Resources) ", line)]
    own = r"(?<=account )\d{12} as .*|(?<=bucket-)\w+|(?<=Dashboard-)\w+|(?<=quotas/L-).*|(?<=done after )\d+"
    return re.sub(own, "*", "\n".join(line.rstrip() for line in lines).strip())


def on_terminal(checkout: Path, given: Mapping[str, str], answers: Mapping[str, str]) -> tuple[int, str]:
    """Run it on a pseudo-terminal; what is asked for is typed as soon as it is asked for."""
    ours, theirs = pty.openpty()
    waiting = dict(answers)
    said = ""
    process = subprocess.Popen(
        [PYTHON, "-m", "deployment"],
        cwd=checkout,
        env=environment(checkout, given),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    deadline = time.monotonic() + DEADLINE
    try:
        while True:
            assert time.monotonic() < deadline, said
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                read = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not read:
                break
            said += read.decode(errors="replace")
            for question in [question for question in waiting if said.rpartition("\n")[2].endswith(question)]:
                os.write(ours, f"{waiting.pop(question)}\n".encode())
        return process.wait(60), said.replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.slow
@pytest.mark.usefixtures("zero_quotas")
def test_three_answers_make_a_stack_that_is_upgraded_and_removed_with_the_deployers_policy_alone(
    cloud: LocalCloud, checkout: Path, deployer: dict[str, str]
) -> None:
    samconfig = (checkout / "samconfig.toml").read_text()
    code, said = on_terminal(
        checkout,
        {**deployer, "STACK": STACK, "PARAMETERS": PARAMETERS},
        {
            f"Region [{REGION}]: ": "",
            "E-mail for the messages: ": ADDRESS,
            "Highest cost of one run in dollars [10]: ": "$20",
        },
    )
    assert code == 0, said
    assert "Deploying to account 000000000000 as user/deployer" in said
    assert f"There is no stack {STACK} in {REGION} yet: it will be created." in said
    assert said.count("]: ") + said.count("messages: ") == 3, said
    assert f"The stack {STACK} is there: 62 resources created." in said
    client = cloud.client("cloudformation")
    (stack,) = client.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    assert (parameters["NotificationEmail"], parameters["MaxCostPerRunUsd"]) == (ADDRESS, "20")
    assert {"Key": "project", "Value": "traindrop"} in stack["Tags"]
    assert f"Datasets    s3://{outputs['DatasetBucketName']}/datasets/" in said
    assert f"1. Confirm the e-mail: AWS has written to {ADDRESS}" in said
    assert "2. Training cannot begin before a spot quota of at least 1" in said
    assert (
        "ml.g4dn.xlarge: https://us-east-1.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas/L-"
        in said
    )
    assert f"traindrop drop rooms/ --watch --stack {STACK}" in said
    assert masked(said.replace(STACK, "traindrop").replace(" --stack traindrop", "")) == masked(transcript())
    assert json.loads((checkout / ".deployed.json").read_text()) == {"000000000000": {STACK: REGION}}

    # Again, by a script that says nothing but what is to change, where nothing names a region.
    elsewhere = {name: value for name, value in deployer.items() if name != "AWS_REGION"}
    code, said = without_terminal(checkout, {**elsewhere, "STACK": STACK, "MAX_COST": "30"})
    assert code == 0, said
    assert re.search(rf"The stack {STACK} in {REGION}, of 20[0-9: -]* UTC, will be upgraded\.", said)
    assert "  StartTrainingFunction: update complete\n" in said
    (stack,) = client.describe_stacks(StackName=STACK)["Stacks"]
    assert {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]} == {
        **parameters,
        "MaxCostPerRunUsd": "30",
    }
    assert (checkout / "samconfig.toml").read_text() == samconfig

    own = cloud.client(
        "cloudformation",
        aws_access_key_id=deployer["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=deployer["AWS_SECRET_ACCESS_KEY"],
    )
    own.delete_stack(StackName=STACK)
    own.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    cloud.client("s3").head_bucket(Bucket=outputs["DatasetBucketName"])


@pytest.mark.slow
def test_a_deployment_that_fails_names_the_resource_and_the_reason(
    checkout: Path, deployer: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkout, broken, ignore=shutil.ignore_patterns(".aws-sam", ".deployed.json"))
    head, _, _ = (broken / "template.yaml").read_text().partition("\nGlobals:\n")
    (broken / "template.yaml").write_text(
        f"{head}\nResources:\n"
        "  Topic: {Type: AWS::SNS::Topic}\n"
        "  HelloFunction:\n"
        "    Type: AWS::Lambda::Function\n"
        "    Properties:\n"
        "      Runtime: python3.13\n"
        "      Handler: index.handler\n"
        "      Role: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/nobody\n"
        "      Code: {ZipFile: 'def handler(event, context): pass'}\n"
    )
    code, said = without_terminal(broken, {**deployer, "STACK": "traindrop-broken", "EMAIL": "none"})
    assert code == 1, said
    assert "The deployment of traindrop-broken failed; what had been created is removed again.\n" in said
    assert "  HelloFunction (AWS::Lambda::Function): " in said
    assert "run `make deploy` again." in said
    assert ".aws-sam/deployment.log" in said
    assert "Traceback" not in said
    assert not (broken / ".deployed.json").exists()


def test_without_the_permission_it_says_which_policy_gives_it(cloud: LocalCloud, checkout: Path) -> None:
    iam, name = cloud.client("iam"), unique("stranger")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": REGION,
        "EMAIL": ADDRESS,
    }
    code, said = without_terminal(checkout, stranger)
    assert code == 1
    assert "cloudformation:DescribeStacks" in said
    assert "It needs the permissions of docs/deployer_policy.json." in said


def test_where_nobody_can_be_asked_what_is_missing_is_named(
    cloud: LocalCloud, checkout: Path, deployer: dict[str, str]
) -> None:
    code, said = without_terminal(checkout, {**deployer, "STACK": unique("traindrop")})
    assert (code, said.splitlines()[-1]) == (
        2,
        "Cannot deploy: e-mail for the messages: nobody can be asked here, so give it: make deploy "
        "EMAIL=you@example.org (or EMAIL=none).",
    )
    code, said = without_terminal(checkout, {"AWS_ENDPOINT_URL": cloud.endpoint, "EMAIL": ADDRESS})
    assert code == 1
    assert said.startswith("Cannot deploy: Unable to locate credentials. Log in, the first time by `aws configure sso`")
