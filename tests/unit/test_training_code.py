"""What travels to a training job."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from traindrop.training_code import ASKING, ENTRY_POINT, JUDGING, SHARED, code, digest

PACKAGE = Path(__file__).resolve().parents[2] / "traindrop"


def imported(content: bytes) -> set[str]:
    """The modules that a module imports, also those that it imports names of."""
    found = set()
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def of_traindrop(content: bytes) -> set[str]:
    """Files of the package that a module imports."""
    parts = (name.split(".") for name in imported(content))
    return {f"{name[1]}.py" for name in parts if name[0] == "traindrop" and len(name) > 1}


def test_the_modules_that_the_entry_shares_are_there_and_none_else() -> None:
    files = code()
    needed = {"__init__.py"}
    found = {
        name
        for path, content in files.items()
        if "/" not in path and path.endswith(".py")
        for name in of_traindrop(content)
    }
    while found - needed:
        needed |= found
        found = {name for module in needed for name in of_traindrop((PACKAGE / module).read_bytes())}
    assert needed == set(SHARED)
    assert {path for path in files if "/" in path} == {f"traindrop/{name}" for name in needed}


def test_shared_modules_need_nothing_that_is_not_promised() -> None:
    standard = {*sys.stdlib_module_names, "traindrop"}
    for names, promised in ((JUDGING, standard), (ASKING, standard | {"cv2", "numpy", "onnxruntime"})):
        for name in names:
            roots = {module.split(".")[0] for module in imported((PACKAGE / name).read_bytes())}
            assert roots <= promised, name


def test_the_entry_is_there_and_nothing_that_python_left_behind() -> None:
    files = code()
    assert {ENTRY_POINT, "train.py", "guard.py", "requirements.txt"} <= files.keys()
    assert not [name for name in files if "pycache" in name]


def test_a_change_of_any_file_makes_another_version() -> None:
    files = code()
    changed = [{**files, name: files[name] + b"#"} for name in (ENTRY_POINT, "train.py", "traindrop/labels.py")]
    assert len({digest(version) for version in (files, *changed)}) == 4
