"""The stack as a whole: what it promises, keeps, tells and costs."""

from __future__ import annotations

import graphlib
import re
from typing import Any

import pytest

from tests.template.rendering import references, resources, transformed, written
from traindrop.runs import RUNS_OF_DATASET

PSEUDO = {"AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackName", "AWS::URLSuffix"}


def test_the_outputs_are_those_of_the_contract_each_with_a_description() -> None:
    outputs = written()["Outputs"]
    assert set(outputs) == {
        "DatasetBucketName",
        "ArtifactBucketName",
        "NotificationTopicArn",
        "StateMachineArn",
        "RunsTableName",
        "DashboardUrl",
    }
    assert all(len(output["Description"]) > 15 for output in outputs.values())


def test_every_parameter_has_a_description_a_default_and_a_bound() -> None:
    parameters = written()["Parameters"]
    for name, parameter in parameters.items():
        assert len(parameter["Description"]) > 25, name
        assert "Default" in parameter, name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name
    groups = written()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("NotificationEmail", ["", "me@example.org"], ["me", "a b@example.org", "me@example"]),
        (
            "TrainingImage",
            [
                "",
                "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313",
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/own@sha256:" + "0" * 64,
            ],
            [
                "pytorch/pytorch:latest",
                "123.dkr.ecr.us-east-1.amazonaws.com/x:1",
                "763104351884.dkr.ecr.us-east-1.amazonaws.com/untagged",
            ],
        ),
    ],
)
def test_a_parameter_takes_what_is_right_and_refuses_what_is_wrong(name: str, good: list[str], bad: list[str]) -> None:
    pattern = written()["Parameters"][name]["AllowedPattern"]
    assert all(re.search(pattern, value) for value in good)
    assert not [value for value in bad if re.search(pattern, value)]


def test_every_reference_has_its_target() -> None:
    template = transformed()
    known = set(template["Resources"]) | set(template["Parameters"]) | PSEUDO
    assert references([template["Resources"], template["Outputs"]]) <= known


def test_no_resource_needs_itself() -> None:
    template = transformed()["Resources"]
    graph = {
        name: (references(resource) | set(_listed(resource.get("DependsOn")))) & set(template)
        for name, resource in template.items()
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(template)


def _listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def test_every_function_logs_to_a_group_of_its_own_that_forgets() -> None:
    functions = resources("AWS::Lambda::Function")
    groups = resources("AWS::Logs::LogGroup")
    used = [function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions.values()]
    assert sorted([*used, "TrainingStateMachineLogs"]) == sorted(groups)
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_function_names_handlers_and_modules_are_the_same_words() -> None:
    for name, function in resources("AWS::Lambda::Function").items():
        words = re.findall(r"[A-Z][a-z]+", name.removesuffix("Function"))
        assert function["Handler"] == f"{'_'.join(words).lower()}.handler"


def test_all_functions_are_built_alike_so_that_they_are_built_once() -> None:
    functions = [item for item in written()["Resources"].values() if item["Type"] == "AWS::Serverless::Function"]
    assert len(functions) == 9
    assert all(function["Metadata"] == {"BuildMethod": "python-uv"} for function in functions)
    own = {"Runtime", "Architectures", "CodeUri"}
    assert not [function for function in functions if own & set(function["Properties"])]


def test_a_function_is_told_every_name_that_it_reads_and_no_default_hides_a_missing_one() -> None:
    """The steps that need a resource find its name in the environment, or fail at their first call."""
    needs = {
        "AcceptDropFunction": {
            "STATE_MACHINE_ARN",
            "TOPIC_ARN",
            "CLAIMS_TABLE",
            "UPLOAD_WINDOW_SECONDS",
            "SECONDS_BETWEEN_RUNS",
        },
        "ValidateDatasetFunction": {
            "RUNS_TABLE",
            "CLAIMS_TABLE",
            "ARTIFACT_BUCKET",
            "QUIET_PERIOD_SECONDS",
            "UPLOAD_WINDOW_SECONDS",
        },
        "StartTrainingFunction": {
            "RUNS_TABLE",
            "DATASET_BUCKET",
            "ARTIFACT_BUCKET",
            "TOPIC_ARN",
            "TRAINING_ROLE_ARN",
            "TRAINING_IMAGE",
            "MAX_COST_PER_RUN_USD",
            "CLAIMS_TABLE",
            "WAITING_NOTICE_SECONDS",
        },
        "ReportJobEndFunction": {"RUNS_TABLE"},
        "ReconcileJobFunction": {"RUNS_TABLE", "TOPIC_ARN", "WAITING_NOTICE_SECONDS"},
        "StopTrainingFunction": {
            "RUNS_TABLE",
            "CLAIMS_TABLE",
            "TOPIC_ARN",
            "ARTIFACT_BUCKET",
            "EXTRACT_MODEL_FUNCTION",
        },
        "ExtractModelFunction": {"RUNS_TABLE", "ARTIFACT_BUCKET"},
        "PublishMetricsFunction": {"RUNS_TABLE", "CLAIMS_TABLE", "ARTIFACT_BUCKET"},
        "WriteReportFunction": {"RUNS_TABLE", "ARTIFACT_BUCKET"},
    }
    shared = {"LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
    told = {
        name: set(function["Environment"]["Variables"]) for name, function in resources("AWS::Lambda::Function").items()
    }
    assert told == {name: names | shared for name, names in needs.items()}


def test_idle_it_costs_storage_only() -> None:
    for function in resources("AWS::Lambda::Function").values():
        assert not {"ReservedConcurrentExecutions", "VpcConfig", "KmsKeyArn"} & set(function)
    kinds = {resource["Type"] for resource in transformed()["Resources"].values()}
    assert not [kind for kind in kinds if re.match(r"AWS::(KMS|EC2|SecretsManager|ECS|RDS)", kind)]
    assert all(table["BillingMode"] == "PAY_PER_REQUEST" for table in resources("AWS::DynamoDB::Table").values())
    assert len(resources("AWS::CloudWatch::Alarm")) <= 10
    assert len(resources("AWS::CloudWatch::Dashboard")) <= 3


def test_buckets_are_private_encrypted_versioned_tidy_and_outlive_the_stack() -> None:
    for name, bucket in resources("AWS::S3::Bucket").items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
        assert rules["AbortUploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert rules["ForgetOldVersions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert [policy for policy in resources("AWS::S3::BucketPolicy").values() if policy["Bucket"] == {"Ref": name}]


def test_what_only_serves_a_run_expires_and_models_never_do() -> None:
    rules = resources("AWS::S3::Bucket")["ArtifactBucket"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "checkpoints/": 30,
        "training-output/": 30,
    }
    assert all(rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1} for rule in rules if "Prefix" in rule)


def test_the_runs_of_a_dataset_are_found_by_an_index_in_the_order_of_their_time() -> None:
    (index,) = resources("AWS::DynamoDB::Table")["RunsTable"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == RUNS_OF_DATASET
    assert index["KeySchema"] == [
        {"AttributeName": "slug", "KeyType": "HASH"},
        {"AttributeName": "run_id", "KeyType": "RANGE"},
    ]


def test_what_the_user_owns_is_retained_and_nothing_has_a_name_that_a_second_deploy_would_meet() -> None:
    template = transformed()["Resources"]
    retained = {name for name, resource in template.items() if resource.get("DeletionPolicy", "").startswith("Retain")}
    assert retained == {"DatasetBucket", "ArtifactBucket", "RunsTable"}
    naming = {
        "BucketName",
        "TableName",
        "TopicName",
        "QueueName",
        "FunctionName",
        "StateMachineName",
        "RoleName",
        "AlarmName",
        "DashboardName",
        "Name",
    }
    kinds = {"AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission"}
    assert not [
        name
        for name, resource in template.items()
        if resource["Type"] not in kinds and naming & set(resource.get("Properties", {}))
    ]


def test_tables_have_their_keys_recovery_and_a_lapse_for_claims() -> None:
    tables = resources("AWS::DynamoDB::Table")
    assert {name: table["KeySchema"][0]["AttributeName"] for name, table in tables.items()} == {
        "RunsTable": "run_id",
        "ClaimsTable": "claim",
    }
    assert tables["ClaimsTable"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert all(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] for table in tables.values())


def test_objects_in_the_dataset_bucket_and_in_no_other_make_events() -> None:
    told = [name for name, bucket in resources("AWS::S3::Bucket").items() if "NotificationConfiguration" in bucket]
    assert told == ["DatasetBucket"]
