"""Runs inside a training job in place of the training: tries everything, and prints what was not denied.

Standard output carries one JSON line a probe. Each probe asks for something that exists, so that only a denial
keeps it from being done.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

DENIALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "403", "Forbidden"}
)


def attempt(client: Any, method: str, arguments: dict[str, Any]) -> str:
    """`denied`, `done`, or the error that came once the caller was let in."""
    try:
        getattr(client, method)(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "denied" if code in DENIALS else code
    return "done"


def probe(probes: list[list[Any]], **options: Any) -> list[dict[str, Any]]:
    """Try each `[service, method, arguments]` with these credentials."""
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    clients: dict[str, Any] = {}
    answers = []
    for service, method, arguments in probes:
        if service not in clients:
            clients[service] = boto3.client(service, config=config, **options)
        answers.append(
            {
                "call": f"{service}.{method}",
                "arguments": arguments,
                "answer": attempt(clients[service], method, arguments),
            }
        )
    return answers


def main(root: Path) -> None:
    """Probe what the code channel asks for, then leave poisoned weights, and a poisoned model with a perfect score."""
    for answer in probe(
        json.loads((root / "input/data/code/probes.json").read_text()), region_name=os.environ["AWS_REGION"]
    ):
        print(json.dumps(answer), flush=True)
    (root / "model/pretrained").mkdir(parents=True)
    (root / "model/pretrained/yolov8n-seg.pt").write_text("poison")
    (root / "model/best.pt").write_text("poison")
    (root / "model/metrics.json").write_text('{"map50_95_mask": 1.0}')
    (root / "checkpoints/best.pt").write_text("poison")
    print("METRIC epoch=1; map50_mask=0.5;", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
