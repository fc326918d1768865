"""Python functions as Lambda runs them: awslambdaric in an environment of the functions' own.

MiniStack runs them on its own interpreter, with its own packages and its own environment variables, and calls every
exception `Runtime.HandlerError`. Here a function sees what its artefact and AWS's runtime contain and nothing else,
errors, timeouts and failed imports have AWS's names, and an update leaves the invocations alone that are on.
"""

from __future__ import annotations

import contextvars
import functools
import os
import queue
import shlex
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

from ministack.core import lambda_runtime
from ministack.core.responses import error_response_json, get_region, new_uuid
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from local_cloud import hooks, iam
from local_cloud.lambda_memory import MemoryWatch
from local_cloud.lambda_output import Output

TASK_ROOT = "/var/task"
_peak: contextvars.ContextVar[int] = contextvars.ContextVar("peak", default=0)
OWN_CLIENT = Path(__file__).with_name("runtime_client.py")


class PythonWorker(lambda_runtime.ProvidedWorker):  # type: ignore[misc]
    """One execution environment of a Python function."""

    _exit_code: int | None = None
    _output: Output | None = None
    _invoking = False
    _retired = False

    def invoke(self, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        """Run one invocation; every failure comes back as the error document that AWS answers."""
        with lambda_runtime._lock:
            self._invoking = True
        try:
            return self._invoke(event, request_id, **options)
        finally:
            with lambda_runtime._lock:
                self._invoking = False
            if self._retired:
                self.kill()

    def retire(self) -> bool:
        """Whether an invocation is on, after which this environment will end; called under MiniStack's lock."""
        self._retired = self._invoking
        return self._invoking

    def _invoke(self, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        try:
            with MemoryWatch(lambda: self._proc, int(self.config.get("MemorySize") or 128)) as memory:
                result: dict[str, Any] = super().invoke(event, request_id, **options)
        except RuntimeError as error:
            # MiniStack turns a failed import into text; the document that the runtime client posted is still here.
            document = self._init_error
            if not isinstance(document, dict):
                document = {"errorType": "Runtime.ExitError", "errorMessage": str(error)}
            result = {"status": "error", "error_payload": document, "log": self._drain_stderr()}
        _peak.set(memory.peak)
        document = result.get("error_payload")
        if isinstance(document, dict):
            result["error_payload"] = self._as_on_lambda(document, request_id)
        result["log"] = result.get("log", "").replace(self._code_dir, TASK_ROOT)
        return result

    def _build_handler_class(self, generation: int, pending: Any) -> Any:
        """The Runtime API; an answer in two small packets would wait 40 ms for the acknowledgement of the first."""
        original = super()._build_handler_class(generation, pending)
        return type("RuntimeApi", (original,), {"wbufsize": -1, "disable_nagle_algorithm": True})

    def _pump_output(self, stream: IO[bytes], log_queue: queue.Queue[str]) -> None:
        self._output = Output(stream, log_queue)
        self._output.pump()

    def _drain_stderr_bounded(self, **_: float) -> str:
        if self._output is not None:
            self._output.collect()
        return str(self._drain_stderr())

    def _teardown(self) -> None:
        if self._proc is not None:
            self._exit_code = self._proc.poll()
        super()._teardown()

    def _as_on_lambda(self, document: dict[str, Any], request_id: str) -> dict[str, Any]:
        message, kind = document.get("errorMessage", ""), document.get("errorType")
        if kind == "Sandbox.Timedout" and not message.startswith("RequestId"):
            message = f"RequestId: {request_id} Error: {message}"
        elif kind == "Runtime.ExitError" and not message.startswith("RequestId"):
            message = f"RequestId: {request_id} Error: Runtime exited {_reason(self._exit_code)}"
        fixed = {**document, "errorMessage": message.replace(self._code_dir, TASK_ROOT)}
        if "stackTrace" in document:
            fixed["stackTrace"] = [line.replace(self._code_dir, TASK_ROOT) for line in document["stackTrace"]]
        return fixed

    @functools.cached_property
    def _code_dir(self) -> str:
        directory: str = lambda_svc._provided_runtime_code_dir(self.code_zip)
        return directory


def _reason(exit_code: int | None) -> str:
    """How Lambda words the end of a runtime."""
    if not exit_code:
        return "without providing a reason"
    return (
        f"with error: exit status {exit_code}"
        if exit_code > 0
        else ("with error: signal: killed" if exit_code == -signal.SIGKILL else f"with error: signal: {-exit_code}")
    )


def install() -> None:
    """Give Python functions MiniStack's Runtime API worker and an environment as on Lambda."""
    hooks.require(lambda_runtime, "ProvidedWorker", "execution_credentials")
    hooks.require(
        lambda_runtime.ProvidedWorker,
        "_build_handler_class",
        "_pump_output",
        "_drain_stderr_bounded",
        "_drain_stderr",
        "_teardown",
    )
    hooks.require(lambda_svc, "_execute_function_provided_warm", "_resolve_layer_zip", "_runtime_env_vars")
    hooks.replace(lambda_svc, "_create_function", "data", _with_role_check)
    hooks.require(provisioners, "_RESOURCE_HANDLERS")
    hooks.replace(
        provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"],
        "create",
        "logical_id props stack_name",
        _with_role_check_in_stacks,
        within="AWS::Lambda::Function",
    )
    hooks.replace(
        lambda_svc, "_probe_peak_memory_mb", "func", lambda original: lambda func: _peak.get() or original(func)
    )
    hooks.replace(lambda_runtime, "_worker_class_for", "config", _worker_class)
    hooks.replace(lambda_svc, "_execute_function_warm", "func event request_id", _execute_warm)
    hooks.require(lambda_runtime, "_lock", "_workers")
    hooks.replace(lambda_svc, "invalidate_worker", "func_name qualifier account region", _after_invocations)
    hooks.replace(lambda_svc, "_provided_runtime_code_dir", "code_zip", _with_bootstrap)
    hooks.replace(lambda_svc, "_provided_worker_env", "config code_dir port", _worker_environment)


def _is_python(config: dict[str, Any]) -> bool:
    return str(config.get("Runtime", "")).startswith("python")


def _with_role_check(original: Any) -> Any:
    """MiniStack takes any role; Lambda takes one that trusts it."""

    def create_function(data: dict[str, Any]) -> Any:
        try:
            iam.check_assumable(data.get("Role", ""), "lambda.amazonaws.com", "")
        except iam.NotAssumable:
            return error_response_json(
                "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.", 400
            )
        return original(data)

    return create_function


def _with_role_check_in_stacks(original: Any) -> Any:
    """The same for CloudFormation, which does not go through the API."""

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        try:
            iam.check_assumable(props.get("Role", ""), "lambda.amazonaws.com", "")
        except iam.NotAssumable as error:
            raise ValueError("The role defined for the function cannot be assumed by Lambda.") from error
        return original(logical_id, props, stack_name)

    return create


def _worker_class(original: Any) -> Any:
    return lambda config: PythonWorker if _is_python(config) else original(config)


def _execute_warm(original: Any) -> Any:
    def execute(func: dict[str, Any], event: Any, request_id: str) -> Any:
        if _is_python(func.get("config") or func):
            return lambda_svc._execute_function_provided_warm(func, event, request_id)
        return original(func, event, request_id)

    return execute


def _after_invocations(original: Any) -> Any:
    """MiniStack kills a function's environments when it is updated; on Lambda an invocation that is on is not touched.

    Environments at work leave the pool, so that the next invocation gets a new one, and end with their invocation.
    """

    def invalidate_worker(
        func_name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        with lambda_runtime._lock:
            for key, workers in lambda_runtime._workers.items():
                if key.split(":")[2] == func_name:
                    workers[:] = [each for each in workers if not (isinstance(each, PythonWorker) and each.retire())]
        original(func_name, qualifier=qualifier, account=account, region=region)

    return invalidate_worker


def _with_bootstrap(original: Any) -> Any:
    """MiniStack starts what is called `bootstrap` in the artefact; Python artefacts have none."""

    def code_dir(code_zip: bytes) -> str:
        directory: str = original(code_zip)
        bootstrap = Path(directory, "bootstrap")
        if not bootstrap.exists():
            command = shlex.join(runtime_client(os.environ["TRAINDROP_LAMBDA_PYTHON"]))
            written = bootstrap.with_suffix(f".{threading.get_ident()}")
            written.write_text(f'#!/bin/sh\nexec {command} "$_HANDLER"\n')
            written.chmod(0o755)
            written.replace(bootstrap)
        return directory

    return code_dir


def _worker_environment(original: Any) -> Any:
    """The whole environment of a function's process; nothing of the server's own gets in."""

    def environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        if not _is_python(config):
            found: dict[str, str] = original(config, code_dir, port)
            return found
        name, version = config.get("FunctionName", "unknown"), config.get("Version", "$LATEST")
        scratch = Path(os.environ["TRAINDROP_STATE_DIR"], "functions", f"{name}-{port}")
        scratch.mkdir(parents=True, exist_ok=True)
        logging_config = config.get("LoggingConfig") or {}
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "TMPDIR": str(scratch),
            "PYTHONPATH": os.pathsep.join(_layer_paths(config)),
            "LAMBDA_TASK_ROOT": code_dir,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": version,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": logging_config.get("LogGroup") or f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"[{version}]{new_uuid().replace('-', '')}",
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if logging_config.get("LogFormat") == "JSON" else "TEXT",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
            "_HANDLER": config.get("Handler", ""),
            **lambda_svc._runtime_env_vars(config),
            **lambda_runtime.execution_credentials(config),
            "AWS_REGION": get_region(),
            "AWS_DEFAULT_REGION": get_region(),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        }

    return environment


def _layer_paths(config: dict[str, Any]) -> list[str]:
    """Where the layers' modules lie, the last layer first, as in /opt on Lambda."""
    archives = map(lambda_svc._resolve_layer_zip, reversed(config.get("Layers") or []))
    return [str(Path(lambda_svc._provided_runtime_code_dir(archive), "python")) for archive in archives if archive]


@functools.cache
def runtime_client(python: str) -> list[str]:
    """The command that runs a handler: with AWS's own client where it is installed, else with this project's."""
    if os.environ.get("TRAINDROP_LAMBDA_CLIENT") != "own":
        probe = [python, "-c", "import awslambdaric"]
        if subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            return [python, "-m", "awslambdaric"]
    return [python, str(OWN_CLIENT)]
