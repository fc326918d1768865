"""The addresses that the local cloud adds below `/_traindrop/`; they need no credentials.

* `GET /_traindrop/ready` answers which local cloud this is.
* `PUT`, `GET` and `DELETE /_traindrop/faults` set, show and remove the injected faults.
* `GET /_traindrop/shares` answers how many calls the faults of a share could meet, and how many they met.

No web page may use them, nor MiniStack's own addresses, of which one wipes everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from pydantic import ValidationError

from local_cloud import faults, hooks

PREFIX = "/_traindrop/"


def install() -> None:
    """Answer these addresses before MiniStack sees the request."""
    hooks.replace(app, "app", "scope receive send", _with_addresses)


def _with_addresses(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def app_with_addresses(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        from_a_page = any(name == b"origin" for name, _ in scope.get("headers", []))
        if from_a_page and path.startswith((PREFIX, "/_ministack/", "/_localstack/")):
            await _send(send, 403, {"error": "not from a web page"})
            return
        if not path.startswith(PREFIX):
            await original(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await _send(send, *_answer(scope["method"], path.removeprefix(PREFIX), body))

    return app_with_addresses


async def _send(send: Any, status: int, document: dict[str, Any]) -> None:
    content = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _answer(method: str, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
    match (method, name):
        case ("GET", "ready"):
            return 200, {"state_dir": os.environ["TRAINDROP_STATE_DIR"]}
        case ("GET", "shares"):
            return 200, {"calls": faults.shares().calls, "failed": faults.shares().failed}
        case ("GET", "faults"):
            pass
        case ("DELETE", "faults"):
            faults.put(faults.Faults())
        case ("PUT", "faults"):
            try:
                faults.put(faults.Faults.model_validate_json(body or b"{}"))
            except ValidationError as error:
                return 400, {"error": "; ".join(map(_problem, error.errors()))}
        case _:
            return 404, {"error": f"there is no {method} {PREFIX}{name}"}
    return 200, faults.current().model_dump(exclude_defaults=True)


def _problem(found: Any) -> str:
    return f"{'.'.join(map(str, found['loc'])) or 'document'}: {found['msg']}"
