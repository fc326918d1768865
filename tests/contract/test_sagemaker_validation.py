"""CreateTrainingJob is refused for what AWS refuses, in AWS's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from botocore.validate import ParamValidator

from local_cloud.sagemaker import rules, validation
from local_cloud.sagemaker.errors import ApiError
from tests.contract.training_jobs import channel, request

CREATE = "CreateTrainingJob"


def check(request: dict[str, Any]) -> None:
    """What the service does with a request before it looks at anything else."""
    validation.validate(CREATE, request)
    rules.check_create(request)


def botocore_refuses(request: dict[str, Any]) -> bool:
    shape = validation.operation(CREATE).input_shape
    assert shape is not None
    return bool(ParamValidator().validate(request, shape).has_errors())


def refusal(changed: dict[str, Any]) -> str:
    """The message that answers this request."""
    with pytest.raises(ApiError) as caught:
        check(changed)
    return caught.value.message


def with_resources(**changes: Any) -> dict[str, Any]:
    return request(ResourceConfig={**request()["ResourceConfig"], **changes})


GOOD = [
    request(),
    request(
        EnableManagedSpotTraining=None, StoppingCondition={"MaxRuntimeInSeconds": 60}, CheckpointConfig=None, Tags=None
    ),
    request(InputDataConfig=[channel("code", "s3://b/c/"), channel("dataset", "s3://b/datasets/Büro 1.zip")]),
    request(TrainingJobName="a" * 63, HyperParameters={"x": "y" * 256}, RetryStrategy=None, Environment=None),
]


@pytest.mark.parametrize("good", GOOD)
def test_what_botocore_finds_valid_is_valid(good: dict[str, Any]) -> None:
    assert not botocore_refuses(good)
    check(good)


@pytest.mark.parametrize(("missing", "path"), [("TrainingJobName", "trainingJobName"), ("RoleArn", "roleArn")])
def test_a_missing_member_is_named_in_camel_case(missing: str, path: str) -> None:
    bad = request(**{missing: None})
    assert botocore_refuses(bad)
    assert refusal(bad) == (
        f"1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
    )


def test_a_name_with_an_underscore_gets_the_pattern() -> None:
    assert refusal(request(TrainingJobName="rooms_1")) == (
        "1 validation error detected: Value 'rooms_1' at 'trainingJobName' failed to satisfy constraint: Member must"
        " satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_long_bad_name_gets_both_constraints() -> None:
    message = refusal(request(TrainingJobName="x_" * 40))
    assert message.startswith("2 validation errors detected: Value 'x_x_")
    assert "Member must have length less than or equal to 63; Value" in message


def test_an_unknown_instance_type_gets_the_whole_enum() -> None:
    message = refusal(with_resources(InstanceType="ml.g4dn.tiny"))
    assert message.startswith(
        "1 validation error detected: Value 'ml.g4dn.tiny' at 'resourceConfig.instanceType' failed to satisfy"
        " constraint: Member must satisfy enum value set: [ml.m4.xlarge, "
    )


def test_list_members_are_counted_from_one() -> None:
    bad = [channel("code", "s3://b/c/"), channel("two words", "s3://b/d/")]
    assert "at 'inputDataConfig.2.member.channelName'" in refusal(request(InputDataConfig=bad))


@pytest.mark.parametrize("value", ["rooms & doors", "a,b", "(new)", "#1", "🏠"])
def test_tag_values_take_no_sign_outside_the_charset(value: str) -> None:
    message = refusal(request(Tags=[{"Key": "dataset", "Value": value}]))
    assert f"Value '{value}' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy" in message


@pytest.mark.parametrize("value", ["Büro 1+2", "部屋", "a_b.c:/=+-@", ""])
def test_tag_values_take_letters_of_any_script(value: str) -> None:
    validation.validate(CREATE, request(Tags=[{"Key": "dataset", "Value": value}]))


def test_map_values_are_refused_as_a_whole() -> None:
    message = refusal(request(Environment={"A": "x" * 600}))
    assert "at 'environment' failed to satisfy constraint: Map value must satisfy constraint: [Member must" in message


def test_wrong_types_do_not_parse() -> None:
    with pytest.raises(ApiError) as caught:
        validation.validate(CREATE, with_resources(InstanceCount="1"))
    assert (caught.value.code, caught.value.message) == (
        "SerializationException",
        "STRING_VALUE can not be converted to an Integer",
    )
    with pytest.raises(ApiError, match="SerializationException"):
        validation.validate(CREATE, request(EnableManagedSpotTraining="true"))


def test_a_misspelt_member_is_refused() -> None:
    assert "Unknown parameter 'CheckPointConfig'" in refusal(request() | {"CheckPointConfig": {}})


@pytest.mark.parametrize(
    ("spot", "stopping", "message"),
    [
        (None, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}, "only supported when EnableManagedSpot"),
        (True, {"MaxRuntimeInSeconds": 60}, "must be present and be greater than or equal to MaxRuntime"),
        (True, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}, "greater than or equal to MaxRuntime"),
        (True, {"MaxWaitTimeInSeconds": 3600}, "greater than or equal to MaxRuntimeInSeconds"),
        (None, {"MaxRuntimeInSeconds": 29 * 86400}, "exceeds the maximum"),
        (None, None, "Value null at 'stoppingCondition'"),
    ],
)
def test_stopping_conditions_fit_the_kind_of_job(spot: bool | None, stopping: Any, message: str) -> None:
    assert message in refusal(request(EnableManagedSpotTraining=spot, StoppingCondition=stopping))


@pytest.mark.parametrize("instance", ["ml.g4dn.xlarge", "ml.g5.2xlarge", "ml.p4d.24xlarge", "ml.g6.xlarge"])
def test_instances_with_local_storage_refuse_a_volume_key(instance: str) -> None:
    assert instance in refusal(with_resources(InstanceType=instance, VolumeKmsKeyId="alias/key"))


def test_instances_with_network_storage_take_a_volume_key() -> None:
    rules.check_create(with_resources(InstanceType="ml.m5.xlarge", VolumeKmsKeyId="alias/key"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InputDataConfig": [channel("code", "s3://b/a/"), channel("code", "s3://b/b/")]}, "Duplicate channel name"),
        ({"HyperParameters": {"long": "x" * 257}}, "256"),
        ({"HyperParameters": {f"p{number}": "1" for number in range(101)}}, "less than or equal to 100"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/model/checkpoints"}}, "reserved"),
        ({"CheckpointConfig": {"S3Uri": "b/c"}}, "(https|s3)://"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Duplicate tag keys"),
        ({"Tags": [{"Key": "aws:created", "Value": "1"}]}, "aws: prefixed"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, "less than or equal to 30"),
        ({"RoleArn": "training-role-without-arn"}, "roleArn"),
    ],
)
def test_each_rule_of_sagemaker_is_told(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(request(**changes))


@pytest.mark.parametrize("regex", ["METRIC map50=(", "METRIC map50"])
def test_metric_regexes_compile_and_capture(regex: str) -> None:
    algorithm = copy.deepcopy(request()["AlgorithmSpecification"])
    algorithm["MetricDefinitions"] = [{"Name": "map50", "Regex": regex}]
    assert "Invalid regex for metric map50" in refusal(request(AlgorithmSpecification=algorithm))


def test_an_operation_that_sagemaker_does_not_have_is_unknown() -> None:
    with pytest.raises(ApiError, match="UnknownOperationException"):
        validation.validate("CreateTrainingJobs", {})
