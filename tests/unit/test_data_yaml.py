"""What a data.yaml may say, and what each fault in one is called."""

from __future__ import annotations

import pytest

from traindrop.data_yaml import Description, describe

GOOD = "train: a\nval: b\nnames: [x]\n"


def codes(text: str | bytes) -> list[str]:
    return [problem.code for problem in describe(text if isinstance(text, bytes) else text.encode(), "data.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("train: a\nnames: [x]", "data_yaml.no_split"),
        ("val: a\nnames: [x]", "data_yaml.no_split"),
        ("train: a\nval:\nvalidation: b\nnames: [x]", "data_yaml.no_split"),
        ("train: a\nval: None\nnames: [x]", "data_yaml.no_split"),
        ("train: ''\nval: b\nnames: [x]", "data_yaml.no_split"),
        ("train: []\nval: b\nnames: [x]", "data_yaml.no_split"),
        ("train: a\nval: b", "data_yaml.no_names"),
        ("train: a\nval: b\nnames: room", "data_yaml.no_names"),
        ("train: a\nval: b\nnames: {0: a, 2: b}", "data_yaml.bad_names"),
        ("train: a\nval: b\nnames: [a]\nnc: 2", "data_yaml.names_differ_from_nc"),
        ("train: a\nval: b\nnames: [a]\nnc: '2'", "data_yaml.names_differ_from_nc"),
        (GOOD + "nc:", "data_yaml.bad_nc"),
        (GOOD + "nc: 1.5", "data_yaml.bad_nc"),
        (GOOD + "nc: one", "data_yaml.bad_nc"),
        (GOOD + "nc: .inf", "data_yaml.bad_nc"),
        (GOOD + "nc: [1]", "data_yaml.bad_nc"),
        ("train: {a: 1}\nval: b\nnames: [a]", "data_yaml.bad_split"),
        ("train: [a, 1]\nval: b\nnames: [a]", "data_yaml.bad_split"),
        ("train: [[a]]\nval: b\nnames: [a]", "data_yaml.bad_split"),
        (GOOD + "test: 0", "data_yaml.bad_split"),
        (GOOD + "path: 5", "data_yaml.bad_path"),
        (GOOD + "path: [a]", "data_yaml.bad_path"),
        (GOOD + "path: false", "data_yaml.bad_path"),
        (GOOD + "kpt_shape: [17, 3]", "task.unsupported"),
        (GOOD + "kpt_shape: 17", "task.unsupported"),
        (GOOD + "channels: 4", "data_yaml.channels"),
        (GOOD + "channels: three", "data_yaml.channels"),
        ("[", "data_yaml.not_yaml"),
        (GOOD.encode("utf-16"), "data_yaml.not_yaml"),
        ("just words", "data_yaml.not_a_mapping"),
        ("!!python/object/apply:os.system ['true']", "data_yaml.not_yaml"),
    ],
)
def test_a_fault_in_data_yaml_has_its_code(text: str | bytes, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "nc: 1",
        GOOD + "nc: '1'",
        GOOD + "nc: 1.0",
        GOOD + "nc: true",
        GOOD + "path:",
        GOOD + "path: None",
        GOOD + "test:",
        GOOD + "test: ''",
        GOOD + "test: []",
        GOOD + "channels: 3",
        GOOD + "kpt_shape:",
        "\ufeff" + GOOD,
    ],
)
def test_what_ultralytics_reads_as_nothing_more_is_nothing_more(text: str) -> None:
    assert describe(text.encode(), "data.yaml") == (Description({0: "x"}, {"train": "a", "val": "b"}), [])


def test_classes_may_be_counted_alone() -> None:
    description, _ = describe(b"train: a\nval: b\nnc: '2'", "data.yaml")
    assert description
    assert description.names == {0: "class_0", 1: "class_1"}


def test_paths_are_kept_as_they_are_written() -> None:
    description, _ = describe(b"path: ../rooms\ntrain: [../a, b]\nvalidation: v.txt\nnames: {0: x}", "data.yaml")
    assert description == Description({0: "x"}, {"train": ["../a", "b"], "val": "v.txt"}, "../rooms")


def test_nothing_of_data_yaml_but_classes_and_splits_is_kept() -> None:
    description, _ = describe(b"train: a\nval: b\nnames: [x]\ndownload: 'import os'", "data.yaml")
    assert description == Description({0: "x"}, {"train": "a", "val": "b"})


def test_grey_images_are_warned_of_and_taken() -> None:
    description, (problem,) = describe((GOOD + "channels: 1").encode(), "data.yaml")
    assert description
    assert (problem.code, problem.warning) == ("data_yaml.one_channel", True)


def test_a_pose_dataset_is_told_what_it_is() -> None:
    _, (problem,) = describe((GOOD + "kpt_shape: [17, 3]\nflip_idx: [0, 1]").encode(), "data.yaml")
    assert "this is a pose dataset; segmentation and detection alone are trained here" in problem.message
