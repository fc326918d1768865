"""Expressions in states: what they see, and an error that says which field of which state it is about, as on AWS."""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata, StringVariableSample

from local_cloud import hooks
from local_cloud.state_machines import jsonata


def install() -> None:
    """Evaluate JSONata, and the variables of JSONPath states, with `jsonata.evaluate`."""
    hooks.replace(StringJSONata, "_eval_body", "self env", lambda _: _evaluate)
    hooks.replace(StringVariableSample, "_eval_body", "self env", lambda _: _evaluate)
    hooks.replace(FailureEventException, "get_execution_failed_event_details", "self", _placed_once)


def _evaluate(self: Any, env: Any) -> None:
    """The value of an expression over $states and the variables in scope."""
    data = env.states._states_data
    states = {name: data.get(name) for name in ("input", "context", "result")}
    if data.get("errorOutput") is not None:
        states["errorOutput"] = data["errorOutput"]
    store = env.variable_store
    try:
        env.stack.append(
            jsonata.evaluate(self.expression, {**store._outer_scope, **store._inner_scope, "states": states})
        )
    except jsonata.QueryError as error:
        raise ExpressionFailed(env, self.expression, str(error)) from error


class ExpressionFailed(FailureEventException):  # type: ignore[misc]
    """`States.QueryEvaluationError` with the place of the expression, as AWS tells it."""

    def __init__(self, env: Any, expression: str, reason: str) -> None:
        state, place = _place_of(env, expression)
        named = f" specified for the field '{place}'" if place else ""
        self._details = {
            "error": StatesErrorNameType.StatesQueryEvaluationError.to_name(),
            "cause": f"An error occurred while executing the state '{state}' (entered at the event id "
            f"#{env.__dict__.get('entered', 0)}). The JSONata expression '{expression}'{named} {reason}",
            "state": state,
            **({"location": place} if place else {}),
        }
        super().__init__(
            FailureEvent(
                env=env,
                error_name=StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError),
                event_type=HistoryEventType.EvaluationFailed,
                event_details={"evaluationFailedEventDetails": self._details},
            )
        )

    def record(self, env: Any) -> None:
        """Write the failure into the history."""
        env.event_manager.add_event(
            env.event_history_context,
            HistoryEventType.EvaluationFailed,
            {"evaluationFailedEventDetails": self._details},
        )

    def get_evaluation_failed_event_details(self) -> dict[str, str]:
        """As in the history."""
        return self._details


def _placed_once(original: Any) -> Any:
    """The interpreter puts the place before every such cause, also before one that has it."""

    def details(self: Any) -> Any:
        given = next(iter((self.failure_event.event_details or {"": {}}).values())).get("cause") or ""
        found = original(self)
        return {**found, "cause": given} if given.startswith("An error occurred while executing the state") else found

    return details


def _place_of(env: Any, expression: str) -> tuple[str, str]:
    """The state that is being run and the field of it that holds the expression."""
    context = env.states.context_object.context_object_data
    state = (context.get("State") or {}).get("Name", "")
    return state, _find(env.aws_execution_details.definition, state, expression)


def _find(node: Any, state: str, expression: str) -> str:
    for name, states in _items(node):
        if name == "States" and state in states:
            return _path_to(states[state], expression) or ""
        if found := _find(states, state, expression):
            return found
    return ""


def _path_to(node: Any, expression: str) -> str | None:
    if isinstance(node, str):
        return "" if node.startswith("{%") and node[2:-2].strip() == expression.strip() else None
    for name, value in _items(node):
        found = _path_to(value, expression)
        if found is not None:
            here = f"[{name}]" if isinstance(node, list) else str(name)
            return here + ("" if not found or found.startswith("[") else "/") + found
    return None


def _items(node: Any) -> Any:
    if isinstance(node, dict):
        return node.items()
    return enumerate(node) if isinstance(node, list) else ()
