"""What SageMaker asks of CreateTrainingJob beyond its service model.

Texts marked "AWS" were seen on AWS; the others say the same in our words, since AWS's are not on record.
"""

from __future__ import annotations

import re
from typing import Any

from local_cloud.sagemaker.errors import ValidationError

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
MAX_RUNTIME_SECONDS = 28 * 86_400
# Each value "is limited to 256 characters" (HyperParameters in the API reference); the model says 2500.
HYPERPARAMETER_VALUE_LENGTH = 256
TAG_VALUE_LENGTH = 256
# Families whose training volume is the instance's own NVMe storage: nothing there to encrypt with a key.
LOCAL_STORAGE = re.compile(
    r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g5|g6|g6e|g7|g7e|p5|p5e|p5en|p6-b200|p6-b300|p6e-gb200|trn1|trn1n|trn2)\."
)
RESERVED_PATHS = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output", "/opt/ml/code")


def check_create(request: dict[str, Any]) -> None:
    """Raise ValidationError for the first rule that the request breaks."""
    _check_present(request)
    _check_stopping(request)
    _check_resources(request)
    _check_channels(request.get("InputDataConfig", []))
    _check_hyperparameters(request.get("HyperParameters", {}))
    _check_metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    _check_checkpoints(request.get("CheckpointConfig"))
    check_tags(request.get("Tags", []))
    _check_buckets(request)


def check_tags(tags: list[dict[str, str]]) -> None:
    """Refuse repeated keys and AWS's own prefix."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise ValidationError("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in keys):
        raise ValidationError("aws: prefixed tag key names are not allowed for external use.")


def max_runtime(request: dict[str, Any]) -> int:
    """MaxRuntimeInSeconds, one day where the request names none."""
    return int(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS))


def max_wait(request: dict[str, Any]) -> int | None:
    """MaxWaitTimeInSeconds of a spot job: waiting and running together."""
    seconds = request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
    return None if seconds is None else int(seconds)


def _check_present(request: dict[str, Any]) -> None:
    for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if name not in request:
            raise _null(name[0].lower() + name[1:])
    algorithm = request["AlgorithmSpecification"]
    if ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        raise ValidationError(
            "Exactly one of TrainingImage and AlgorithmName must be provided in AlgorithmSpecification."
        )
    if "AlgorithmName" in algorithm:
        raise _unsupported("AlgorithmName")
    if algorithm.get("TrainingInputMode", "File") != "File":
        raise _unsupported("a TrainingInputMode other than File")


def _check_stopping(request: dict[str, Any]) -> None:
    runtime, wait = max_runtime(request), max_wait(request)
    if runtime > MAX_RUNTIME_SECONDS:
        raise ValidationError(f"MaxRuntimeInSeconds {runtime} exceeds the maximum of {MAX_RUNTIME_SECONDS} seconds.")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:  # AWS
            raise ValidationError(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < runtime:  # AWS
        raise ValidationError(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def _check_resources(request: dict[str, Any]) -> None:
    resources = request["ResourceConfig"]
    spot = bool(request.get("EnableManagedSpotTraining"))
    if "InstancePreferences" in resources and spot:
        raise ValidationError("InstancePreferences is not supported when EnableManagedSpotTraining is set to true")
    for name in ("InstanceGroups", "InstancePreferences", "TrainingPlanArn"):
        if name in resources:
            raise _unsupported(name)
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if name not in resources:
            raise _null(f"resourceConfig.{name[0].lower()}{name[1:]}")
    if resources["InstanceCount"] < 1 or resources["VolumeSizeInGB"] < 1:
        raise ValidationError("InstanceCount and VolumeSizeInGB must be greater than or equal to 1.")
    if resources["InstanceCount"] > 1:
        raise _unsupported("an InstanceCount above 1")
    if resources.get("KeepAlivePeriodInSeconds") and spot:
        raise ValidationError("KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set to true")
    if resources.get("VolumeKmsKeyId") and LOCAL_STORAGE.match(resources["InstanceType"]):
        raise ValidationError(
            f"VolumeKmsKeyId cannot be specified for instance type {resources['InstanceType']}: its local instance"
            " storage is encrypted by the hardware and takes no key."
        )


def _check_channels(channels: list[dict[str, Any]]) -> None:
    names = [channel["ChannelName"] for channel in channels]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Duplicate channel name '{name}' found in InputDataConfig.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise _unsupported("a data source other than S3")
        if source["S3DataType"] != "S3Prefix":
            raise _unsupported(f"S3DataType {source['S3DataType']}")
        if channel.get("InputMode", "File") != "File" or channel.get("CompressionType", "None") != "None":
            raise _unsupported("a channel that is not plain File input")
        if not source["S3Uri"].startswith("s3://"):
            raise ValidationError(f"S3Uri '{source['S3Uri']}' must begin with s3://")


def _check_hyperparameters(values: dict[str, str]) -> None:
    for name, value in values.items():
        if len(value) > HYPERPARAMETER_VALUE_LENGTH:
            raise ValidationError(
                f"Value of hyperparameter '{name}' has {len(value)} characters; it must have length less than or"
                f" equal to {HYPERPARAMETER_VALUE_LENGTH}"
            )


def _check_metrics(definitions: list[dict[str, str]]) -> None:
    for definition in definitions:
        try:
            groups = re.compile(definition["Regex"]).groups
        except re.error as error:
            raise ValidationError(f"Invalid regex for metric {definition['Name']}: {error}") from error
        if groups < 1:
            raise ValidationError(f"Invalid regex for metric {definition['Name']}: it captures nothing")


def _check_checkpoints(checkpoints: dict[str, str] | None) -> None:
    if checkpoints is None:
        return
    path = checkpoints.get("LocalPath", "/opt/ml/checkpoints")
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValidationError(f"LocalPath '{path}' of CheckpointConfig must be an absolute path")
    if any(path.rstrip("/") == reserved or path.startswith(f"{reserved}/") for reserved in RESERVED_PATHS):
        raise ValidationError(f"LocalPath '{path}' of CheckpointConfig is reserved by SageMaker")


def _check_buckets(request: dict[str, Any]) -> None:
    uris = [request["OutputDataConfig"]["S3OutputPath"]]
    if "CheckpointConfig" in request:
        uris.append(request["CheckpointConfig"]["S3Uri"])
    for uri in uris:
        if not uri.startswith("s3://"):
            raise ValidationError(f"S3 URI '{uri}' must begin with s3://")


def _null(path: str) -> ValidationError:
    return ValidationError(
        f"1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
    )


def _unsupported(what: str) -> ValidationError:
    return ValidationError(f"The local cloud does not support {what}.")
