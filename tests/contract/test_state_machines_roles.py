"""A state machine may do what its role may; what it cannot do, or cannot be, is refused in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import ACCOUNT, REGION, LocalCloud
from tests.contract.lambdas import allow, eventually, function, invoke, role, unique
from tests.contract.state_machines import CALLBACK, INVOKE, Machines, jsonata

DELIVERY = allow(
    [
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    ]
)
PASS = jsonata({"A": {"Type": "Pass", "End": True}})


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def powerless(cloud: LocalCloud) -> str:
    return role(cloud, "states.amazonaws.com", allow("s3:ListAllMyBuckets"))


def call(resource: str, **arguments: Any) -> dict[str, Any]:
    return jsonata({"A": {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}})


@pytest.mark.parametrize(
    ("resource", "action", "error"),
    [
        (INVOKE, "lambda:InvokeFunction", "Lambda.AWSLambdaException"),
        (CALLBACK, "lambda:InvokeFunction", "Lambda.AWSLambdaException"),
        ("arn:aws:states:::sns:publish", "SNS:Publish", "SNS.AuthorizationErrorException"),
        ("arn:aws:states:::dynamodb:getItem", "dynamodb:GetItem", "DynamoDB.AmazonDynamoDBException"),
        (
            "arn:aws:states:::aws-sdk:sagemaker:stopTrainingJob",
            "sagemaker:StopTrainingJob",
            "SageMaker.SageMakerException",
        ),
    ],
)
def test_a_role_without_the_permission_fails_the_task(
    machines: Machines, powerless: str, resource: str, action: str, error: str
) -> None:
    sns, table = machines.cloud.client("sns"), unique("table")
    machines.cloud.client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arguments: dict[str, dict[str, Any]] = {
        "lambda": {"FunctionName": machines.worker, "Payload": {"token": "{% $states.context %}"}},
        "SNS": {"TopicArn": sns.create_topic(Name=unique("topic"))["TopicArn"], "Message": "m"},
        "dynamodb": {"TableName": table, "Key": {"pk": {"S": "a"}}},
        "sagemaker": {"TrainingJobName": "job"},
    }
    machine = machines.create(call(resource, **arguments[action.split(":")[0]]), roleArn=powerless)
    found = machines.run(machine)
    assert (found["status"], found["error"]) == ("FAILED", error)
    name = powerless.rsplit("/", 1)[1]
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/" in found["cause"]
    assert f"is not authorized to perform: {action}".lower() in found["cause"].lower()
    failed = machines.history(found["executionArn"])[-2]
    assert (failed["type"], failed["details"]["error"]) == ("TaskFailed", error)
    assert failed["details"]["resourceType"] == resource.split(":::")[1].rsplit(":", 1)[0]


def test_a_role_that_step_functions_may_not_assume_is_refused(cloud: LocalCloud, machines: Machines) -> None:
    for wrong in (role(cloud, "lambda.amazonaws.com"), f"arn:aws:iam::{ACCOUNT}:role/nobody"):
        with pytest.raises(ClientError, match="authorized to assume the provided role") as caught:
            machines.create(PASS, roleArn=wrong)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "operation", "injected", "error"),
    [
        ("lambda", "Invoke", "TooManyRequestsException", "Lambda.TooManyRequestsException"),
        ("lambda", "Invoke", "ServiceException", "Lambda.ServiceException"),
        ("lambda", "Invoke", "InternalFailure", "Lambda.AWSLambdaException"),
        ("sns", "Publish", "InternalError", "SNS.InternalErrorException"),
        ("sns", "Publish", "Throttled", "SNS.ThrottledException"),
        ("sns", "Publish", "Throttling", "SNS.AmazonSNSException"),
    ],
)
def test_an_error_of_a_service_has_its_name_and_is_retried_by_it(
    machines: Machines, service: str, operation: str, injected: str, error: str
) -> None:
    topic = machines.cloud.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
    resource, arguments = {
        "lambda": (INVOKE, {"FunctionName": machines.worker}),
        "sns": ("arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": "m"}),
    }[service]
    definition = call(resource, **arguments)
    definition["States"]["A"]["Retry"] = [{"ErrorEquals": [error], "IntervalSeconds": 1, "MaxAttempts": 1}]
    machine = machines.create(definition)
    machines.cloud.inject({"api": [{"service": service, "operation": operation, "error": injected}]})
    try:
        found = machines.run(machine)
    finally:
        machines.cloud.clear_faults()
    assert found["status"] == "SUCCEEDED", found["error"]
    (failed,) = [event for event in machines.history(found["executionArn"]) if event["type"] == "TaskFailed"]
    assert failed["details"]["error"] == error


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a field that does not exist": ({"A": {"Type": "Pass", "Argument": {}, "End": True}}, "Argument"),
    "a target that does not exist": (
        {"A": {"Type": "Pass", "Next": "ZZ"}},
        r"MISSING_TRANSITION_TARGET: Missing 'Next' target: ZZ at /States/A/Next",
    ),
    "a choice's target that does not exist": (
        {"A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "ZZ"}]}},
        r"ZZ at /States/A/Choices",
    ),
    "a catcher's target that does not exist": (
        {
            "A": {
                "Type": "Parallel",
                "Branches": [PASS],
                "End": True,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "ZZ"}],
            }
        },
        r"ZZ at /States/A/Catch\[0\]/Next",
    ),
    "a state in a branch without an end": (
        {"A": {"Type": "Parallel", "Branches": [jsonata({"B": {"Type": "Pass"}})], "End": True}},
        r"\[Next\] or \[End\] at /States/A/Branches\[0\]/States/B",
    ),
    "a state that nothing leads to": (
        {"A": {"Type": "Pass", "End": True}, "B": {"Type": "Pass", "End": True}},
        r'State "B" is not reachable',
    ),
    "an expression that cannot be read": (
        {"A": {"Type": "Pass", "Output": "{% 1 + %}", "End": True}},
        r"INVALID_JSONATA_EXPRESSION[^']*/States/A/Output",
    ),
    "a field of the other language": ({"A": {"Type": "Pass", "Parameters": {"a": 1}, "End": True}}, "Parameters"),
    "a state of no known type": ({"A": {"Type": "Pas", "End": True}}, "Pas"),
    "a task without a resource": ({"A": {"Type": "Task", "End": True}}, "Resource"),
    "an integration that does not exist": (
        {"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:fly", "End": True}},
        "lambda:fly",
    ),
    "a heartbeat longer than the timeout": (
        {"A": {"Type": "Task", "Resource": CALLBACK, "TimeoutSeconds": 5, "HeartbeatSeconds": 9, "End": True}},
        "HeartbeatSeconds",
    ),
    "a retry where there is nothing to retry": (
        {"A": {"Type": "Pass", "Retry": [{"ErrorEquals": ["States.ALL"]}], "End": True}},
        "Field is not supported at /States/A/Retry",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_definition_is_refused_with_the_reason(machines: Machines, name: str) -> None:
    states, reason = BAD[name]
    with pytest.raises(ClientError, match=reason) as caught:
        machines.create(jsonata(states))
    assert caught.value.response["Error"]["Code"] == "InvalidDefinition"
    assert caught.value.response["Error"]["Message"].startswith("Invalid State Machine Definition: '")
    verdict = machines.api.validate_state_machine_definition(definition=json.dumps(jsonata(states)))
    assert verdict["result"] == "FAIL"


def test_a_good_definition_is_valid(machines: Machines) -> None:
    assert machines.api.validate_state_machine_definition(definition=json.dumps(PASS))["result"] == "OK"


def test_a_redrive_needs_permission_on_the_execution(cloud: LocalCloud, machines: Machines) -> None:
    execution = machines.start(jsonata({"F": {"Type": "Fail"}}))
    machines.ended(execution)
    code = """
        import boto3
        from botocore.exceptions import ClientError
        def handler(event, context):
            try:
                boto3.client("stepfunctions").redrive_execution(executionArn=event)
            except ClientError as error:
                return error.response["Error"]["Code"]
    """
    other = execution.replace(":execution:", ":execution:other-")
    assert invoke(cloud, function(cloud, code, allow("states:RedriveExecution", other)), execution) == (
        "AccessDeniedException",
        None,
    )
    assert invoke(cloud, function(cloud, code, allow("states:RedriveExecution", execution)), execution) == (None, None)


def test_a_bad_definition_is_no_update(machines: Machines) -> None:
    machine = machines.create(PASS)
    with pytest.raises(ClientError, match="ZZ"):
        machines.api.update_state_machine(
            stateMachineArn=machine, definition=json.dumps(jsonata({"A": {"Type": "Pass", "Next": "ZZ"}}))
        )
    assert json.loads(machines.api.describe_state_machine(stateMachineArn=machine)["definition"]) == PASS


def test_a_bad_definition_or_role_fails_the_stack_with_the_reason(cloud: LocalCloud, machines: Machines) -> None:
    cloudformation = cloud.client("cloudformation")
    bad = jsonata({"A": {"Type": "Pass", "Next": "ZZ"}})
    stranger = role(cloud, "lambda.amazonaws.com")
    for definition, role_arn, reason in (
        (bad, machines.role, "Missing 'Next' target: ZZ"),
        (PASS, stranger, "authorized to assume the provided role"),
    ):
        stack = unique("stack")
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=json.dumps(
                {
                    "Resources": {
                        "Machine": {
                            "Type": "AWS::StepFunctions::StateMachine",
                            "Properties": {"RoleArn": role_arn, "DefinitionString": json.dumps(definition)},
                        }
                    }
                }
            ),
        )

        def look(stack: str = stack) -> str | None:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            return found if not found.endswith("PROGRESS") else None

        assert eventually(look, what="the end of the stack") in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
        reasons = [
            event.get("ResourceStatusReason", "")
            for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        ]
        assert any(reason in text for text in reasons), reasons


@pytest.mark.parametrize("level", ["ALL", "ERROR", "FATAL"])
def test_executions_are_logged_at_the_level_that_is_set(cloud: LocalCloud, machines: Machines, level: str) -> None:
    logs, group = cloud.client("logs"), f"/aws/vendedlogs/states/{unique('log')}"
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
    configuration = {
        "level": level,
        "includeExecutionData": level == "ALL",
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
    }
    definition = jsonata({"A": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "E", "Cause": "ü"}})
    machine = machines.create(definition, loggingConfiguration=configuration)
    execution = machines.start(machine, {"v": 1})
    machines.ended(execution)
    lines = [json.loads(event["message"]) for event in logs.filter_log_events(logGroupName=group)["events"]]
    expected = {
        "ALL": machines.kinds(execution),
        "ERROR": ["FailStateEntered", "ExecutionFailed"],
        "FATAL": ["ExecutionFailed"],
    }
    assert [line["type"] for line in lines] == expected[level]
    assert all(line["execution_arn"] == execution for line in lines)
    assert lines[-1]["details"] == {"error": "E", "cause": "ü"}
    if level == "ALL":
        assert lines[0]["details"]["input"] == '{"v": 1}'
        assert lines[0].keys() == {
            "id",
            "type",
            "details",
            "redrive_count",
            "previous_event_id",
            "event_timestamp",
            "execution_arn",
        }
    else:
        assert not any("input" in line["details"] for line in lines)


def test_logging_needs_a_role_that_may_deliver_logs(cloud: LocalCloud, machines: Machines, powerless: str) -> None:
    group = f"/aws/vendedlogs/states/{unique('log')}"
    cloud.client("logs").create_log_group(logGroupName=group)
    destination = {"logGroupArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"}
    configuration = {"level": "ERROR", "destinations": [{"cloudWatchLogsLogGroup": destination}]}
    with pytest.raises(ClientError, match="not authorized to access the Log Destination"):
        machines.create(PASS, loggingConfiguration=configuration, roleArn=powerless)
    quiet = machines.create(PASS, roleArn=powerless)
    with pytest.raises(ClientError, match="not authorized to access the Log Destination"):
        machines.api.update_state_machine(stateMachineArn=quiet, loggingConfiguration=configuration)
    machines.create(PASS, loggingConfiguration=configuration, roleArn=role(cloud, "states.amazonaws.com", DELIVERY))
