"""Every message as a person reads it; what holds for all of them; and that all outcomes are among them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from tests.message_cases import CASES, GOLDEN, composed, place
from tests.message_world import DATA
from traindrop.mail import Outcome

HOSTS = {"arn:aws-cn:": "console.amazonaws.cn", "arn:aws-us-gov:": "console.amazonaws-us-gov.com"}
GOLDENS = sorted(GOLDEN.glob("*.txt"))
NAMES_NO_DROP = "[InvalidInput]"
LINK = re.compile(r"https?://\S*")


def parts(file: Path) -> tuple[str, str, dict[str, str]]:
    """Subject, body and attributes of a golden message."""
    subject, _, rest = file.read_text().partition("\n\n")
    body, _, attributes = rest.rpartition("---\n")
    return subject, body, dict(line.split(": ", 1) for line in attributes.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_a_message_reads_as_it_did_when_a_person_last_read_it(name: str, moto: Callable[[str], Any]) -> None:
    # Read the difference; `python -m tests.message_cases` writes it down.
    assert composed(name, moto) == place(name).read_text()


def test_no_message_is_kept_that_is_no_longer_composed() -> None:
    assert {file.stem for file in GOLDENS} == CASES.keys()


def test_there_is_one_for_each_outcome() -> None:
    assert {parts(file)[2]["outcome"] for file in GOLDENS} == set(get_args(Outcome))


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: file.stem)
class TestOfEachMessage:
    def test_the_subject_is_one_that_sns_takes_and_tells_outcome_and_headline(self, file: Path) -> None:
        subject, _, attributes = parts(file)
        assert re.fullmatch(r"[!-~][ -~]{0,98}[!-~]", subject)
        assert re.fullmatch(rf"{attributes['outcome']}: \S.* - \S.*", subject)

    def test_the_body_begins_with_the_dataset_as_typed(self, file: Path) -> None:
        _, body, attributes = parts(file)
        assert body.startswith(f"{attributes['dataset']}: ")

    def test_a_link_has_a_line_of_its_own_and_leads_to_the_runs_partition_and_region(self, file: Path) -> None:
        _, body, _ = parts(file)
        found = LINK.findall(body)
        host = next((host for start, host in HOSTS.items() if start in body), "console.aws.amazon.com")
        assert [f"  {link}" for link in found] == [line for line in body.splitlines() if LINK.search(line)]
        for link in found:
            address = urlsplit(link)
            region = str(address.hostname).removesuffix(f".{host}")
            assert re.fullmatch(r"[a-z]+(-[a-z]+)+-\d", region), link
            assert "region=" not in link or f"region={region}" in link
            assert re.fullmatch(r"[!-~]+[\w/]", link), "a mail client leaves punctuation at the end out of a link"

    def test_a_command_is_one_line_that_a_shell_parses(self, file: Path) -> None:
        _, body, _ = parts(file)
        commands = [line.strip() for line in body.splitlines() if re.match(r"  (aws|traindrop) ", line)]
        assert commands or NAMES_NO_DROP in body
        for command in commands:
            assert shlex.join(shlex.split(command)) == command

    def test_it_ends_with_the_command_that_starts_the_dataset_again(self, file: Path) -> None:
        _, body, attributes = parts(file)
        starts = re.findall(rf"(?m)^  aws s3 (?:cp|mv) '?s3://{DATA}/.*$", body)
        if "run_id" not in attributes:
            assert len(starts) == (2 if "one of these places" in body else 1)
        elif NAMES_NO_DROP in body:
            assert not starts
        else:
            tail = body.split("Start this dataset again with:\n")[1]
            assert tail == f"{starts[0]}\n\nRun {attributes['run_id']}\n\n"

    def test_paragraphs_are_lines_and_nothing_relies_on_columns(self, file: Path) -> None:
        told = parts(file)[1].replace("\n\n", "\0")
        own = told.partition("The last lines of its log:")[0]
        assert not re.search(r"\S {2,}", own)
