"""A damaged checkpoint is never trained on: the other one is, or training starts anew and says so."""

from __future__ import annotations

import io
import json
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Rows
from tests.faults.training import epochs_of, hosts, plans
from tests.stack import Stack, eventually, zipped
from tests.training_host import METRIC, Host, draw_dataset, make_host, signal_at
from training_entry.checkpoints import Store

RUN = "rooms-20260101T000000-00000000"
EPOCHS = 6
SIZES = {"last.pt": 200_000, "best.pt": 130_000, "best.json": 300}
Damage = Callable[[bytes], bytes]


def flipped(content: bytes, at: float) -> bytes:
    place = int(len(content) * at)
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def renumbered(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(members["manifest.json"])
    return zipped({**members, "manifest.json": json.dumps({**manifest, "epoch": manifest["epoch"] + 7}).encode()})


DAMAGES: dict[str, Damage] = {
    "torn: the end never written": lambda content: content[: len(content) * 2 // 3].ljust(len(content), b"\0"),
    "torn: the beginning never written": lambda content: content[len(content) // 3 :].rjust(len(content), b"\0"),
    "truncated": lambda content: content[: len(content) // 2],
    "truncated by one byte": lambda content: content[:-1],
    "emptied": lambda _: b"",
    "bit flipped in last.pt": lambda content: flipped(content, 0.3),
    "bit flipped in best.pt": lambda content: flipped(content, 0.8),
    "a page of something else": lambda content: content[:4096] + b"\1" * 4096 + content[8192:],
    "another epoch's number, in a sound zip": lambda content: renumbered(content),
    "a sound zip of something else": lambda _: zipped({"data.yaml": b"names: [room]"}),
}
HIT = {"newest": ("b.zip",), "older": ("a.zip",), "both": ("a.zip", "b.zip")}
RIGHT = {"newest": 1, "older": 2, "both": None}
SMALL: dict[str, Damage] = {
    "torn": lambda content: content[:30],
    "emptied": lambda _: b"",
    "bit flipped": lambda content: flipped(content, 0.5),
    "another document": lambda _: b"[]",
}


def saved(folder: Path) -> Path:
    """A checkpoint folder after two epochs, delivered."""
    folder.mkdir()
    store = Store(folder / "checkpoints", RUN)
    store.register_start(None)
    for epoch in (1, 2):
        files = {name: folder / name for name in SIZES}
        for name, size in SIZES.items():
            files[name].write_bytes(b"%02d" % epoch * (size // 2))
        store.save(epoch, finished=False, files=files)
    store.mark_done({"map50_mask": 0.5})
    return store.root


def test_every_damage_to_either_generation_or_both_has_its_right_choice(row: Rows, tmp_path: Path) -> None:
    line = row(
        6,
        fault="checkpoint torn, truncated, bit-flipped",
        injected=f"{len(DAMAGES)} damages, each to the newest, the older and both generations",
        promise="falls back; both: starts anew and says so",
    )
    whole = saved(tmp_path / "whole")
    undamaged = Store(whole, RUN).restore()
    assert undamaged
    assert undamaged.epoch == 2
    wrong, cases = [], 0
    for damage, hurt in DAMAGES.items():
        for which, slots in HIT.items():
            cases += 1
            root = tmp_path / f"case-{cases}"
            shutil.copytree(whole, root)
            for slot in slots:
                before = (root / slot).read_bytes()
                (root / slot).write_bytes(hurt(before))
                assert (root / slot).read_bytes() != before, damage
            store = Store(root, RUN)
            generation = store.restore()
            chosen = generation.epoch if generation else None
            told = [reason.split(":")[0] for reason in store.rejected]
            if generation:
                generation.unpack(tmp_path / "unpacked")
                content = (tmp_path / "unpacked/last.pt").read_bytes()
                assert content == b"%02d" % generation.epoch * (SIZES["last.pt"] // 2)
            (said,) = store.register_start(generation).checkpoints_rejected
            how = "training began anew" if chosen is None else f"training went on from epoch {chosen}"
            if chosen != RIGHT[which] or told != list(slots) or not said.endswith(how):
                wrong.append((damage, which, chosen, told, said))
    line.figure(f"right choice in {cases - len(wrong)} of {cases} cases, each told with how training went on")
    assert wrong == []


def test_a_damaged_history_or_done_marker_is_not_believed(row: Rows, tmp_path: Path) -> None:
    line = row(
        6,
        fault="history.json and done.json damaged",
        injected=f"{len(SMALL)} damages to each, the generations whole",
        promise="counts anew and says so; evaluates again",
    )
    whole = saved(tmp_path / "whole")
    right = 0
    for number, hurt in enumerate(SMALL.values()):
        root = tmp_path / f"case-{number}"
        shutil.copytree(whole, root)
        for name in ("history.json", "done.json"):
            (root / name).write_bytes(hurt((root / name).read_bytes()))
        store = Store(root, RUN)
        generation = store.restore()
        assert generation
        history = store.register_start(generation)
        told = [reason.split(":")[0] for reason in history.checkpoints_rejected]
        right += told == ["history.json"] and (history.host_starts, generation.epoch) == (1, 2)
        right += store.done() is None
    line.figure(f"right choice in {right} of {2 * len(SMALL)} cases")
    assert right == 2 * len(SMALL)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A real training of six epochs, killed after its second or third."""
    folder = tmp_path_factory.mktemp("killed")
    draw_dataset(folder / "data", {"train": 12, "val": 4})
    host = make_host(folder / "host", folder / "data", arguments={"epochs": EPOCHS})
    host.run(signal_at(signal.SIGKILL, "METRIC epoch=2;", 0))
    assert "METRIC epoch=2;" in host.log, host.log
    yield host
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize("which", ["newest", "both"])
def test_the_real_training_goes_on_from_what_is_whole(killed: Host, which: str, row: Rows, tmp_path: Path) -> None:
    line = row(
        6,
        fault=f"real training, {which} of its checkpoints damaged",
        injected=f"killed after epoch 2 of {EPOCHS}; a bit flipped in the weights; restarted on an emptied host",
        promise="falls back" if which == "newest" else "starts anew and says so",
    )
    host = killed.emptied(tmp_path / "host")
    newest = Store(host.checkpoints, RUN).restore()
    assert newest
    hit = [newest.path.name] if which == "newest" else ["a.zip", "b.zip"]
    for slot in hit:
        place = host.checkpoints / slot
        place.write_bytes(flipped(place.read_bytes(), 0.5))
    code = host.run()
    trained = epochs_of(host.printed)
    line.figure(f"exit {code}, epochs trained {trained}, results.csv {host.csv_epochs() if code == 0 else 'none'}")
    older = newest.epoch - 1
    assert code == 0, host.log
    assert trained == list(range(older + 1 if which == "newest" else 1, EPOCHS + 1))
    assert len(METRIC.findall(host.log)) == len(trained)
    assert host.csv_epochs() == list(range(1, EPOCHS + 1))
    for slot in hit:
        assert f"CHECKPOINT REJECTED {slot}: " in host.log
    (told,) = host.metrics()["checkpoints_rejected"]
    assert told.endswith(f"training went on from epoch {older}" if which == "newest" else "training began anew")


@pytest.mark.long
def test_the_user_reads_in_the_end_message_that_training_started_anew(
    real_stack: Stack, row: Rows, tmp_path: Path
) -> None:
    line = row(
        6,
        fault="both checkpoints damaged in S3 between two hosts",
        injected=f"a real job interrupted after epoch 2 of {EPOCHS}, its next host held back, both objects overwritten",
        promise="starts anew and says so",
    )
    name = "damaged"
    files = plans(tmp_path / "plans", epochs=EPOCHS, marker=name)
    real_stack.cloud.inject({"training": {"interrupt_after_epochs": [2], "spot_never_arrives": True}})
    real_stack.drop_zip(name, files)
    execution = real_stack.execution(name, within=60)
    eventually(lambda: real_stack.jobs(execution["name"]), within=120, what="the job")
    real_stack.cloud.inject({"training": {"interrupt_after_epochs": [2]}})

    def starting_again() -> bool:
        (job,) = real_stack.jobs(execution["name"])
        seen = [item["Status"] for item in job["SecondaryStatusTransitions"]]
        if "Training" in seen:
            real_stack.cloud.inject({"training": {"interrupt_after_epochs": [2], "spot_never_arrives": True}})
        return seen[-2:] == ["Interrupted", "Starting"]

    eventually(starting_again, within=180, what="the interruption", every=0.5)
    bucket, prefix = real_stack.artifact_bucket, f"checkpoints/{execution['name']}"
    for slot in ("a.zip", "b.zip"):
        content = real_stack.s3.get_object(Bucket=bucket, Key=f"{prefix}/{slot}")["Body"].read()
        real_stack.s3.put_object(Bucket=bucket, Key=f"{prefix}/{slot}", Body=flipped(content, 0.5))
    real_stack.cloud.clear_faults()
    ended = real_stack.ended(name, within=240)
    (job,) = real_stack.jobs(execution["name"])
    trained = [epochs_of(lines) for lines in hosts(real_stack, job["TrainingJobName"])]
    message = real_stack.message(name, "Completed", within=60)
    told = [text.strip() for text in message["body"].splitlines() if "training began anew" in text]
    line.figure(f"epochs by host {trained}; the message says: {told}")
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    first, second = trained
    assert first[:2] == [1, 2]
    assert second == list(range(1, EPOCHS + 1))
    assert len(told) == 1
    assert all(f"{slot}: " in told[0] for slot in ("a.zip", "b.zip"))
