"""Where a recorded day lies: a folder, or a place in an object store that `pyarrow.fs` reads."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from replay.day.layout import CONTROL, META, REFUSED, DayError, DayMeta, read_meta
from replay.day.reader import Day

CHUNK_BYTES = 1 << 22


def open_day_at(
    address: str, places: Collection[tuple[str, int]] | None = None, verified: bool = False
) -> Day:
    """The recorded day at `address`: a folder's path, or s3://…, gs://…, file:///….

    What lies in a store is copied into a temporary folder, which goes with the day, and each file's
    sha256 is compared on the way. `places`: kinds and partitions whose records are to be read; of
    others nothing is copied. `verified`: the files of a folder were compared already. Raises
    `DayError` where there is no whole day.
    """
    if "://" not in address:
        return Day(Path(address), verified)
    folder = tempfile.TemporaryDirectory(prefix="brinkwatch-day-")
    _copy_day(address, Path(folder.name), places)
    return Day(Path(folder.name), verified=True, copied=folder, address=address)


def _copy_day(address: str, to: Path, places: Collection[tuple[str, int]] | None) -> None:
    try:
        store, root = pyarrow.fs.FileSystem.from_uri(address)
        _copy_file(store, f"{root}/{META}", to / META)
        meta = read_meta(to, whole=False)
        for name in _wanted_files(meta, places):
            if _copy_file(store, f"{root}/{name}", to / name) != meta.files[name].sha256:
                raise DayError(f"{address}: {name} is damaged (its sha256 differs): copy it anew")
    except (OSError, pa.ArrowException) as error:
        raise DayError(
            f"{address} cannot be read ({error}): write the address of a recorded day, such as "
            "s3://bucket/day, gs://bucket/day or file:///folder/day, and see that its keys are in "
            "the environment"
        ) from None


def _wanted_files(meta: DayMeta, places: Collection[tuple[str, int]] | None) -> list[str]:
    if places is None:
        return list(meta.files)
    wanted = [p.file for p in meta.partitions if p.file and (p.kind, p.partition) in places]
    return [CONTROL, REFUSED, *wanted]


def _copy_file(store: Any, source: str, to: Path) -> str:
    """Copy one file; its sha256."""
    to.parent.mkdir(exist_ok=True)
    sha256 = hashlib.sha256()
    with store.open_input_stream(source) as stream, to.open("wb") as out:
        while chunk := stream.read(CHUNK_BYTES):
            sha256.update(chunk)
            out.write(chunk)
    return sha256.hexdigest()
