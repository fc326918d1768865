"""The Amazon States Language means on the local cloud what it means on AWS.

All executions are started at once; each test looks at one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_cloud.process import LocalCloud
from tests.contract.lambdas import Queue, unique
from tests.contract.state_machines import CALLBACK, INVOKE, Machines, jsonata, jsonpath

Case = tuple[dict[str, Any], Any]
CASES: dict[str, Callable[[World], Case]] = {}
FLAKY = {"mode": "flaky", "retries": "{% $states.context.State.RetryCount %}", "fails": 3}
SDK = "arn:aws:states:::aws-sdk"


class World(Machines):
    """What the cases talk to."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.bucket, self.table = unique("bucket"), unique("table")
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=self.bucket)
        for number in range(5):
            s3.put_object(Bucket=self.bucket, Key=f"images/{number}.jpg", Body=b"x" * number)
        s3.put_object(Bucket=self.bucket, Key="items.json", Body=b'[{"a": 0}, {"a": 1}, {"a": 2}]')
        cloud.client("dynamodb").create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.queue = Queue(cloud, "sns.amazonaws.com")
        sns = cloud.client("sns")
        self.topic: str = sns.create_topic(Name=unique("topic"))["TopicArn"]
        sns.subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue.arn, Attributes={"RawMessageDelivery": "true"}
        )

    def task(self, payload: Any, **fields: Any) -> dict[str, Any]:
        """A task that invokes the worker."""
        return {
            "Type": "Task",
            "Resource": INVOKE,
            "End": True,
            "Arguments": {"FunctionName": self.worker, "Payload": payload},
            **fields,
        }

    def listing(self, **fields: Any) -> dict[str, Any]:
        """A distributed map over the images."""
        return jsonata(
            {
                "Each": {
                    "Type": "Map",
                    "Label": "Each",
                    "MaxConcurrency": 3,
                    "End": True,
                    "ItemReader": {
                        "Resource": "arn:aws:states:::s3:listObjectsV2",
                        "Arguments": {"Bucket": self.bucket, "Prefix": "images/"},
                    },
                    "ItemProcessor": {
                        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                        "StartAt": "One",
                        "States": {"One": {"Type": "Pass", "End": True}},
                    },
                    **fields,
                }
            }
        )


def case(build: Callable[[World], Case]) -> Callable[[World], Case]:
    CASES[build.__name__] = build
    return build


class Error:
    """An execution fails with this name and with a cause that has this text."""

    def __init__(self, name: str, text: str = "") -> None:
        self.name, self.text = name, text


@case
def arguments_output_and_variables(world: World) -> Case:
    invoke = world.task(
        {"a": "{% $states.input.v %}", "name": "{% $type($states.context.Execution.Name) %}"},
        Assign={"z": "{% $states.result.Payload.echo.a %}"},
        Output="{% $states.result.Payload %}",
        Next="Read",
    )
    invoke.pop("End")
    return jsonata(
        {
            "Invoke": invoke,
            "Read": {
                "Type": "Pass",
                "Output": {"z": "{% $z %}", "input": "{% $states.input %}"},
                "End": True,
            },
        }
    ), {"z": 5, "input": {"echo": {"a": 5, "name": "string"}}}


@case
def output_sees_variables_as_they_were_before_assign(_: World) -> Case:
    return jsonata(
        {
            "Set": {"Type": "Pass", "Assign": {"n": 1}, "Next": "Count"},
            "Count": {
                "Type": "Pass",
                "Assign": {"n": "{% $n + 1 %}"},
                "Output": {"before": "{% $n %}"},
                "Next": "Read",
            },
            "Read": {"Type": "Pass", "Output": {"now": "{% $n %}", "input": "{% $states.input %}"}, "End": True},
        }
    ), {"now": 2, "input": {"before": 1}}


@case
def a_json_path_task(world: World) -> Case:
    return jsonpath(
        {
            "A": {
                "Type": "Task",
                "Resource": INVOKE,
                "End": True,
                "ResultSelector": {"p.$": "$.Payload"},
                "ResultPath": "$.r",
                "Parameters": {
                    "FunctionName": world.worker,
                    "Payload": {"a.$": "$.v", "u.$": "States.Format('x{}', $.v)"},
                },
                "OutputPath": "$.r.p",
            }
        }
    ), {"echo": {"a": 5, "u": "x5"}}


@case
def nulls_and_unicode_survive(_: World) -> Case:
    return jsonata(
        {
            "A": {"Type": "Pass", "Assign": {"nothing": "{% $states.input.none %}"}, "Next": "B"},
            "B": {
                "Type": "Pass",
                "End": True,
                "Output": {
                    "none": "{% $nothing %}",
                    "there": "{% $exists($states.input.none) %}",
                    "text": "{% $states.input.`sätze` & 'é' %}",
                },
            },
        }
    ), {"none": None, "there": True, "text": "üé"}


@case
def strings_and_keys_are_read_as_json(_: World) -> Case:
    wild = {'a"b\\c': 'q"b\\s/\n\tü', "ü.$": "$.x"}
    return jsonata(
        {
            'Sä"te': {"Type": "Pass", "Output": wild, "Next": "B\\"},
            "B\\": {"Type": "Pass", "Output": "{% [$states.input, 'ü\"'] %}", "End": True},
        }
    ), [wild, 'ü"']


@case
def step_functions_own_functions(_: World) -> Case:
    expression = (
        "{% {'u': $length($uuid()), 'r': $range(0, 4, 2), 'h': $hash('a', 'SHA-256'), 'p': $partition([1..5], 2),"
        " 'parse': $parse('{\"a\":1}'), 'random': $random() < 1,"
        " 'match': $match('a/b/data.yaml', /([^\\/]+)$/)[0].match} %}"
    )
    return jsonata({"A": {"Type": "Pass", "Output": expression, "End": True}}), {
        "u": 36,
        "r": [0, 2, 4],
        "h": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "p": [[1, 2], [3, 4], [5]],
        "parse": {"a": 1},
        "random": True,
        "match": "data.yaml",
    }


@case
def an_expression_without_result(_: World) -> Case:
    return jsonata({"A": {"Type": "Pass", "Output": {"x": ["{% $nope.x %}"]}, "End": True}}), Error(
        "States.QueryEvaluationError",
        "An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression "
        "'$nope.x' specified for the field 'Output/x[0]' returned nothing (undefined).",
    )


@case
def an_expression_of_wrong_types(_: World) -> Case:
    return jsonata({"A": {"Type": "Pass", "Output": "{% 1 + 'a' %}", "End": True}}), Error(
        "States.QueryEvaluationError", "threw an error during evaluation. T2002: The right side of the"
    )


@case
def an_expression_that_is_no_json(_: World) -> Case:
    return jsonata({"A": {"Type": "Pass", "Output": "{% function($x){$x} %}", "End": True}}), Error(
        "States.QueryEvaluationError", "returned an unsupported result type."
    )


@case
def a_failing_output_can_be_caught(world: World) -> Case:
    task = world.task(
        {},
        Output="{% $states.result.Payload.nothing %}",
        Assign={"never": 1},
        Catch=[
            {"ErrorEquals": ["States.QueryEvaluationError"], "Next": "C", "Output": "{% $states.errorOutput.Error %}"}
        ],
    )
    return jsonata({"A": task, "C": {"Type": "Succeed"}}), "States.QueryEvaluationError"


@case
def an_exception_is_named_by_its_class(world: World) -> Case:
    return jsonata({"A": world.task({"mode": "raise"})}), Error("TrainingFailed", '"errorMessage":"boom"')


@case
def an_exception_is_caught_by_its_class(world: World) -> Case:
    task = world.task(
        {"mode": "raise"},
        Catch=[
            {
                "ErrorEquals": ["TrainingFailed"],
                "Next": "C",
                "Assign": {"e": 1},
                "Output": "{% $states.errorOutput.Error %}",
            }
        ],
    )
    return jsonata({"A": task, "C": {"Type": "Succeed", "Output": ["{% $states.input %}", "{% $e %}"]}}), [
        "TrainingFailed",
        1,
    ]


@case
def task_failed_catches_a_functions_error(world: World) -> Case:
    task = world.task({"mode": "raise"}, Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "C", "Output": 1}])
    return jsonata({"A": task, "C": {"Type": "Succeed"}}), 1


@case
def an_unknown_function(_: World) -> Case:
    return jsonata(
        {
            "A": {"Type": "Task", "Resource": INVOKE, "Arguments": {"FunctionName": "nobody"}, "End": True},
        }
    ), Error("Lambda.ResourceNotFoundException", "Error Code: ResourceNotFoundException")


@case
def a_tasks_time_is_up(world: World) -> Case:
    return jsonata({"A": world.task({"mode": "sleep", "seconds": 3}, TimeoutSeconds=1)}), Error("States.Timeout")


@case
def a_tasks_time_is_an_expression(world: World) -> Case:
    task = world.task(
        {"mode": "sleep", "seconds": 3},
        TimeoutSeconds="{% $states.input.seconds %}",
        Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "C", "Output": "{% $states.errorOutput.Error %}"}],
    )
    return jsonata({"A": task, "C": {"Type": "Succeed"}}), "States.Timeout"


@case
def task_failed_leaves_timeouts_out(world: World) -> Case:
    task = world.task(
        {"mode": "sleep", "seconds": 3}, TimeoutSeconds=1, Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "C"}]
    )
    return jsonata({"A": task, "C": {"Type": "Succeed"}}), Error("States.Timeout")


@case
def retries_with_backoff_cap_and_jitter(world: World) -> Case:
    retry = {
        "ErrorEquals": ["TrainingFailed"],
        "IntervalSeconds": 1,
        "MaxAttempts": 3,
        "BackoffRate": 5,
        "MaxDelaySeconds": 2,
        "JitterStrategy": "FULL",
    }
    return jsonata({"A": world.task(FLAKY, Retry=[retry], Output="{% $states.result.Payload.retries %}")}), 3


@case
def retries_run_out(world: World) -> Case:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}
    return jsonata({"A": world.task(FLAKY, Retry=[retry])}), Error("TrainingFailed", "not yet")


@case
def a_wait_of_an_expression(_: World) -> Case:
    return jsonata(
        {"A": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "Output": "waited", "End": True}}
    ), "waited"


@case
def a_wait_until_a_moment_that_is_past(_: World) -> Case:
    return jsonata({"A": {"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Output": 1, "End": True}}), 1


@case
def a_choice_with_assign_and_output(_: World) -> Case:
    rule = {
        "Condition": "{% $states.input.v > 3 and $exists($states.input.none) %}",
        "Next": "Y",
        "Assign": {"chosen": "{% $states.input.v %}"},
        "Output": "big",
    }
    return jsonata(
        {
            "A": {"Type": "Choice", "Choices": [rule], "Default": "N"},
            "Y": {"Type": "Succeed", "Output": ["{% $chosen %}", "{% $states.input %}"]},
            "N": {"Type": "Fail"},
        }
    ), [5, "big"]


@case
def no_choice_matches(_: World) -> Case:
    return jsonata(
        {"A": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "B"}]}, "B": {"Type": "Succeed"}}
    ), Error("States.NoChoiceMatched", "'A' (entered at the event id #2)")


@case
def a_loop_counts(_: World) -> Case:
    return jsonata(
        {
            "Zero": {"Type": "Pass", "Assign": {"n": 0}, "Next": "Add"},
            "Add": {"Type": "Pass", "Assign": {"n": "{% $n + 1 %}"}, "Next": "Enough"},
            "Enough": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $n >= 20 %}", "Next": "Done"}],
                "Default": "Add",
            },
            "Done": {"Type": "Succeed", "Output": "{% $n %}"},
        }
    ), 20


@case
def a_fail_state_with_expressions(_: World) -> Case:
    return jsonata(
        {
            "N": {
                "Type": "Fail",
                "Error": "{% 'E' & $string($states.input.v) %}",
                "Cause": "{% 'v=' & $string($states.input.v) %}",
            }
        }
    ), Error("E5", "v=5")


@case
def parallel_branches(_: World) -> Case:
    branches = [
        {
            "StartAt": f"W{n}",
            "States": {
                f"W{n}": {"Type": "Wait", "Seconds": 1, "Assign": {"inner": n}, "Next": f"P{n}"},
                f"P{n}": {"Type": "Pass", "Output": "{% $inner + $states.input.v %}", "End": True},
            },
        }
        for n in (1, 2)
    ]
    return jsonata(
        {
            "A": {
                "Type": "Parallel",
                "Branches": branches,
                "Output": "{% $sum($states.result) %}",
                "Assign": {"outer": "{% $count($states.result) %}"},
                "Next": "B",
            },
            "B": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $outer %}"], "End": True},
        }
    ), [13, 2]


@case
def a_branch_that_fails_is_caught(_: World) -> Case:
    branches = [
        {"StartAt": "x", "States": {"x": {"Type": "Fail", "Error": "Bad", "Cause": "c"}}},
        {"StartAt": "y", "States": {"y": {"Type": "Wait", "Seconds": 60, "End": True}}},
    ]
    return jsonata(
        {
            "A": {
                "Type": "Parallel",
                "Branches": branches,
                "Next": "C",
                "Catch": [{"ErrorEquals": ["Bad"], "Next": "C", "Output": "{% $states.errorOutput %}"}],
            },
            "C": {"Type": "Succeed"},
        }
    ), {"Error": "Bad", "Cause": "c"}


@case
def a_branchs_own_error_of_step_functions_is_caught(_: World) -> Case:
    branch = {
        "StartAt": "x",
        "States": {
            "x": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "y"}]},
            "y": {"Type": "Succeed"},
        },
    }
    return jsonata(
        {
            "A": {
                "Type": "Parallel",
                "Branches": [branch],
                "Next": "C",
                "Catch": [
                    {
                        "ErrorEquals": ["States.NoChoiceMatched"],
                        "Next": "C",
                        "Output": "{% $states.errorOutput.Error %}",
                    }
                ],
            },
            "C": {"Type": "Succeed"},
        }
    ), "States.NoChoiceMatched"


@case
def an_inline_map(world: World) -> Case:
    each = {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "x",
        "States": {"x": world.task("{% $states.input %}", Output="{% $states.result.Payload.echo.i * 10 %}")},
    }
    return jsonata(
        {
            "A": {
                "Type": "Map",
                "Items": "{% [1..4] %}",
                "MaxConcurrency": 2,
                "ItemProcessor": each,
                "ItemSelector": {"i": "{% $states.context.Map.Item.Value %}"},
                "End": True,
            }
        }
    ), [10, 20, 30, 40]


@case
def a_distributed_map_over_a_listing(world: World) -> Case:
    return world.listing(Output="{% $count($states.result) %}"), 5


@case
def a_distributed_map_over_a_json_file(world: World) -> Case:
    return world.listing(
        ItemReader={
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": world.bucket, "Key": "items.json"},
        }
    ), [{"a": 0}, {"a": 1}, {"a": 2}]


@case
def dynamodb_items(world: World) -> Case:
    key = {"pk": {"S": unique("item")}}
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Next": "Update",
        "Arguments": {"TableName": world.table, "Item": {**key, "n": {"N": "1"}}},
    }
    update = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:updateItem",
        "Next": "Get",
        "Arguments": {
            "TableName": world.table,
            "Key": key,
            "UpdateExpression": "SET #s = :s",
            "ExpressionAttributeNames": {"#s": "status"},
            "ExpressionAttributeValues": {":s": {"S": "OK"}},
        },
    }
    get = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:getItem",
        "End": True,
        "Arguments": {"TableName": world.table, "Key": key},
        "Output": "{% $states.result.Item %}",
    }
    return jsonata({"Put": put, "Update": update, "Get": get}), {**key, "n": {"N": "1"}, "status": {"S": "OK"}}


@case
def a_condition_that_fails_is_caught(world: World) -> Case:
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Arguments": {
            "TableName": world.table,
            "Item": {"pk": {"S": "claimed"}},
            "ConditionExpression": "attribute_exists(pk)",
        },
    }
    return jsonata(
        {
            "A": {
                **put,
                "End": True,
                "Catch": [
                    {
                        "ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"],
                        "Next": "D",
                        "Output": "{% $states.errorOutput.Error %}",
                    }
                ],
            },
            "D": {"Type": "Succeed"},
        }
    ), "DynamoDB.ConditionalCheckFailedException"


@case
def an_unknown_table(_: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "End": True,
                "Arguments": {"TableName": "nobody", "Key": {"pk": {"S": "x"}}},
            }
        }
    ), Error("DynamoDB.ResourceNotFoundException")


@case
def an_unknown_topic(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sns:publish",
                "End": True,
                "Arguments": {"TopicArn": f"{world.topic}-none", "Message": "m"},
            }
        }
    ), Error("SNS.NotFoundException", "Service: AmazonSNS")


@case
def an_event_is_put(_: World) -> Case:
    entry = {"Source": "my.app", "DetailType": "d", "Detail": {"a": 1}, "EventBusName": "default"}
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::events:putEvents",
                "End": True,
                "Arguments": {"Entries": [entry]},
                "Output": "{% $states.result.FailedEntryCount %}",
            }
        }
    ), 0


@case
def a_nested_execution(world: World) -> Case:
    inner = world.create(jsonata({"I": {"Type": "Pass", "Output": {"got": "{% $states.input.x %}"}, "End": True}}))
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "End": True,
                "Arguments": {"StateMachineArn": inner, "Input": {"x": 3}},
                "Output": "{% $states.result.Output %}",
            }
        }
    ), {"got": 3}


@case
def a_nested_execution_that_cannot_start(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution",
                "End": True,
                "Arguments": {"StateMachineArn": f"{world.create(jsonata({'P': {'Type': 'Succeed'}}))}x"},
            },
        }
    ), Error("StepFunctions.StateMachineDoesNotExistException", "Service: AWSStepFunctions")


@case
def an_sdk_call_of_a_service_with_small_letters(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:sfn:describeStateMachine",
                "End": True,
                "Arguments": {"StateMachineArn": "{% $states.context.StateMachine.Id %}"},
                "Output": "{% $states.result.RoleArn %}",
            }
        }
    ), world.role


@case
def an_sdk_call(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:s3:listObjectsV2",
                "End": True,
                "Arguments": {"Bucket": world.bucket, "Prefix": "images/"},
                "Output": "{% [$count($states.result.Contents), $states.result.Contents[3].Size,"
                " $contains($states.result.Contents[0].LastModified, /T.*Z$/)] %}",
            }
        }
    ), [5, 3, True]


@case
def an_sdk_answer_with_a_body(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:s3:getObject",
                "End": True,
                "Arguments": {"Bucket": world.bucket, "Key": "images/3.jpg"},
                "Output": "{% $states.result.Body %}",
            }
        }
    ), "xxx"


@case
def an_sdk_error_that_the_service_declares(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:s3:getObject",
                "End": True,
                "Arguments": {"Bucket": world.bucket, "Key": "none"},
            }
        }
    ), Error("S3.NoSuchKeyException", "Service: S3, Status Code: 404")


@case
def an_sdk_error_without_a_document(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:s3:headObject",
                "End": True,
                "Arguments": {"Bucket": world.bucket, "Key": "none"},
            }
        }
    ), Error("S3.NoSuchKeyException")


@case
def an_sdk_error_that_the_service_does_not_declare(_: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": f"{SDK}:sagemaker:describeTrainingJob",
                "End": True,
                "Arguments": {"TrainingJobName": "nobody"},
            }
        }
    ), Error("SageMaker.SageMakerException", "Service: SageMaker")


@case
def a_result_beyond_the_limit(world: World) -> Case:
    task = world.task({"mode": "large", "size": 262_144}, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "C"}])
    return jsonata({"A": task, "C": {"Type": "Succeed"}}), Error("States.DataLimitExceeded")


@case
def a_result_within_the_limit(world: World) -> Case:
    task = world.task({"mode": "large", "size": 260_000}, Output="{% $length($states.result.Payload) %}")
    return jsonata({"A": task}), 260_000


@case
def data_of_a_state_beyond_the_limit(_: World) -> Case:
    return jsonata({"A": {"Type": "Pass", "Output": "{% $join([1..60000].('12345')) %}", "End": True}}), Error(
        "States.DataLimitExceeded"
    )


@case
def a_callback_whose_function_raises(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": CALLBACK,
                "TimeoutSeconds": 20,
                "End": True,
                "Arguments": {
                    "FunctionName": world.worker,
                    "Payload": {"mode": "raise", "token": "{% $states.context.Task.Token %}"},
                },
            }
        }
    ), Error("TrainingFailed", "boom")


@case
def a_message_is_published(world: World) -> Case:
    return jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sns:publish",
                "End": True,
                "Arguments": {
                    "TopicArn": world.topic,
                    "Subject": "s",
                    "Message": {"a": 1},
                    "MessageAttributes": {"k": {"DataType": "String", "StringValue": "v"}},
                },
                "Output": "{% $exists($states.result.MessageId) %}",
            }
        }
    ), True


@pytest.fixture(scope="module")
def world(cloud: LocalCloud) -> World:
    return World(cloud)


@pytest.fixture(scope="module")
def started(world: World) -> dict[str, tuple[str, Any]]:
    """The execution of every case, and what is expected of it."""
    found = {}
    for name, build in CASES.items():
        definition, expected = build(world)
        found[name] = (world.start(definition, {"v": 5, "seconds": 1, "none": None, "sätze": "ü"}), expected)
    return found


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_as_on_aws(name: str, world: World, started: dict[str, tuple[str, Any]]) -> None:
    execution, expected = started[name]
    found = world.ended(execution, within=40)
    if isinstance(expected, Error):
        assert (found["status"], found.get("error")) == ("FAILED", expected.name), found
        assert expected.text in found.get("cause", "")
    else:
        assert found["status"] == "SUCCEEDED", (found.get("error"), found.get("cause"))
        assert found["output"] == expected


def test_a_published_message_arrives_with_its_attributes(world: World, started: dict[str, tuple[str, Any]]) -> None:
    world.ended(started["a_message_is_published"][0])
    (message,) = world.queue.receive()
    assert message == {"body": {"a": 1}, "attributes": {"k": "v"}}
