"""Helpers of several tests: real recordings, skipping, processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from monitor.page.document import LICENSES

ROOT = Path(__file__).parents[1]
SHARED = Path(__file__).parents[2] / "shared"


def must_run_all() -> bool:
    """Whether a missing recording, broker or server is a failure and not a skip."""
    return os.environ.get("BRINKWATCH_REQUIRE_ALL") == "1"


def skip_or_fail(what: str) -> None:
    """Skip because `what` is missing, or fail where nothing may be skipped."""
    if must_run_all():
        pytest.fail(f"{what} is missing, and BRINKWATCH_REQUIRE_ALL=1 forbids to skip")
    pytest.skip(f"{what} is not on this machine")


def recording(name: str) -> Path:
    """A real recording beside the project, or a skip that says which is missing."""
    path = SHARED / "data" / name
    if not path.exists():
        skip_or_fail(f"the recording {name}")
    return path


def vectors(name: str) -> Path:
    """Published numbers beside the project, or a skip that says which are missing."""
    path = SHARED / "vectors" / name
    if not path.exists():
        skip_or_fail(f"the vectors {name}")
    return path


def write_page_assets(folder: Path, names: Iterable[str]) -> None:
    """Stand-ins for what `make assets` fetches, its licences too."""
    for name in (*names, LICENSES):
        (folder / name).write_text(f"/* {name} */")


def program(name: str) -> str:
    """A program's path, or a skip that says which is missing."""
    path = shutil.which(name)
    if path is None:
        packages = "prometheus prometheus-alertmanager chromium"
        skip_or_fail(f"the program {name} (apt-get install {packages})")
    assert path is not None
    return path


def processes_marked(mark: str) -> list[int]:
    """The processes that run and have `mark` in their environment, which children inherit."""
    numbers = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            ended = b"\nState:\tZ" in (folder / "status").read_bytes()
        except OSError:
            continue
        if mark.encode() in environment and not ended:
            numbers.append(int(folder.name))
    return numbers


def processes_gone(mark: str, seconds: float = 15.0) -> bool:
    """Whether within `seconds` no process with `mark` is left."""
    end = time.monotonic() + seconds
    while processes_marked(mark) and time.monotonic() < end:
        time.sleep(0.1)
    return not processes_marked(mark)
