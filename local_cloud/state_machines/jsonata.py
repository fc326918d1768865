"""JSONata as Step Functions evaluates it.

moto calls a JSONata engine that it does not ship (LocalStack's runs on a JVM) and passes variables as program text.
Here the engine is jsonata-python, values are bound and not printed, and Step Functions' own functions ($partition,
$range, $hash, $random, $uuid, $parse) are registered. An expression without a result and one whose result is no JSON
fail as on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonata
from ministack.services import stepfunctions

from local_cloud import hooks

TIMEOUT_MILLISECONDS = 5000
"""AWS stops an expression after a second of its own; this machine may be busy."""


class QueryError(Exception):
    """An expression has no result that a state can use; the text is how AWS ends its sentence about it."""


def install() -> None:
    """Check that MiniStack still has Step Functions' own functions."""
    hooks.require(stepfunctions, "_register_sfn_jsonata_functions")


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The JSON value of an expression; the names of `variables` are without the dollar sign."""
    bindings = {name: _bindable(value) for name, value in variables.items()}
    try:
        found = _program(expression).evaluate(None, bindings)
        if found is None and not _program(f"$exists(({expression}))").evaluate(None, bindings):
            raise QueryError("returned nothing (undefined).")
    except QueryError:
        raise
    except Exception as error:
        code = getattr(error, "error", None)
        text = f"{code}: {error}" if isinstance(code, str) and code else str(error)
        raise QueryError(f"threw an error during evaluation. {text}") from error
    try:
        return json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise QueryError("returned an unsupported result type.") from error


def _program(expression: str) -> Any:
    program = jsonata.Jsonata.jsonata(expression, timeout=TIMEOUT_MILLISECONDS)
    stepfunctions._register_sfn_jsonata_functions(program)
    program.register_lambda("eval", _no_eval)
    return program


def _no_eval(*_: Any) -> Any:
    raise ValueError("D3120: $eval is not available in Step Functions; use $parse")


def _bindable(value: Any) -> Any:
    """The engine takes a bound None for `undefined`; null has a value of its own."""
    return jsonata.utils.Utils.NULL_VALUE if value is None else value
