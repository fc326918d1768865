"""One run of an execution: from its start or its redrive to its end.

MiniStack keeps the record of the execution; this runs it on moto's interpreter. The record holds the definition, the
role and the logging configuration with which the execution started, so a later update of the state machine does not
reach it, and the state that it is in, so that a redrive can go on from there.
"""

from __future__ import annotations

import contextvars
import copy
import json
import logging
import threading
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import stepfunctions
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError

from local_cloud import hooks
from local_cloud.state_machines.history import Closed, History, now
from local_cloud.state_machines.interpreter import to_json
from local_cloud.state_machines.interruption import deadlines
from local_cloud.state_machines.programs import parse
from local_cloud.state_machines.status_events import emit

logger = logging.getLogger(__name__)
_live: dict[str, Execution] = {}
_EVENTS = {
    "SUCCEEDED": "executionSucceeded",
    "FAILED": "executionFailed",
    "ABORTED": "executionAborted",
    "TIMED_OUT": "executionTimedOut",
}


def install() -> None:
    """Run what MiniStack starts, StartSyncExecution included."""
    hooks.require(Environment, "set_stop", "set_timed_out", "set_error", "program_state")
    hooks.replace(stepfunctions, "_run_execution", "exec_arn", lambda _: _run_now)


def running(arn: str) -> Execution | None:
    """The run of an execution that has not ended."""
    return _live.get(arn)


def snapshot(machine: dict[str, Any]) -> dict[str, Any]:
    """What an execution keeps of the state machine, or version of one, that it runs."""
    kept = ("definition", "roleArn", "type", "loggingConfiguration", "revisionId", "encryptionConfiguration")
    return {
        **{name: copy.deepcopy(machine.get(name)) for name in kept},
        "name": machine.get("name") or machine["stateMachineArn"].split(":")[6],
        "updateDate": machine.get("updateDate") or machine.get("creationDate"),
    }


class Execution:
    """A run in its own thread; it ends once, however many ends come at the same time."""

    def __init__(self, record: dict[str, Any], *, redriven: bool = False) -> None:
        self.record = record
        self._lock = threading.Lock()
        self._environment: Any = None
        self._resume: dict[str, Any] | None = record.get("checkpoint") if redriven else None
        self._history = History(record)
        if redriven:
            self._history.reopen(
                "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": record["redriveCount"]}}
            )
        else:
            self._history.add_event(
                EventHistoryContext(0),
                "ExecutionStarted",
                {
                    "executionStartedEventDetails": {
                        "input": record["input"],
                        "inputDetails": {"truncated": False},
                        "roleArn": record["machine"]["roleArn"],
                        **(
                            {"stateMachineVersionArn": record["stateMachineVersionArn"]}
                            if record.get("stateMachineVersionArn")
                            else {}
                        ),
                    }
                },
            )
        _live[record["executionArn"]] = self

    def start(self) -> None:
        """Tell that it runs, and run."""
        emit(self.record)
        threading.Thread(target=contextvars.copy_context().run, args=(self.run,), daemon=True, name="execution").start()

    def run(self) -> None:
        """Run to the end."""
        try:
            self._run()
        except Exception as error:
            logger.exception("the interpreter failed in %s", self.record["executionArn"])
            self.end("FAILED", error="States.Runtime", cause=repr(error))
        finally:
            if _live.get(self.record["executionArn"]) is self:
                del _live[self.record["executionArn"]]

    def stop(self, error: str | None, cause: str | None) -> bool:
        """End it as aborted; False if it has ended already."""
        ended = self.end("ABORTED", error=error, cause=cause)
        if ended and self._environment is not None:
            self._environment.set_stop(stop_date=self.record["stopDate"], error=error, cause=cause)
        return ended

    def resumed_at(self, state: Any) -> int | None:
        """The event with which a redriven execution entered this Task, Parallel or Map state; None to enter it now."""
        resume, self._resume = self._resume, None
        return resume["entered"] if resume and isinstance(state, ExecutionState) else None

    def enter(self, state: str, entered: int, environment: Any) -> None:
        """Remember where a redrive is to go on."""
        store = environment.variable_store
        self.record["checkpoint"] = {
            "state": state,
            "entered": entered,
            "input": environment.states.get_input(),
            "variables": copy.deepcopy(store._inner_scope),
        }

    def end(
        self,
        status: str,
        *,
        output: str | None = None,
        error: str | None = None,
        cause: str | None = None,
    ) -> bool:
        """Close the history and the record; False if that has been done."""
        with self._lock:
            if self.record["status"] != "RUNNING":
                return False
            details: dict[str, Any] = {}
            if status == "SUCCEEDED":
                details = {"output": output, "outputDetails": {"truncated": False}}
            elif status == "TIMED_OUT":
                error = "States.Timeout"
            else:
                details = {name: value for name, value in (("error", error), ("cause", cause)) if value is not None}
            event = _EVENTS[status]
            self._history.close(
                event[:1].upper() + event[1:], {f"{event}EventDetails": details}, from_start=status == "ABORTED"
            )
            if status == "SUCCEEDED":
                self.record.pop("checkpoint", None)
            self.record.update(output=output, error=error, cause=cause, stopDate=now(), status=status)
        emit(self.record)
        return True

    def _run(self) -> None:
        machine = self.record["machine"]
        program = parse(machine["definition"])
        env = self._new_environment(machine)
        env.next_state_name = self._resume["state"] if self._resume else program.start_at.start_at_name
        self._environment = env
        if self.record["status"] != "RUNNING":
            return
        limit = program.timeout_seconds
        cancel = deadlines.after(limit.timeout_seconds, self._time_out) if limit else None
        try:
            while env.is_running():
                program._get_state(env.next_state_name).eval(env)
                env.stack.clear()
                env.heap.clear()
        except Closed:
            return
        except FailureEventException as error:
            env.set_error(error.get_execution_failed_event_details())
        except Exception as error:  # noqa: BLE001 - whatever the interpreter stumbles on fails the execution
            env.set_error({"error": "States.Runtime", "cause": str(error)})
        finally:
            if cancel:
                cancel()
        self._reflect(env.program_state())

    def _reflect(self, state: Any) -> None:
        if isinstance(state, ProgramEnded):
            self.end("SUCCEEDED", output=to_json(self._environment.states.get_input()))
        elif isinstance(state, ProgramError):
            details = state.error or {}
            self.end("FAILED", error=details.get("error"), cause=details.get("cause"))

    def _time_out(self) -> None:
        if self.end("TIMED_OUT"):
            self._environment.set_timed_out()

    def _new_environment(self, machine: dict[str, Any]) -> Any:
        record = self.record
        execution = {
            "Id": record["executionArn"],
            "Input": json.loads(record["input"]),
            "Name": record["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": record["startDate"],
        }
        if record["redriveCount"]:
            execution |= {"RedriveCount": record["redriveCount"], "RedriveTime": record["redriveDate"]}
        details = AWSExecutionDetails(account=get_account_id(), region=get_region(), role_arn=machine["roleArn"])
        details.definition = json.loads(machine["definition"])
        env = Environment(
            aws_execution_details=details,
            execution_type=machine["type"],
            context={
                "Execution": execution,
                "StateMachine": {"Id": record["stateMachineArn"], "Name": machine["name"]},
            },
            event_history_context=EventHistoryContext(self._history.last_id),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        env.event_manager = self._history
        env.execution = self
        if self._resume:
            env.states.reset(input_value=self._resume["input"])
            env.variable_store._inner_scope.update(copy.deepcopy(self._resume["variables"]))
        return env


def _run_now(arn: str) -> None:
    """Run an execution of which MiniStack has made the record, in the thread that asks for it."""
    record = stepfunctions._executions.get(arn)
    machine = stepfunctions._state_machines.get(record["stateMachineArn"])
    record.update(machine=snapshot(machine), redriveCount=0, redriveDate=None, events=[])
    Execution(record).run()
