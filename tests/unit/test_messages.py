"""What arrives in the inbox."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traindrop import end_messages, mail, messages
from traindrop.plain_text import printable

RUN = {
    "dataset": "My rooms + más",
    "run_id": "r-1",
    "bucket": "b",
    "key": "datasets/My rooms + más/data.yaml",
    "execution_arn": "arn:aws-cn:states:cn-north-1:1:execution:m:r-1",
}


@given(st.text(max_size=300), st.text(min_size=1, max_size=128))
def test_every_subject_is_what_sns_accepts(headline: str, dataset: str) -> None:
    subject = mail.compose("Failed", headline, [], {"dataset": dataset}).subject
    assert 0 < len(subject) <= 100
    assert all(" " <= character <= "~" for character in subject)


@given(st.text(min_size=1, max_size=128), st.text(max_size=40), st.text(max_size=600))
def test_whatever_failed_gives_a_message_that_sns_takes_and_that_shows_the_cause(
    dataset: str, error: str, cause: str
) -> None:
    run = {**RUN, "dataset": dataset, "jobs": []}
    message = end_messages.ended_early("Failed", run, error, cause, "")
    assert re.fullmatch(r"Failed: \S[ -~]{0,91}", message.subject)
    assert all(line.isprintable() for line in message.body.split("\n"))
    assert f"[{printable(error)}]" in message.body


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [
        ("My rooms + más", "My rooms + mas"),
        ("Straße \N{EN DASH} «Süd»", "Strasse - ?Sud?"),
        ("平面図", "dataset-89379d6c"),
        ("x" * 128, "x" * 37 + "..."),
        ("two\nlines", "two\\nlines"),
    ],
)
def test_a_name_is_told_in_the_subject_as_far_as_ascii_can(dataset: str, shown: str) -> None:
    assert mail.compose("Failed", "why", [], {"dataset": dataset}).subject == f"Failed: {shown} - why"


def test_a_long_headline_is_cut_between_words() -> None:
    subject = mail.compose("Failed", "so many words " * 20, [], {"dataset": "rooms"}).subject
    assert subject.endswith((" so...", " many...", " words..."))
    assert 90 < len(subject) <= 100


def test_a_message_ends_with_the_command_that_starts_the_dataset_again_and_the_run() -> None:
    body = mail.compose("Failed", "h", ["p"], RUN).body
    assert "aws s3 cp 's3://b/datasets/My rooms + más/data.yaml' 's3://b/datasets/My rooms + más/data.yaml'" in body
    assert body.rstrip().endswith("Run r-1")
    assert "https://cn-north-1.console.amazonaws.cn/states/home" in body


def test_attributes_are_never_empty_and_show_the_name_as_typed() -> None:
    assert mail.compose("Started", "h", [], RUN).attributes == {
        "outcome": "Started",
        "dataset": "My rooms + más",
        "run_id": "r-1",
    }
    assert "run_id" not in messages.misplaced("x", "b", "x.zip", ["datasets/x.zip"], "why").attributes


def test_a_rejection_shows_the_three_worst_and_counts_the_rest() -> None:
    errors = [{"code": f"c{number}", "message": f"fault {number}", "count": number} for number in range(5)]
    body = messages.rejected(RUN, errors, "s3://a/v.json").body
    assert "fault 2 [c2]" in body
    assert "fault 3" not in body
    assert "… and c4 (4), c3 (3)" in body
    assert "s3://a/v.json" in body


def test_what_the_check_wondered_about_is_told_where_it_started_and_where_it_ended() -> None:
    found = [f"2 objects have fault {number}" for number in range(5)]
    run = {**RUN, "settings": {"model": "m", "epochs": 1}}
    run |= {"warnings": found, "verdict_uri": "s3://a/v.json"}
    started = messages.started(run, estimate="", cap_usd=1, cap_hours=1, rungs="", job_name="r-1-1")
    ended = end_messages.finished("Completed", run, {}, None, {"Model": "s3://a/best.pt"})
    for message in (started, ended):
        assert "About the data (all of it in s3://a/v.json):\n  - 2 objects have fault 0.\n" in message.body
        assert "fault 3" not in message.body
        assert "… and 2 more" in message.body


@pytest.mark.parametrize(
    ("key", "right", "moved"),
    [
        ("x.zip", "datasets/x.zip", "s3://b/x.zip s3://b/datasets/x.zip"),
        ("old/x.zip", "datasets/x.zip", "s3://b/old/x.zip s3://b/datasets/x.zip"),
        ("old/x/data.yaml", "datasets/x/data.yaml", "s3://b/old/x/ s3://b/datasets/x/ --recursive"),
        ("data.yaml", "datasets/my-dataset/data.yaml", "s3://b/data.yaml s3://b/datasets/my-dataset/data.yaml"),
        ("datasets/x/Data.yml", "datasets/x/data.yml", "s3://b/datasets/x/Data.yml s3://b/datasets/x/data.yml"),
        ("datasets/data.yaml", "datasets/x/data.yaml", "s3://b/datasets/data.yaml s3://b/datasets/x/data.yaml"),
    ],
)
def test_a_misplaced_drop_is_told_how_to_move_it_with_what_lies_beside_it(key: str, right: str, moved: str) -> None:
    # Beside a data.yaml at the root of the bucket or of datasets/ lie all other datasets.
    assert f"\n  aws s3 mv {moved}\n" in messages.misplaced("x", "b", key, [right], "why").body


def test_an_end_tells_of_damaged_checkpoints_and_of_none_where_there_were_none() -> None:
    run = {**RUN, "settings": {"model": "m"}}

    def body(rejected: list[str]) -> str:
        metrics = {"map50_mask": 0.5, "map50_95_mask": 0.4, "checkpoints_rejected": rejected}
        return end_messages.finished("Completed", run, metrics, None, {"Model": "s3://a/best.pt"}).body

    assert "Damaged checkpoints were found and not used:\n  b.zip: torn; training began anew\n" in body(
        ["b.zip: torn; training began anew"]
    )
    assert "amaged" not in body([])


@pytest.mark.parametrize(("images", "said"), [(1, "1 image was not trained on"), (3, "3 images were not trained on")])
def test_images_that_were_left_out_are_counted(images: int, said: str) -> None:
    metrics = {"map50_mask": 0.5, "map50_95_mask": 0.4, "left_out": images}
    run = {**RUN, "settings": {"model": "m"}}
    assert said in end_messages.finished("Completed", run, metrics, None, {"Model": "s3://a/best.pt"}).body
    assert (
        "not trained on"
        not in end_messages.finished(
            "Completed", run, {**metrics, "left_out": 0}, None, {"Model": "s3://a/best.pt"}
        ).body
    )


def test_what_the_job_could_not_make_is_said_and_not_linked_to() -> None:
    run = {**RUN, "settings": {"model": "m"}}
    links = {"Model": "s3://a/best.pt", "ONNX": "s3://a/best.onnx"}
    missing = {"best.onnx": "Differs: its predictions differ by up to 0.2"}

    def body(metrics: dict[str, Any]) -> str:
        return end_messages.finished("Completed", run, metrics, None, links).body

    assert "Not delivered: best.onnx (Differs: its predictions differ by up to 0.2)." in body({"missing": missing})
    assert "s3://a/best.onnx" not in body({"missing": missing})
    assert "Not delivered" not in body({})
    assert "s3://a/best.onnx" in body({})
