"""Settings of a run that are given at the command line, checked before anything is uploaded or started."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from traindrop.cli import Answer, UsageError

_PANEL = "Settings of the run, which come before those of training.yaml"


def _option(*names: str, words: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=words, metavar=metavar, rich_help_panel=_PANEL)


_OPTIONS: dict[str, Any] = {
    "model": Annotated[
        str | None, _option("--model", words="yolov8n-seg.pt and the like, s3://…/best.pt, or best: this dataset's.")
    ],
    "epochs": Annotated[int | None, _option("--epochs", words="How many epochs at most.")],
    "imgsz": Annotated[int | None, _option("--imgsz", words="Side of the images in training, in pixels.")],
    "batch": Annotated[int | None, _option("--batch", words="Images in a batch.")],
    "patience": Annotated[int | None, _option("--patience", words="Epochs without progress before it ends.")],
    "seed": Annotated[int | None, _option("--seed", words="Seed of the random numbers.")],
    "spot": Annotated[bool | None, _option("--spot/--on-demand", words="Cheap instances that AWS may take back.")],
    "instance_types": Annotated[
        str | None,
        _option("--instance-types", metavar="TYPE,…", words="Tried in this order: ml.g4dn.xlarge,ml.g5.xlarge."),
    ],
    "max_cost_usd": Annotated[float | None, _option("--max-cost-usd", words="What the run may cost.")],
    "max_runtime_hours": Annotated[float | None, _option("--max-runtime-hours", words="How long it may train.")],
    "force": Annotated[
        bool | None, _option("--force", words="Train even what was trained already with the same settings.")
    ],
    "others": Annotated[
        list[str] | None,
        _option(
            "--set", metavar="KEY=VALUE", words="Any other key of training.yaml, again and again: train.lr0=0.005."
        ),
    ],
}


def given_settings(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Give a command an option for each setting; it takes those that were given, checked, as its argument `settings`.

    Goes below `on_stack`, and raises UsageError for what training.yaml would be rejected for.
    """
    asked = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in asked.parameters.items() if name != "settings"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def with_settings(**given: Any) -> Answer:
        typed = {name: given.pop(name) for name in _OPTIONS}
        return command(settings=_checked(typed), **given)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + options
    with_settings.__signature__ = asked.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_settings.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_settings.__wrapped__
    return with_settings


def _checked(typed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given, as JSON has them, their names those of training.yaml."""
    from traindrop.settings_layers import Layer, values_of

    others = typed["others"] or []
    values = {name: value for name, value in typed.items() if name != "others" and value is not None}
    if "instance_types" in values:
        values["instance_types"] = [name.strip() for name in values["instance_types"].split(",")]
    for written in others:
        _set(values, written)
    settings, problems = values_of(Layer("the command line", values))
    if problems:
        raise UsageError("; ".join(problem.message for problem in problems))
    return settings


def _set(values: dict[str, Any], written: str) -> None:
    """Put `key=value` or `group.key=value` where it belongs."""
    from traindrop.yaml_text import NotYaml, read_yaml

    path, equals, text = written.partition("=")
    if not (path and equals):
        raise UsageError(f"--set {written!r} is not KEY=VALUE, such as --set train.lr0=0.005")
    try:
        value = read_yaml(text.encode(errors="replace"))
    except NotYaml as error:
        raise UsageError(f"--set {written!r}: the value is not YAML: {error}") from error
    group, _, key = path.rpartition(".")
    into = values.setdefault(group, {}) if group else values
    if not isinstance(into, dict) or key in into:
        raise UsageError(f"{path} is given twice")
    into[key] = value
