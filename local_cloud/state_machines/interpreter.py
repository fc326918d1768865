"""moto's interpreter of the Amazon States Language, with what it does differently from AWS put right.

* A state's Output sees the variables as they were, not as its own Assign sets them; both apply only if both succeed.
* A failing Output of a task can be caught.
* Each attempt of a task has its own token; an attempt ends at once when its time is up or the execution ends, and what
  it does afterwards leaves no trace. Pauses and Wait states end with the execution.
* A Choice without a matching rule is `States.NoChoiceMatched`.
* The size of data is that of its compact UTF-8 form.
"""

from __future__ import annotations

import contextvars
import copy
import json
import logging
import sys
import threading
from typing import Any

from moto.stepfunctions.parser import quotas, utils
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.assign.assign_decl import AssignDecl
from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.utils import encoding
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from local_cloud import hooks
from local_cloud.state_machines import callbacks
from local_cloud.state_machines.expressions import ExpressionFailed
from local_cloud.state_machines.history import Attempt, Closed, now, written
from local_cloud.state_machines.interruption import pause, woken_at_the_end_of
from local_cloud.state_machines.limits import PAYLOAD_BYTES


def install() -> None:
    """Replace the places listed above."""
    hooks.replace(CommonStateField, "_eval_body", "self env", lambda _: _run_state)
    hooks.replace(StateTaskServiceCallback, "_eval_body", "self env", lambda _: _run_state)
    hooks.replace(ExecutionState, "_evaluate_with_timeout", "self env", lambda _: _attempt)
    hooks.replace(AssignDecl, "_eval_body", "self env", lambda _: _prepare_assignment)
    hooks.replace(RetrierDecl, "_eval_body", "self env", lambda _: _retry)
    hooks.replace(WaitFunction, "_wait_interval", "self env wait_seconds", lambda _: _wait)
    hooks.replace(StateChoice, "_eval_state", "self env", _choosing)
    hooks.replace(StateTaskServiceCallback, "_get_callback_outcome_failure_event", "self env ex", _with_given_error)
    hooks.replace(quotas, "is_within_size_quota", "value", _everywhere(lambda _: is_within_size_quota))
    hooks.replace(encoding, "to_json_str", "obj separators", _everywhere(lambda _: to_json))
    for module in list(sys.modules.values()):
        if getattr(module, "TMP_THREADS", None) is utils.TMP_THREADS and module is not utils:
            module.TMP_THREADS = _Forgetful()  # type: ignore[attr-defined]
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)


class _Forgetful(list[Any]):
    """moto keeps every thread of every branch for ever; nothing reads the list."""

    def append(self, _: Any) -> None:
        """Keep nothing."""


def _everywhere(build: Any) -> Any:
    """Replace a function in the modules that have imported it too."""

    def replace(original: Any) -> Any:
        replacement = build(original)
        for module in list(sys.modules.values()):
            name = original.__name__
            if getattr(module, name, None) is original:
                setattr(module, name, replacement)
        return replacement

    return replace


def to_json(value: Any, separators: Any = (",", ":")) -> str:
    """Compact JSON as Step Functions writes it: unicode as it is, moments in UTC."""
    return json.dumps(value, default=_plain, separators=separators or (",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return written(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def is_within_size_quota(value: Any) -> bool:
    """Whether a state may have this as its data."""
    text = value if isinstance(value, str) else to_json(value)
    return len(text.encode()) <= PAYLOAD_BYTES


def _run_state(self: Any, env: Any) -> None:
    """Enter the state, do what it does, leave it."""
    execution = env.__dict__.get("execution")
    entered = execution.resumed_at(self) if execution else None
    if entered is None:
        entered = env.event_manager.add_event(
            env.event_history_context,
            self.state_entered_event_type,
            {"stateEnteredEventDetails": self._get_state_entered_event_details(env=env)},
        )
    if execution:
        execution.enter(self.name, entered, env)
    env.entered, env.assignment = entered, {}
    env.states.context_object.context_object_data["State"] = {"EnteredTime": now(), "Name": self.name}
    try:
        self._eval_state_input(env=env)
        self._eval_state(env)
    except NoSuchJsonPathError as error:
        raise _failure(
            env,
            "StatesRuntime",
            HistoryEventType.TaskFailed,
            "taskFailedEventDetails",
            f"The JSONPath '{error.json_path}' specified for the field '{env.next_field_name}' could not be found in "
            f"the input '{to_json(error.data)}'",
        ) from error
    except ExpressionFailed as error:
        if not isinstance(self, ExecutionState):
            error.record(env)
        raise
    if not env.is_running():
        return
    caught = bool(env.stack) and env.stack[-1] is CatchOutcome.Caught
    try:
        self._eval_state_output(env=env)
        self._verify_size_quota(env=env, value=env.states.get_input())
    except FailureEventException as error:
        if isinstance(error, ExpressionFailed):
            error.record(env)
        caught = _caught(self, env, error)
    for name, value in env.assignment.items():
        env.variable_store.set(variable_identifier=name, variable_value=value)
    if not caught:
        self._set_next(env)
    if self.state_exited_event_type is not None:
        env.event_manager.add_event(
            env.event_history_context,
            self.state_exited_event_type,
            {"stateExitedEventDetails": self._get_state_exited_event_details(env=env)},
        )


def _caught(state: Any, env: Any, error: Any) -> bool:
    """Whether a Catch takes the failure of the state's Output; raise it otherwise."""
    event = error.failure_event
    if isinstance(state, ExecutionState) and state.catch:
        env.assignment = {}
        output = state._construct_error_output_value(failure_event=event)
        env.states.set_error_output(output)
        env.states.set_result(output)
        state._handle_catch(env=env, failure_event=event)
        if env.stack[-1] is CatchOutcome.Caught:
            return True
    raise error


def _prepare_assignment(self: Any, env: Any) -> None:
    """Evaluate Assign; the state sets the variables when it is left."""
    prepared: dict[str, Any] = {}
    for binding in self.declaration_bindings:
        binding.eval(env=env)
        prepared.update(env.stack.pop())
    env.assignment = prepared


def _attempt(self: Any, env: Any) -> None:
    """Do what a Task, Parallel or Map state does, once, within its time."""
    if isinstance(self, StateTaskServiceCallback) and self.resource.condition is not None:
        with callbacks.token_for(env):
            output = _output_within_time(self, env)
    else:
        output = _output_within_time(self, env)
    if output is _NOTHING:
        return
    env.stack.append(output)
    if not self._is_language_query_jsonpath():
        env.states.set_result(output)
    if self.assign_decl:
        self.assign_decl.eval(env=env)
    if self.result_selector:
        self.result_selector.eval(env=env)
    if self.result_path:
        self.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


_NOTHING = object()


def _output_within_time(self: Any, env: Any) -> Any:
    """What the attempt answers; _NOTHING if the execution ended meanwhile, EvalTimeoutError if its time did."""
    seconds = threading.TIMEOUT_MAX
    if not self.timeout.is_default_value():  # moto's default is a minute where there is a heartbeat
        self.timeout.eval(env=env)
        seconds = min(float(env.stack.pop()), seconds)
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    frame.entered = env.entered
    frame.event_manager = history = Attempt(env.event_manager)
    outcome: list[Any] = []
    with woken_at_the_end_of(env) as woken:

        def run() -> None:
            try:
                self._eval_execution(frame)
                outcome.append(json.loads(to_json(frame.stack[-1])))
            except Closed:
                return
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                outcome.append(error)
            woken.set()

        threading.Thread(
            target=contextvars.copy_context().run, args=(run,), daemon=True, name=f"state-{self.name}"[:15]
        ).start()
        woken.wait(seconds)
    history.close()
    frame.set_ended()
    env.close_frame(frame)
    if not env.is_running():
        return _NOTHING
    if not outcome:
        raise EvalTimeoutError
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _retry(self: Any, env: Any) -> None:
    """Whether this retrier gives another attempt; its pause ends with the execution."""
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for part in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        part.eval(env=env)
    pause(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


def _wait(_: Any, env: Any, wait_seconds: float) -> None:
    pause(env, wait_seconds)


def _choosing(original: Any) -> Any:
    def eval_state(self: Any, env: Any) -> None:
        try:
            original(self, env)
        except RuntimeError as error:
            if "No branching option" not in str(error):
                raise
            raise _failure(
                env,
                "StatesNoChoiceMatched",
                HistoryEventType.ExecutionFailed,
                "executionFailedEventDetails",
                f"An error occurred while executing the state '{self.name}' (entered at the event id #{env.entered}). "
                "Failed to transition out of the state. The state does not point to a next state.",
            ) from error

    return eval_state


def _with_given_error(original: Any) -> Any:
    """SendTaskFailure needs to give neither an error nor a cause."""

    def event(self: Any, env: Any, ex: Any) -> Any:
        found = original(self, env=env, ex=ex)
        details = found.event_details["taskFailedEventDetails"]
        found.event_details["taskFailedEventDetails"] = {
            name: value for name, value in details.items() if value is not None
        }
        return found

    return event


def _failure(env: Any, error: str, event_type: Any, details: str, cause: str) -> Any:
    kind = getattr(StatesErrorNameType, error)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=event_type,
            event_details={details: {"error": kind.to_name(), "cause": cause}},
        )
    )
