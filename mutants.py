"""`make mutants`: how many small wrong changes to the modules that decide are noticed by their unit tests.

mutmut changes one thing at a time (a comparison, a number, a text, an argument) and runs the tests that reach it. What
none of them notices has survived: it is printed, and so is the share that was noticed of each module. Exit 1 where that
share is below the floor. Runs in the environment `mutation`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant

ROOT = Path(__file__).resolve().parent
PLACE = ROOT / ".cache/mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
SOURCES = ("pyproject.toml", "traindrop", "training_entry", "functions", "local_cloud", "tests")
FLOOR = 0.8
NOTICED = ("killed", "timeout", "segfault")
_RESULT = re.compile(r"\s+(?P<name>\S+): (?P<status>.+)")


def main() -> int:
    """Change, test, print; answer a process exit code."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, PLACE / name)
    modules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]["only_mutate"]
    print(f"Changing {len(modules)} modules, one thing at a time; a few minutes …", flush=True)
    log = PLACE / "mutmut.log"
    with log.open("wb") as file:
        done = subprocess.run([MUTMUT, "run"], cwd=PLACE, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        print(f"mutmut failed; the end of {log}:\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        return 2
    told = subprocess.run(
        [MUTMUT, "results", "--all", "true"], cwd=PLACE, check=True, capture_output=True, text=True
    ).stdout
    found = {match["name"]: match["status"] for match in map(_RESULT.fullmatch, told.splitlines()) if match}
    show({name: status for name, status in found.items() if status not in NOTICED})
    print(f"\n{'module':<36}{'changes':>9}{'noticed':>9}{'share':>8}")
    shares = [share_of(module, found) for module in modules]
    print(f"The floor is {FLOOR:.0%} of each.")
    return 0 if min(shares) >= FLOOR else 1


def show(survivors: dict[str, str]) -> None:
    """Print what was changed and not noticed."""
    with contextlib.chdir(PLACE):
        for name, status in survivors.items():
            changed = [line for line in get_diff_for_mutant(name).splitlines()[2:] if line.startswith(("-", "+"))]
            print("\n".join([f"{status}: {name}", *changed]))


def share_of(module: str, found: dict[str, str]) -> float:
    """The share of a module's changes that was noticed; printed."""
    prefix = module.removesuffix(".py").replace("/", ".") + "."
    statuses = Counter(status for name, status in found.items() if name.startswith(prefix))
    noticed, total = sum(statuses[status] for status in NOTICED), statuses.total()
    share = noticed / total if total else 0.0
    print(f"{module:<36}{total:>9}{noticed:>9}{share:>8.1%}")
    return share


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.exit(main())
