"""A receipt as people read it: a paragraph of the end message, and the tables of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traindrop.figures import count, dollars, duration, gigabytes

_FOUR = "${:.4f}"


def told(receipt: Mapping[str, Any]) -> str:
    """What was paid and saved, what interruptions cost, what is to be paid on; nothing where there is no receipt."""
    if not receipt:
        return ""
    if not receipt["seconds_trained"]:
        return "Nothing is charged for training: no instance came."
    saved = f"; spot saved {_saving(receipt)}" if any(line["spot"] for line in receipt["jobs"]) else ""
    lines = [
        f"Paid {dollars(receipt['cost_usd'])} for {duration(receipt['seconds_billed'])} billed of "
        f"{duration(receipt['seconds_trained'])} trained{saved}. Prices of {receipt['price_region']}, "
        f"{receipt['price_date']}."
    ]
    if receipt.get("seconds_lost"):
        lines.append(f"Interruptions cost {_interruptions(receipt)} of that.")
    elif receipt["interruptions"] and receipt.get("seconds_lost") is None:
        lines.append("What the interruptions cost is not known.")
    if "storage" in receipt:
        kept = receipt["storage"]
        lines.append(
            f"To keep the model costs {dollars(kept['model_usd_month'])} a month, the dataset "
            f"{dollars(kept['dataset_usd_month'])}. What ran around the training cost "
            f"{dollars(receipt['orchestration']['usd'])}."
        )
    return "\n".join(lines)


def table(receipt: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of the report's receipt."""
    if not receipt:
        return []
    lines = [
        (label, duration(receipt[key]) + (f" ({count(receipt[key])} s)" if receipt[key] >= 60 else ""))
        for key, label in (("seconds_trained", "Trained"), ("seconds_billed", "Billed"))
    ]
    lines += [
        ("Paid", _FOUR.format(receipt["cost_usd"])),
        ("On demand", f"{_FOUR.format(receipt['on_demand_usd'])} for the seconds trained"),
        ("Saved by spot", _saving(receipt, exact=True)),
        ("Prices", f"{receipt['price_region']}, {receipt['price_date']}"),
    ]
    if "seconds_lost" in receipt and receipt["interruptions"] + count(receipt["seconds_lost"]):
        lost = receipt["seconds_lost"]
        lines.append(("Interruptions cost", "not known" if lost is None else f"{_interruptions(receipt)}, paid above"))
    if "storage" in receipt:
        kept, around = receipt["storage"], receipt["orchestration"]
        lines += [
            (label, f"{_FOUR.format(kept[f'{name}_usd_month'])} a month ({gigabytes(kept[f'{name}_bytes'])}){until}")
            for name, label, until in (
                ("model", "The model in S3", ""),
                ("dataset", "The dataset in S3", ""),
                ("temporary", "Checkpoints, archive", ", gone after 30 days"),
            )
        ]
        lines.append(
            (
                "Around the training",
                f"about {_FOUR.format(around['usd'])}: {around['state_transitions']} state transitions, "
                f"{around['function_requests']} function calls, {around['s3_reads']} reads and {around['s3_writes']} "
                "writes in S3",
            )
        )
    return lines


def bills(receipt: Mapping[str, Any]) -> list[list[str]]:
    """One row for each job: the end of its name, instance, trained and billed seconds, dollars an hour, paid, saved."""
    return [
        [
            f"…-{str(line['name']).rpartition('-')[2]}",
            f"{line['instance_type']} {'spot' if line['spot'] else 'on demand'}",
            f"{count(line['seconds_trained'])} s",
            f"{count(line['seconds_billed'])} s",
            _FOUR.format(line["price_per_hour"]),
            _FOUR.format(line["cost_usd"]),
            _FOUR.format(line["saved_usd"]),
        ]
        for line in receipt.get("jobs", ())
    ]


def _saving(receipt: Mapping[str, Any], *, exact: bool = False) -> str:
    saved, whole = receipt["saved_usd"], receipt["on_demand_usd"]
    shown = _FOUR.format(saved) if exact else dollars(saved)
    return f"{shown} ({saved / whole:.0%})" if saved else shown


def _interruptions(receipt: Mapping[str, Any]) -> str:
    return f"{duration(receipt['seconds_lost'])} and {dollars(receipt['lost_usd'])}"
