"""The state machine as it is shipped: patient with what passes, never hanging, legible in the console."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template.rendering import STATE_MACHINE, definition, resources, role_statements, substituted_names, written

STATES: dict[str, dict[str, Any]] = definition()["States"]
TASKS = sorted(name for name, state in STATES.items() if state["Type"] == "Task")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_cannot_hang(name: str) -> None:
    seconds = STATES[name]["TimeoutSeconds"]
    if STATES[name]["Resource"].endswith(".waitForTaskToken"):
        assert seconds == "{% $min([1800, 1800, $lookAfterSeconds]) %}"
    else:
        assert 0 < seconds <= 900


@pytest.mark.parametrize("name", TASKS)
def test_a_task_retries_named_errors_with_backoff_a_cap_and_full_jitter(name: str) -> None:
    assert STATES[name]["Retry"]
    for retry in STATES[name]["Retry"]:
        assert not {"States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"])
        assert retry["BackoffRate"] > 1
        assert retry["MaxDelaySeconds"] >= retry["IntervalSeconds"] > 0
        assert retry["MaxAttempts"] > 0
        assert retry["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("name", [name for name in TASKS if ":lambda:" in STATES[name]["Resource"]])
def test_a_function_that_is_throttled_for_ever_fails_its_run_within_an_hour(name: str) -> None:
    """An error that no Catch takes ends the execution; the fault table waits for others of them."""
    error = "Lambda.TooManyRequestsException"
    (retry,) = [item for item in STATES[name]["Retry"] if error in item["ErrorEquals"]]
    assert 600 <= retry["MaxAttempts"] * retry["MaxDelaySeconds"] <= 3600
    assert not [item for item in STATES[name].get("Catch", []) if {error, "States.ALL"} & set(item["ErrorEquals"])]


@pytest.mark.parametrize("name", sorted(STATES))
def test_a_state_has_a_comment_that_reads_as_a_sentence(name: str) -> None:
    comment = STATES[name]["Comment"]
    assert re.fullmatch(r"[A-Z].{15,}\.", comment), comment
    assert re.fullmatch(r"([A-Z][a-z]+)+", name)


def test_the_execution_itself_ends_some_day() -> None:
    assert 0 < definition()["TimeoutSeconds"] <= 14 * 24 * 3600


def test_every_substitution_is_given_and_used() -> None:
    assert (
        set(written()["Resources"]["TrainingStateMachine"]["Properties"]["DefinitionSubstitutions"])
        == substituted_names()
    )


def test_a_waiting_period_stays_within_the_history_of_an_execution() -> None:
    """25,000 events; a round of TrainModel and ReconcileJob takes about 12."""
    parameters = written()["Parameters"]
    period = min(parameters[name]["Default"] for name in ("ReconcilePeriodSeconds", "WaitingNoticeSeconds"))
    assert definition()["TimeoutSeconds"] / period * 12 < 25_000 / 2


def test_the_pauses_for_a_quota_grow_to_twenty_times_the_first_and_fit_into_a_history() -> None:
    """A round of WaitForQuota and TrainModel takes about 9 events; a run waits 240 hours at most."""
    expression = re.fullmatch(
        r"\{% \$ceil\(\$min\(\[(\d+), \$power\(([\d.]+), \$quotaPauses\)\]\) \* (\d+)\) %\}",
        STATES["WaitForQuota"]["Seconds"],
    )
    assert expression
    most, growth, first = int(expression[1]), float(expression[2]), int(expression[3])
    assert first == written()["Parameters"]["QuotaPauseSeconds"]["Default"]
    assert (most, growth) == (20, 1.5)
    assert 240 * 3600 / (most * first) * 9 < 25_000 * 0.6
    assert STATES["WaitForQuota"]["Assign"] == {"quotaPauses": "{% $quotaPauses + 1 %}"}


def test_what_a_run_waits_for_is_a_state_of_its_own_and_no_hidden_retry() -> None:
    """Each attempt, each pause and each look is an entered state; the retries left are of Lambda and of moments."""
    retried = {error for retry in STATES["TrainModel"]["Retry"] for error in retry["ErrorEquals"]}
    assert {error for error in retried if not error.startswith(("Lambda.", "Sandbox."))} == {"TransientError"}
    ways = {error: item["Next"] for item in STATES["TrainModel"]["Catch"] for error in item["ErrorEquals"]}
    assert ways == {
        "States.Timeout": "ReconcileJob",
        "QuotaInUse": "WaitForQuota",
        "CapacityError": "ClimbLadder",
        "SpotNeverArrived": "ClimbLadder",
        "QuotaError": "ClimbLadder",
    }
    assert {STATES[name]["Next"] for name in ("ReconcileJob", "WaitForQuota", "ClimbLadder")} == {"TrainModel"}


def test_the_machine_may_invoke_exactly_the_functions_that_its_states_name() -> None:
    substitutions = written()["Resources"]["TrainingStateMachine"]["Properties"]["DefinitionSubstitutions"]
    named = {value["Fn::GetAtt"][0] for value in substitutions.values() if "Fn::GetAtt" in value}
    (invoking,) = [
        item for item in role_statements()["TrainingStateMachineRole"] if item["Action"] == "lambda:InvokeFunction"
    ]
    assert {item["Fn::GetAtt"][0] for item in invoking["Resource"]} == named


def test_it_logs_everything_to_a_group_that_it_can_write_to_and_traces() -> None:
    (machine,) = resources("AWS::StepFunctions::StateMachine").values()
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["LoggingConfiguration"]["Destinations"] == [
        {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["TrainingStateMachineLogs", "Arn"]}}}
    ]
    group = resources("AWS::Logs::LogGroup")["TrainingStateMachineLogs"]
    assert group["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/states/")
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_only_a_rejected_dataset_ends_in_a_fail_state() -> None:
    """A redrive of an execution that ended in a Fail state only enters that state again."""
    assert [name for name, state in STATES.items() if state["Type"] == "Fail"] == ["DatasetRejected"]


def test_the_definition_is_far_from_the_limit_of_a_megabyte() -> None:
    assert len(json.dumps(json.loads(STATE_MACHINE.read_text()))) < 200_000
