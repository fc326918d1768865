"""The training image of every region, and the request that names it, are what the SageMaker SDK knows."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.template.rendering import ROOT, written

SDK = ROOT / ".venvs/images/bin/python"


def test_every_region_has_the_same_image_from_its_own_registry() -> None:
    images = written()["Mappings"]["TrainingImages"]
    assert len(images) >= 35
    tags = set()
    for region, entry in images.items():
        found = re.fullmatch(
            r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/pytorch-training:(\S+)", entry["Uri"]
        )
        assert found, entry
        assert found[1] == region
        assert bool(found[2]) == region.startswith("cn-")
        tags.add(found[3])
    assert len(tags) == 1


@pytest.mark.parametrize(
    ("region", "account"),
    [
        ("us-east-1", "763104351884"),
        ("eu-central-2", "380420809688"),
        ("eu-south-1", "692866216735"),
        ("ap-east-1", "871362719292"),
    ],
)
def test_accounts_that_aws_documents_are_found(region: str, account: str) -> None:
    assert written()["Mappings"]["TrainingImages"][region]["Uri"].startswith(f"{account}.")


@pytest.mark.slow
@pytest.mark.skipif(not SDK.exists(), reason="the SageMaker SDK is not installed; `make images` brings it")
@pytest.mark.parametrize(
    "arguments", [["training_images/resolve.py", "--check"], ["training_images/request.py"]], ids=["images", "request"]
)
def test_the_sdk_agrees(arguments: list[str]) -> None:
    done = subprocess.run([str(SDK), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
