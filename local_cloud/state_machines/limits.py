"""Limits of the API's members, answered as AWS answers them. MiniStack has none of them."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json

PAYLOAD_BYTES = 262_144
HISTORY_EVENTS = 25_000


def too_long(data: dict[str, Any], **members: int) -> Any:
    """The refusal of a request with a member of more characters than given here, else None."""
    problems = []
    for member, maximum in members.items():
        if len(data.get(member) or "") > maximum:
            problems.append(
                f"Value at '{member}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {maximum}"
            )
    if not data.get("taskToken", True):
        problems.append(
            "Value at 'taskToken' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    if not problems:
        return None
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return error_response_json("ValidationException", f"{count}: {'; '.join(problems)}", 400)
