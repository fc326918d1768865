from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from traindrop import jobs
from traindrop.rungs import Rung
from training_entry import metrics
from training_entry.checkpoints import History, Store
from training_entry.epochs import Epochs
from training_entry.job import Paths
from training_entry.publish import Progress


def trainer() -> Any:
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.002}, {"lr": 0.1}])
    return SimpleNamespace(
        epoch=4,
        epochs=50,
        tloss={"box_loss": 1.25, "seg_loss": 2.5, "cls_loss": math.nan, "dfl_loss": 0.5},
        metrics={
            "metrics/precision(B)": 0.9,
            "metrics/recall(B)": 0.8,
            "metrics/mAP50(B)": 0.7,
            "metrics/mAP50-95(B)": 0.6,
            "metrics/precision(M)": 0.5,
            "metrics/recall(M)": 0.4,
            "metrics/mAP50(M)": 1e-05,
            "metrics/mAP50-95(M)": 0.2,
            "val/box_loss": 3.0,
            "val/seg_loss": 4.0,
        },
        optimizer=optimizer,
    )


def test_every_metric_definition_finds_its_value_in_the_line() -> None:
    line = metrics.metric_line({**metrics.epoch_values(trainer(), 12.3), "cls_loss": 0.75})
    request = jobs.training_job_request(
        name="n",
        run={"run_id": "r", "dataset": "d", "slug": "d", "prefix": "datasets/d/", "settings": {}},
        rung=Rung("ml.g4dn.xlarge", True),
        places=jobs.Places("ds", "art", "role", "image"),
        code_prefix="code/x/",
        weights_uri=None,
        runtime_seconds=3600,
        wait_seconds=7200,
    )
    definitions = request["AlgorithmSpecification"]["MetricDefinitions"]
    values = {}
    for definition in definitions:
        found = re.search(definition["Regex"], line)
        assert found, definition
        values[definition["Name"]] = float(found[1])
    assert (values["epoch"], values["map50_mask"], values["map50_95_mask"], values["map50_box"]) == (5, 1e-05, 0.2, 0.7)
    assert (values["box_loss"], values["val_box_loss"]) == (1.25, 3.0)
    assert "seconds=12.3;" in line
    assert "lr=0.002;" in line


def test_a_value_that_is_no_number_is_left_out() -> None:
    line = metrics.metric_line(metrics.epoch_values(trainer(), 1))
    assert "nan" not in line
    assert " cls_loss=" not in line


def found(kinds: str) -> Any:
    row = {"B": [0.9, 0.8, 0.7, 0.6], "BM": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]}[kinds]
    names = ["precision", "recall", "mAP50", "mAP50-95"]
    results = {
        f"metrics/{name}({kind})": row[4 * place + index]
        for place, kind in enumerate(kinds)
        for index, name in enumerate(names)
    }
    return SimpleNamespace(
        results_dict={**results, "fitness": 1.0},
        names={0: "door", 1: "room"},
        nt_per_class=np.array([0, 7]),
        ap_class_index=np.array([1]),
        class_result=lambda _: row,
    )


def test_an_evaluation_names_every_class_also_one_without_instances() -> None:
    document = metrics.evaluation(found("BM"), images=4)
    assert document["classes"] == {
        "door": {"instances": 0},
        "room": {"instances": 7, "map50_box": 0.7, "map50_95_box": 0.6, "map50_mask": 0.3, "map50_95_mask": 0.2},
    }
    assert (document["map50_95_mask"], document["precision_box"]) == (0.2, 0.9)
    assert (document["validation_images"], document["validation_instances"]) == (4, 7)


def test_a_detectors_evaluation_has_no_mask_figures() -> None:
    assert not [key for key in metrics.evaluation(found("B"), images=4) if "mask" in key]


def test_the_callbacks_travel_to_the_processes_of_other_gpus(tmp_path: Path) -> None:
    epochs = Epochs(Paths(tmp_path, tmp_path), Store(tmp_path, "run"), Progress("segment", {0: "room"}, 5, History(1)))
    copy = pickle.loads(pickle.dumps(epochs.on_model_save)).__self__  # noqa: S301
    assert copy == epochs


def test_stopping_before_the_epochs_asked_for_is_early_only_when_finished() -> None:
    progress = Progress("segment", {0: "room"}, 50, History(1))
    assert progress.after(20, finished=True).stopped_early
    assert not progress.after(20, finished=False).stopped_early
    assert not progress.after(50, finished=True).stopped_early
