"""What arrives in the inbox when a run that began to train, or could not, has ended."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from traindrop import comparison, receipt_text
from traindrop.comparison import Comparison
from traindrop.console import job_link, log_link, quotas_link
from traindrop.cures import cure_of
from traindrop.figures import duration, not_trained_on, share
from traindrop.mail import Message, Outcome, compose, on_its_own_line, sentence
from traindrop.messages import model_links, scores, warned
from traindrop.plain_text import printable, shell_word
from traindrop.rungs import told

_ALGORITHM = re.compile(r"^AlgorithmError: (?P<said>.*?\S)(, exit code: \d+)?$", re.DOTALL)
"""SageMaker's frame around what a training wrote into its file `failure`."""
_CLAUSE = re.compile(r"[;.]\s|(?<=[\w)]):\s")


def ended_early(outcome: Outcome, run: Mapping[str, Any], error: str, cause: str, left: str) -> Message:
    """A run failed or was stopped before it told of a model; `left` says what is left of its job and model."""
    if outcome == "Stopped":
        stopped = "the run was stopped"
        return compose(
            "Stopped", stopped, [left, _jobs(run), _paid(run)], run, lead=sentence(f"{stopped}: {cause.strip()}")
        )
    error = printable(error)
    reason, _, log = cause.strip().partition("\n\n")
    framed = _ALGORITHM.match(reason)
    said = framed["said"] if framed else reason.removeprefix(f"{error}: ")
    known = cure_of(error, reason)
    what, todo = (known.what, known.todo) if known else ("", "")
    said = said.replace(todo, "").strip() if todo else said
    return compose(
        "Failed",
        what or _first_clause(said) or error,
        [
            f"What to do: {todo}" if todo else "",
            _quotas(run) if error == "QuotaExhausted" else "",
            left,
            _climbed(run),
            _indented(log),
            _jobs(run),
            _paid(run),
        ],
        run,
        lead=f"{what} [{error}]\n{textwrap.indent(said, '  ')}" if what else f"{said} [{error}]".strip(),
    )


def _first_clause(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return _CLAUSE.split(line, maxsplit=1)[0].rstrip(".")


def _indented(text: str) -> str:
    """A label and lines below it, as they came."""
    label, _, lines = text.partition("\n")
    return f"{label}\n{textwrap.indent(lines, '  ')}" if lines else label


def _quotas(run: Mapping[str, Any]) -> str:
    arn = run.get("execution_arn")
    return on_its_own_line("Your quotas", quotas_link(arn)) if arn else ""


def _jobs(run: Mapping[str, Any]) -> str:
    """The pages of the run's last training job and, if it has trained, of its log."""
    jobs, arn = run.get("jobs") or [], run.get("execution_arn")
    if not jobs or not arn:
        return ""
    name = jobs[-1]["name"]
    if jobs[-1]["status"] in ("Failed", "Stopped") and not jobs[-1]["seconds_trained"]:
        return on_its_own_line("The training job", job_link(arn, name))
    return on_its_own_line("The training job and its log", job_link(arn, name), log_link(arn, name))


def _paid(run: Mapping[str, Any]) -> str:
    if not run.get("jobs"):
        return "No training job was started and nothing is charged for one."
    return receipt_text.told(run.get("receipt") or {}) or "What the training cost is not known yet."


def finished(
    outcome: Outcome,
    run: Mapping[str, Any],
    metrics: Mapping[str, Any],
    compared: Comparison | None,
    links: Mapping[str, str],
) -> Message:
    """A model was delivered: how good, how it compares, what it cost, where it lies.

    `links` are URIs of the model's files by what they are called; `Model` is among them.
    """
    epochs = f"{metrics.get('epochs_trained', '?')} of {metrics.get('epochs_requested', '?')} epochs"
    score = scores(metrics) or "a model"
    ended = _ENDED.get(str(run.get("ended", "")), "")
    brief = compared.brief if compared else ""
    headline = f"{score} after {epochs}: {ended}" if ended else f"{score}{brief and f': {brief}'}"
    left_out = bool(not_trained_on(metrics)) or bool(metrics.get("checkpoints_rejected"))
    place = links["Model"].rpartition("/")[0] + "/"
    return compose(
        outcome,
        headline,
        [
            _why(run, links["Model"]),
            _measured(metrics),
            comparison.told(compared, metrics) if compared else "",
            f"{run['settings']['model']}, {epochs}{_patience(run, metrics)}, "
            f"{duration(run.get('training_seconds', 0))} of training{_interrupted(run)}.",
            _climbed(run),
            _rejections(metrics),
            not_trained_on(metrics),
            _not_delivered(metrics),
            warned(run),
            receipt_text.told(run.get("receipt") or {}),
            model_links(run, place),
            "\n".join(f"{label}: {uri}" for label, uri in links.items() if not _lacks(metrics, uri)),
            on_its_own_line("Fetch it with one of these", *_fetching(run, links["Model"])),
            _jobs(run) if left_out else "",
        ],
        run,
    )


_ENDED = {
    "stopped": "the job was stopped",
    "runtime_exceeded": "time or cost cap reached",
    "capacity_exhausted": "no instance to be had",
}


_CAPS = ("max_runtime_hours", "max_wait_hours", "max_cost_usd")


def _interrupted(run: Mapping[str, Any]) -> str:
    """What spot did to the training, where it was on spot."""
    times = int(run.get("interruptions", 0))
    if times:
        return f", {times} spot interruption{'' if times == 1 else 's'} survived"
    return ", no spot interruption" if any(job.get("spot") for job in run.get("jobs") or ()) else ""


def _why(run: Mapping[str, Any], model: str) -> str:
    """Why a training ended before its end, and how to have more of it."""
    settings = run["settings"]
    caps = ", ".join(f"{name} {settings[name]:g}" for name in _CAPS if name in settings)
    why = {
        "stopped": "The job was stopped; this is the best model so far.",
        "runtime_exceeded": f"The time or cost cap{f' ({caps})' if caps else ''} ended the job; this is the best model "
        "so far. Raise what was reached in training.yaml to train longer.",
        "capacity_exhausted": "No instance could be had to train on; this is the best model so far. List more "
        "instance_types or set on_demand_fallback: true in training.yaml, or try again later.",
    }.get(str(run.get("ended", "")))
    if why is None:
        return ""
    go_on = "To go on from this model, start the dataset again with this in training.yaml"
    return f"{why} {on_its_own_line(go_on, f'model: {model}')}"


def _measured(metrics: Mapping[str, Any]) -> str:
    """What was measured of masks and of boxes, where there are both."""
    kinds = [kind for kind in ("mask", "box") if f"map50_{kind}" in metrics]
    if len(kinds) < 2:
        return ""
    return "\n".join(
        f"{kind.capitalize()}: mAP50 {share(metrics[f'map50_{kind}'])}, mAP50-95 {share(metrics[f'map50_95_{kind}'])}"
        for kind in kinds
    )


def _patience(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """That a training ended by itself, having become no better."""
    if not (metrics.get("stopped_early") and run.get("ended") == "completed"):
        return ""
    patience = run["settings"].get("patience")
    return f" (ended by patience: no better for {patience} epochs)" if patience else ""


def _fetching(run: Mapping[str, Any], model: str) -> list[str]:
    fetch = [f"traindrop fetch {run['run_id']}"] if run.get("run_id") else []
    return [*fetch, f"aws s3 cp {shell_word(model)} best.pt"]


def _climbed(run: Mapping[str, Any]) -> str:
    """Which instances were tried, where it was not only the first."""
    found = told(run)
    return f"Instances tried: {found}." if found else ""


def _lacks(metrics: Mapping[str, Any], uri: str) -> bool:
    """Whether the job could not make this part of the model folder."""
    return uri.rpartition("/")[2] in (metrics.get("missing") or {})


def _not_delivered(metrics: Mapping[str, Any]) -> str:
    """What the job could not make though it trained a model, and why."""
    missing = metrics.get("missing") or {}
    return "\n".join(f"Not delivered: {name} ({why})." for name, why in missing.items())


def _rejections(metrics: Mapping[str, Any]) -> str:
    """Checkpoints that a host found damaged, and how training went on without them."""
    found = metrics.get("checkpoints_rejected") or ()
    return on_its_own_line("Damaged checkpoints were found and not used", *found) if found else ""
