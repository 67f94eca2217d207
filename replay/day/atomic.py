"""Files and folders that are in place whole or not at all: written beside, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it takes the name `path` only when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        yield file
    beside.replace(path)


def replace_folder(path: Path, new: Path) -> None:
    """Sync the folder `new` to disk and give it the name `path`; what stood there is removed.

    Both are in the same folder. A crash leaves the old folder or the new one, each whole.
    """
    for entry in sorted(new.rglob("*"), reverse=True):
        _sync(entry)
    _sync(new)
    old = new.with_name(new.name + ".old")
    if path.exists():
        path.rename(old)
    new.rename(path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
