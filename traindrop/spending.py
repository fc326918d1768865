"""What runs took and cost, as CloudWatch is told of it: all of it, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator

from traindrop.runs import Runs

METRICS = {
    "TrainingSeconds": ("training_seconds", "Seconds"),
    "SpotInterruptions": ("interruptions", "Count"),
    "CostUsd": ("cost_usd", "None"),
    "SavedUsd": ("saved_usd", "None"),
}
"""Field of the run record and unit, by metric."""


def untold(runs: Runs, run_id: str) -> Iterator[tuple[str, str, float]]:
    """Metric, unit and what has been added since this was last asked.

    A run that failed has cost too; when it is redriven its record goes on from there. What is answered counts as told,
    so a function that dies before its metrics are out leaves them out, and none is told twice.
    """
    run = runs.get(run_id)
    before = run.get("told_of") or {}
    fields = [field for field, _ in METRICS.values()]
    runs.update(run_id, told_of={field: run.get(field) or 0 for field in fields})
    for name, (field, unit) in METRICS.items():
        yield name, unit, round(float(run.get(field) or 0) - float(before.get(field, 0)), 4)
