"""What a training will take and cost: from the dataset's own runs, before those from stated assumptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from statistics import fmean, median
from typing import Any

from traindrop.figures import dollars, duration
from traindrop.pricing import SPOT_SAVING, rounded, usd
from traindrop.settings import MODELS, TrainingSettings

_TABLE: dict[str, Any] = json.loads(files("traindrop").joinpath("speeds.json").read_text())
_ASSUMED = _TABLE["assumed"]
_GFLOPS: dict[str, float] = _TABLE["gflops_at_640"]
_PASSES = 3  # forward and, twice as dear, backward
ENOUGH = 3
"""So many runs with the same settings give one figure instead of a range."""
LATEST = 5
"""So many of them are looked at."""
WITHIN = 0.25
"""What the one figure promises."""
_FEW, _OTHER = 1.5, 2.0
"""How far a figure from fewer runs, or from runs with other settings, may be off: a factor either way."""


@dataclass(frozen=True)
class Plan:
    """What decides how long a training takes."""

    images: Mapping[str, int]
    settings: TrainingSettings
    instance_type: str

    @property
    def kind(self) -> tuple[Any, ...]:
        """What makes runs comparable image by image."""
        settings = self.settings
        return (settings.model, settings.imgsz, settings.batch, settings.train, self.instance_type)

    @property
    def images_of_an_epoch(self) -> float:
        """Images in terms of those that are trained on."""
        return self.images["train"] + float(_ASSUMED["cost_of_a_validation_image"]) * self.images["val"]

    def epoch_seconds(self) -> tuple[float, float]:
        """Fastest and slowest epoch that is assumed: the GPU computes while processors read the images."""
        pixels = (self.settings.imgsz / 640) ** 2
        instance = _TABLE["instances"][self.instance_type]
        share, pace = _ASSUMED["share_of_tflops"], _ASSUMED["images_a_second_of_a_vcpu"]

        def seconds(end: str, gflops: float) -> float:
            computing = _PASSES * gflops / (1000 * instance["tflops"] * share[end])
            reading = 1 / (instance["vcpus"] * pace[end])
            return float(self.images_of_an_epoch * pixels * max(computing, reading))

        lightest, heaviest = _gflops(self.settings.model)
        return seconds("high", lightest), seconds("low", heaviest)


@dataclass(frozen=True)
class Past:
    """What a run of the dataset took."""

    plan: Plan
    epoch_seconds: float
    overhead_seconds: float
    billed_share: float
    epochs: int
    stopped_early: bool


@dataclass(frozen=True)
class Estimate:
    """Seconds and dollars from lowest to highest; `seconds` and `usd` where enough is known for one figure."""

    low_seconds: float
    high_seconds: float
    low_usd: float
    high_usd: float
    words: str
    seconds: float | None = None
    usd: float | None = None

    def record(self) -> dict[str, Any]:
        """What the run record keeps, to be compared with the bill."""
        known = {"seconds": self.seconds, "usd": self.usd, "low_usd": self.low_usd, "high_usd": self.high_usd}
        return {key: value for key, value in known.items() if value is not None}


def plan_of(run: Mapping[str, Any], instance_type: str) -> Plan | None:
    """What a run is to train, from its record; None in records that do not count its images."""
    if not run.get("images"):
        return None
    return Plan(run["images"], TrainingSettings.model_validate(run["settings"]), instance_type)


def pace(jobs: Sequence[Mapping[str, Any]], kept: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """How fast a run was, for the estimates of later ones: an epoch, and all that its last start took beside epochs."""
    if not jobs or not kept or "seconds_of_last_start" not in jobs[-1]:
        return None
    last, epochs = jobs[-1], kept[-1]
    typical = median(epochs)
    return {
        "instance_type": last["instance_type"],
        "spot": last["spot"],
        "epoch_seconds": round(typical, 3),
        "overhead_seconds": round(max(0.0, last["seconds_of_last_start"] - typical * len(epochs)), 3),
        "billed_share": round(last["seconds_billed"] / max(1, last["seconds_trained"]), 4),
    }


def past_of(run: Mapping[str, Any]) -> Past | None:
    """What an earlier run took, if its record tells."""
    told, metrics = run.get("pace"), run.get("metrics") or {}
    plan = plan_of(run, told["instance_type"]) if told else None
    if told is None or plan is None or plan.instance_type not in _TABLE["instances"]:
        return None
    return Past(
        plan,
        float(told["epoch_seconds"]),
        float(told["overhead_seconds"]),
        float(told["billed_share"]) if told["spot"] else 0.0,
        int(metrics.get("epochs_trained", plan.settings.epochs)),
        bool(metrics.get("stopped_early")) and run.get("ended") == "completed",
    )


def estimate(plan: Plan, *, spot: bool, past: Sequence[Past], cap_seconds: float, cap_usd: float) -> Estimate:
    """What a training will take, without interruptions and never above its caps.

    Args:
        plan: what is trained, on which instance.
        spot: whether that is managed spot.
        past: earlier runs of the dataset, the newest first.
        cap_seconds: seconds that the run may take.
        cap_usd: dollars that the run may cost.
    """
    alike = [run for run in past if run.plan.kind == plan.kind]
    used = (alike or list(past))[:LATEST]
    if not used:
        return _assumed(plan, spot=spot, cap_seconds=cap_seconds, cap_usd=cap_usd)
    epoch = median(run.epoch_seconds * _ratio(plan, run.plan) for run in used)
    seconds = median(run.overhead_seconds for run in used) + _epochs(plan, used) * epoch
    shares = [run.billed_share for run in used if run.billed_share]
    share = (median(shares) if shares else 1 - fmean(SPOT_SAVING)) if spot else 1.0
    cost = usd(seconds * share, plan.instance_type)
    runs = f"the last {len(used)} runs" if len(used) > 1 else "the one run"
    if alike and len(used) >= ENOUGH:
        seconds, cost = min(seconds, cap_seconds), min(cost, cap_usd)
        return Estimate(
            seconds * (1 - WITHIN),
            min(seconds * (1 + WITHIN), cap_seconds),
            rounded(cost * (1 - WITHIN)),
            rounded(min(cost * (1 + WITHIN), cap_usd)),
            f"Estimate: {dollars(cost)} for {duration(seconds)} of training, from {runs} of this dataset with these "
            f"settings; within {WITHIN:.0%} unless spot prices move or the instance is interrupted.",
            seconds,
            rounded(cost),
        )
    off = _FEW if alike else _OTHER
    settings = "with these settings" if alike else "with other settings, converted"
    return _range(
        (seconds / off, seconds * off),
        (cost / off, cost * off),
        f"from {runs} of this dataset {settings}",
        cap_seconds=cap_seconds,
        cap_usd=cap_usd,
    )


def _assumed(plan: Plan, *, spot: bool, cap_seconds: float, cap_usd: float) -> Estimate:
    """The range where no run of the dataset tells."""
    fast, slow = plan.epoch_seconds()
    epochs, patience = plan.settings.epochs, plan.settings.patience
    fewest = min(epochs, patience + 1) if patience else epochs
    overhead = _ASSUMED["overhead_seconds"]
    seconds = (overhead["low"] + fewest * fast, overhead["high"] + epochs * slow)
    shares = (1 - SPOT_SAVING[1], 1 - SPOT_SAVING[0]) if spot else (1.0, 1.0)
    images = plan.images_of_an_epoch
    rests = [
        f"that {plan.instance_type} trains {images / slow:.3g} to {images / fast:.3g} images a second, which was not "
        "measured"
    ]
    if fewest < epochs:
        rests.append(f"that it ends after {fewest} to {epochs} epochs (patience {patience})")
    if spot:
        rests.append(f"that spot saves {SPOT_SAVING[0]:.0%} to {SPOT_SAVING[1]:.0%}")
    return _range(
        seconds,
        (usd(seconds[0] * shares[0], plan.instance_type), usd(seconds[1] * shares[1], plan.instance_type)),
        f"as this dataset has no earlier run. It rests on the assumption{'s' if len(rests) > 1 else ''} "
        + ("; ".join(rests[:-1]) + "; and " + rests[-1] if len(rests) > 1 else rests[0]),
        cap_seconds=cap_seconds,
        cap_usd=cap_usd,
    )


def _range(
    seconds: tuple[float, float], cost: tuple[float, float], rests_on: str, *, cap_seconds: float, cap_usd: float
) -> Estimate:
    low, high = (min(value, cap_seconds) for value in seconds)
    low_usd, high_usd = (rounded(min(value, cap_usd)) for value in cost)
    return Estimate(
        low,
        high,
        low_usd,
        high_usd,
        f"Estimate: {dollars(low_usd)} to {dollars(high_usd)} for {duration(low)} to {duration(high)} of training, "
        f"{rests_on}.",
    )


def _ratio(plan: Plan, other: Plan) -> float:
    """How many times as long an epoch of a plan takes as one of another.

    Weights of which only the place is known are taken for a model like the other's: that is what they mostly are.
    """
    if {plan.settings.model, other.settings.model} - set(MODELS):
        settings = other.settings.model_copy(update={"model": plan.settings.model})
        other = replace(other, settings=settings)
    return fmean(plan.epoch_seconds()) / fmean(other.epoch_seconds())


def _epochs(plan: Plan, used: Sequence[Past]) -> float:
    """Epochs that are likely: runs that ended early end this one early too."""
    return median(min(plan.settings.epochs, run.epochs if run.stopped_early else plan.settings.epochs) for run in used)


def _gflops(model: str) -> tuple[float, float]:
    """Least and most that an image of 640 pixels costs a model; one of which only the weights are known may be any."""
    known = _GFLOPS.get(model.rpartition(".")[0])
    return (known, known) if known else (min(_GFLOPS.values()), max(_GFLOPS.values()))
