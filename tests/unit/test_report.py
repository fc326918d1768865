from __future__ import annotations

import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from tests import reports
from tests.reports import COLUMNS, CONTENTS, HOSTILE, JPEG, metrics, predictions, report, results, rival, run
from traindrop import charts
from traindrop.confusion_table import confusions
from traindrop.report import render_report


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text outside style."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def named(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def test_the_verdict_stands_first_in_one_line() -> None:
    page = Page(report())
    assert "Mask mAP50 0.946 after 8 epochs, for $0.25." in page.text
    assert page.text.index("0.946") < page.text.index("How it learned")


def test_it_needs_no_network_no_script_and_no_other_file() -> None:
    html = report()
    page = Page(html)
    assert not page.named("script", "link", "iframe", "object", "base", "form")
    assert all(str(image["src"]).startswith("data:image/") for image in page.named("img"))
    assert not re.search(r"url\(|@import|https?://", html)
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize(
    "place", ["dataset", "class", "sample", "run_id", "setting", "job", "receipt", "version", "model_uri", "created_at"]
)
def test_hostile_names_stay_text(place: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "dataset": {"run": run(dataset=HOSTILE)},
        "run_id": {"run": run(run_id=HOSTILE)},
        "class": {"metrics": metrics(classes={HOSTILE: {"map50_mask": 0.5, "map50_95_mask": 0.4, "instances": 2}})},
        "sample": {"samples": [(HOSTILE + ".jpg", JPEG)]},
        "setting": {"run": run(settings={HOSTILE: HOSTILE, "train": {HOSTILE: HOSTILE}})},
        "job": {"job_timeline": [dict.fromkeys(("name", "instance_type", "status", "started_at"), HOSTILE)]},
        "receipt": {"run": run(receipt={**run()["receipt"], "price_date": HOSTILE})},
        "version": {"metrics": metrics(ultralytics=HOSTILE)},
        "model_uri": {"run": run(model_uri=HOSTILE)},
        "created_at": {"run": run(created_at=HOSTILE)},
    }
    ordinary, page = Page(report()), Page(report(**places[place]))
    assert not page.named("script")
    assert len(page.named("img")) == len(ordinary.named("img"))
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert " ".join(HOSTILE.split()) in page.text


def test_hostile_figures_in_the_csv_are_left_out() -> None:
    text = COLUMNS + "\n1,1,nan,inf,<script>,1e999,0.1,0.2,0.1,1,1,1\n<b>,1,1\n2,1,1,1,1,1,1,0.5,0.4,1,1,1,9,9,9\n"
    page = Page(report(results_csv=text))
    assert not page.named("script", "b") or all(not a for a in page.named("b"))
    assert "nan" not in page.text


def test_curves_mark_where_an_interrupted_job_went_on() -> None:
    page = Page(report(metrics=metrics(resumed_from_epochs=[2, 5])))
    assert "training went on from its last checkpoint, after epoch 2 and 5." in page.text
    assert len([a for a in page.named("path") if a.get("class") == "resume"]) == 2 * 4


def test_a_run_without_interruptions_speaks_of_none() -> None:
    page = Page(report(metrics=metrics(resumed_from_epochs=[])))
    assert "marks an interruption" not in page.text
    assert not [a for a in page.named("path") if a.get("class") == "resume"]


def test_the_receipt_says_what_was_paid_saved_and_at_which_price() -> None:
    text = Page(report()).text
    for expected in (
        "…-1 ml.g4dn.xlarge spot 3600 s 1200 s $0.7364 $0.2455 $0.4909",
        "1 h 00 min (3600 s)",
        "20 min 00 s (1200 s)",
        "Paid $0.2455",
        "On demand $0.7364 for the seconds trained",
        "$0.4909 (67%)",
        "us-east-1, 2026-11-01",
        "1 min 30 s and $0.01, paid above",
        "The model in S3 $0.0230 a month (1 GB)",
        "The dataset in S3 $0.0460 a month (2 GB)",
        "about $0.0014: 11 state transitions",
    ):
        assert expected in text


def test_settings_are_shown_as_a_user_writes_them() -> None:
    text = Page(report()).text
    assert "instance_types ml.g4dn.xlarge, ml.g5.xlarge" in text
    assert "spot true" in text
    assert "train.amp false" in text
    assert "expect" not in text


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        (rival(basis="first", before=None), "first model, and so its best"),
        (rival(), "Better by 0.112: mask mAP50-95 0.812 against 0.700 of the best so far (run rooms-1)"),
        (rival(), "Promoted: it is the dataset's best now"),
        (rival(before=0.9, promoted=False), "Worse by 0.088: mask mAP50-95 0.812 against 0.900"),
        (rival(before=0.9, promoted=False), "Not promoted: the earlier model stays the best, since it is worse"),
        (rival(basis="recorded", note="The job ended before."), "The job ended before."),
    ],
)
def test_it_compares_with_the_best_before(compared: dict[str, Any], words: str) -> None:
    assert words in Page(report(run=run(comparison=compared))).text


def test_what_one_job_measured_of_both_is_a_table() -> None:
    room = {"room": {"map50_95_mask": 0.9, "instances": 118}}
    champion = {"run_id": "rooms-1", "map50_mask": 0.8, "map50_95_mask": 0.7, "classes": room}
    page = Page(report(run=run(comparison=rival()), metrics=metrics(champion=champion)))
    assert "mAP50-95, all classes 118 0.700 0.812 +0.112 mAP50, all classes 118 0.800 0.946 +0.146" in page.text
    assert "room 118 0.900 0.812 \N{MINUS SIGN}0.088" in page.text
    recorded = Page(report(run=run(comparison=rival(basis="recorded")), metrics=metrics(champion=champion)))
    assert "Against the best so far" in page.text
    assert "Against the best so far" not in recorded.text


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ("stopped", "The job was stopped"),
        ("runtime_exceeded", "The time or cost cap ended the job"),
        ("capacity_exhausted", "No instance could be had to train on"),
    ],
)
def test_it_says_why_a_run_ended_early(ended: str, words: str) -> None:
    assert words in Page(report(run=run(ended=ended), metrics=metrics(epochs_trained=3))).text


@pytest.mark.parametrize(("images", "told"), [(None, 0), (0, 0), (2, 1)])
def test_it_says_how_many_images_were_left_out(images: int | None, told: int) -> None:
    html = render_report(run(), {"map50_mask": 0.5, "left_out": images}, "", [], [])
    assert html.count("2 images were not trained on, since the image or its label cannot be used") == told


@pytest.mark.parametrize(("missing", "told"), [({}, True), ({"samples": "why"}, True), ({"best.onnx": "why"}, False)])
def test_it_tells_how_to_use_the_onnx_where_there_is_one(missing: dict[str, str], told: bool) -> None:
    assert ("traindrop polygons" in Page(report(metrics=metrics(missing=missing))).text) == told


def test_a_climb_is_told_in_one_line_and_none_where_the_first_instance_trained() -> None:
    first = {"attempt": 1, "instance_type": "ml.g4dn.xlarge", "spot": True, "result": "no capacity in 2 h 00 min"}
    second = {**first, "attempt": 2, "instance_type": "ml.g5.xlarge", "result": "trained"}
    told = "Instances tried: ml.g4dn.xlarge spot: no capacity in 2 h 00 min; ml.g5.xlarge spot: trained."
    assert told in Page(report(run=run(climb=[first, second]))).text
    assert "Instances tried" not in Page(report(run=run(climb=[{**first, "result": "trained"}]))).text


def test_a_stopped_job_without_metrics_still_has_a_report() -> None:
    page = Page(render_report({"run_id": "r", "dataset": "rooms"}, {}, "", [], []))
    assert "A model, but no metrics: the job ended before it was evaluated." in page.text
    assert not page.named("table", "img")


def test_a_detection_run_speaks_of_boxes() -> None:
    found = metrics(classes={"car": {"map50_box": 0.7, "map50_95_box": 0.5, "instances": 3}})
    found = {key: value for key, value in found.items() if not key.endswith("_mask")}
    text = Page(report(metrics=found)).text
    assert "Box mAP50 0.950 after 8 epochs" in text
    assert "result.boxes.xyxy" in text
    assert "mask" not in text.lower().replace("mask loss", "")


def test_pictures_beyond_the_budget_are_left_out_and_said_so() -> None:
    html = report(samples=[(f"{n}.jpg", b"\xff\xd8\xff" + bytes(900_000)) for n in range(8)])
    assert len(html) < 5_000_000
    assert "5 more would not fit" in Page(html).text


def test_ten_thousand_epochs_and_a_thousand_classes_fit() -> None:
    classes = {f"class {n}": {"map50_mask": 0.5, "map50_95_mask": 0.3, "instances": n} for n in range(1000)}
    html = report(results_csv=results(10_000), metrics=metrics(classes=classes))
    assert len(html) < 500_000
    assert "and 800 more in metrics.json" in Page(html).text


def test_what_is_no_picture_is_not_shown() -> None:
    assert not Page(report(samples=[("x.jpg", b"<svg onload=alert(1)>")])).named("img")


def test_pictures_are_captioned_with_the_name_of_their_image() -> None:
    page = Page(report(samples=[("3-plan-017.jpg", JPEG)]))
    assert page.named("img")[0]["alt"] == "Truth and prediction on validation image plan-017"


def test_a_matrix_tells_what_is_taken_for_what_and_what_is_missed() -> None:
    told = metrics(names=["room", "door"], predictions=predictions())
    page = Page(report(metrics=told))
    assert "taken for → room door background room 100 3 15 door 4 30 6 background 9 2 0" in page.text
    assert "Counted on 25 validation images, at a confidence of 0.25 and upwards" in page.text
    cells = [(cell["class"], cell.get("style")) for cell in page.named("td") if "--share" in str(cell.get("style"))]
    assert cells[:3] == [("n hit", "--share:0.847"), ("n miss", "--share:0.025"), ("n miss", "--share:0.127")]
    assert len(cells) == 8  # the background that is taken for background cannot be counted


def test_a_matrix_that_does_not_fit_the_classes_or_holds_nothing_is_not_shown() -> None:
    matrices: list[list[list[int]]] = [[[1, 2], [3, 4]], [[0, 0, 0]] * 3, []]
    found = {key: value for key, value in predictions().items() if key != "matrix"}
    for told in ({**found, "largest": []}, *({**found, "matrix": matrix} for matrix in matrices)):
        assert "What it takes for what" not in report(metrics=metrics(names=["room", "door"], predictions=told))


def test_a_long_name_is_shortened_in_the_matrix() -> None:
    found = confusions(metrics(names=["room" * 20, "door"], predictions=predictions()))
    assert found is not None
    assert found.columns == ["room" * 6 + "roo…", "door", "background"]


def test_of_very_many_classes_the_most_frequent_mistakes_are_told() -> None:
    largest = [
        {"true": "room", "predicted": None, "count": 7, "of": 9},
        {"true": None, "predicted": "room", "count": 5, "of": 6},
    ]
    found = {key: value for key, value in predictions(largest=largest).items() if key != "matrix"}
    text = Page(report(metrics=metrics(predictions=found))).text
    assert "Times Of room background 7 9 background room 5 6" in text


def test_the_worst_and_the_best_samples_are_told_apart() -> None:
    named = [("1-plan-3.jpg", JPEG), ("2-plan-7.jpg", JPEG)]
    page = Page(report(metrics=metrics(predictions=predictions()), samples=named))
    assert "Of 25 that were looked at" in page.text
    assert "The worst plan-3: quality 0.250; 4 objects, 1 missed and 2 wrong" in page.text
    assert "The best plan-7: quality 0.970; 4 objects, all right" in page.text
    unranked = Page(report(samples=named)).text
    assert "The worst" not in unranked
    assert "looked at" not in unranked


def test_the_dataset_is_told_split_by_split_and_class_by_class_with_its_warnings() -> None:
    told = run(
        contents=CONTENTS,
        dataset_bytes=2**21,
        dataset_files=250,
        form="folder",
        images={"train": 50, "val": 25},
        warnings=["beware", *["again"] * 30],
        verdict_uri="s3://a/v.json",
    )
    text = Page(report(run=told)).text
    assert "It came as 250 files of 2 MB." in text
    assert "Of the 100 train images 50 were asked for (train.fraction)." in text
    assert "Of the val split 20 of 25 labels were read beforehand" in text
    assert "train 100 98 2 500 val 25 25 0 158 test 10 0 10 \N{EN DASH}" in text
    assert "Instances of its 2 classes Class In train In val room 380 118 door 120 40" in text
    assert "beware again" in text
    assert "… and 11 more." in text
    assert "s3://a/v.json" in text
    assert "The check warned of nothing." in Page(report(run=run(contents=CONTENTS))).text
    assert "It came as one zip of 2 MB." in Page(report(run={**told, "form": "archive"})).text


def test_of_a_run_whose_record_says_nothing_of_the_dataset_there_is_no_such_section() -> None:
    page = Page(report())
    assert "The dataset Split" not in page.text
    assert "#dataset" not in [link["href"] for link in page.named("a")]


def test_the_links_at_the_top_lead_to_every_section_and_to_nothing_else() -> None:
    for html in (reports.full(), reports.detection(), reports.stopped(), reports.hostile()):
        page = Page(html)
        sections = [section["aria-labelledby"] for section in page.named("section")]
        assert [link["href"] for link in page.named("a")] == [f"#{name}" for name in sections]
        assert set(sections) <= {attributes.get("id") for _, attributes in page.tags}


def test_a_full_report_stays_below_five_megabytes() -> None:
    samples = [(f"{n}-plan.jpg", JPEG[:4] + bytes(149_996)) for n in range(6)]
    assert len(report(samples=samples)) < 2_000_000
    assert len(reports.hostile()) < 1_000_000


def test_it_is_accessible() -> None:
    html = report()
    page = Page(html)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(following <= level + 1 for level, following in pairwise(levels))
    assert page.named("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.named("img"))
    charts_ = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    identifiers = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert len(charts_) == 4
    assert {svg["aria-labelledby"] for svg in charts_} <= set(identifiers)
    assert all(svg.get("aria-hidden") for svg in page.named("svg") if svg not in charts_)
    assert all(cell["scope"] for cell in page.named("th"))
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str) -> None:
    blocks = re.findall(r":root \{([^}]+)\}", report())
    colours = dict(re.findall(r"--(\w+): (#\w+)", blocks[0 if scheme == "light" else 1]))
    for ink in ("ink", "soft", "first", "second", "mark", "good"):
        for ground in ("page", "card"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        shares = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
        linear = [s / 12.92 if s <= 0.04045 else math.pow((s + 0.055) / 1.055, 2.4) for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_charts_are_well_formed_and_stay_inside_their_frame() -> None:
    drawings = re.findall(r"<svg class=\"chart\".*?</svg>", report(), re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        for line in root.iter("polyline"):
            for point in line.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= charts.WIDTH
                assert 0 <= y <= charts.HEIGHT


@pytest.mark.parametrize(
    "points", [[(1, 0.0)], [(3, 5.0)], [(1, -2.0), (2, 3.0)], [(1, 0.0), (2, 0.0)], [(5, 1e8), (900, 1e-8)]]
)
def test_any_figures_make_a_chart(points: list[tuple[int, float]]) -> None:
    drawn = charts.chart("Loss", {"training": points}, resumed=[0, 1, 7, 5000])
    assert drawn is not None
    assert 2 <= len(drawn.across) <= 8
    assert 1 <= len(drawn.along) <= 11
    assert len({tick.label for tick in drawn.along}) == len(drawn.along)
    assert all(drawn.top <= tick.at <= drawn.bottom for tick in drawn.across)


def test_no_points_make_no_chart() -> None:
    assert charts.chart("Loss", {"training": [], "validation": []}) is None


def test_rendering_needs_only_jinja_and_the_standard_library() -> None:
    program = (
        "import sys, traindrop.report\n"
        "print(sorted({m.split('.')[0] for m in sys.modules if getattr(sys.modules[m], '__file__', None) "
        "and 'site-packages' in (sys.modules[m].__file__ or '')}))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(re.findall(r"'(\w+)'", answer.stdout)) <= {"jinja2", "markupsafe"}
