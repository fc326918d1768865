"""How a run climbs its ladder: which rungs it has tried, and how long it waits for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from traindrop.jobs import JobEnd, ladder
from traindrop.rungs import Rung
from traindrop.settings import TrainingSettings


@dataclass(frozen=True)
class Ladder:
    """A run's rungs in the order of trying, and its clock, which began when it first asked for an instance.

    Moments are epoch seconds. The clock runs on over every attempt, waiting and running; a redrive winds it up again.
    """

    rungs: tuple[Rung, ...]
    began: float
    max_wait_seconds: float
    patience_seconds: float

    def rung(self, attempt: int) -> Rung:
        """The rung of an attempt, which count from 1."""
        return self.rungs[min(attempt, len(self.rungs)) - 1]

    def higher(self, attempt: int) -> tuple[Rung, ...]:
        """The rungs that are still to come."""
        return self.rungs[attempt:]

    def seconds_left(self, now: float) -> int:
        """How long the run may still wait and train."""
        return max(0, int(self.began + self.max_wait_seconds - now))

    def gives_up(self, attempt: int, since: float) -> float:
        """When a run that waits for this rung since then goes on to the next one.

        That is after the patience, or after an equal share of the time that is left where that comes first, so that no
        rung starves the next ones; the last rung has all the rest.
        """
        ends = self.began + self.max_wait_seconds
        higher = len(self.higher(attempt))
        if not higher:
            return ends
        return since + max(0.0, min(self.patience_seconds, (ends - since) / (higher + 1)))


def ladder_of(settings: TrainingSettings, began: float) -> Ladder:
    """The ladder that settings ask for, with a clock that began then."""
    patience, wait = settings.capacity_patience_hours * 3600, settings.max_wait_hours * 3600
    return Ladder(tuple(ladder(settings)), began, wait, patience)


def ladder_of_run(run: Mapping[str, Any], now: float) -> Ladder:
    """The ladder of a run, with the clock of its present life, which begins now where nothing tells when it did."""
    began = (_moment(entry["since"]) for entry in run.get("climb") or [] if _of_this_life(entry, run))
    return ladder_of(TrainingSettings.model_validate(run["settings"]), next(began, now))


def entered(run: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
    """The run's climb with an entry for its present attempt."""
    climb = list(run.get("climb") or [])
    if climb and climb[-1]["attempt"] == run["attempt"] and _of_this_life(climb[-1], run):
        return climb
    rung = ladder_of_run(run, now).rung(int(run["attempt"]))
    entry = {
        "attempt": int(run["attempt"]),
        "redrives": int(run.get("redrives", 0)),
        "instance_type": rung.instance_type,
        "spot": rung.spot,
        "since": _iso(now),
    }
    return [*climb, entry]


def left(run: Mapping[str, Any], end: JobEnd, until: datetime, began: datetime | None = None) -> list[dict[str, Any]]:
    """The run's climb, whose last entry tells how its rung was left, and how long it waited until training `began`."""
    climb = list(run.get("climb") or [])
    if not climb or "result" in climb[-1]:
        return climb
    waited = (began or until).timestamp() - _moment(climb[-1]["since"])
    result = end.result or ("trained" if end.ended else "failed")
    entry = {**climb[-1], "until": _iso(until.timestamp()), "waited_seconds": max(0, round(waited)), "result": result}
    return [*climb[:-1], entry]


def asked_since(run: Mapping[str, Any]) -> float:
    """Since when the run asks for the instance of its present rung."""
    return _moment(run["climb"][-1]["since"])


def idle_since(run: Mapping[str, Any], ladder: Ladder) -> float:
    """Since when no instance trains for a run that has none: it first asked, or its last training ended."""
    trained = [
        _moment(job["ended_at"]) for job in run.get("jobs") or [] if job.get("started_at") and job.get("ended_at")
    ]
    return max([ladder.began, *trained])


def _of_this_life(entry: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    return int(entry["redrives"]) == int(run.get("redrives", 0))


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def _moment(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
