"""A Python function's side of the Lambda Runtime API, for hosts where awslambdaric has no wheel.

    python runtime_client.py MODULE.FUNCTION

Answers and errors are byte for byte what awslambdaric posts; a contract test holds the two together. It needs only
the standard library, because it runs in the functions' environment.
"""

from __future__ import annotations

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any

API = os.environ.get("AWS_LAMBDA_RUNTIME_API", "")
BASE = "/2018-06-01/runtime"


class Fault(Exception):
    """A function that cannot be started or whose answer is no JSON; `kind` is the errorType."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None):
        super().__init__(message)
        self.kind, self.trace = kind, trace or []


@dataclass
class Context:
    """What a handler gets as its context."""

    aws_request_id: str
    invoked_function_arn: str
    _deadline_ms: int
    client_context: Any = None
    identity: Any = None
    tenant_id: str | None = None

    def __post_init__(self) -> None:
        read = os.environ.get
        self.log_group_name = read("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = read("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = read("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = read("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = read("AWS_LAMBDA_FUNCTION_VERSION")

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is ended."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


def find_handler(name: str) -> Any:
    """The function that `module.function` names; Fault says why there is none."""
    module_name, dot, function = name.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        )
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", trace) from error
    try:
        return getattr(module, function)
    except AttributeError as error:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module_name}'") from error


def error_document(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """What AWS answers for an error: the class name is the errorType."""
    if isinstance(error, Fault):
        kind, trace = error.kind, error.trace
    else:
        frames = [
            (frame.filename, frame.lineno or 0, frame.name, frame.line)
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        first = next((index for index, frame in enumerate(frames) if frame[0] != __file__), 0)
        kind, trace = type(error).__name__, traceback.format_list(frames[first:])
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": trace}


def to_json(value: Any) -> bytes:
    """An answer as JSON; Fault if it cannot be."""

    def decimals(item: Any) -> Any:
        if isinstance(item, decimal.Decimal):
            return int(item) if item == item.to_integral_value() else float(item)
        raise TypeError(f"Object of type {type(item).__name__} is not JSON serializable")

    try:
        return json.dumps(value, ensure_ascii=False, default=decimals).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def log_error(document: dict[str, Any]) -> None:
    """Write the error as Lambda logs it."""
    lines = [f"[ERROR] {document['errorType']}: {document['errorMessage']}", "Traceback (most recent call last):"]
    lines += [line for entry in document["stackTrace"] for line in entry.splitlines()]
    print("\n".join(lines), flush=True)


def exchange(method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
    """One request to the Runtime API, its answer read."""
    connection = http.client.HTTPConnection(API)
    connection.request(method, BASE + path, body, {"Content-Type": "application/json"})
    return connection.getresponse()


def serve(name: str) -> int:
    """Find the handler and answer invocations until the platform goes away; 1 if there is no handler."""
    try:
        handler = find_handler(name)
    except Exception as error:  # noqa: BLE001 - whatever the module raises is the answer
        document = error_document(error)
        log_error(document)
        exchange("POST", "/init/error", to_json(document)).read()
        return 1
    while True:
        answer = exchange("GET", "/invocation/next")
        body = answer.read()
        if answer.status != 200:
            return 0
        request_id = _Request.request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = answer.headers.get("Lambda-Runtime-Trace-Id", "")
        context = Context(
            request_id,
            answer.headers["Lambda-Runtime-Invoked-Function-Arn"],
            int(answer.headers["Lambda-Runtime-Deadline-Ms"]),
        )
        try:
            kind, result = "response", to_json(handler(json.loads(body), context))
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is the answer
            document = error_document(error, request_id)
            log_error(document)
            kind, result = "error", to_json(document)
        exchange("POST", f"/invocation/{request_id}/{kind}", result).read()


class _Request(logging.Filter):
    """Gives every record the id of the request that is being answered."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _Request.request_id
        return True


def main() -> int:
    """Set up what Lambda sets up and serve."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    handler = logging.StreamHandler(sys.stdout)
    logging.Formatter.converter = time.gmtime
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
        )
    )
    handler.addFilter(_Request())
    logging.getLogger().addHandler(handler)
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    return serve(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
