"""What arrives in the inbox: plain text, the most important first, and the one command that starts again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from traindrop.console import execution_link, folder_link, job_link, log_link, object_link
from traindrop.drops import ROOT
from traindrop.figures import dollars, share
from traindrop.mail import Message, compose, on_its_own_line, on_the_execution, sentence
from traindrop.plain_text import printable, shell_word
from traindrop.pricing import PRICE_DATE, PRICE_REGION

_CODES_TOLD = 12
_EXAMPLES_TOLD = 5
_WARNINGS_TOLD = 3


def misplaced(dataset: str, bucket: str, key: str, right_keys: Sequence[str], reason: str) -> Message:
    """Somebody dropped a data.yaml or a zip where no run starts."""
    moves = [_move(bucket, key, right) for right in right_keys]
    which = "Move it there" if len(moves) == 1 else "Move it to one of these places"
    along = "" if key.lower().endswith(".zip") else ", its images and labels with it"
    return compose(
        "Rejected",
        f"{key} starts nothing where it lies",
        [
            f"The object s3://{bucket}/{printable(key)} was not taken for a dataset: {reason}.",
            on_its_own_line(f"{which}{along}", *moves),
            "Nothing was started and nothing is charged.",
        ],
        {"dataset": dataset},
        lead=f"{printable(key)} starts nothing where it lies; the right key is {' or '.join(right_keys)}.",
    )


def _move(bucket: str, key: str, right: str) -> str:
    """Move a zip, or a data.yaml with all that lies beside it, unless other datasets lie there too."""
    beside, there = key.rpartition("/")[0], right.rpartition("/")[0]
    if key.lower().endswith(".zip") or beside.strip("/") in ("", ROOT.strip("/")) or beside == there:
        return f"aws s3 mv {shell_word(f's3://{bucket}/{key}')} {shell_word(f's3://{bucket}/{right}')}"
    return f"aws s3 mv {shell_word(f's3://{bucket}/{beside}/')} {shell_word(f's3://{bucket}/{there}/')} --recursive"


def rejected(
    run: Mapping[str, Any], errors: Sequence[Mapping[str, Any]], verdict_uri: str, *, incomplete_after: str = ""
) -> Message:
    """The dataset cannot train: the three worst faults with their files, and where the whole verdict lies."""
    others = [f"- {_fault(error)}" for error in errors[1:3]]
    if len(errors) > 3:
        others.append(f"… and {_totals(errors[3:])}")
    incomplete = "incomplete: " if incomplete_after else ""
    arn = run.get("execution_arn")
    return compose(
        "Rejected",
        f"{incomplete}{errors[0]['message']}",
        [
            on_its_own_line("Also wrong", *others) if others else "",
            f"The upload did not become complete within {incomplete_after}. Upload what is missing, then start the "
            "dataset again with the command below."
            if incomplete_after
            else "Mend it and drop it again. `traindrop check` with the folder or zip on your disk finds the same "
            "before an upload.",
            "No training job was started and nothing is charged for one.",
            on_its_own_line("The whole verdict", verdict_uri, *([object_link(arn, verdict_uri)] if arn else [])),
        ],
        run,
        lead=f"{incomplete}{_fault(errors[0])}",
    )


def _fault(error: Mapping[str, Any]) -> str:
    """A fault in a sentence with its code, and below it where it was found, if that is in several places."""
    places = list(error.get("examples") or ())[:_EXAMPLES_TOLD]
    more = int(error["count"]) - len(places)
    where = f"\n  in {', '.join(places)}{f' and {more} more' if more > 0 else ''}" if len(places) > 1 else ""
    return f"{error['message']} [{error['code']}]{where}"


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
    arn, report, metrics = earlier.get("execution_arn"), earlier.get("report_uri"), earlier.get("metrics") or {}
    doing_now = "fetch" if state == "trained" else "watch"
    return compose(
        "Unchanged",
        f"this data with these settings {doing}",
        [
            f"Run {earlier['run_id']} has it"
            + (f", with {scores(metrics)}" if scores(metrics) else "")
            + "; nothing new was started and nothing is charged.",
            on_its_own_line(
                "Its report, with the model beside it", report, *([object_link(arn, report)] if arn else [])
            )
            if report
            else "",
            on_its_own_line("The earlier run in the console", execution_link(arn)) if arn else "",
            on_its_own_line(f"{doing_now.capitalize()} it with", f"traindrop {doing_now} {earlier['run_id']}"),
            "To train it all the same, set `force: true` in training.yaml and start the dataset again.",
        ],
        run,
    )


def started(
    run: Mapping[str, Any], *, estimate: str, cap_usd: float, cap_hours: float, rungs: str, job_name: str
) -> Message:
    """A training job exists from now on, so money may flow."""
    arn, images = run["execution_arn"], run.get("images") or {}
    on = f" on {images['train']} images, validated on {images['val']}" if images else ""
    headline = f"training {run['settings']['epochs']} epochs of {run['settings']['model']}"
    return compose(
        "Started",
        headline,
        [
            estimate,
            f"It costs at most {dollars(cap_usd)} and {cap_hours:.1f} hours of training, all attempts together. Prices "
            f"of {PRICE_REGION}, {PRICE_DATE}.",
            f"Instances, in order: {rungs}.",
            warned(run),
            following(run),
            on_its_own_line(
                "The training job and, once it trains, its log", job_link(arn, job_name), log_link(arn, job_name)
            ),
        ],
        run,
        lead=f"{headline}{on}.",
    )


def following(run: Mapping[str, Any]) -> str:
    """Commands for a run that is on: of the command line, and of plain `aws`."""
    run_id, arn = run["run_id"], run["execution_arn"]
    return "\n".join(
        (
            on_its_own_line(
                "Watch it, or stop it and have the best model so far",
                f"traindrop watch {run_id}",
                f"traindrop stop {run_id}",
            ),
            on_its_own_line("Stop it without the command line", on_the_execution("stop-execution", arn)),
        )
    )


def scores(metrics: Mapping[str, Any]) -> str:
    """What a model reached, of masks where it has them, else of boxes; nothing where it was not measured."""
    kind = "mask" if "map50_mask" in metrics else "box"
    if f"map50_{kind}" not in metrics:
        return ""
    return f"{kind} mAP50 {share(metrics[f'map50_{kind}'])}, mAP50-95 {share(metrics[f'map50_95_{kind}'])}"


def warned(run: Mapping[str, Any]) -> str:
    """What the check of the data wondered about, though it trains."""
    found = [sentence(str(item)) for item in run.get("warnings") or ()]
    if not found:
        return ""
    told = [f"- {item}" for item in found[:_WARNINGS_TOLD]]
    if len(found) > _WARNINGS_TOLD:
        told.append(f"… and {len(found) - _WARNINGS_TOLD} more")
    return on_its_own_line(f"About the data (all of it in {run.get('verdict_uri', 'the verdict')})", *told)


def model_links(run: Mapping[str, Any], place: str) -> str:
    """The pages of a delivered model's folder and report; nothing where the region is not known."""
    arn = run.get("execution_arn")
    if not arn:
        return ""
    return "\n".join(
        (
            on_its_own_line("The report (Open on that page shows it)", object_link(arn, f"{place}report.html")),
            on_its_own_line("All that was delivered", folder_link(arn, place)),
        )
    )
