"""The program `brinkwatch`: checks that the packages it imports are its own, then runs a command.

The packages have common names (`monitor`, `detectors`, `replay`): a folder of the same name in the
working directory, or another distribution, can stand before them on Python's path. So this file is
installed as a module of its own beside them, and is all that runs before the check.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

PACKAGES = ("monitor", "detectors", "replay")
HERE = next(up for up in Path(__file__).resolve().parents if (up / "monitor" / "cli.py").exists())
"""The folder of the packages: a checkout's root, or where the wheel was installed."""


def main() -> NoReturn:
    """Run a command; the exit status is 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    require_own_packages()
    from monitor.cli import run_command

    run_command()


def require_own_packages() -> None:
    """Exit with status 2 and one sentence where Python would import another package for ours."""
    for name in PACKAGES:
        spec = find_spec(name)
        path = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if path is None or HERE not in path.parents:
            where = path if path is not None else "nowhere"
            sys.stderr.write(
                f"brinkwatch: the package {name} that Python imports is {where}, not the one in "
                f"{HERE}: run from another directory, take that path out of PYTHONPATH, or install "
                "brinkwatch in an environment of its own\n"
            )
            sys.exit(2)


if __name__ == "__main__":
    main()
