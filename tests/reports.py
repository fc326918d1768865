"""Runs, metrics and reports as tests want them: an ordinary run, and what differs from it; then whole reports."""

from __future__ import annotations

from typing import Any

from tests.pictures import png
from traindrop.report import render_report

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 100
COLUMNS = (
    "epoch,time,train/box_loss,train/seg_loss,train/cls_loss,metrics/mAP50(B),metrics/mAP50-95(B),"
    "metrics/mAP50(M),metrics/mAP50-95(M),val/box_loss,val/seg_loss,val/cls_loss"
)
HOSTILE = "</title><script>alert(1)</script>\"' onload=x {{ 7*7 }} &amp; <img src=x>"


def run(**changes: Any) -> dict[str, Any]:
    record = {
        "run_id": "rooms-20261124t010203-0a1b2c3d",
        "dataset": "rooms",
        "slug": "rooms",
        "ended": "completed",
        "created_at": "2026-11-24T01:02:03+00:00",
        "ended_at": "2026-11-24T02:02:03+00:00",
        "settings": {
            "model": "yolov8n-seg.pt",
            "epochs": 8,
            "imgsz": 640,
            "spot": True,
            "expect": None,
            "instance_types": ["ml.g4dn.xlarge", "ml.g5.xlarge"],
            "train": {"lr0": 0.002, "amp": False},
        },
        "training_seconds": 3600,
        "billable_seconds": 1200,
        "interruptions": 1,
        "cost_usd": 0.2455,
        "saved_usd": 0.4909,
        "model_uri": "s3://artifacts/models/rooms/r/best.pt",
        "receipt": {
            "price_region": "us-east-1",
            "price_date": "2026-11-01",
            "jobs": [
                {
                    "name": "r-1",
                    "instance_type": "ml.g4dn.xlarge",
                    "spot": True,
                    "seconds_trained": 3600,
                    "seconds_billed": 1200,
                    "price_per_hour": 0.7364,
                    "cost_usd": 0.2455,
                    "saved_usd": 0.4909,
                }
            ],
            "seconds_trained": 3600,
            "seconds_billed": 1200,
            "interruptions": 1,
            "cost_usd": 0.2455,
            "on_demand_usd": 0.7364,
            "saved_usd": 0.4909,
            "seconds_lost": 90,
            "lost_usd": 0.0061,
            "storage": {
                "model_bytes": 2**30,
                "dataset_bytes": 2**31,
                "temporary_bytes": 0,
                "model_usd_month": 0.023,
                "dataset_usd_month": 0.046,
                "temporary_usd_month": 0.0,
            },
            "orchestration": {
                "state_transitions": 11,
                "function_requests": 17,
                "s3_reads": 100,
                "s3_writes": 90,
                "usd": 0.0014,
            },
        },
    }
    return {**record, **changes}


def metrics(**changes: Any) -> dict[str, Any]:
    found = {
        "task": "segment",
        "names": {"0": "room"},
        "epochs_trained": 8,
        "epochs_requested": 8,
        "best_epoch": 7,
        "map50_mask": 0.9461,
        "map50_95_mask": 0.8123,
        "map50_box": 0.95,
        "map50_95_box": 0.84,
        "precision_mask": 0.91,
        "recall_mask": 0.88,
        "validation_images": 25,
        "validation_instances": 118,
        "classes": {"room": {"map50_mask": 0.9461, "map50_95_mask": 0.8123, "instances": 118}},
        "resumed_from_epochs": [2],
        "ultralytics": "8.4.190",
        "torch": "2.9.0",
    }
    return {**found, **changes}


def results(epochs: int = 8) -> str:
    rows = [
        f"{n},1,{4 / n},{3 / n},{2 / n},{n / (epochs + 1)},{n / (epochs + 2)},{n / (epochs + 1)},"
        f"{n / (epochs + 2)},{4.1 / n},{3.1 / n},{2.1 / n}"
        for n in range(1, epochs + 1)
    ]
    return "\n".join([COLUMNS, *rows]) + "\n"


JOBS = [
    {
        "name": "rooms-20261124t010203-0a1b2c3d-1",
        "instance_type": "ml.g4dn.xlarge",
        "spot": True,
        "status": "Completed",
        "seconds_trained": 3600,
        "seconds_billed": 1200,
        "interruptions": 1,
        "started_at": "2026-11-24T01:05:00+00:00",
        "ended_at": "2026-11-24T02:00:00+00:00",
    }
]


def report(**changes: Any) -> str:
    given: dict[str, Any] = {
        "run": run(),
        "metrics": metrics(),
        "results_csv": results(),
        "samples": [("plan-1.jpg", JPEG)],
        "job_timeline": JOBS,
    }
    return render_report(**{**given, **changes})


def rival(**changes: Any) -> dict[str, Any]:
    found = {
        "basis": "measured",
        "promoted": True,
        "score": 0.8123,
        "before": 0.7,
        "against": "rooms-1",
        "margin": 0.005,
    }
    return {**found, **changes}


def predictions(**changes: Any) -> dict[str, Any]:
    """What a job says of the validation images that it looked at, of which two were drawn."""
    sample = {"quality": 0.25, "objects": 4, "missed": 1, "wrong": 2}
    found = {
        "images": 25,
        "confidence": 0.25,
        "iou": 0.5,
        "matrix": [[100, 3, 15], [4, 30, 6], [9, 2, 0]],
        "samples": [
            {"file": "1-plan-3.jpg", "rank": "worst", **sample},
            {"file": "2-plan-7.jpg", "rank": "best", **sample, "quality": 0.97, "missed": 0, "wrong": 0},
        ],
    }
    return {**found, **changes}


CONTENTS = {
    "splits": {
        "train": {"images": 100, "labels": 98, "backgrounds": 2, "instances": 500, "labels_read": 98},
        "val": {"images": 25, "labels": 25, "backgrounds": 0, "instances": 158, "labels_read": 20},
        "test": {"images": 10, "labels": 0, "backgrounds": 10},
    },
    "classes": [["room", 380, 118], ["door", 120, 40]],
    "class_count": 2,
}
"""What the record of a run keeps of its dataset."""


def full() -> str:
    """A report with every section: two classes, an interruption, a rival, confusions, samples, warnings."""
    classes = {
        "room": {"map50_mask": 0.9461, "map50_95_mask": 0.8123, "instances": 118},
        "door": {"map50_mask": 0.75, "map50_95_mask": 0.5, "instances": 40},
    }
    champion = {"run_id": "rooms-20261123t010203-0a1b2c3d", "map50_mask": 0.8, "map50_95_mask": 0.7, "classes": classes}
    return report(
        run=run(
            comparison=rival(),
            contents=CONTENTS,
            dataset_bytes=12_000_000,
            dataset_files=250,
            warnings=["3 of 100 images of the train split have no object, such as images/train/plan-017.jpg"],
            verdict_uri="s3://traindrop-artifacts-123456789012-us-east-1/verdicts/rooms-20261124t010203-0a1b2c3d.json",
            model_uri="s3://traindrop-artifacts-123456789012-us-east-1/models/rooms/rooms-20261124t010203/best.pt",
        ),
        metrics=metrics(
            names=["room", "door"], classes=classes, champion=champion, predictions=predictions(), left_out=2
        ),
        samples=[(name, png(1288, 684)) for name in ("1-plan-3.jpg", "2-plan-7.jpg")],
    )


def detection() -> str:
    """A report on a model that finds boxes, of as many classes as a matrix shows."""
    names = [f"class number {index}" for index in range(30)]
    found = {key: value for key, value in metrics().items() if not key.endswith("_mask")}
    sides = range(len(names) + 1)
    matrix = [[90 if one == other else (one * other) % 4 for other in sides] for one in sides]
    matrix[-1][-1] = 0
    classes = {name: {"map50_box": 0.7, "map50_95_box": 0.5, "instances": 3} for name in names}
    told = {"names": names, "classes": classes, "predictions": predictions(matrix=matrix, samples=[])}
    return report(metrics={**found, **told}, samples=[("sample.png", png(684, 1288))])


def stopped() -> str:
    """A report on a run that was stopped before anything was measured."""
    return render_report({"run_id": "r", "dataset": "rooms", "ended": "stopped"}, {}, "", [], [])


def hostile(count: int = 300) -> str:
    """A report in which every name is HTML or long, with more classes than a matrix shows."""
    names = [f"{HOSTILE} {'x' * 40} {index}" for index in range(count)]
    classes = {name: {"map50_mask": 0.5, "map50_95_mask": 0.4, "instances": 2} for name in names}
    largest = [{"true": name, "predicted": names[0], "count": 3, "of": 9} for name in names[:50]]
    told = {key: value for key, value in predictions().items() if key != "matrix"}
    contents = {**CONTENTS, "classes": [[name[:60], 5, 2] for name in names[:200]], "class_count": count}
    return report(
        run=run(
            dataset=HOSTILE * 2,
            run_id="r" * 128,
            settings={HOSTILE: "y" * 300, "train": {HOSTILE: HOSTILE}},
            comparison=rival(against="r" * 128, note=HOSTILE),
            contents=contents,
            warnings=[HOSTILE, "w" * 500] * 15,
            model_uri=f"s3://{'b' * 60}/{'m' * 200}/best.pt",
            verdict_uri=f"s3://{'b' * 60}/{'m' * 200}.json",
        ),
        metrics=metrics(
            names=names,
            classes=classes,
            champion={"run_id": "r" * 128, "map50_mask": 0.8, "map50_95_mask": 0.7, "classes": classes},
            predictions={**told, "largest": largest},
            ultralytics="v" * 200,
        ),
        samples=[(f"{'s' * 76}.jpg", png(1288, 684))],
    )
