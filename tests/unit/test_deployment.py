"""`make deploy` around CloudFormation: who, where, what is asked, how a stack stands, what is said at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from deployment import CannotDeploy, Misused, account, deploy, questions, template
from deployment.afterwards import Deployed
from deployment.questions import Given, Person
from deployment.stack import Event, Stack, cure, failures, follow

OUTPUTS = {
    "DatasetBucketName": "traindrop-datasetbucket-1",
    "ArtifactBucketName": "traindrop-artifactbucket-1",
    "NotificationTopicArn": "arn:aws:sns:eu-west-1:123456789012:traindrop-NotificationTopic-1",
    "StateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:TrainingStateMachine-1",
    "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home",
}


def error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


# --- What is given and asked ---


def test_what_is_given_beforehand_is_taken_and_judged() -> None:
    given = Given.from_environment(
        {
            "EMAIL": "me@example.org",
            "MAX_COST": "2.5",
            "REGION": "eu-west-1",
            "STACK": "traindrop-two",
            "PARAMETERS": "LogRetentionDays=30 FunctionArchitecture=x86_64",
        }
    )
    chosen = {"LogRetentionDays": "30", "FunctionArchitecture": "x86_64"}
    assert given == Given("me@example.org", "2.5", "eu-west-1", "traindrop-two", chosen)
    assert Given.from_environment({"EMAIL": "", "PARAMETERS": ""}) == Given()
    assert Given.from_environment({"EMAIL": "None"}).email == questions.NOBODY


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EMAIL": "me"}, "'me' will not do: NotificationEmail is an e-mail address, or nothing"),
        ({"MAX_COST": "0.01"}, "MaxCostPerRunUsd is a number from 0.1 to 10000"),
        ({"MAX_COST": "nan"}, "MaxCostPerRunUsd is a number from 0.1 to 10000"),
        ({"REGION": "eu-west-9"}, "no training image in 'eu-west-9'; there are af-south-1, "),
        ({"STACK": "two_words"}, "STACK=two_words will not do: a stack's name is letters, digits and dashes"),
        ({"PARAMETERS": "LogRetentionDays"}, "'LogRetentionDays', which is not of the form Name=value"),
        ({"PARAMETERS": "Retention=3"}, "there is no parameter Retention; there are FunctionArchitecture, "),
        ({"PARAMETERS": "LogRetentionDays=2"}, "'2' will not do: LogRetentionDays is one of 1, 3, 5, "),
        ({"PARAMETERS": "TrainingImage=torch"}, "'torch' will not do: TrainingImage is an image in Amazon ECR"),
    ],
)
def test_what_will_not_do_is_named_with_what_would(environment: dict[str, str], said: str) -> None:
    with pytest.raises(Misused) as refused:
        Given.from_environment(environment)
    assert said in str(refused.value)


def test_every_default_of_the_template_is_a_value_that_it_takes() -> None:
    for name in template.known():
        assert template.checked(name, template.default(name)) == template.default(name)


def test_the_stack_is_called_as_plain_sam_would_call_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert template.stack_name() == "traindrop"
    (tmp_path / "samconfig.toml").write_text(
        '[default.global.parameters]\nstack_name = "traindrop"\n[default.deploy.parameters]\nstack_name = "mine"\n'
    )
    monkeypatch.setattr(template, "ROOT", tmp_path)
    assert template.stack_name() == "mine"


def asked(*typed: str) -> tuple[Person, list[str]]:
    answers, prompts = iter(typed), list[str]()

    def read(prompt: str) -> str:
        prompts.append(prompt)
        answer = next(answers, None)
        if answer is None:
            raise EOFError
        return answer

    return Person(present=True, read=read), prompts


def test_enter_takes_the_default_and_a_wrong_answer_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    person, prompts = asked("", "much", " $20 ")
    how: dict[str, Any] = {"named": "MAX_COST=10", "default": "10", "check": questions.cost}
    assert person.answer("Dollars", None, **how) == "10"
    assert person.answer("Dollars", None, **how) == "20"
    assert person.answer("Dollars", "7", **how) == "7"
    assert prompts == ["Dollars [10]: "] * 3
    assert "'much' will not do" in capsys.readouterr().out


def test_an_address_has_to_be_typed_and_a_closed_terminal_deploys_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    person, prompts = asked("", "none")
    how: dict[str, Any] = {"named": "EMAIL=…", "default": None, "check": questions.email_address}
    assert person.answer("E-mail", None, **how) == questions.NOBODY
    assert prompts == ["E-mail: "] * 2
    assert "type an address, or `none` for nobody" in capsys.readouterr().out
    with pytest.raises(CannotDeploy, match="nothing was deployed"):
        person.answer("E-mail", None, **how)


def test_without_a_terminal_what_has_no_default_is_named() -> None:
    nobody = Person(present=False)
    assert nobody.answer("Region", None, named="REGION=…", default="eu-west-1", check=template.region) == "eu-west-1"
    with pytest.raises(Misused, match="nobody can be asked here, so give it: make deploy REGION=eu-west-1"):
        nobody.answer("Region", None, named="REGION=eu-west-1", default=None, check=template.region)


def test_who_logs_in_by_an_address_is_offered_it() -> None:
    role = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Deploy_0a1b"
    assert questions.address_of(f"{role}/me@example.org") == "me@example.org"
    assert questions.address_of(f"{role}/me") is None
    assert questions.address_of("arn:aws:iam::123456789012:root") is None


# --- Who and where ---


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without AWS in it; answers the folder of its configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.mark.usefixtures("nobody")
def test_without_credentials_it_says_how_to_log_in() -> None:
    with pytest.raises(
        CannotDeploy, match=r"Unable to locate credentials\. Log in, the first time by `aws configure sso`"
    ):
        account.identity(None)
    assert account.configured() is None


@pytest.mark.usefixtures("nobody")
def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "trian")
    with pytest.raises(CannotDeploy, match=r"\(trian\) could not be found. Set AWS_PROFILE to one that"):
        account.identity(None)


def test_a_login_that_is_over_is_told_with_the_command_that_renews_it(
    nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nobody / "config").write_text(
        "[profile work]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = Deploy\n"
        "region = eu-west-1\n"
        "[sso-session work]\nsso_start_url = https://example.org/start\nsso_region = eu-west-1\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert account.configured() == "eu-west-1"
    with pytest.raises(CannotDeploy, match="Run `aws sso login`, with `--profile` if your profile has a name"):
        account.identity(None)


def test_aws_region_goes_before_the_profiles(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nobody / "config").write_text("[default]\nregion = eu-west-1\n")
    assert account.configured() == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert account.configured() == "us-west-2"


def test_the_region_of_a_deployment_is_remembered_by_account_and_stack(tmp_path: Path) -> None:
    places = tmp_path / ".deployed.json"
    assert account.remembered("1", "traindrop", places=places) is None
    account.remember("1", "traindrop", "eu-west-1", places=places)
    account.remember("1", "two", "us-east-1", places=places)
    assert account.remembered("1", "traindrop", places=places) == "eu-west-1"
    assert account.remembered("2", "traindrop", places=places) is None
    places.write_text("torn")
    assert account.remembered("1", "traindrop", places=places) is None


# --- How the stack stands ---


class CloudFormation:
    """One stack, in a status; what was asked of it."""

    def __init__(self, status: str | None, events: list[list[dict[str, str]]] | None = None) -> None:
        self.status, self.events, self.deleted = status, events or [[]], False
        self.outputs = OUTPUTS

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803
        if self.status is None:
            raise error("ValidationError", f"Stack with id {StackName} does not exist")
        began = datetime(2026, 11, 1, tzinfo=UTC)
        return {
            "Stacks": [
                {
                    "StackId": "id",
                    "StackStatus": self.status,
                    "CreationTime": began,
                    "Parameters": [{"ParameterKey": "MaxCostPerRunUsd", "ParameterValue": "5"}],
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()],
                }
            ]
        }

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803
        self.deleted = StackName == "id"

    def get_waiter(self, name: str) -> Any:
        assert name == "stack_delete_complete"

        class Waiter:
            def wait(self, **_: Any) -> None:
                pass

        return Waiter()

    def get_paginator(self, name: str) -> Any:
        assert name == "describe_stack_events"
        return self

    def paginate(self, **_: Any) -> Iterator[Any]:
        page = self.events.pop(0) if len(self.events) > 1 else self.events[0]
        yield {"StackEvents": page}


def stack_in(status: str | None, events: list[list[dict[str, str]]] | None = None) -> tuple[Stack, CloudFormation]:
    cloudformation = CloudFormation(status, events)
    return Stack(cast(Any, cloudformation), "traindrop"), cloudformation


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS"])
def test_no_stack_and_one_that_was_only_planned_are_none(status: str | None) -> None:
    assert stack_in(status)[0].deployable() is None


def test_a_stack_that_stands_keeps_its_values() -> None:
    present = stack_in("UPDATE_ROLLBACK_COMPLETE")[0].deployable()
    assert present is not None
    assert present.parameters == {"MaxCostPerRunUsd": "5"}


def test_a_stack_of_something_else_is_not_deployed_over() -> None:
    stack, cloudformation = stack_in("CREATE_COMPLETE")
    cloudformation.outputs = {"Url": "https://example.org"}
    with pytest.raises(CannotDeploy, match="is none of Traindrop's"):
        stack.deployable()


def test_what_a_failed_creation_left_is_removed() -> None:
    stack, cloudformation = stack_in("ROLLBACK_COMPLETE")
    assert stack.deployable() is None
    assert cloudformation.deleted


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("UPDATE_IN_PROGRESS", r"is being changed \(UPDATE_IN_PROGRESS\); wait until that has ended"),
        ("UPDATE_ROLLBACK_FAILED", "run `aws cloudformation continue-update-rollback --stack-name traindrop` first"),
        ("DELETE_FAILED", "then `aws cloudformation delete-stack --stack-name traindrop`"),
    ],
)
def test_what_has_to_happen_before_is_said(status: str, said: str) -> None:
    stack, cloudformation = stack_in(status)
    with pytest.raises(CannotDeploy, match=said):
        stack.deployable()
    assert not cloudformation.deleted


def test_a_stack_that_may_not_be_looked_at_is_no_missing_one() -> None:
    class Closed(CloudFormation):
        def describe_stacks(self, **_: Any) -> Any:
            raise error("AccessDenied", "not authorized to perform cloudformation:DescribeStacks")

    with pytest.raises(ClientError, match="not authorized"):
        Stack(cast(Any, Closed(None)), "traindrop").deployable()


def event(number: int, status: str, reason: str = "", resource: str = "RunsTable") -> dict[str, str]:
    return {
        "EventId": str(number),
        "LogicalResourceId": resource,
        "ResourceType": "AWS::CloudFormation::Stack" if resource == "traindrop" else "AWS::DynamoDB::Table",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def test_events_are_followed_in_order_each_once_without_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    before, own = event(1, "CREATE_COMPLETE"), event(2, "UPDATE_IN_PROGRESS", resource="traindrop")
    first = [event(3, "UPDATE_IN_PROGRESS"), own, before]
    stack, _ = stack_in("UPDATE_IN_PROGRESS", [first, [event(4, "UPDATE_COMPLETE"), *first]])
    turns = iter([True, False])
    seen = list(follow(stack, frozenset({"1"}), lambda: next(turns)))
    assert [str(item) for item in seen] == ["RunsTable: update in progress", "RunsTable: update complete"]
    assert [item.ended for item in seen] == [False, True]


def test_a_failure_is_told_without_what_was_given_up_because_of_it() -> None:
    events = [
        Event("1", "Topic", "AWS::SNS::Topic", "CREATE_FAILED", "Topic limit exceeded"),
        Event("2", "Table", "AWS::DynamoDB::Table", "CREATE_FAILED", "Resource creation cancelled"),
        Event("3", "Bucket", "AWS::S3::Bucket", "DELETE_COMPLETE", ""),
    ]
    assert [item.resource for item in failures(events)] == ["Topic"]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("User x is not authorized to perform: sns:CreateTopic", "permissions of docs/deployer_policy.json. Then run"),
        ("with an explicit deny in a service control policy", "Your organisation forbids it"),
        ("You have attempted to create more buckets than allowed: Too many buckets", "raise that quota. Then run"),
        ("ExpiredToken: The security token is expired", "Log in again. Then run `make deploy` again."),
        ("Invalid parameter", "Mend it and run `make deploy` again."),
    ],
)
def test_a_reason_has_its_cure(reason: str, said: str) -> None:
    assert said in cure(reason)


# --- What is said at the end ---


def deployed(email: str = "me@example.org", stack: str = "traindrop") -> Deployed:
    return Deployed(stack, "eu-west-1", OUTPUTS, email)


class Pages:
    """A client whose listing answers these pages."""

    def __init__(self, *pages: Any, fails: Exception | None = None) -> None:
        self.pages, self.fails = pages, fails

    def get_paginator(self, _: str) -> Pages:
        return self

    def paginate(self, **_: Any) -> Iterator[Any]:
        if self.fails:
            raise self.fails
        yield from self.pages


def subscribed(address: str, arn: str) -> Any:
    return {"Subscriptions": [{"Endpoint": address, "SubscriptionArn": arn}]}


@pytest.mark.parametrize(
    ("sns", "said"),
    [
        (
            Pages(subscribed("me@example.org", "PendingConfirmation")),
            "Confirm the e-mail: AWS has written to me@example",
        ),
        (Pages(subscribed("you@example.org", "arn")), "Confirm the e-mail"),
        (Pages(fails=error("AuthorizationError", "no")), "Confirm the e-mail"),
        (Pages(subscribed("you@example.org", "PendingConfirmation"), subscribed("me@example.org", "arn")), ""),
    ],
)
def test_an_address_that_is_not_confirmed_is_told(sns: Pages, said: str) -> None:
    told = deployed().confirmation(cast(Any, sns))
    assert told.startswith(said)
    assert bool(told) == bool(said)


def test_where_nobody_gets_the_messages_it_is_said() -> None:
    assert "make deploy EMAIL=you@example.org" in deployed(questions.NOBODY).confirmation(cast(Any, Pages()))


def quota(kind: str, value: float) -> dict[str, Any]:
    return {"QuotaName": f"{kind} for spot training job usage", "QuotaCode": f"L-{kind}", "Value": value}


def test_quotas_of_zero_are_told_with_the_page_that_raises_them() -> None:
    both = Pages({"Quotas": [quota("ml.g4dn.xlarge", 0)]}, {"Quotas": [quota("ml.g5.xlarge", 0), quota("ml.p4", 0)]})
    told = deployed().quotas(both)
    assert told.startswith("Training cannot begin before a spot quota of at least 1")
    page = "https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"
    assert f"ml.g4dn.xlarge: {page}/L-ml.g4dn.xlarge" in told
    assert f"ml.g5.xlarge: {page}/L-ml.g5.xlarge" in told
    assert "ml.p4" not in told
    one = Pages({"Quotas": [quota("ml.g4dn.xlarge", 1), quota("ml.g5.xlarge", 0)]})
    assert deployed().quotas(one).startswith("It helps to have a spot quota of at least 1")
    assert deployed().quotas(Pages({"Quotas": []})) == ""
    assert "could not be read" in deployed().quotas(Pages(fails=error("AccessDeniedException", "no")))


@pytest.mark.usefixtures("nobody")
def test_the_first_command_says_where_the_stack_is_unless_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "traindrop drop rooms/ --watch --region eu-west-1\n" in deployed().first_drop()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert "traindrop drop rooms/ --watch\n" in deployed().first_drop()
    assert "traindrop drop rooms/ --watch --stack two\n" in deployed(stack="two").first_drop()
    assert "s3://traindrop-datasetbucket-1/datasets/" in deployed().first_drop()


def test_what_is_remembered_is_ignored_by_git() -> None:
    """Answers must not reach samconfig.toml, which plain `sam deploy` reads, nor a commit."""
    assert account.PLACES.name in (template.ROOT / ".gitignore").read_text().splitlines()


def test_ctrl_c_at_a_question_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deployment.deploy._deploy", interrupted)
    assert deploy.main() == 130
    assert capsys.readouterr().err == "\nInterrupted; nothing was deployed.\n"
