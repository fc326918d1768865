"""The commands of README.md and docs/ are run from top to bottom, each page in a shell, against the local cloud.

docs/README.md says what a page may count on. `make` and `pip install` prepare a machine and take minutes; of those it
is tested that the target or the extra is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from local_cloud.deploy import deploy
from local_cloud.foreground import env_file
from local_cloud.process import LocalCloud
from tests import tiny_models
from tests.docs.pages import PAGES, ROOT, blocks, script
from tests.stack import Stack, dataset_files, zipped
from traindrop import champion
from traindrop.champion import PROMOTED
from traindrop.drops import slug_of

TARGETS = ("demo", "local", "test", "check", "faults", "mutants", "bench", "deploy", "replay", "pages")
"""Targets of the Makefile that pages may show."""
PRELUDE = r"""
set -eEuo pipefail
trap 'echo "$PAGE:$LINENO: exit code $?: $BASH_COMMAND" >&2' ERR
make() {
  case " $TARGETS " in
    *" $1 "*) command make -C "$CHECKOUT" -n "$@" > /dev/null ;;
    *) echo "make $1 is new here" >&2; false ;;
  esac
}
pip() {
  case " $INSTALLABLE " in *" $* "*) ;; *) echo "pip $* installs nothing of ours" >&2; false ;; esac
}
"""
EARLIER = "20261101T101500-0a1b2c3d"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: a page that says that all is well would be wrong where other tests' runs have failed."""
    with LocalCloud.start(trainer="stub", lambda_retry_seconds=0.2) as cloud:
        yield Stack(cloud, deploy(cloud))


@pytest.fixture(scope="module")
def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as docs/README.md promises it: rooms/, rooms.zip, plan.png, .local/; and rooms is trained."""
    folder = tmp_path_factory.mktemp("docs")
    cv2.imwrite(str(folder / "plan.png"), np.full((128, 256, 3), 255, np.uint8))
    (folder / ".local").mkdir()
    (folder / ".local/outputs.json").write_text(json.dumps(stack.outputs))
    (folder / ".local/env").write_text(env_file(stack.cloud.environment))
    for name in (".venvs", "docs"):
        (folder / name).symlink_to(ROOT / name)
    _train(stack, folder)
    return folder


def _lay_dataset(folder: Path, marker: str) -> None:
    """Put rooms/ and rooms.zip there, of a content that nobody has dropped before."""
    files = dataset_files(marker=marker)
    for name, content in files.items():
        path = folder / "rooms" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "rooms.zip").write_bytes(zipped(files))


def _train(stack: Stack, folder: Path) -> None:
    """Train rooms, and give it an earlier best and an ONNX file that finds something, which the stub's does not."""
    stack.drop_zip("rooms", dataset_files(marker="docs"))
    run_id = stack.ended("rooms")["name"]
    slug, bucket = slug_of("rooms"), stack.artifact_bucket
    earlier = f"{slug}-{EARLIER}"
    metrics = stack.s3.get_object(Bucket=bucket, Key=f"models/{slug}/{run_id}/metrics.json")["Body"].read()
    stack.s3.put_object(Bucket=bucket, Key=f"models/{slug}/{earlier}/metrics.json", Body=metrics)
    stack.s3.put_object(Bucket=bucket, Key=f"models/{slug}/{earlier}/best.pt", Body=b"weights")
    for number, which in enumerate((earlier, run_id)):
        entry = champion.entry(which, bucket, slug, score=number, at="", how=PROMOTED, why="")
        champion.change(stack.s3, bucket, slug, lambda _, entry=entry: (None, entry))  # type: ignore[misc]
    tiny_models.write(folder)
    for which in (earlier, run_id):
        model = (folder / "segment.onnx").read_bytes()
        stack.s3.put_object(Bucket=bucket, Key=f"models/{slug}/{which}/best.onnx", Body=model)


def run(stack: Stack, place: Path, scratch: Path, name: str, commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands with bash, which says page and line of the one that fails."""
    (scratch / "prelude").write_text(PRELUDE)
    (scratch / "commands").write_text(commands)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    bins = [Path(sys.executable).parent, ROOT / ".venvs/aws/bin", ROOT / ".venvs/sam/bin"]
    environment = {
        "PATH": ":".join([*map(str, bins), os.environ["PATH"]]),
        "HOME": str(scratch),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BASH_ENV": str(scratch / "prelude"),
        "PAGE": name,
        "CHECKOUT": str(ROOT),
        "TARGETS": " ".join(TARGETS),
        "INSTALLABLE": " ".join(["install .", *(f"install .[{extra}]" for extra in extras)]),
        **stack.cloud.environment,
    }
    return subprocess.run(
        ["bash", str(scratch / "commands")],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("page", [page for page in PAGES if script(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_from_top_to_bottom(page: Path, stack: Stack, place: Path, tmp_path: Path) -> None:
    name = str(page.relative_to(ROOT))
    if "curl " in script(page) and shutil.which("curl") is None:
        pytest.skip("the machine has no curl, which the page uses")
    _lay_dataset(place, name)
    done = run(stack, place, tmp_path, name, script(page))
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{done.stdout[-2000:]}"


def test_a_command_that_fails_is_named_with_its_page_and_line(stack: Stack, place: Path, tmp_path: Path) -> None:
    _lay_dataset(place, "failing")
    for commands, named in (
        ("\n\nls rooms > /dev/null\ntraindrop check nowhere\n", "page.md:4: exit code 2: traindrop check nowhere"),
        ("\nmake coffee\n", "make coffee is new here"),
        ("pip install '.[nothing]'\n", "installs nothing of ours"),
        ("echo $run\n", "run: unbound variable"),
    ):
        done = run(stack, place, tmp_path, "page.md", commands)
        assert done.returncode != 0
        assert named in done.stderr


def test_every_block_says_what_it_is() -> None:
    """One of commands that carries another word would not be run."""
    found = {(page.name, block.kind) for page in PAGES for block in blocks(page)}
    assert {(name, kind) for name, kind in found if kind not in ("sh", "sh aws-only", "yaml", "json", "text")} == set()
