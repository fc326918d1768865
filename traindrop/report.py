"""report.html: what was trained, how good it is, what it cost and how to use it, in one file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from traindrop import comparison, dataset_facts, receipt_text
from traindrop.charts import Chart, chart, column, read_epochs
from traindrop.comparison import Change, Comparison
from traindrop.confusion_table import confusions
from traindrop.figures import count, dollars, duration, moment, not_trained_on, setting, share
from traindrop.rungs import told
from traindrop.sample_pictures import groups

_MOST_CLASSES = 200
_MOST_EPOCHS = 120
_MOST_CHANGES = 50
_SECTIONS = (
    ("charts", "curves", "Curves"),
    ("classes", "classes", "Classes"),
    ("confusions", "confusions", "Confusions"),
    ("rivals", "rivals", "Against the best"),
    ("groups", "samples", "Samples"),
    ("contents", "dataset", "Dataset"),
    ("receipt", "receipt", "Receipt"),
    ("settings", "settings", "Settings"),
    ("model_uri", "use", "How to use it"),
)
"""What is there only where there is something to show: its anchor, and what the links at the top call it."""
_HIDDEN_SETTINGS = frozenset({"expect", "force"})

_templates = Environment(
    loader=PackageLoader("traindrop", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class _Class:
    name: str
    instances: str
    map50: float | None
    map50_95: float | None


def render_report(
    run: Mapping[str, Any],
    metrics: Mapping[str, Any],
    results_csv: str,
    samples: Sequence[tuple[str, bytes]],
    job_timeline: Sequence[Mapping[str, Any]],
) -> str:
    """The report as HTML that needs no network, no script and no other file, and stays below 5 MB.

    Every text of the dataset's owner is escaped. Whatever is not known (no metrics after a stopped job, no price) is
    left out.

    Args:
        run: the run's record; `dataset` and `run_id` are needed.
        metrics: metrics.json, or nothing.
        results_csv: ultralytics' results.csv, or nothing.
        samples: JPEG or PNG pictures by file name, the truth beside the prediction; others are left out.
        job_timeline: the run's training jobs as its record keeps them.
    """
    kind = "mask" if "map50_mask" in metrics else "box"
    rows = read_epochs(results_csv)
    pictures, left_out = groups(samples, metrics)
    classes = _classes(metrics, kind)
    model_uri = run.get("model_uri")
    resumed = sorted({int(epoch) for epoch in metrics.get("resumed_from_epochs") or []})
    parts = {
        "charts": _charts(rows, metrics, kind, resumed),
        "classes": classes[:_MOST_CLASSES],
        "confusions": confusions(metrics),
        "rivals": _rivals(run, metrics, kind),
        "groups": pictures,
        "contents": dataset_facts.told(run),
        "receipt": receipt_text.table(run.get("receipt") or {}),
        "jobs": [_job(job) for job in job_timeline],
        "settings": _settings(run.get("settings") or {}),
        "model_uri": model_uri,
    }
    return _templates.get_template("report.html.j2").render(
        **parts,
        sections=[(anchor, title) for part, anchor, title in _SECTIONS if parts[part]],
        dataset=str(run["dataset"]),
        run_id=str(run["run_id"]),
        kind=kind,
        verdict=_verdict(run, metrics, kind),
        standing=_standing(run, metrics),
        tiles=_tiles(run, metrics, kind),
        resumed=resumed,
        epochs=_epoch_table(rows, kind),
        more_classes=max(0, len(classes) - _MOST_CLASSES),
        validation=_validation(metrics),
        rival=(metrics.get("champion") or {}).get("run_id"),
        looked_at=count((metrics.get("predictions") or {}).get("images")),
        left_out=left_out,
        bills=receipt_text.bills(run.get("receipt") or {}),
        onnx="best.onnx" not in (metrics.get("missing") or {}),
        folder_uri=str(model_uri).rpartition("/")[0] if model_uri else None,
        imgsz=(run.get("settings") or {}).get("imgsz"),
        created_at=moment(run.get("created_at")),
        ended_at=moment(run.get("ended_at")),
        versions=[
            f"{name} {metrics[key]}"
            for key, name in (("ultralytics", "ultralytics"), ("torch", "torch"))
            if key in metrics
        ],
    )


def _verdict(run: Mapping[str, Any], metrics: Mapping[str, Any], kind: str) -> str:
    if f"map50_{kind}" not in metrics:
        return "a model, but no metrics: the job ended before it was evaluated"
    epochs, asked = metrics.get("epochs_trained", "?"), metrics.get("epochs_requested", "?")
    after = f"{epochs} epochs" if epochs == asked else f"{epochs} of {asked} epochs"
    money = f", for {dollars(run['cost_usd'])}" if "cost_usd" in run else ""
    return f"{kind} mAP50 {share(metrics[f'map50_{kind}'])} after {after}{money}"


def _standing(run: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """How the model compares with the dataset's best before it, and why it ended early if it did."""
    compared, parts = _compared(run), []
    if compared:
        parts += [comparison.standing(compared, metrics), compared.note, compared.why]
    parts.append(
        {
            "stopped": "The job was stopped; this is the best model until then.",
            "runtime_exceeded": "The time or cost cap ended the job; this is the best model until then.",
            "capacity_exhausted": "No instance could be had to train on; this is the best model until then.",
        }.get(str(run.get("ended")), "")
    )
    if metrics.get("stopped_early"):
        parts.append("Training ended early because nothing got better any more.")
    parts.append(not_trained_on(metrics))
    survived = count(run.get("interruptions"))
    if survived:
        parts.append(f"It survived {survived} spot interruption{'s' if survived > 1 else ''}.")
    climbed = told(run)
    if climbed:
        parts.append(f"Instances tried: {climbed}.")
    return " ".join(part for part in parts if part)


def _compared(run: Mapping[str, Any]) -> Comparison | None:
    return Comparison(**run["comparison"]) if run.get("comparison") else None


def _rivals(run: Mapping[str, Any], metrics: Mapping[str, Any], kind: str) -> list[Change]:
    """What this job measured of both models: over all classes, then class by class, the most changed first."""
    compared, champion = _compared(run), metrics.get("champion") or {}
    if not compared or compared.basis != "measured" or compared.score is None or compared.before is None:
        return []
    instances = count(metrics.get("validation_instances"))
    overall = [
        Change(f"{label}, all classes", float(champion[key]), float(metrics[key]), instances)
        for key, label in ((f"map50_95_{kind}", "mAP50-95"), (f"map50_{kind}", "mAP50"))
        if key in champion and key in metrics
    ]
    return [*overall, *comparison.changes(metrics)[:_MOST_CHANGES]]


def _tiles(run: Mapping[str, Any], metrics: Mapping[str, Any], kind: str) -> list[tuple[str, str, str]]:
    """Headline figures: label, value, remark."""
    tiles = []
    for key, label, remark in (
        (f"map50_{kind}", f"{kind} mAP50", "1 is perfect"),
        (f"map50_95_{kind}", f"{kind} mAP50-95", "the strict measure"),
        (f"precision_{kind}", "precision", "found ones that are right"),
        (f"recall_{kind}", "recall", "true ones that are found"),
    ):
        if key in metrics:
            tiles.append((label, share(metrics[key]), remark))
    if "training_seconds" in run:
        tiles.append(("training time", duration(run["training_seconds"]), "as SageMaker counts it"))
    if "cost_usd" in run:
        saved = float(run.get("saved_usd") or 0)
        tiles.append(("paid", dollars(run["cost_usd"]), f"{dollars(saved)} saved by spot" if saved else "on demand"))
    return tiles


def _charts(
    rows: Sequence[Mapping[str, float]], metrics: Mapping[str, Any], kind: str, resumed: Sequence[int]
) -> list[Chart]:
    letter = "M" if kind == "mask" else "B"
    best = metrics.get("best_epoch")
    drawn = [
        chart(
            f"{kind.capitalize()} mAP on the validation images",
            {
                "mAP50": column(rows, f"metrics/mAP50({letter})"),
                "mAP50-95": column(rows, f"metrics/mAP50-95({letter})"),
            },
            resumed=resumed,
            share=True,
            best_epoch=int(best) if best is not None else None,
        )
    ]
    for loss, title in (("seg", "Mask loss"), ("box", "Box loss"), ("cls", "Class loss")):
        drawn.append(
            chart(
                title,
                {"validation": column(rows, f"val/{loss}_loss"), "training": column(rows, f"train/{loss}_loss")},
                resumed=resumed,
            )
        )
    return [one for one in drawn if one]


def _epoch_table(rows: Sequence[Mapping[str, float]], kind: str) -> dict[str, Any]:
    """The figures behind the curves; of very many epochs every n-th."""
    letter = "M" if kind == "mask" else "B"
    wanted = [
        ("epoch", "Epoch"),
        (f"metrics/mAP50({letter})", "mAP50"),
        (f"metrics/mAP50-95({letter})", "mAP50-95"),
        ("train/seg_loss", "Mask loss"),
        ("val/seg_loss", "… validation"),
        ("train/box_loss", "Box loss"),
        ("val/box_loss", "… validation"),
        ("train/cls_loss", "Class loss"),
        ("val/cls_loss", "… validation"),
    ]
    wanted = [(key, label) for key, label in wanted if any(key in row for row in rows)]
    stride = -(-len(rows) // _MOST_EPOCHS) or 1
    body = [
        [
            "\N{EN DASH}" if key not in row else str(int(row[key])) if key == "epoch" else f"{row[key]:.3f}"
            for key, _ in wanted
        ]
        for row in rows[::stride]
    ]
    return {"head": [label for _, label in wanted], "body": body, "stride": stride}


def _classes(metrics: Mapping[str, Any], kind: str) -> list[_Class]:
    return [
        _Class(
            str(name),
            str(values.get("instances", "\N{EN DASH}")),
            values.get(f"map50_{kind}"),
            values.get(f"map50_95_{kind}"),
        )
        for name, values in (metrics.get("classes") or {}).items()
    ]


def _validation(metrics: Mapping[str, Any]) -> str:
    parts = []
    if "validation_images" in metrics:
        parts.append(
            f"On {metrics['validation_images']} validation images with "
            f"{metrics.get('validation_instances', '?')} instances that it never trained on."
        )
    if "map50_mask" in metrics and "map50_box" in metrics:
        parts.append(
            f"The boxes alone: mAP50 {share(metrics['map50_box'])}"
            + (f", mAP50-95 {share(metrics['map50_95_box'])}." if "map50_95_box" in metrics else ".")
        )
    return " ".join(parts)


def _job(job: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": str(job.get("name", "")),
        "instance": str(job.get("instance_type", "")),
        "market": "spot" if job.get("spot") else "on demand",
        "status": str(job.get("status", "")),
        "started": moment(job.get("started_at")),
        "ended": moment(job.get("ended_at")),
        "trained": duration(job.get("seconds_trained", 0)),
        "billed": duration(job.get("seconds_billed", 0)),
        "interruptions": str(count(job.get("interruptions"))),
    }


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for key, value in settings.items():
        if value is None or key in _HIDDEN_SETTINGS:
            continue
        if isinstance(value, Mapping):
            lines += [(f"{key}.{inner}", setting(item)) for inner, item in value.items() if item is not None]
        elif isinstance(value, (list, tuple)):
            lines.append((key, ", ".join(map(setting, value))))
        else:
            lines.append((key, setting(value)))
    return lines
