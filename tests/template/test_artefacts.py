"""What `sam build` ships by default, cross-built on whatever machine this is, runs on Lambda and stays small."""

from __future__ import annotations

import platform
import struct
from pathlib import Path

import pytest

from benchmarks import artefacts
from local_cloud.deploy import build

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere the local build is not Lambda's")


@pytest.fixture(scope="module")
def shipped() -> dict[str, tuple[Path, str]]:
    """The functions of the default build."""
    return artefacts.functions(build(parameters=artefacts.default_parameters()))


def test_the_default_is_the_newest_and_cheapest() -> None:
    assert artefacts.default_parameters() == {"FunctionRuntime": "python3.13", "FunctionArchitecture": "arm64"}


def test_every_function_is_built_and_from_one_place(shipped: dict[str, tuple[Path, str]]) -> None:
    assert len(shipped) == 9
    assert len({folder.resolve() for folder, _ in shipped.values()}) == 1


def test_every_function_is_far_below_the_limit(shipped: dict[str, tuple[Path, str]]) -> None:
    for name, (folder, module) in shipped.items():
        assert (folder / f"{module}.py").is_file()
        assert 1_000_000 < artefacts.size(folder) < artefacts.LIMIT_BYTES, name


def test_every_compiled_file_is_for_the_processor_the_python_and_the_glibc_of_the_runtime(
    shipped: dict[str, tuple[Path, str]],
) -> None:
    folder, _ = shipped["AcceptDropFunction"]
    assert list(folder.rglob("*.so"))
    assert not artefacts.unfit_libraries(folder, runtime="python3.13", architecture="arm64")


def test_what_the_functions_and_the_training_need_is_in_it(shipped: dict[str, tuple[Path, str]]) -> None:
    folder, _ = shipped["StartTrainingFunction"]
    for name in (
        "traindrop/prices.json",
        "traindrop/speeds.json",
        "traindrop/templates/report.css",
        "traindrop/templates/report.html.j2",
        "training_entry/entry.sh",
        "training_entry/train.py",
        "traindrop/images.py",
        "traindrop/labels.py",
        "environment.py",
        "pydantic",
        "yaml",
        "jinja2",
        "aws_lambda_powertools",
    ):
        assert (folder / name).exists(), name
    for name in ("boto3", "botocore", "rich", "typer", "local_cloud", "tests", "demo"):
        assert not (folder / name).exists(), name


def _library(machine: int, text: bytes = b"") -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.cpython-313-aarch64-linux-gnu.so", _library(62), "for x86_64, not for arm64"),
        ("a.cpython-311-aarch64-linux-gnu.so", _library(183), "for cp311, not for cp313"),
        ("a.abi3.so", _library(183, b"GLIBC_2.17\0GLIBC_2.38\0"), "needs glibc 2.38"),
        ("a.so", b"\xcf\xfa\xed\xfe", "no ELF file"),
    ],
)
def test_a_library_that_lambda_could_not_load_is_found(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert artefacts.unfit_libraries(tmp_path, runtime="python3.13", architecture="arm64") == [f"{name}: {reason}"]


@pytest.mark.parametrize("name", ["a.cpython-313-aarch64-linux-gnu.so", "a.abi3.so", "libx.so.1"])
def test_a_library_that_lambda_can_load_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_library(183, b"GLIBC_2.17\0GLIBC_2.34\0"))
    assert not artefacts.unfit_libraries(tmp_path, runtime="python3.13", architecture="arm64")
