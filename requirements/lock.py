"""Compile the hash-pinned lists from the `.in` files: `make lock`. No list names an index or a host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LISTS = Path(__file__).resolve().parent
UV = LISTS.parent / ".venvs/uv/bin/uv"
COMPILE = [
    str(UV),
    "pip",
    "compile",
    "--no-config",
    "--quiet",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--only-binary",
    ":all:",
]
NEVER = re.compile(r"^\S+ ; sys_platform == 'never' \\\n(?:    --hash=.*\n)+", re.MULTILINE)


def main() -> None:
    """Compile every list, or only those named on the command line."""
    for name in sys.argv[1:] or sorted(path.stem for path in LISTS.glob("*.in")):
        overrides = LISTS / f"{name}.over"
        options = ["--override", str(overrides), "--no-emit-package", "torch"] if overrides.exists() else []
        target = LISTS / f"{name}.txt"
        subprocess.run([*COMPILE, *options, str(LISTS / f"{name}.in"), "-o", str(target)], check=True, cwd=LISTS)
        target.write_text(NEVER.sub("", target.read_text()))
        print(f"{target.name}: {len(re.findall(r'^[a-z]', target.read_text(), re.MULTILINE))} packages")


if __name__ == "__main__":
    main()
