"""Reading a recorded day: a folder that keeps what a feed sent, to be replayed exactly."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.core.contract import fixed_point, stepped
from monitor.core.contract.events import Control
from monitor.core.decode.batch import ABSENT, COLUMNS, Batch, RefusedRecord
from monitor.core.decode.stepped_kernels import to_floats
from replay.day import interleave
from replay.day.checks import damage_in
from replay.day.columns import APPEND_TS, STEPPED, schema
from replay.day.layout import MEND, DayError, DaySpan, read_meta

TIMESTAMP = pa.timestamp("ns", "UTC")


class Day:
    """A recorded day to read. Raises `DayError` for a folder that is none or is not whole.

    The first reading compares the sha256 of every file, so that no record of a damaged day is ever
    seen; all reading checks the format's invariants (`checks.py`). Both raise `DayError`.
    `verified`: they were compared already. `copied`: the temporary folder that the day was copied
    into from `address`; it goes with this object, and may lack files that nobody reads.
    """

    def __init__(
        self, path: Path, verified: bool = False, copied: Any = None, address: str | None = None
    ) -> None:
        self.path = path
        self.address = str(path) if address is None else address
        """Where the user has the day."""
        self._verified, self._copied = verified, copied
        self.meta = read_meta(path, whole=copied is None)

    @property
    def span(self) -> DaySpan | None:
        """Its event times; None where no record was accepted."""
        return self.meta.span

    @property
    def record_count(self) -> int:
        """Accepted records of all kinds."""
        return sum(self.meta.records.values())

    @property
    def partition_count(self) -> int:
        """How many partitions each topic has."""
        return 1 + max((part.partition for part in self.meta.partitions), default=0)

    def verify(self) -> None:
        """Read every file once and compare its sha256; raises `DayError` where one differs."""
        for name, file in () if self._verified else self.meta.files.items():
            with damage_in(self.path / name), (self.path / name).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    raise DayError(f"{self.path}: {name} is damaged (its sha256 differs): {MEND}")
        self._verified = True

    def topic_names(self, topics: Mapping[str, str]) -> dict[str, str]:
        """Of each topic of the day the name that `topics` has for its kind. Whoever recorded or
        imported the day may have had other names."""
        return {part.topic: topics.get(part.kind, part.topic) for part in self.meta.partitions}

    def controls(
        self, bands_interval_ns: int = 1, topics: Mapping[str, str] | None = None
    ) -> list[Control]:
        """The control records in the order in which they were written, the day's end last.

        The day's end is rounded up to a multiple of `bands_interval_ns`: no record follows, so the
        last interval of the bands is complete and its bands include all records of the day.
        topics: names of the topics by kind, where they are not to be the day's own.
        """
        self.verify()
        names = self.topic_names(topics or {})
        rows = interleave.read_controls(self.path, self.meta)
        rows = [{**row, "topic": names[row["topic"]]} for row in rows]
        if self.meta.span is None:
            return [Control(**row) for row in rows]
        end = self.meta.span.end_ts
        rounded = -(-end // bands_interval_ns) * bands_interval_ns
        return [Control(**(row | {"ts": rounded} if row["ts"] == end else row)) for row in rows]

    def refused_records(self) -> list[RefusedRecord]:
        """The records that the contract refused; `batches` yields the same ones in their places."""
        self.verify()
        return [record for _, record in interleave.read_refused(self.path, self.meta)]

    def count_by_market(self, from_ts: int | None = None, to_ts: int | None = None) -> Counter[str]:
        """Accepted records by symbol, of those kinds that name one, from `from_ts` up to and with
        `to_ts` (ns UTC).
        """
        counts: Counter[str] = Counter()
        for part in self.meta.partitions:
            if part.file is None or all(column.name != "symbol" for column in COLUMNS[part.kind]):
                continue
            path = self.path / part.file
            with damage_in(path):
                file = pq.ParquetFile(path, read_dictionary=["symbol"])
                for rows in file.iter_batches(columns=["ts", "symbol"]):
                    inside = pa.array(np.ones(len(rows), np.bool_))
                    if from_ts is not None:
                        inside = pc.and_(inside, pc.greater_equal(rows["ts"], from_ts))
                    if to_ts is not None:
                        inside = pc.and_(inside, pc.less_equal(rows["ts"], to_ts))
                    for row in pc.value_counts(rows["symbol"].filter(inside)).to_pylist():
                        if row["values"] is not None:  # rules of the whole venue name none
                            counts[row["values"]] += row["counts"]
        return counts

    def to_arrow(self, kind: str, exact: bool = False) -> pa.Table:
        """All accepted records of a kind ("order", "fill", "book", …), by event time.

        Prices, quantities and money are real numbers (`exact`: decimals, else doubles), times are
        timestamps in UTC. Raises `ValueError` for an unknown kind.
        """
        if kind not in COLUMNS:
            raise ValueError(f"no kind {kind!r}: there are {', '.join(COLUMNS)}")
        self.verify()
        parts = [p for p in self.meta.partitions if p.kind == kind]
        tables = [interleave.read_part(self.path, p) for p in parts if p.file is not None]
        table = pa.concat_tables(tables) if tables else schema(kind).empty_table()
        return _to_real_units(table, kind, exact).sort_by("ts")

    def to_pandas(self, kind: str) -> Any:
        """`to_arrow` as a pandas DataFrame; raises `ImportError` where pandas is missing."""
        return to_pandas(self.to_arrow(kind))

    def batches(
        self,
        rows: int = 65_536,
        symbols: Iterable[str] | None = None,
        from_ts: int | None = None,
        to_ts: int | None = None,
        ids: bool = True,
        sources: Collection[tuple[str, int]] | None = None,
    ) -> Iterator[Batch]:
        """The records in batches of at most `rows`, each of one topic partition.

        The next batch is always of the topic partition whose highest event time so far is lowest.
        It ends before it is more than `interleave.AHEAD_NS` ahead of the second lowest.

        `symbols`, `from_ts` <= ts < `to_ts` (ns UTC): read these records only; records without a
        symbol stay. `ids`: read order and trade ids; without, they are absent in every row.
        `sources`: kinds and partitions to read; None: all of them.

        A refused record has no time of its own. It takes that of the record before it in its topic
        partition (the day's start where there is none) and is among `Batch.refused` of the batch
        that covers its offset. Where its kind is not readable, the batch has the kind and topic
        "unknown", no rows and no columns.
        """
        if rows < 1:
            raise ValueError("rows: at least 1 a batch")
        named = None if symbols is None else frozenset(symbols)
        low = -fixed_point.INT64_MAX if from_ts is None else from_ts
        high = fixed_point.INT64_MAX if to_ts is None else to_ts
        choice = interleave.RecordFilter(rows, named, low, high, ids, sources)
        self.verify()
        partitions = interleave.open_partitions(self.path, self.meta, choice)
        return interleave.merge_partitions(partitions)


def _to_real_units(table: pa.Table, kind: str, exact: bool) -> pa.Table:
    """A table of `columns.schema(kind)` with real numbers instead of integers on a grid.

    `exact`: decimals of 18, 8 or 6 places; otherwise doubles, which have about 16 digits.
    """
    times = {APPEND_TS, *(column.name for column in COLUMNS[kind] if column.type == "time")}
    columns = {}
    for field in table.schema:
        values = table.column(field.name).combine_chunks()
        scale = (field.metadata or {}).get(b"scale")
        if field.name in times:
            values = values.cast(TIMESTAMP)
        elif scale is not None:
            values = _to_numbers(values, scale.decode(), exact)
        columns[field.name] = values
    return pa.table(columns)


def to_pandas(table: pa.Table) -> Any:
    """`table` as a pandas DataFrame; raises `ImportError` where pandas is not installed."""
    if find_spec("pandas") is None:
        raise ImportError("to_pandas() needs pandas: run `pip install pandas`, or use to_arrow()")
    return table.to_pandas()


def _to_numbers(values: pa.Array, scale: str, exact: bool) -> pa.Array:
    """int64 values on a grid (`scale` as in the metadata), or lists of them, as numbers."""
    if isinstance(values, pa.ListArray):
        return pa.ListArray.from_arrays(values.offsets, _to_numbers(values.values, scale, exact))
    if scale == STEPPED:
        return _decode(values, exact)
    places = len(scale) - 1
    if not exact:
        return pc.divide(values.cast(pa.float64(), safe=False), 10.0**places)
    # Same digits, other scale: the decimal point moves without any arithmetic.
    integers = values.cast(pa.decimal128(19, 0))
    target = pa.decimal128(19, places)
    return pa.Array.from_buffers(target, len(values), integers.buffers(), offset=integers.offset)


def _decode(values: pa.Array, exact: bool) -> pa.Array:
    """What codes of stepped decimals stand for."""
    if exact:
        texts = [None if code is None else stepped.format_code(code) for code in values.to_pylist()]
        return pa.array(texts, pa.string()).cast(pa.decimal128(38, stepped.FINE))
    codes = values.fill_null(ABSENT).to_numpy(zero_copy_only=False)
    return pa.array(to_floats(codes), mask=codes == ABSENT)
