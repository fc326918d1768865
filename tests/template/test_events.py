"""No event is lost in silence: retries, a dead-letter queue and an alarm behind every rule and function."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.template.rendering import resources

ASYNCHRONOUS = ["AcceptDropFunction", "ReportJobEndFunction", "StopTrainingFunction"]


def rule_of(function: str) -> tuple[str, dict[str, Any]]:
    """The one rule whose target a function is."""
    (found,) = [
        (name, rule)
        for name, rule in resources("AWS::Events::Rule").items()
        if rule["Targets"][0]["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    ]
    return found


def test_the_rules_call_these_functions_and_no_others() -> None:
    targets = [
        target["Arn"]["Fn::GetAtt"][0] for rule in resources("AWS::Events::Rule").values() for target in rule["Targets"]
    ]
    assert sorted(targets) == ASYNCHRONOUS


@pytest.mark.parametrize("function", ASYNCHRONOUS)
def test_an_event_is_tried_for_a_day_and_then_put_aside(function: str) -> None:
    name, rule = rule_of(function)
    (target,) = rule["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    queue = target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    assert queue == function.replace("Function", "DeadLetters")
    (policy,) = [item for item in resources("AWS::SQS::QueuePolicy").values() if item["Queues"] == [{"Ref": queue}]]
    (allowed,) = [item for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [name, "Arn"]}}}


@pytest.mark.parametrize("function", ASYNCHRONOUS)
def test_an_invocation_that_fails_for_good_is_put_aside(function: str) -> None:
    (config,) = [
        item
        for item in resources("AWS::Lambda::EventInvokeConfig").values()
        if item["FunctionName"] == {"Ref": function}
    ]
    assert config["MaximumRetryAttempts"] == 2
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": [function.replace("Function", "DeadLetters"), "Arn"]
    }


def test_every_queue_is_encrypted_kept_for_two_weeks_and_watched() -> None:
    queues = resources("AWS::SQS::Queue")
    assert len(queues) == len(ASYNCHRONOUS)
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: alarm
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "AWS/SQS"
    }
    assert set(watched) == set(queues)
    for name, queue in queues.items():
        assert queue == {"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": True}
        alarm = watched[name]
        assert (alarm["MetricName"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
            "ApproximateNumberOfMessagesVisible",
            "GreaterThanThreshold",
            0,
        )


CURES = re.compile(r"`make replay STACK=\$\{AWS::StackName\}`|`Redrive`")


def test_every_alarm_speaks_through_the_topic_and_says_what_to_do() -> None:
    alarms = resources("AWS::CloudWatch::Alarm")
    assert any((alarm["Namespace"], alarm["MetricName"]) == ("Traindrop", "RunsFailed") for alarm in alarms.values())
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "NotificationTopic"}], name
        description = alarm["AlarmDescription"]["Fn::Sub"]
        happened, *todo = description.split(". ")
        assert len(happened.split()) > 5, name
        assert CURES.search(". ".join(todo)), name
        assert len(description) + 200 <= 1024, f"{name}: queue and stack have long names"
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_alarms_can_publish_because_the_topic_has_no_key_and_its_policy_lets_them() -> None:
    (topic,) = resources("AWS::SNS::Topic").values()
    assert "KmsMasterKeyId" not in topic
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    allowed = {
        statement["Sid"]: statement
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    }
    assert allowed["Alarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Alarms"]["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert set(allowed) == {"Alarms"}


def test_drops_are_matched_by_their_ending_in_any_case() -> None:
    _, rule = rule_of("AcceptDropFunction")
    assert rule["EventPattern"]["detail"]["object"]["key"] == [
        {"suffix": {"equals-ignore-case": ending}} for ending in (".zip", ".yaml", ".yml")
    ]


def test_a_job_is_ours_by_its_role_and_reported_when_it_has_ended() -> None:
    _, rule = rule_of("ReportJobEndFunction")
    assert rule["EventPattern"]["detail"] == {
        "RoleArn": [{"Fn::GetAtt": ["TrainingRole", "Arn"]}],
        "TrainingJobStatus": ["Completed", "Failed", "Stopped"],
    }


def test_every_bad_end_of_an_execution_is_followed_up() -> None:
    _, rule = rule_of("StopTrainingFunction")
    assert rule["EventPattern"]["detail"] == {
        "stateMachineArn": [{"Ref": "TrainingStateMachine"}],
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
    }
