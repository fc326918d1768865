"""What every message has: a subject that SNS takes, a body of bounded length, links, and the command to start again.

A paragraph is one line, which every mail client wraps to its own width; links and commands have lines of their own,
indented by two blanks, so that none is broken or swallows a full stop. Nothing relies on columns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traindrop.console import execution_link
from traindrop.drops import slug_of
from traindrop.plain_text import printable, shell_word

Outcome = Literal["Started", "Waiting", "Completed", "Rejected", "Failed", "Stopped", "Unchanged"]
_SUBJECT_LIMIT = 100
_NAME_IN_SUBJECT = 40
_BODY_BYTES = 64 * 1024
"""In UTF-8, less than SNS's 262,144: in the state machine's data every character may be escaped, and have six bytes."""
_PLAIN = str.maketrans(
    {"\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{LEFT SINGLE QUOTATION MARK}": "'"}
    | {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"'}
    | {"\N{RIGHT DOUBLE QUOTATION MARK}": '"', "\N{LATIN SMALL LETTER SHARP S}": "ss"}
)


@dataclass(frozen=True)
class Message:
    """A notification: subject (at most 100 printable ASCII characters, as SNS demands), body, attributes."""

    subject: str
    body: str
    attributes: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The shape that the state machine publishes."""
        return {"subject": self.subject, "body": self.body, "attributes": self.attributes}


def compose(
    outcome: Outcome, headline: str, paragraphs: Sequence[str], run: Mapping[str, Any], *, lead: str = ""
) -> Message:
    """A message about a run; paragraphs that are empty are left out.

    The subject ends with the headline. The body begins with the dataset's name as typed and `lead`, which is the
    headline where it is not given. `run` needs `dataset`; `run_id`, `bucket`, `key` and `execution_arn` are used where
    they are known.
    """
    dataset, run_id = printable(str(run["dataset"])).strip() or "unknown", run.get("run_id")
    links = []
    if run.get("execution_arn"):
        links.append(on_its_own_line("The run in the console", execution_link(run["execution_arn"])))
    if run.get("bucket") and run.get("key"):
        links.append(on_its_own_line("Start this dataset again with", restart_command(run["bucket"], run["key"])))
    if run_id:
        links.append(f"Run {run_id}")
    attributes = {"outcome": outcome, "dataset": dataset}
    if run_id:
        attributes["run_id"] = run_id
    blocks = [f"{dataset}: {lead or sentence(headline)}", *(paragraph for paragraph in paragraphs if paragraph)]
    return Message(_subject(outcome, dataset, headline), _body(blocks, links), attributes)


def on_its_own_line(label: str, *items: str) -> str:
    """A label and below it links or commands."""
    return "\n".join([f"{label}:", *(f"  {item}" for item in items)])


def sentence(text: str) -> str:
    """The text with a full stop at its end, if it has none."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def restart_command(bucket: str, key: str) -> str:
    """Copy the object that starts the dataset onto itself, which S3 reports as a new one."""
    uri = shell_word(f"s3://{bucket}/{key}")
    return f"aws s3 cp {uri} {uri} --metadata-directive REPLACE"


def on_the_execution(command: str, execution_arn: str) -> str:
    """A command of Step Functions' for an execution, in whatever region its reader works by default."""
    region = execution_arn.split(":")[3]
    return f"aws stepfunctions {command} --region {region} --execution-arn {shell_word(execution_arn)}"


def _body(blocks: Sequence[str], links: Sequence[str]) -> str:
    """The blocks, cut where they are too long, and always the links; of control characters only line breaks."""
    end = "\n\n".join(["", *links]) + "\n"
    text = "\n".join(printable(line) for line in "\n\n".join(blocks).split("\n"))
    room = _BODY_BYTES - len(end.encode())
    return text.encode()[:room].decode(errors="ignore") + end


def _subject(outcome: str, dataset: str, headline: str) -> str:
    """One line for SNS; a name of which ASCII has no letter or digit is shown as its slug."""
    name = _ascii(dataset)
    if not any(character.isalnum() for character in name):
        name = slug_of(dataset)
    return _shortened(
        f"{outcome}: {_shortened(name, _NAME_IN_SUBJECT)} - {_ascii(printable(headline))}", _SUBJECT_LIMIT
    )


def _ascii(text: str) -> str:
    """The text in printable ASCII: letters without their accents, other characters as question marks."""
    parts = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    plain = "".join(c if " " <= c <= "~" else "?" for c in parts if not unicodedata.combining(c))
    return " ".join(plain.split())


def _shortened(text: str, limit: int) -> str:
    """The text cut to a length, between words where that loses little."""
    text = text.strip()
    if len(text) <= limit:
        return text
    cut = text[: limit - 3]
    words = cut.rpartition(" ")[0]
    return (words if len(words) > limit // 2 else cut).rstrip(" ,;:(-") + "..."
