"""Whatever name, text or file comes in: it is taken, or refused by an error that says so."""

from __future__ import annotations

import json
import math
import re

import yaml
from hypothesis import strategies as st

from tests.faults.conftest import Rows
from tests.faults.properties import ANY_TEXT, EXAMPLES, KEYS, MOMENT, TEXT, fill
from traindrop import dataset as rules
from traindrop import drops, end_messages, mail, messages
from traindrop.data_yaml import describe
from traindrop.ending import explain
from traindrop.intake import drop_of
from traindrop.labels import Label, judge
from traindrop.problems import Problem
from traindrop.settings_layers import Layer, merge

ARN = "arn:aws:states:us-east-1:000000000000:execution:m:n"
SUBJECT = re.compile(r"[!-~][ -~]{0,99}")
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
EXECUTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def acceptable(message: mail.Message) -> None:
    """SNS takes the message, and so does the state machine's data, however it is escaped on its way."""
    assert SUBJECT.fullmatch(message.subject)
    body = message.body.encode()
    assert len(body) + sum(len((key + value).encode()) for key, value in message.attributes.items()) <= 262_144
    assert len(json.dumps(message.as_dict())) < 240_000
    assert all(line.isprintable() for line in message.body.split("\n"))
    assert all(value and value.isprintable() for value in message.attributes.values())


# --- keys -------------------------------------------------------------------------------------------------------------


def any_key(key: str) -> None:
    found = drops.recognise(key)
    if isinstance(found, drops.Misplaced):
        assert all(isinstance(drops.recognise(right), drops.Drop) for right in found.right_keys)
        acceptable(messages.misplaced(found.dataset, "bucket", found.key, found.right_keys, found.reason))
    elif found is not None:
        run_id = drops.run_id_of(found.dataset, MOMENT, key)
        assert re.fullmatch(r"[a-z0-9-]{1,35}", drops.slug_of(found.dataset))
        assert drops.RUN_ID.fullmatch(run_id)
        assert EXECUTION_NAME.fullmatch(run_id)
        assert JOB_NAME.fullmatch(f"{run_id}-99")
        assert drop_of({"bucket": "bucket", "key": key})["dataset"] == found.dataset


@EXAMPLES
def test_any_key_is_a_drop_a_misplaced_one_or_nothing(examples: int, row: Rows) -> None:
    fill(row, "any key", "keys", examples, any_key, KEYS)


def two_names(names: tuple[str, str]) -> None:
    one, other = names
    assert (drops.slug_of(one) == drops.slug_of(other)) == (one == other)


@EXAMPLES
def test_different_names_never_share_a_slug(examples: int, row: Rows) -> None:
    near = st.text(st.sampled_from("aAbB-_ 0é"), min_size=1, max_size=40)
    fill(row, "names alike", "pairs of names", examples, two_names, st.tuples(near | TEXT, near | TEXT))


# --- settings, data.yaml, labels --------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.dates() | st.datetimes()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | TEXT, inner, max_size=4)
)
TOKENS = r"""names: train: val: test: path: nc: download: epochs: expect: model: instance_types: max_cost_usd: - [ ] { }
& * ! &a *a <<: | > ' " # % @ ~ .nan .inf -.inf 0x1f 1:2:3 1e9 null yes 2001-99-99 !!python/object/apply:os.system !!int
!!float !!bool !!timestamp !!binary !!set !!omap !!pairs !!null !!str !!map "\ud800" images/train ../x a b 0 1
99999999999 ? = , :"""
WORDS = st.sampled_from([*TOKENS.split(), "\n", "\n  ", " ", "\t", "\x00", "\ufeff"])
KEYWORDS = [
    "names",
    "train",
    "val",
    "test",
    "path",
    "nc",
    "epochs",
    "model",
    "expect",
    "instance_types",
    "spot",
    "batch",
]
YAML_FILES = (
    st.binary(max_size=200)
    | st.lists(WORDS, max_size=40).map(lambda words: " ".join(words).encode(errors="surrogatepass"))
    | st.dictionaries(st.sampled_from(KEYWORDS), TREES, max_size=8).map(
        lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass")
    )
)


def any_settings(files: list[bytes]) -> None:
    found, problems = merge([Layer(f"{number}/training.yaml", text) for number, text in enumerate(files)])
    assert all(problem.message.isprintable() and problem.message for problem in problems)
    numbers = [value for value in found.train_arguments().values() if isinstance(value, float)]
    assert all(map(math.isfinite, [*numbers, found.max_cost_usd, found.max_runtime_hours, found.max_wait_hours]))
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


@EXAMPLES
def test_any_training_yaml_is_taken_or_explained(examples: int, row: Rows) -> None:
    fill(
        row, "any training.yaml", "pairs of files", examples, any_settings, st.lists(YAML_FILES, min_size=1, max_size=2)
    )


def any_data_yaml(text: bytes) -> None:
    description, problems = describe(text, "data.yaml")
    assert (description is None) == any(not problem.warning for problem in problems)
    assert all(
        problem.message.isprintable() and problem.code.startswith(("data_yaml.", "task.")) for problem in problems
    )
    if description:
        json.dumps(description.names, ensure_ascii=False).encode()
        names = ["images/train/1.png", "a", "a.png", "train.txt", "labels/train/1.txt", "labels/train/2.txt"]
        files = {name: rules.File(name, 10, "0") for name in names}
        splits, _ = rules.resolve(description, files, lambda _: text)
        places = [place for split in splits.values() for place in split.places]
        assert not any(".." in place.split("/") or place.startswith("/") for place in places)


@EXAMPLES
def test_any_data_yaml_is_taken_or_explained(examples: int, row: Rows) -> None:
    known = st.builds(
        lambda names, train, extra: yaml.safe_dump({"names": names, "train": train, "val": "a", **extra}).encode(),
        TREES | st.lists(TEXT, min_size=1, max_size=3),
        TREES | st.sampled_from(["a", "images/train", "train.txt", ["..", "/"], "../../../etc", "C:\\x"]),
        st.dictionaries(st.sampled_from(["path", "nc", "download", "test"]), TREES, max_size=2),
    )
    fill(row, "any data.yaml", "files", examples, any_data_yaml, YAML_FILES | known)


def any_label(case: tuple[bytes, int]) -> None:
    data, class_count = case
    found = judge(data, class_count, tiny_below=0.1)
    if found.fault:
        assert found.fault.code.startswith("label.")
        assert found.fault.words.isprintable()
        assert 1 <= found.fault.line <= len(data)
        assert found == Label(fault=found.fault)
    else:
        assert bool(found.task) == bool(found.instances)
        assert all(0 <= index < class_count and count > 0 for index, count in found.instances.items())
        assert all(lines == sorted(set(lines)) and lines[0] >= 1 for lines in map(list, found.oddities.values()))


@EXAMPLES
def test_any_label_is_judged(examples: int, row: Rows) -> None:
    near = st.text(st.sampled_from("0123456789. \n\t-en\u2028\ufeff"), max_size=80).map(str.encode)
    rows = st.lists(
        st.lists(st.sampled_from(["0", "1", ".1", ".5", ".9", "1.1", "-.1"]), min_size=3, max_size=13).map(" ".join),
        max_size=4,
    ).map(lambda lines: "\n".join(lines).encode())
    fill(
        row,
        "any label",
        "labels",
        examples,
        any_label,
        st.tuples(st.binary(max_size=80) | near | rows, st.integers(0, 3)),
    )


# --- messages ---------------------------------------------------------------------------------------------------------

LONG = ANY_TEXT | st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=8), st.sampled_from([1, 10, 100, 20_000])
)


@EXAMPLES
def test_any_message_is_one_that_sns_takes(examples: int, row: Rows) -> None:
    def any_message(parts: tuple[str, str, str, str]) -> None:
        dataset, headline, cause, key = parts
        run = {"dataset": dataset, "run_id": "r-1", "bucket": "b", "key": key, "execution_arn": ARN, "jobs": []}
        problems = [Problem("a.b", text).as_dict() for text in (headline, cause, dataset, key)]
        acceptable(mail.compose("Failed", headline, [cause, dataset], run))
        acceptable(messages.rejected(run, problems, "s3://b/verdict", incomplete_after="6 hours"))
        acceptable(end_messages.ended_early("Failed", run, "Error", explain(cause), headline))
        acceptable(end_messages.ended_early("Stopped", run, "Error", explain(cause), headline))
        acceptable(messages.misplaced(dataset, "b", key, [key], cause))

    fill(
        row,
        "any text in a message",
        "messages of each kind",
        examples,
        any_message,
        st.tuples(ANY_TEXT, LONG, LONG, ANY_TEXT),
    )
