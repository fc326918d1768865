"""Every code that a verdict can hold is explained, and nothing is explained that it cannot hold."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from traindrop.file_problems import OF_LABELS_AND_IMAGES

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"(archive|data_yaml|dataset|expect|folder|image|label|settings|split|task)\.[a-z0-9_]+")
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def codes_in_the_source() -> set[str]:
    return {
        node.value
        for file in (ROOT / "traindrop").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    } - {"data_yaml.yaml"}


def test_each_code_has_one_line_with_cause_and_cure() -> None:
    rows = ROW.findall((ROOT / "docs/verdict_codes.md").read_text())
    assert {code for code, count in Counter(code for code, _, _ in rows).items() if count > 1} == set()
    assert {code for code, _, _ in rows} == codes_in_the_source()


def test_codes_of_images_have_their_words() -> None:
    assert {code for code in codes_in_the_source() if code.startswith("image.")} <= OF_LABELS_AND_IMAGES.keys()
