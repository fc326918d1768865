"""Settings given at the command line: which options they have, and what is refused before anything happens."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from traindrop.cli import Answer, UsageError
from traindrop.cli.given_settings import given_settings

app = typer.Typer()


@app.command()
@given_settings
def start(dataset: str, settings: dict[str, Any], again: bool = False) -> Answer:
    return Answer(json.dumps([dataset, settings, again]))


def given(*options: str) -> Any:
    dataset, settings, again = json.loads(app(["rooms", *options], standalone_mode=False).text)
    assert (dataset, again) == ("rooms", "--again" in options)
    return settings


def refused(*options: str) -> str:
    with pytest.raises(UsageError) as error:
        given(*options)
    return str(error.value)


def test_nothing_is_set_that_was_not_given() -> None:
    assert given() == {}
    assert given("--again") == {}


def test_each_option_is_the_setting_of_its_name() -> None:
    words = "--model best --epochs 3 --imgsz 640 --batch 4 --patience 0 --seed 7 --on-demand --force"
    assert given(*words.split()) == {
        "model": "best",
        "epochs": 3,
        "imgsz": 640,
        "batch": 4,
        "patience": 0,
        "seed": 7,
        "spot": False,
        "force": True,
    }
    assert given("--spot", "--instance-types", "ml.g5.xlarge, ml.g4dn.xlarge") == {
        "spot": True,
        "instance_types": ["ml.g5.xlarge", "ml.g4dn.xlarge"],
    }
    assert given("--max-cost-usd", "2.5", "--max-runtime-hours", "3") == {"max_cost_usd": 2.5, "max_runtime_hours": 3}


def test_any_other_setting_is_given_by_its_key() -> None:
    assert given("--set", "train.lr0=1e-3", "--set", "train.cos_lr=yes", "--set", "on_demand_fallback=true") == {
        "train": {"lr0": 0.001, "cos_lr": True},
        "on_demand_fallback": True,
    }
    assert given("--set", "expect={train: 6, val: 2}") == {"expect": {"train": 6, "val": 2}}
    assert given("--set", "force=no") == {"force": False}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--epochs 0", ["the command line: epochs is 0", "greater than or equal to 1"]),
        ("--model yolo8n-seg.pt", ["did you mean 'yolov8n-seg.pt'"]),
        ("--instance-types ml.g4dn.xlrge", ["did you mean 'ml.g4dn.xlarge'"]),
        ("--max-cost-usd nan", ["max_cost_usd is nan"]),
        ("--set epoch=5", ["'epoch' is not a setting", "did you mean 'epochs'"]),
        ("--set train.mozaic=1", ["'train.mozaic' is not a setting", "did you mean 'mosaic'"]),
        ("--set epochs=many", ["epochs is 'many'"]),
        ("--set epochs", ["'epochs' is not KEY=VALUE"]),
        ("--set =5", ["'=5' is not KEY=VALUE"]),
        ("--set seed=[", ["'seed=['", "not YAML"]),
        ("--epochs 3 --set epochs=4", ["epochs is given twice"]),
        ("--epochs 3 --set epochs.x=4", ["epochs.x is given twice"]),
        ("--epochs 0 --batch 0", ["epochs is 0", "batch is 0"]),
    ],
)
def test_what_training_yaml_would_be_rejected_for_is_refused(options: str, named: list[str]) -> None:
    why = refused(*options.split())
    assert all(words in why for words in named), why
    assert "\n" not in why
