"""What can be typed after `traindrop`, and what its help says; what a command does is in the module of its name.

Those are loaded when they are asked for, so that what one command imports costs the others nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from traindrop.cli import Answer
from traindrop.cli.app import app, command
from traindrop.cli.given_settings import given_settings
from traindrop.cli.stack import Stack, on_stack

__all__ = ["app"]

Json = Annotated[bool, typer.Option("--json", metavar="", help="Print a document for scripts and nothing else.")]


@command(
    "traindrop check rooms/",
    "traindrop check rooms.zip --json | jq .errors",
)
def check(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The folder that holds data.yaml, or its zip.")],
    name: Annotated[str | None, typer.Option(help="The dataset's name; by default that of the folder or zip.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print the verdict document and nothing else.")
    ] = False,
) -> Answer:
    """Validate a dataset folder or zip by the rules that the cloud uses.

    Exit code 0: valid, 1: invalid, 2: usage.
    """
    from traindrop.cli import check as module

    return module.check(path, name=name, as_json=as_json)


@command(
    "traindrop drop rooms/",
    "traindrop drop rooms.zip --name floor-plans --epochs 100 --watch",
    "traindrop drop rooms/ --set train.degrees=10 --max-cost-usd 3",
    "traindrop drop rooms/ --json | jq -r .run_id",
)
@on_stack
@given_settings
def drop(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The folder that holds data.yaml, or its zip.")],
    stack: Stack,
    settings: dict[str, Any],
    dataset: Annotated[
        str | None,
        typer.Option("--name", help="The dataset's name; by default that of the folder or zip."),
    ] = None,
    folder: Annotated[
        bool, typer.Option("--folder", metavar="", help="Upload the files one by one instead of as one zip.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", metavar="", help="Follow the run until it has ended, and end as it did.")
    ] = False,
    as_json: Json = False,
) -> Answer:
    """Check a dataset, upload it and so start a run.

    An upload that was interrupted goes on where it stopped when the same command is given again. Exit code 0: uploaded,
    1: invalid or not uploaded, 2: usage, 130: interrupted; with --watch those of `traindrop watch`.
    """
    from traindrop.cli import drop as module

    return module.drop(path, name=dataset, settings=settings, folder=folder, watch=watch, stack=stack, as_json=as_json)


@command(
    "traindrop train rooms --epochs 100",
    "traindrop train rooms --model best --set train.lr0=0.001",
    "traindrop train rooms --seed 1 --on-demand --max-cost-usd 2",
)
@on_stack
@given_settings
def train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's name as it was dropped.")],
    settings: dict[str, Any],
    stack: Stack,
    as_json: Json = False,
) -> Answer:
    """Train again what already lies in the bucket, with other settings, without uploading it.

    The newest drop of that name counts, zip or folder. The same data with the same settings is not trained twice
    unless --force is given. Needs s3:ListBucket of the DatasetBucket and states:StartExecution. Exit code 0: the run
    is started, 1: it cannot be, 2: usage.
    """
    from traindrop.cli import train as module

    return module.train(dataset, settings=settings, stack=stack, as_json=as_json)


@command(
    "traindrop runs",
    "traindrop runs --dataset rooms --limit 5",
    "traindrop runs --json | jq -r '.runs[] | select(.outcome == \"Failed\").run_id'",
)
@on_stack
def runs(
    stack: Stack,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only the runs of this dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")] = 20,
    as_json: Json = False,
) -> Answer:
    """List runs, the newest first: when, what became of it, mAP50-95, minutes of training, and dollars.

    mAP is that of masks, or of boxes where the model only detects. A run that is on shows its state as its outcome.
    Exit code 0: listed, 1: it cannot be, 2: usage.
    """
    from traindrop.cli import runs as module

    return module.runs(dataset=dataset, limit=limit, stack=stack, as_json=as_json)


@command(
    "traindrop watch rooms          [dim]the newest run of a dataset[/dim]",
    "traindrop watch rooms-20261101T101500-0a1b2c3d --log",
    "traindrop watch rooms --json | jq 'select(.kind == \"epoch\") | .map50_mask'",
)
@on_stack
def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a dataset for its newest run.")],
    stack: Stack,
    log: Annotated[bool, typer.Option("--log", metavar="", help="Show every line that the training prints.")] = False,
    every: Annotated[
        float | None,
        typer.Option(
            min=0.05, max=600, metavar="SECONDS", help="How often one thing is asked (5, of the local cloud 0.5)."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print each thing that happens as JSON on a line of its own.")
    ] = False,
) -> Answer:
    """Follow a run live: its state, epochs with loss and mAP, interruptions, and what became of it.

    It can be left and taken up again at any time: the run goes on in the cloud. Exit code 0: Completed or Unchanged,
    1: cannot look, 2: usage, 3: Rejected, 4: Failed, 5: Stopped.
    """
    from traindrop.cli import watch as module

    return module.watch(run, stack=stack, every=every, with_log=log, as_json=as_json)


@command(
    "traindrop stop rooms-20261101T101500-0a1b2c3d",
    "traindrop stop rooms               [dim]if one run of it is on[/dim]",
)
@on_stack
def stop(
    run: Annotated[str, typer.Argument(metavar="RUN|DATASET", help="A run, or a dataset of which one run is on.")],
    stack: Stack,
    as_json: Json = False,
) -> Answer:
    """End a run before its time: its training job is stopped, and the best model so far is delivered.

    The message `Stopped` tells of it. Needs states:StopExecution, sagemaker:StopTrainingJob and dynamodb:UpdateItem of
    the RunsTable. Exit code 0: it is being stopped, 1: it cannot be, or has ended already, 2: usage.
    """
    from traindrop.cli import stop as module

    return module.stop(run, stack=stack, as_json=as_json)


@command(
    "traindrop fetch rooms                 [dim]the dataset's best model, with its report[/dim]",
    "traindrop fetch rooms-20261101T101500-0a1b2c3d --to models/rooms",
)
@on_stack
def fetch(
    wanted: Annotated[str, typer.Argument(metavar="RUN|DATASET", help="A run, or a dataset for its best run.")],
    stack: Stack,
    to: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder; by default one with the run's name, here.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Bring a run's model, report, metrics and plots to this disk; what is there already is not brought again.

    Exit code 0: done, 1: there is no such model, 2: usage.
    """
    from traindrop.cli import fetch as module

    return module.fetch(wanted, to=to, stack=stack, as_json=as_json)


@command(
    "traindrop polygons --model best.onnx --image plan.png",
    "traindrop polygons --model best.onnx --image plan.png --output rooms.json --overlay rooms.png",
)
def polygons(
    model: Annotated[str, typer.Option(help="best.onnx of a run, or a best.pt with best.onnx beside it.")],
    image: Annotated[str, typer.Option(help="PNG, JPEG or whatever else OpenCV reads.")],
    output: Annotated[
        str | None, typer.Option(metavar="JSON", help="Where the polygons go; by default they are printed.")
    ] = None,
    overlay: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Where the image with the polygons drawn over it goes.")
    ] = None,
) -> Answer:
    """Find what a trained model knows in an image, and write its polygons as JSON: rooms of a floor plan, say.

    A model for detection answers its boxes. Needs ONNX Runtime, NumPy and OpenCV (`pip install 'traindrop[polygons]'`),
    not PyTorch. Exit code 0: done, 2: usage.
    """
    from traindrop.cli import polygons as module

    return module.polygons(model=model, image=image, output=output, overlay=overlay)


@command(
    "traindrop rollback rooms",
    "traindrop rollback rooms --to rooms-20261101T101500-0a1b2c3d",
)
@on_stack
def rollback(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's name as it was dropped.")],
    stack: Stack,
    to: Annotated[
        str | None, typer.Option(metavar="RUN", help="Which run's model; by default the best before the present one.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Make an earlier run's model the dataset's best again; the next run competes with that one.

    Exit code 0: done, 1: it cannot be done, 2: usage.
    """
    from traindrop.cli import rollback as module

    return module.rollback(dataset, to=to, stack=stack, as_json=as_json)


@command(
    "traindrop clean rooms-20261101T101500-0a1b2c3d",
    "traindrop clean rooms --yes",
    "traindrop clean --all --data --champion",
)
@on_stack
def clean(
    stack: Stack,
    target: Annotated[
        str | None, typer.Argument(metavar="RUN|DATASET", help="A run's id, or a dataset's name as it was dropped.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="All that both buckets of the stack keep.")
    ] = False,
    data: Annotated[bool, typer.Option("--data", metavar="", help="The dropped data too.")] = False,
    champion: Annotated[bool, typer.Option("--champion", metavar="", help="The best models too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Delete it; without this nothing is.")] = False,
    as_json: Json = False,
) -> Answer:
    """Say what is kept of a run, a dataset or all, and what that costs a month; delete it with --yes.

    A best model goes only with --champion, dropped data only with --data, and what a run that is on needs never goes.
    Old versions go too, so nothing comes back. Records of runs stay. It can be run again after Ctrl-C.
    Exit code 0: done, 1: not all could be deleted, or none may be, 2: usage.
    """
    from traindrop.cli import clean as module

    return module.clean(
        target, everything=everything, champions=champion, data=data, yes=yes, stack=stack, as_json=as_json
    )


@command(
    "traindrop doctor",
    "traindrop doctor --json | jq '.checks[] | select(.state == \"problem\")'",
)
@on_stack
def doctor(stack: Stack, as_json: Json = False) -> Answer:
    """Look at credentials, stack, e-mail, quotas, queues, alarms and runs; say what is wrong and its cure.

    Exit code 0: nothing is wrong, though warnings may be said, 1: a problem, 2: usage.
    """
    from traindrop.cli import doctor as module

    return module.doctor(stack=stack, as_json=as_json)
