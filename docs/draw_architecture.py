"""Draws what Traindrop is made of as docs/architecture.svg, readable on light and on dark pages.

python docs/draw_architecture.py            write the picture
python docs/draw_architecture.py --check    exit 1 if the picture is not what this draws
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.draw_state_machine import STYLE  # noqa: E402

PICTURE = ROOT / "docs" / "architecture.svg"
_SIZE = (1010, 520)
_SUMMARY = (
    "You put a dataset into the dataset bucket. EventBridge tells accept_drop, which starts one execution of the state "
    "machine. Its steps: validate_dataset, start_training, extract_model, publish_metrics, write_report, a message. "
    "start_training creates a SageMaker training job, which reads the dataset, keeps its checkpoints in the artifact "
    "bucket and leaves its model there. When the job ends, EventBridge tells report_job_end, and the execution goes "
    "on. extract_model brings the model to its place in the artifact bucket; the run's record is in the runs table. "
    "When an execution ends badly stop_training stops its job and tells you. Messages go by SNS to your inbox."
)


_OWN_STYLE = """\
  .step { font-size: 12.5px; }
  .frame { fill: none; stroke: #66717e; stroke-dasharray: 5 4; }"""


@dataclass(frozen=True)
class Box:
    """A part: its name, what it is, its place, and its look, a class of the style."""

    name: str
    kind: str
    left: int
    top: int
    width: int
    look: str = ""
    height: int = 50

    @property
    def middle(self) -> int:
        """Where its middle is, from the left."""
        return self.left + self.width // 2

    @property
    def bottom(self) -> int:
        """Its lower edge."""
        return self.top + self.height


_FIRST, _STEPS, _JOB, _STORES = 40, 180, 310, 430
YOU = Box("You", "a folder or a zip", 40, _FIRST, 140, "Wait")
DATASETS = Box("DatasetBucket", "S3: datasets/", 260, _FIRST, 150, "Succeed")
DROPPED = Box("EventBridge", "object created", 490, _FIRST, 140, "Choice")
ACCEPT = Box("accept_drop", "Lambda: is it a drop?", 710, _FIRST, 170)
STEPS = tuple(
    Box(name, kind, 56 + number * 152, _STEPS, 132, look)
    for number, (name, kind, look) in enumerate(
        (
            ("validate_dataset", "Lambda: the gate", ""),
            ("start_training", "Lambda, then waits", ""),
            ("extract_model", "Lambda", ""),
            ("publish_metrics", "Lambda", ""),
            ("write_report", "Lambda", ""),
            ("sns:publish", "the end message", "Pass"),
        )
    )
)
JOB = Box("SageMaker job", "training_entry on managed spot", 56, _JOB, 230, "Choice")
ENDED = Box("EventBridge", "the job has ended", 376, _JOB, 140, "Choice")
REPORT = Box("report_job_end", "Lambda: what it means", 560, _JOB, 160)
STOP = Box("stop_training", "Lambda: stops, tells", 776, _JOB, 170)
ARTIFACTS = Box("ArtifactBucket", "S3: models, checkpoints, code", 56, _STORES, 230, "Succeed")
TABLE = Box("RunsTable", "DynamoDB: every run", 376, _STORES, 140, "Succeed")
TOPIC = Box("NotificationTopic", "SNS", 560, _STORES, 160, "Pass")
INBOX = Box("Your inbox", "model, metrics, bill", 776, _STORES, 170, "Wait")
BOXES = (YOU, DATASETS, DROPPED, ACCEPT, *STEPS, JOB, ENDED, REPORT, STOP, ARTIFACTS, TABLE, TOPIC, INBOX)
_FRAME = (40, 146, 930, 100)


def draw() -> str:
    """The picture as an SVG document."""
    width, height = _SIZE
    left, top, wide, high = _FRAME
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title summary">',
        '<title id="title">What Traindrop is made of</title>',
        f'<desc id="summary">{escape(_SUMMARY)}</desc>',
        f"<style>\n{STYLE}\n{_OWN_STYLE}\n</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="tip" d="M0 0.6 7.6 4 0 7.4z"/></marker></defs>',
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
        f'<rect class="frame" x="{left}" y="{top}" width="{wide}" height="{high}" rx="10"/>',
        _text("label", left + 16, top + 22, "Step Functions: one execution for each run", "start"),
        *_arrows(),
    ]
    for box in BOXES:
        lines += [
            f'<rect class="box {box.look}" x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}" '
            'rx="8"/>',
            _text("name step" if box in STEPS else "name", box.middle, box.top + 23, box.name),
            _text("kind", box.middle, box.top + 40, box.kind),
        ]
    return "\n".join([*lines, "</svg>", ""])


def _arrows() -> Iterator[str]:
    frame_bottom = _FRAME[1] + _FRAME[3]
    for one, two in ((YOU, DATASETS), (DATASETS, DROPPED), (DROPPED, ACCEPT), (ENDED, REPORT), (TOPIC, INBOX)):
        yield _arrow((one.left + one.width, one.top + 25), (two.left, two.top + 25))
    for one, two in pairwise(STEPS):
        yield _arrow((one.left + one.width, one.top + 25), (two.left, two.top + 25))
    yield _text("label", (YOU.left + YOU.width + DATASETS.left) // 2, _FIRST + 19, "drop")
    yield _arrow((ACCEPT.middle, ACCEPT.bottom), (ACCEPT.middle, _FRAME[1]))
    yield _text("label", ACCEPT.middle + 10, ACCEPT.bottom + 34, "starts the run", "start")
    # The dataset goes to the job past the execution, which never holds it.
    yield _arrow(
        (DATASETS.middle, DATASETS.bottom),
        (DATASETS.middle, 118),
        (20, 118),
        (20, JOB.top + 25),
        (JOB.left, JOB.top + 25),
    )
    yield _text("label", DATASETS.middle - 10, 112, "the data itself", "end")
    start = STEPS[1]
    yield _arrow((start.middle - 20, start.bottom), (start.middle - 20, JOB.top))
    yield _text("label", start.middle - 10, frame_bottom + 36, "creates the job", "start")
    yield _arrow((JOB.left + JOB.width, JOB.top + 25), (ENDED.left, ENDED.top + 25))
    yield _arrow((REPORT.middle, REPORT.top), (REPORT.middle, frame_bottom))
    yield _text("label", REPORT.middle + 10, frame_bottom + 36, "the run goes on", "start")
    yield _arrow((STOP.middle, frame_bottom), (STOP.middle, STOP.top))
    yield _text("label", STOP.middle + 10, frame_bottom + 36, "failed, aborted", "start")
    yield _arrow((JOB.middle - 40, JOB.bottom), (JOB.middle - 40, ARTIFACTS.top))
    yield _arrow((JOB.middle + 40, ARTIFACTS.top), (JOB.middle + 40, JOB.bottom))
    yield _text("label", JOB.middle - 50, JOB.bottom + 38, "model", "end")
    yield _text("label", JOB.middle + 50, JOB.bottom + 38, "code, weights", "start")
    yield _text("label", JOB.middle, JOB.bottom + 38, "checkpoints")
    above = TOPIC.top - 35, TOPIC.top - 20
    yield _arrow(
        (STOP.left + 20, STOP.bottom), (STOP.left + 20, above[0]), (TOPIC.middle, above[0]), (TOPIC.middle, TOPIC.top)
    )
    last, edge, end = STEPS[-1], _SIZE[0] - 22, TOPIC.middle + 40
    level = last.top + 25
    yield _arrow((last.left + last.width, level), (edge, level), (edge, above[1]), (end, above[1]), (end, TOPIC.top))


def _arrow(*points: tuple[int, int]) -> str:
    path = " ".join(f"{x} {y}" for x, y in points)
    return f'<path class="edge" d="M{path}" marker-end="url(#tip)"/>'


def _text(look: str, x: int, y: int, words: str, anchor: str = "middle") -> str:
    return f'<text class="{look}" x="{x}" y="{y}" style="text-anchor: {anchor}">{escape(words)}</text>'


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or with --check say whether it is up to date."""
    picture = draw()
    if "--check" in arguments:
        if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture:
            return 0
        sys.stderr.write("docs/architecture.svg is out of date; run: python docs/draw_architecture.py\n")
        return 1
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
