"""Writes what is told of training.yaml from the settings themselves: its JSON Schema, its reference, an example.

python docs/write_settings.py            write training.schema.json, settings.md and training.yaml
python docs/write_settings.py --check    exit 1 if one of them is not what the settings say
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from traindrop.settings import MODELS, TrainingSettings  # noqa: E402

DOCS = ROOT / "docs"
_GROUPS = {"train": "TrainArguments", "expect": "Expect", "checks": "Checks"}

_BEFORE = """\
# Settings: training.yaml

<!-- Written by `python docs/write_settings.py` from traindrop/settings.py: change the descriptions there. -->

Every setting is optional. Built-in defaults are outranked by `datasets/training.yaml`, which counts for the whole
bucket, that by `training.yaml` beside `data.yaml` or in the zip, and that by what is given to `traindrop drop` or
`traindrop train`. A key of higher rank replaces that of a lower one as a whole, but for `train`, whose arguments are
merged. An unknown key, a wrong type or a value out of range is refused before anything is paid, with the key, what is
allowed and the closest right name.

[training.yaml](training.yaml) holds every setting with its default: copy it and keep what you change.

## In an editor

[training.schema.json](training.schema.json) is the JSON Schema. Editors with a YAML language server (VS Code with the
YAML extension, JetBrains, Neovim) complete and check the file when its first line names the schema, by a path from
the file or by an address:

```yaml
# yaml-language-server: $schema=training.schema.json
epochs: 80
```

What the schema refuses is refused by Traindrop as well, and the other way round, but for what a schema cannot say:
`max_wait_hours` may not be below `max_runtime_hours`; `max_cost_usd` and `max_runtime_hours` must leave half a minute
of training; a model in `s3://` must be there, of this stack and for the labels' task; `batch` must be shareable by
the instance's GPUs; a number in quotes is taken where it has an exponent (`"1e-3"`).

## The keys
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of training.yaml, without what a reader of it has no use for."""
    found = _without_titles(TrainingSettings.model_json_schema())
    found["properties"]["train"]["default"] = {}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "training.yaml of Traindrop",
        **found,
    }


def _without_titles(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_titles(part)
            for key, part in value.items()
            if not (key == "title" and isinstance(part, str)) and not (key == "default" and part is None)
        }
    return [_without_titles(part) for part in value] if isinstance(value, list) else value


def reference() -> str:
    """The page that explains each setting."""
    document = schema()
    lines = [_BEFORE, *_table(document["properties"], default="default")]
    for key, name in _GROUPS.items():
        group = document["$defs"][name]
        lines += ["", f"## Under `{key}`", "", " ".join(group["description"].split()), ""]
        if key == "train":
            lines += [
                "What is left out is as ultralytics has it: <https://docs.ultralytics.com/usage/cfg/#train-settings>.",
                "[speed.md](speed.md) says which of them change how fast a training is.",
                "",
            ]
        lines += _table(group["properties"], default="default" if key == "checks" else "")
    return "\n".join([*lines, ""])


def _table(properties: Mapping[str, Any], *, default: str) -> Iterator[str]:
    heads = ["key", *([default] if default else []), "allowed", "what it does"]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for key, rule in properties.items():
        told = [f"`{key}`", *([_default(rule)] if default else []), _allowed(rule), _prose(rule["description"])]
        yield f"| {' | '.join(told)} |"


def _prose(text: str) -> str:
    return text.replace("|", "\\|")


def _default(rule: Mapping[str, Any]) -> str:
    return f"`{_yaml(rule['default'])}`" if "default" in rule else "none"


def _allowed(rule: Mapping[str, Any]) -> str:
    if "pattern" in str(rule):
        return f"`best`, one of {len(MODELS)} names such as `yolov8n-seg.pt`, or `s3://…/best.pt`"
    if "anyOf" in rule:
        return " or ".join(_allowed(part) for part in rule["anyOf"] if part.get("type") != "null")
    if "$ref" in rule:
        key = next(key for key, name in _GROUPS.items() if rule["$ref"].endswith(name))
        return f"[its own keys](#under-{key})"
    if "enum" in rule:
        return ", ".join(f"`{word}`" for word in rule["enum"])
    if rule["type"] == "array":
        return f"{rule['minItems']} to {rule['maxItems']} of {_allowed(rule['items'])}"
    if rule["type"] == "boolean":
        return "`true`, `false`"
    return f"{'whole number' if rule['type'] == 'integer' else 'number'} {_bounds(rule)}"


def _bounds(rule: Mapping[str, Any]) -> str:
    lowest = f"above {rule['exclusiveMinimum']:g}" if "exclusiveMinimum" in rule else f"from {rule['minimum']:g}"
    if "exclusiveMaximum" in rule:
        return f"{lowest}, below {rule['exclusiveMaximum']:g}"
    if "maximum" not in rule:
        return lowest
    return f"{lowest}{',' if lowest.startswith('above') else ''} to {rule['maximum']:,}"


def example() -> str:
    """A training.yaml with every setting at its default, those without one as comments."""
    lines = [
        "# yaml-language-server: $schema=training.schema.json",
        "# Every setting with its default; what each means, and what it takes: settings.md beside this file.",
    ]
    for key, rule in schema()["properties"].items():
        lines += ["", *textwrap.wrap(rule["description"], 110, initial_indent="# ", subsequent_indent="# ")]
        if "default" in rule:
            lines.append(f"{key}: {_yaml(rule['default'])}")
        else:
            lines.append(f"# {key}: {_yaml(rule['examples'][0])}")
    return "\n".join([*lines, ""])


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(part)}' for key, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_yaml(part) for part in value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def pages() -> dict[str, str]:
    """The text of each file that is written, by its name in docs/."""
    return {
        "training.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "settings.md": reference(),
        "training.yaml": example(),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with --check say which are not up to date."""
    stale = []
    for name, text in pages().items():
        place = DOCS / name
        if "--check" not in arguments:
            place.write_text(text, encoding="utf-8")
        elif not place.exists() or place.read_text(encoding="utf-8") != text:
            stale.append(f"docs/{name}")
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: out of date; run: python docs/write_settings.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
