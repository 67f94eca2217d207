"""The recorded day: a folder that holds what a feed said, to be replayed exactly.

`layout.py` says what lies where, `writer.py` writes one, this module reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from monitor.core.contract import fixed_point
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch, RefusedRecord
from replay.day import interleave
from replay.day.layout import CONTROL, DayError, Meta, read_meta
from replay.day.writer import DayWriter

__all__ = ["Day", "DayError", "DayWriter", "Meta"]


class Day:
    """A recorded day to read. Raises `DayError` for a folder that is none or is not whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.meta = read_meta(path)

    def verify(self) -> None:
        """Read every file and compare its sha256; raises `DayError` where one differs."""
        for name, file in self.meta.files.items():
            with (self._path / name).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    raise DayError(f"{self._path}: {name} is damaged: copy the day anew")

    def controls(self, bands_interval_ns: int = 1) -> list[Control]:
        """The control records, in the order in which they were written; the day's end last.

        The end is told as the next multiple of `bands_interval_ns`: nothing comes any more, so the cell of
        time in which the day ends is over too, and bands are made of all its records.
        """
        made = [Control(**row) for row in pq.read_table(self._path / CONTROL).to_pylist()]
        end = self.meta.span[2] if self.meta.span else None
        told = None if end is None else -(-end // bands_interval_ns) * bands_interval_ns
        return [c.model_copy(update={"ts": told}) if c.ts == end else c for c in made]

    def refused_records(self) -> list[RefusedRecord]:
        """What the contract did not accept; `batches` hands out the same records in their place."""
        return [r for _, r in interleave.read_refused(self._path)]

    def batches(
        self,
        rows: int = 65_536,
        symbols: Iterable[str] | None = None,
        from_ts: int | None = None,
        to_ts: int | None = None,
        ids: bool = True,
    ) -> Iterator[Batch]:
        """The records in batches of at most `rows`, each of one topic partition.

        The next batch is always of the topic partition whose highest event time so far is lowest,
        and ends before it runs more than `interleave.AHEAD_NS` ahead of the second lowest. `from_ts` <=
        ts < `to_ts` (ns) and `symbols` choose records; those that concern no symbol stay. A refused
        record is in `refused_records` of the batch in which its offset lies, and has the time of the record
        before it in its topic partition (the day's start where there is none); one whose kind could
        not be told is in a batch of kind and topic "unknown", which has no rows and no columns.
        Without `ids` order and trade ids are left out (absent in every row).
        """
        if rows < 1:
            raise ValueError("rows: at least 1 a batch")
        choice = interleave.RecordFilter(
            rows,
            frozenset(symbols) if symbols is not None else None,
            from_ts if from_ts is not None else -fixed_point.INT64_MAX,
            to_ts if to_ts is not None else fixed_point.INT64_MAX,
            ids,
        )
        return interleave.merge_partitions(
            interleave.open_partitions(self._path, self.meta, choice)
        )
