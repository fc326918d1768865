"""What arrives in the inbox: plain text, the most important first, and the one command that starts again."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traindrop import receipt_text
from traindrop.console import execution_link
from traindrop.figures import dollars, duration, not_trained_on
from traindrop.plain_text import printable, shell_word
from traindrop.pricing import PRICE_DATE, PRICE_REGION
from traindrop.rungs import told

Outcome = Literal["Started", "Waiting", "Completed", "Rejected", "Failed", "Stopped", "Unchanged"]
_SUBJECT_LIMIT = 100
_CODES_TOLD = 12
_WARNINGS_TOLD = 3
_BODY_BYTES = 64 * 1024
"""In UTF-8, less than SNS's 262,144: in the state machine's data every character may be escaped, and have six bytes."""


@dataclass(frozen=True)
class Message:
    """A notification: subject (at most 100 printable ASCII characters, as SNS demands), body, attributes."""

    subject: str
    body: str
    attributes: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The shape that the state machine publishes."""
        return {"subject": self.subject, "body": self.body, "attributes": self.attributes}


def compose(outcome: Outcome, headline: str, paragraphs: Sequence[str], run: Mapping[str, Any]) -> Message:
    """A message about a run; paragraphs that are empty are left out.

    `run` needs `dataset`; `run_id`, `bucket`, `key` and `execution_arn` are used where they are known.
    """
    dataset, run_id = printable(str(run["dataset"])).strip() or "unknown", run.get("run_id")
    headline = printable(headline)
    blocks = [headline, *(paragraph for paragraph in paragraphs if paragraph)]
    links = []
    if run.get("execution_arn"):
        links.append(f"The run in the console:\n  {execution_link(run['execution_arn'])}")
    if run.get("bucket") and run.get("key"):
        links.append(f"Start this dataset again with:\n  {restart_command(run['bucket'], run['key'])}")
    if run_id:
        links.append(f"Run {run_id}")
    attributes = {"outcome": outcome, "dataset": dataset}
    if run_id:
        attributes["run_id"] = run_id
    return Message(_subject(f"{outcome}: {dataset} - {headline}"), _body(blocks, links), attributes)


def _body(blocks: Sequence[str], links: Sequence[str]) -> str:
    """The blocks, cut where they are too long, and always the links; of control characters only line breaks."""
    end = "\n\n".join(["", *links]) + "\n"
    text = "\n".join(printable(line) for line in "\n\n".join(blocks).split("\n"))
    room = _BODY_BYTES - len(end.encode())
    return text.encode()[:room].decode(errors="ignore") + end


def _subject(text: str) -> str:
    plain = "".join(c if " " <= c <= "~" else "?" for c in " ".join(text.split())).strip()
    return textwrap.shorten(plain, _SUBJECT_LIMIT, placeholder="...") if len(plain) > _SUBJECT_LIMIT else plain


def restart_command(bucket: str, key: str) -> str:
    """Copy the object that starts the dataset onto itself, which S3 reports as a new one."""
    uri = shell_word(f"s3://{bucket}/{key}")
    return f"aws s3 cp {uri} {uri} --metadata-directive REPLACE"


def misplaced(dataset: str, bucket: str, key: str, right_keys: Sequence[str], reason: str) -> Message:
    """Somebody dropped a data.yaml or a zip where no run starts."""
    moves = "\n".join(
        "  aws s3 mv " + " ".join(shell_word(f"s3://{bucket}/{name}") for name in (key, right)) for right in right_keys
    )
    return compose(
        "Rejected",
        f"{key} starts nothing where it lies",
        [
            f"The object s3://{bucket}/{printable(key)} was not taken for a dataset: {reason}.",
            f"The right key is {' or '.join(right_keys)}. Move it, images and labels along with a data.yaml:\n{moves}",
            "Nothing was started and nothing is charged.",
        ],
        {"dataset": dataset},
    )


def rejected(
    run: Mapping[str, Any], errors: Sequence[Mapping[str, Any]], verdict_uri: str, *, incomplete_after: str = ""
) -> Message:
    """The dataset cannot train: the three worst faults, and where the whole verdict lies."""
    worst = "\n".join(f"  {number}. {error['message']} [{error['code']}]" for number, error in enumerate(errors[:3], 1))
    rest = f"\n  … and {_totals(errors[3:])}" if len(errors) > 3 else ""
    headline = f"incomplete: {errors[0]['message']}" if incomplete_after else errors[0]["message"]
    waited = f"The upload did not become complete within {incomplete_after}." if incomplete_after else ""
    return compose(
        "Rejected",
        headline,
        [
            waited,
            f"What is wrong:\n{worst}{rest}",
            f"The full verdict: {verdict_uri}",
            "No training job was started and nothing is charged for one.",
        ],
        run,
    )


def _totals(errors: Sequence[Mapping[str, Any]]) -> str:
    counts: Counter[str] = Counter()
    for error in errors:
        counts[error["code"]] += error["count"]
    shown = [f"{code} ({count})" for code, count in counts.most_common(_CODES_TOLD)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} other kinds" if more else "")


def unchanged(run: Mapping[str, Any], earlier: Mapping[str, Any], state: str) -> Message:
    """The same data with the same settings was trained, or is being trained, by the `earlier` run."""
    doing = "was already trained" if state == "trained" else "is being trained right now"
    arn, report = earlier.get("execution_arn"), earlier.get("report_uri")
    return compose(
        "Unchanged",
        f"this data with these settings {doing}",
        [
            f"Run {earlier['run_id']} has it; nothing new was started and nothing is charged.",
            f"Its report, with the model beside it:\n  {report}" if report else "",
            f"That run in the console:\n  {execution_link(arn)}" if arn else "",
            "To train it all the same, set `force: true` in training.yaml.",
        ],
        run,
    )


def started(
    run: Mapping[str, Any], *, estimate: str, cap_usd: float, cap_hours: float, rungs: str, job_link: str
) -> Message:
    """A training job exists from now on, so money may flow."""
    return compose(
        "Started",
        f"training {run['settings']['epochs']} epochs of {run['settings']['model']}",
        [
            f"Instances, in order: {rungs}.",
            estimate,
            f"It costs at most {dollars(cap_usd)} and {cap_hours:.1f} hours of training, all attempts together. Prices "
            f"of {PRICE_REGION}, {PRICE_DATE}.",
            _warned(run),
            f"The training job: {job_link}",
        ],
        run,
    )


def ended_early(outcome: Outcome, run: Mapping[str, Any], error: str, cause: str, left: str) -> Message:
    """A run failed or was stopped before it told of a model; `left` says what is left of its job and model."""
    if outcome == "Stopped":
        return compose("Stopped", "the run was stopped", [cause, left, _paid(run)], run)
    return compose(
        "Failed",
        _first_line(cause) or error,
        [
            f"Error {error}:\n{textwrap.indent(cause.strip(), '  ')}",
            _climbed(run),
            _paid(run),
            left,
        ],
        run,
    )


def _first_line(cause: str) -> str:
    return next((line.strip() for line in cause.splitlines() if line.strip()), "")


def _paid(run: Mapping[str, Any]) -> str:
    jobs = run.get("jobs") or []
    if not jobs:
        return "No training job was started and nothing is charged for one."
    paid = receipt_text.told(run.get("receipt") or {}) or "What they cost is not known yet."
    return f"Training jobs: {', '.join(job['name'] for job in jobs)}.\n{paid}"


def finished(
    outcome: Outcome, run: Mapping[str, Any], metrics: Mapping[str, Any], comparison: str, links: Mapping[str, str]
) -> Message:
    """A model was delivered: how good, how it compares, what it cost, where it lies."""
    kind = "mask" if "map50_mask" in metrics else "box"
    score = f"{kind} mAP50 {metrics[f'map50_{kind}']:.3f}" if f"map50_{kind}" in metrics else "a model"
    lines = [
        f"  {label:<10} mAP50 {metrics[f'map50_{name}']:.3f}   mAP50-95 {metrics[f'map50_95_{name}']:.3f}"
        for name, label in (("mask", "mask"), ("box", "box"))
        if f"map50_{name}" in metrics
    ]
    epochs = f"{metrics.get('epochs_trained', '?')} of {metrics.get('epochs_requested', '?')} epochs"
    interruptions = run.get("interruptions", 0)
    why = {
        "stopped": "The job was stopped; this is the best model so far.",
        "runtime_exceeded": "The time or cost cap ended the job; this is the best model so far. Raise "
        "max_runtime_hours or max_cost_usd in training.yaml to train on.",
        "capacity_exhausted": "No instance could be had to train on; this is the best model so far.",
    }.get(str(run.get("ended", "")), "")
    return compose(
        outcome,
        f"{score} after {epochs}",
        [
            why,
            "\n".join(lines),
            comparison,
            f"{run['settings']['model']}, {epochs}, {duration(run.get('training_seconds', 0))} of training, "
            f"{interruptions} spot interruption{'' if interruptions == 1 else 's'} survived.",
            _climbed(run),
            _rejections(metrics),
            not_trained_on(metrics),
            _not_delivered(metrics),
            _warned(run),
            receipt_text.told(run.get("receipt") or {}),
            "\n".join(f"{label + ':':<8} {uri}" for label, uri in links.items() if not _lacks(metrics, uri)),
            f"Fetch it with:\n  aws s3 cp {shell_word(links['Model'])} best.pt",
        ],
        run,
    )


def _climbed(run: Mapping[str, Any]) -> str:
    """Which instances were tried, where it was not only the first."""
    found = told(run)
    return f"Instances tried: {found}." if found else ""


def _warned(run: Mapping[str, Any]) -> str:
    """What the check of the data wondered about, though it trains."""
    found = run.get("warnings") or ()
    if not found:
        return ""
    told = "\n".join(f"  - {item}" for item in found[:_WARNINGS_TOLD])
    rest = f"\n  … and {len(found) - _WARNINGS_TOLD} more" if len(found) > _WARNINGS_TOLD else ""
    return f"About the data (all of it in {run.get('verdict_uri', 'the verdict')}):\n{told}{rest}"


def _lacks(metrics: Mapping[str, Any], uri: str) -> bool:
    """Whether the job could not make this part of the model folder."""
    return uri.rpartition("/")[2] in (metrics.get("missing") or {})


def _not_delivered(metrics: Mapping[str, Any]) -> str:
    """What the job could not make though it trained a model, and why."""
    missing = metrics.get("missing") or {}
    return "\n".join(f"Not delivered: {name} ({why})." for name, why in missing.items())


def _rejections(metrics: Mapping[str, Any]) -> str:
    """Checkpoints that a host found damaged, and how training went on without them."""
    told = "\n".join(f"  {item}" for item in metrics.get("checkpoints_rejected") or ())
    return f"Damaged checkpoints were found and not used:\n{told}" if told else ""
