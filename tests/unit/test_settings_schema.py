"""docs/training.schema.json, settings.md and training.yaml are what the settings say; schema and settings agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from docs import write_settings
from traindrop.settings import TrainingSettings
from traindrop.settings_layers import Layer, merge

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/training.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
TOLD_BY = TrainingSettings.model_fields.keys() - {"train"}  # which is a key of data.yaml too
FENCED_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def taken(document: Any) -> bool:
    """Whether the settings take a document that was written as YAML, as far as a schema can tell."""
    _, found = merge([Layer("training.yaml", yaml.safe_dump(document, allow_unicode=True).encode())])
    return not {problem.code for problem in found} & {"settings.unknown_key", "settings.bad_value"}


def test_what_is_generated_is_up_to_date() -> None:
    assert write_settings.main(["--check"]) == 0


def test_a_stale_page_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write_settings, "DOCS", tmp_path)
    assert write_settings.main(["--check"]) == 1
    assert "docs/settings.md" in capsys.readouterr().err
    assert write_settings.main([]) == 0
    assert write_settings.main(["--check"]) == 0


def test_it_is_a_schema_that_explains_every_key_and_takes_no_other() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for group in (SCHEMA, *SCHEMA["$defs"].values()):
        assert group["additionalProperties"] is False
        for key, rule in group["properties"].items():
            assert rule["description"].endswith("."), key


def test_defaults_and_examples_are_valid() -> None:
    for group in (SCHEMA, *SCHEMA["$defs"].values()):
        for key, rule in group["properties"].items():
            validator = VALIDATOR.evolve(schema={**rule, "$defs": SCHEMA["$defs"]})
            for value in [*([rule["default"]] if "default" in rule else []), *rule.get("examples", [])]:
                assert validator.is_valid(value), (key, value)


def examples() -> list[tuple[str, str]]:
    """What README.md and docs/ show as training.yaml: the blocks of YAML whose keys are settings."""
    found = [("docs/training.yaml", (ROOT / "docs/training.yaml").read_text())]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        blocks = FENCED_YAML.findall(page.read_text())
        found += [(page.name, text) for text in blocks if set(yaml.safe_load(text)) & TOLD_BY]
    return found


@pytest.mark.parametrize(("page", "text"), examples())
def test_examples_of_the_docs_are_valid_to_editors_and_to_the_settings(page: str, text: str) -> None:
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert merge([Layer(page, text.encode())])[1] == []


def test_the_example_shows_every_setting_and_the_readme_some() -> None:
    readme = next(yaml.safe_load(text) for page, text in examples() if page == "README.md")
    shown = yaml.safe_load((ROOT / "docs/training.yaml").read_text()).keys() | {"expect"}
    assert shown == TrainingSettings.model_fields.keys() > readme.keys()


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("epochs: 50", True),
        ("epochs: 50.0", True),
        ("epochs: 50.5", False),
        ("epochs: true", False),
        ('epochs: "50"', False),
        ("epochs: 0", False),
        ("epochs:", False),
        ("max_cost_usd: 1", True),
        ("max_cost_usd: true", False),
        ('max_cost_usd: "5"', False),
        ("max_cost_usd: 0", False),
        ("spot: 1", False),
        ("spot: yes", True),
        ("model: best", True),
        ("model: yolov8n-seg.pt", True),
        ("model: yolov9n.pt", False),
        ("model: s3://bucket/models/a/b/best.pt", True),
        ("model: s3://bucket/models/a/b/best.onnx", False),
        ("instance_types: [ml.g5.xlarge]", True),
        ("instance_types: ml.g5.xlarge", False),
        ("instance_types: [ml.p3.2xlarge]", False),
        ("instance_types: []", False),
        ("train:", True),
        ("train: {lr0: 0.001, cache: disk}", True),
        ("train: {cache: all}", False),
        ("train: {erasing: 1}", False),
        ("train: {download: x}", False),
        ("expect:", True),
        ("expect: {train: 4195, val: 400}", True),
        ("expect: {train: 0}", False),
        ("checks:", True),
        ("checks: {images: all}", True),
        ("checks: {images: some}", False),
        ("epoch: 5", False),
    ],
)
def test_schema_and_settings_agree_on(text: str, valid: bool) -> None:
    document = yaml.safe_load(text)
    assert VALIDATOR.is_valid(document) is valid
    assert taken(document) is valid


def test_an_exponent_without_a_point_is_a_number_as_in_editors() -> None:
    settings, found = merge([Layer("training.yaml", b"train: {lr0: 1e-3}\nepochs: 1e2")])
    assert not found
    assert (settings.train.lr0, settings.epochs) == (0.001, 100)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12_000)
    | st.floats(-1, 300, allow_nan=False)
    | st.sampled_from([0.0, 0.5, 1.0, 50.0, 0.001, 1e-9, 1e300])
    | st.text(st.characters(codec="ascii", categories=["L", "P"]), max_size=8)
    | st.sampled_from(["best", "yolov8n.pt", "s3://bucket/a.pt", "auto", "AdamW", "ram", "disk", "sample", "all"])
    | st.lists(st.sampled_from(["ml.g5.xlarge", "ml.g4dn.xlarge", "ml.g9.xlarge"]), max_size=9)
)


def groups(key: str) -> st.SearchStrategy[dict[str, Any]]:
    names = [*SCHEMA["$defs"][write_settings._GROUPS[key]]["properties"], "other"]
    return st.dictionaries(st.sampled_from(names), SCALARS, max_size=2)


def values(key: str) -> st.SearchStrategy[Any]:
    return SCALARS | groups(key) if key in write_settings._GROUPS else SCALARS


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.sampled_from([*SCHEMA["properties"], "other"]).flatmap(lambda key: st.tuples(st.just(key), values(key))))
def test_schema_and_settings_agree_on_any_value(setting: tuple[str, Any]) -> None:
    """One setting at a time, for of several a wrong one hides how the others are judged."""
    document = dict([setting])
    assert VALIDATOR.is_valid(document) is taken(document)
