"""Whether a new model replaces the dataset's best, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MARGIN = 0.005
"""Default of `promotion_margin`: a difference that training again with another seed may make is no improvement."""

_TOLD = 5
_NAME_LENGTH = 60
_NAMES_TOLD, _NAMES_LENGTH = 10, 300

Basis = Literal["no metrics", "first", "unusable", "measured", "recorded"]


@dataclass(frozen=True)
class Comparison:
    """A model against the best so far, by mAP50-95.

    `basis` says what was compared: nothing (`no metrics`, `first`), nothing since the best so far is of no use any more
    (`unusable`), what one job measured of both (`measured`), or the best's `recorded` score. `note` is a sentence about
    that; `before` the best's score and `against` its run, where there are any.
    """

    basis: Basis
    promoted: bool
    score: float | None
    before: float | None = None
    against: str = ""
    margin: float = MARGIN
    note: str = ""

    @property
    def difference(self) -> float | None:
        """How much better the model is than the best so far, to five decimals as metrics are."""
        return None if self.score is None or self.before is None else round(self.score - self.before, 5)

    @property
    def brief(self) -> str:
        """In a few words, how it compares and which model is the best now; nothing where it has no metrics."""
        if self.basis == "no metrics":
            return ""
        if self.basis in ("first", "unusable"):
            return "the first model" if self.basis == "first" else "now the best, having no rival"
        by = self.difference or 0
        how = f"better by {by:.3f}" if by > 0 else f"worse by {-by:.3f}" if by < 0 else "no better"
        return f"{how}, {'now the best' if self.promoted else 'the earlier model stays the best'}"

    @property
    def why(self) -> str:
        """One line that says whether the model was promoted, and why."""
        if self.basis == "no metrics":
            return "No metrics were left, so it was not compared with earlier models and not promoted."
        if self.basis == "first":
            return "It is this dataset's first model, and so its best."
        if self.basis == "unusable":
            return "Promoted: it is the dataset's best now, since there is no other that can serve it."
        margin = f"promotion_margin {self.margin:g}"
        if self.promoted:
            return f"Promoted: it is the dataset's best now, being better by more than {margin}."
        by = self.difference or 0
        reason = "it is worse" if by < 0 else "it is no better" if by == 0 else f"{by:.3g} is not more than {margin}"
        return f"Not promoted: the earlier model stays the best, since {reason}."


@dataclass(frozen=True)
class Change:
    """A class's mAP50-95, of the best so far and of the new model, on so many instances."""

    name: str
    before: float
    now: float
    instances: int

    @property
    def difference(self) -> float:
        """How much better the new model is."""
        return round(self.now - self.before, 5)


def compare(
    metrics: Mapping[str, Any], best: Mapping[str, Any] | None, learned: Mapping[str, Any] | None, *, margin: float
) -> Comparison:
    """The rule: a model is promoted that is better by more than the margin, or has no rival.

    Compared is what this job measured of both models on the same images; where it did not measure the present best,
    the score that best.json has of it.

    Args:
        metrics: metrics.json of the new model, with what its job found out about its `champion`.
        best: the entry of the present best model in best.json, or None.
        learned: metrics.json of that model; None if there is no such model any more.
        margin: by how much mAP50-95 a model must be better; a model that is no better is never promoted.
    """
    score = score_of(metrics)
    if score is None:
        return Comparison("no metrics", False, None, margin=margin)
    if best is None:
        return Comparison("first", True, score, margin=margin)
    against = str(best["run_id"])
    met = metrics.get("champion") or {}
    met = met if met.get("run_id") == against else {}
    measured, recorded = score_of(met), best.get("score")
    before = recorded if measured is None else measured
    unusable = _unusable(metrics, met, learned) or ("" if before is not None else "it has no score")
    if unusable or before is None:
        note = f"The best so far (run {against}) cannot serve this dataset any more: {unusable}."
        return Comparison("unusable", True, score, None, against, margin, note)
    better = round(score - float(before), 5) > margin
    if measured is None:
        note = _recorded(metrics, met, learned or {})
        return Comparison("recorded", better, score, float(before), against, margin, note)
    note = "Both were measured by this job, on the same validation images."
    return Comparison("measured", better, score, measured, against, margin, note)


def score_of(metrics: Mapping[str, Any]) -> float | None:
    """What models are compared by: mAP50-95 of masks, of boxes for detection."""
    value = metrics.get("map50_95_mask", metrics.get("map50_95_box"))
    return None if value is None else float(value)


def changes(metrics: Mapping[str, Any]) -> list[Change]:
    """Classes that both models were measured on, those first whose mAP50-95 changed most."""
    key = "map50_95_mask" if "map50_95_mask" in metrics else "map50_95_box"
    before = (metrics.get("champion") or {}).get("classes") or {}
    found = [
        Change(str(name)[:_NAME_LENGTH], float(before[name][key]), float(now[key]), int(now.get("instances", 0)))
        for name, now in (metrics.get("classes") or {}).items()
        if key in now and key in before.get(name, {})
    ]
    return sorted(found, key=lambda change: -abs(change.difference))


def classes_of(metrics: Mapping[str, Any]) -> list[str] | None:
    """The classes that a model knows, in order; None where its metrics.json does not say."""
    names = metrics.get("names")
    names = list(names.values()) if isinstance(names, Mapping) else names
    return [str(name) for name in names] if isinstance(names, list) else None


def told(comparison: Comparison, metrics: Mapping[str, Any]) -> str:
    """The comparison as a paragraph: better or worse, by how much, on what, class by class; then whether promoted."""
    per_class = _per_class(changes(metrics)) if comparison.basis == "measured" else []
    lines = [standing(comparison, metrics), comparison.note, *per_class, comparison.why]
    return "\n".join(line for line in lines if line)


def standing(comparison: Comparison, metrics: Mapping[str, Any]) -> str:
    """Better or worse, by how much, on what; nothing where no two scores were compared."""
    by = comparison.difference
    if by is None:
        return ""
    kind = "mask" if "map50_95_mask" in metrics else "box"
    how = f"Better by {by:.3f}" if by > 0 else f"Worse by {-by:.3f}" if by < 0 else "As good"
    return (
        f"{how}: {kind} mAP50-95 {comparison.score:.3f} against {comparison.before:.3f} of the best so far "
        f"(run {comparison.against}), on {images(metrics)}."
    )


def images(metrics: Mapping[str, Any]) -> str:
    """On how much a model was measured."""
    count, instances = metrics.get("validation_images", "?"), metrics.get("validation_instances", "?")
    return (
        f"{count} validation image{'' if count == 1 else 's'} with {instances} instance{'' if instances == 1 else 's'}"
    )


def _per_class(found: Sequence[Change]) -> list[str]:
    lines = [
        f"  {change.name}: {change.difference:+.3f} ({change.before:.3f} to {change.now:.3f}, "
        f"{change.instances} instance{'' if change.instances == 1 else 's'})"
        for change in found[:_TOLD]
    ]
    return lines + ([f"  … and {len(found) - _TOLD} more in report.html"] if len(found) > _TOLD else [])


def _unusable(metrics: Mapping[str, Any], met: Mapping[str, Any], learned: Mapping[str, Any] | None) -> str:
    """Why the present best can serve nobody who drops this dataset; empty where it can, or may."""
    if learned is None:
        return "its best.pt is no longer in the bucket"
    if met.get("not_measured") in ("task", "classes"):
        return str(met["reason"])
    if met:
        return ""
    if learned.get("task", metrics.get("task")) != metrics.get("task"):
        return f"it is a model for the task {learned['task']}, and the dataset's is {metrics.get('task')} now"
    classes = classes_of(learned)
    if classes is not None and classes != classes_of(metrics):
        return f"it knows other classes ({listed(classes)}) than the dataset has now"
    return ""


def _recorded(metrics: Mapping[str, Any], met: Mapping[str, Any], learned: Mapping[str, Any]) -> str:
    """Why one score is a recorded one, and whether it is of the same images."""
    other = (metrics.get("champion") or {}).get("run_id")
    if met.get("reason"):
        why = f"The best so far could not be measured by this job: {met['reason']}"
    elif other and not met:
        why = "Another model became the best while this one was trained, so this job did not measure it"
    else:
        why = "The job ended before it measured the best so far"
    split, known = metrics.get("validation_split"), learned.get("validation_split")
    which = "the same" if split and split == known else "other" if split and known else "perhaps other"
    return f"{why}; its score is what its own training recorded, on {which} validation images."


def listed(names: Sequence[str]) -> str:
    """The first of some class names, for a sentence."""
    return ", ".join(names[:_NAMES_TOLD])[:_NAMES_LENGTH] + (", …" if len(names) > _NAMES_TOLD else "")
