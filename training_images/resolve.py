"""Resolve the training image of every region with the SageMaker SDK, offline, into the mapping of template.yaml.

    .venvs/images/bin/python training_images/resolve.py           # writes the mapping
    .venvs/images/bin/python training_images/resolve.py --check   # 1 if the mapping is not what the SDK answers

The registry's account differs by region, and the SDK is the only source that knows them all. It is 300 MB, so it
stays in an environment of its own and what it answers is checked in.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
BEGIN = "  # BEGIN TrainingImages: written by `make images`"
END = "  # END TrainingImages"
FRAMEWORK, VERSION, PYTHON = "pytorch", "2.10.0", "py313"
"""The newest of the SDK's `pytorch` line, with CUDA 13.0, which ml.g4dn, g5 and g6 run and ml.p3 does not."""
INSTANCE_TYPE = "ml.g4dn.xlarge"
ISOLATED = ("us-iso", "eu-iso", "eusc-")
"""Partitions that a public template cannot be tried in."""


def resolve() -> dict[str, str]:
    """Image URI by region, in the order of the regions' names."""
    os.environ.setdefault("SAGEMAKER_TELEMETRY_OPT_OUT", "true")
    from sagemaker.core import image_uris  # type: ignore[import-not-found]

    known = json.loads(files("sagemaker.core").joinpath(f"image_uri_config/{FRAMEWORK}.json").read_text())
    regions = known["training"]["versions"][VERSION]["registries"]
    return {
        region: image_uris.retrieve(
            framework=FRAMEWORK,
            region=region,
            version=VERSION,
            py_version=PYTHON,
            instance_type=INSTANCE_TYPE,
            image_scope="training",
        )
        for region in sorted(regions)
        if not region.startswith(ISOLATED)
    }


def render(images: dict[str, str]) -> str:
    """The lines between the markers, with the markers."""
    lines = [BEGIN, "  TrainingImages:"]
    lines += [f'    {region}: {{Uri: "{uri}"}}' for region, uri in images.items()]
    return "\n".join([*lines, END])


def replaced(template: str, block: str) -> str:
    """The template with another block between its markers."""
    before, rest = template.split(BEGIN, 1)
    return before + block + rest.split(END, 1)[1]


def main(arguments: list[str]) -> int:
    """Write or check the mapping; answer a process exit code."""
    template = TEMPLATE.read_text()
    images = resolve()
    wanted = replaced(template, render(images))
    if arguments == ["--check"]:
        if wanted != template:
            print(
                "template.yaml's TrainingImages are not what the SageMaker SDK answers; run `make images`",
                file=sys.stderr,
            )
            return 1
        print(f"template.yaml's TrainingImages agree with the SageMaker SDK for {len(images)} regions")
        return 0
    TEMPLATE.write_text(wanted)
    print(f"{len(images)} regions written to template.yaml")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
