"""Hold our CreateTrainingJob requests against the SageMaker SDK: it must take them, and send the very same.

    .venvs/images/bin/python training_images/request.py

The SDK's `TrainingJob.create` checks every field by its pydantic shapes, which refuse unknown ones, and then makes a
request of its own out of them; that request is caught before it leaves, and compared.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FREE_KEYS = ("HyperParameters", "Environment")
"""Maps whose keys are the user's own."""


class Recorder:
    """A client that keeps what it is asked to send and sends nothing."""

    def __init__(self) -> None:
        """Begin with nothing kept."""
        self.sent: dict[str, Any] = {}

    def create_training_job(self, **request: Any) -> None:
        """Keep the request and go no further."""
        self.sent = request
        raise Caught


class Caught(Exception):
    """The request was caught on its way out."""


def requests() -> dict[str, dict[str, Any]]:
    """A request of each kind that the functions make."""
    sys.path.insert(0, str(ROOT))
    from traindrop.jobs import Places, training_job_request
    from traindrop.rungs import Rung

    places = Places(
        "datasets",
        "artifacts",
        "arn:aws:iam::123456789012:role/training",
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313",
    )
    run = {
        "run_id": "rooms-20261112T000000-1a2b3c4d",
        "dataset": "rooms",
        "slug": "rooms",
        "prefix": "datasets/rooms.zip",
        "dataset_bytes": 5_000_000_000,
        "settings": {},
    }
    return {
        market: training_job_request(
            name=f"{run['run_id']}-1",
            run=run,
            rung=Rung("ml.g4dn.xlarge", market == "spot"),
            places=places,
            code_prefix="code/0123456789abcdef/",
            weights_uri=weights,
            runtime_seconds=3600,
            wait_seconds=7200,
        )
        for market, weights in (("spot", "s3://artifacts/weights/yolov8n-seg.pt"), ("on demand", None))
    }


def snake(value: Any, *, keep: bool = False) -> Any:
    """AWS's names as the SDK's arguments; the keys of a map that is the user's stay."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name if keep else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower(): snake(
            item, keep=name in FREE_KEYS
        )
        for name, item in value.items()
    }


def main() -> int:
    """Compare every kind; answer a process exit code."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from sagemaker.core.resources import Base, TrainingJob  # type: ignore[import-not-found]

    recorder = Recorder()
    Base.get_sagemaker_client = classmethod(lambda *_, **__: recorder)
    for kind, request in requests().items():
        with contextlib.suppress(Caught):
            TrainingJob.create(**snake(request))
        if recorder.sent != request:
            print(f"{kind}: the SDK would send\n{recorder.sent}\ninstead of\n{request}", file=sys.stderr)
            return 1
        print(f"{kind}: the SageMaker SDK takes the request and would send the same")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
