"""What a showing must have brought, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from demo.following import Run

MINIMUM_MAP50 = 0.80


def faults_of(run: Run, record: dict[str, Any], missing: Sequence[str]) -> list[str]:
    """What is not as it must be, in words; empty when all of it happened."""
    completed = sum(message.outcome == "Completed" for message in run.messages)
    score = record.get("metrics", {}).get("map50_mask")
    checks = [
        (run.status == "SUCCEEDED", f"the execution ended as {run.status}"),
        (completed == 1, f"{completed} messages say Completed, not one"),
        (score is not None and score >= MINIMUM_MAP50, f"mask mAP50 is {score}, below {MINIMUM_MAP50}"),
        (bool(run.resumed_from), "the job was never interrupted and resumed"),
        (not any(run.epochs_lost), f"finished epochs were trained again: {run.epochs_lost}"),
        (not missing, f"not delivered: {', '.join(missing)}"),
    ]
    return [words for passed, words in checks if not passed]


def receipt_lines(record: dict[str, Any]) -> list[str]:
    """The run's bill."""
    receipt = record.get("receipt", {})
    if not receipt:
        return ["the run left none"]
    kinds = {f"{job['instance_type']}, {'managed spot' if job['spot'] else 'on demand'}" for job in receipt["jobs"]}
    return [
        *sorted(kinds),
        f"{receipt['seconds_trained']:.0f} s trained, {receipt['seconds_billed']:.0f} s billed, "
        f"{record.get('interruptions', 0):.0f} interruption(s)",
        f"${receipt['cost_usd']:.4f} it would cost on AWS, ${receipt['saved_usd']:.4f} saved by spot "
        f"(prices of {receipt['price_region']}, {receipt['price_date']})",
    ]


def how_long(run: Run, dropped_at: float) -> list[str]:
    """Seconds from the beginning of the upload to the job's creation, and from the job's end to the message."""
    lines = []
    if "CreationTime" in run.job:
        lines.append(
            f"{run.job['CreationTime'].timestamp() - dropped_at:5.1f} s  drop (upload included) to training job"
        )
    told = [message.at for message in run.messages if message.outcome == "Completed"]
    if told and "TrainingEndTime" in run.job:
        lines.append(f"{told[0] - run.job['TrainingEndTime'].timestamp():5.1f} s  end of training to notification")
    return lines
