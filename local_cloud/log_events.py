"""FilterLogEvents of the streams whose names begin alike: MiniStack takes names of streams, and no prefix."""

from __future__ import annotations

from typing import Any

from ministack.services import cloudwatch_logs

from local_cloud import hooks


def install() -> None:
    """Turn a prefix into the names that begin with it."""
    hooks.require(cloudwatch_logs, "_log_groups", "_resolve_log_group_name")
    hooks.replace(cloudwatch_logs, "_filter_log_events", "data", _of_prefix)


def _of_prefix(original: Any) -> Any:
    def filter_log_events(data: dict[str, Any]) -> Any:
        prefix = data.get("logStreamNamePrefix")
        group = cloudwatch_logs._log_groups.get(cloudwatch_logs._resolve_log_group_name(data))
        if not prefix or group is None:
            return original(data)
        named = [name for name in list(group["streams"]) if name.startswith(prefix)]
        # Without names MiniStack would take all.
        return original({**data, "logStreamNames": named or [prefix]})

    return filter_log_events
