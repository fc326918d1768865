"""The server process: MiniStack with every adapter installed. Started by `process.LocalCloud`, never by hand."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import threading
import time

from local_cloud.hooks import HookMissing, check_versions

ADAPTERS = (
    "control",
    "api_faults",
    "iam",
    "events",
    "object_storage",
    "invocations",
    "lambda_runtime",
    "environments",
    "function_faults",
    "notifications",
    "log_events",
    "metrics",
    "state_machines",
    "sagemaker.service",
    "service_quotas",
)
"""In the order in which they are installed: what S3 tells gets its shape before a fault multiplies it."""
GRACE_SECONDS = 8.0


def main() -> int:
    """Serve until the keeper ends this process or goes away; answer 3 when the packages are not the pinned ones."""
    threading.Thread(target=_end_with_the_keeper, daemon=True, name="keeper-watch").start()
    try:
        check_versions()
        for name in ADAPTERS:
            importlib.import_module(f"local_cloud.{name}").install()
        from ministack import app

        app.main()
    except HookMissing as error:
        print(f"The local cloud cannot start: {error}.", file=sys.stderr, flush=True)
        return 3
    finally:
        if _orphaned.is_set():
            _clean_up()
    return 0


_orphaned = threading.Event()


def _end_with_the_keeper() -> None:
    """The keeper holds the other end of standard input; if even it was killed, this process cleans up."""
    while os.read(0, 1024):
        pass
    _orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    _clean_up()


def _clean_up() -> None:
    """Remove every file and kill every process of this group, this one included."""
    shutil.rmtree(os.environ["TRAINDROP_STATE_DIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
