"""The interface of a venue's adapter: the venue's own lines or tables in, canonical batches out.

An adapter does no input or output: it takes the lines (or tables) of the files in order and keeps
only what the feed itself says (open orders, a local book). The canonical records that it makes are
validated by the contract like any other: a wrong number is refused for the same reason as in Kafka,
with the venue's own line as the original bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic_core import PydanticCustomError

from monitor.core.contract import events
from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64, RefusedRecord
from monitor.venues.anomalies import FeedAnomalies
from monitor.venues.parse import Record, UnreadableError, canonical_json


class OptionError(ValueError):
    """The venue lacks an option or cannot read its value; the message says what it takes."""


class VenueAdapter(ABC):
    """Base of the adapters.

    `options`: values as text, by the names in `OPTIONS`. Raises `OptionError`.
    """

    NAME: ClassVar[str]
    OPTIONS: ClassVar[Mapping[str, str]] = {}
    """The options that the user may give: name and description."""
    READS_PARQUET: ClassVar[bool] = False
    """Whether the venue's files are Parquet: `read` then takes tables instead of lines."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.options = dict(options or {})
        for name in self.options:
            if name not in self.OPTIONS:
                listed = "; ".join(f"{n}: {d}" for n, d in self.OPTIONS.items()) or "none"
                raise OptionError(f"{self.NAME} has no option {name!r}; it has: {listed}")
        self.source_counts: Counter[str] = Counter()
        """Source events by the venue's own kinds, refused ones included."""
        self.notes: Counter[str] = Counter()
        """What else was noticed: a sentence, and how often."""
        self.anomalies = FeedAnomalies()
        self._offsets: Counter[str] = Counter()

    def begin_file(self, file: str) -> None:  # noqa: B027 - most venues do not care
        """Another file of the feed follows; `file`: its path as the user wrote it."""

    @abstractmethod
    def read(self, chunk: Any) -> list[Batch]:
        """The next lines (without newlines), or the next table, as batches by kind."""

    def finish(self) -> list[Batch]:
        """Batches of records that are complete only when all files have been read."""
        return []

    def assign_offsets(self, kind: str, count: int) -> tuple[str, Int64]:
        """The topic of `kind` and its next `count` offsets."""
        first = self._offsets[kind]
        self._offsets[kind] += count
        topic = events.TOPICS.get(kind, codec.UNKNOWN)
        return topic, np.arange(first, first + count)


class LineAdapter(VenueAdapter):
    """A venue with files of lines, each of which makes no, one or several records."""

    @abstractmethod
    def parse_line(self, raw: bytes) -> list[Record]:
        """The records of a line.

        Raises `UnreadableError`, or `KeyError`, `ValueError`, `TypeError` and the like where the
        line lacks what the format promises: the line is refused.
        """

    def guess_kind(self, raw: bytes) -> str | None:
        """The kind that an unreadable line was meant to be, where a quick look shows it."""
        return None

    def _encode_records(self, raw: bytes) -> list[tuple[str, bytes]]:
        """Kind and canonical JSON of each record of the line."""
        if not raw.strip():
            raise UnreadableError("empty", f"{len(raw)} bytes")
        try:
            return [(record["kind"], canonical_json(record)) for record in self.parse_line(raw)]
        except KeyError as error:
            raise UnreadableError("missing_field", f"{error.args[0]}: Field required") from None
        except UnicodeDecodeError as error:
            raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
        except PydanticCustomError as error:
            raise UnreadableError(error.type, error.message()) from None
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            raise UnreadableError("wrong_type", ascii(str(error))[1:-1]) from None

    def read(self, chunk: Sequence[bytes]) -> list[Batch]:
        build = _BatchBuilder()
        for raw in chunk:
            try:
                records = self._encode_records(raw)
            except UnreadableError as error:
                build.add_unreadable(self.guess_kind(raw) or codec.UNKNOWN, raw, error)
                continue
            for kind, record in records:
                build.add_record(kind, raw, record)
            if records:
                self.anomalies.observe_line(raw)
        return self._batches(build)

    def build_batches(self, rows: Iterable[tuple[bytes, Record]]) -> list[Batch]:
        """Batches of records that become complete later than their line is read.

        `rows`: pairs of line and record, in the order of time.
        """
        build = _BatchBuilder()
        for raw, record in rows:
            build.add_record(record["kind"], raw, canonical_json(record))
        return self._batches(build)

    def _batches(self, build: _BatchBuilder) -> list[Batch]:
        batches = {
            kind: rows.decode(kind, *self.assign_offsets(kind, len(rows.lines)))
            for kind, rows in build.by_kind.items()
        }
        self.anomalies.observe_times(_accepted_times(build.order, batches))
        return list(batches.values())


class _BatchBuilder:
    """Collects the records of one chunk by kind."""

    def __init__(self) -> None:
        self.by_kind: dict[str, _KindRows] = {}
        self.order: list[tuple[str, int]] = []
        """Kind and index among the lines of its kind, of each record in file order."""

    def add_record(self, kind: str, line: bytes, record: bytes) -> None:
        """Add a canonical record and the line that it comes from."""
        rows = self.by_kind.setdefault(kind, _KindRows())
        self.order.append((kind, len(rows.lines)))
        rows.rows.append(len(rows.lines))
        rows.lines.append(line)
        rows.records.append(record)

    def add_unreadable(self, kind: str, line: bytes, error: UnreadableError) -> None:
        """Add a line that makes no record."""
        rows = self.by_kind.setdefault(kind, _KindRows())
        rows.refused[len(rows.lines)] = error
        rows.lines.append(line)


@dataclass
class _KindRows:
    """The records of one kind, with the lines that they come from."""

    lines: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """The indices of the records among the lines."""
    records: list[bytes] = field(default_factory=list)
    refused: dict[int, UnreadableError] = field(default_factory=dict)
    """Why a line makes no record, by its index."""

    def decode(self, kind: str, topic: str, offset: Int64) -> Batch:
        """A batch with an offset for each line; refused records have the line's bytes."""
        batch = codec.decode(kind, topic, 0, offset[self.rows], self.records)
        first = int(offset[0])
        for refused in batch.refused:
            refused.raw = self.lines[refused.offset - first]
        batch.refused += [
            RefusedRecord(topic, 0, first + i, error.reason, error.detail, self.lines[i])
            for i, error in self.refused.items()
        ]
        batch.refused.sort(key=lambda r: r.offset)
        return batch


def _accepted_times(order: list[tuple[str, int]], batches: Mapping[str, Batch]) -> Int64:
    """The event times of the accepted records, in file order."""
    ts: dict[str, list[int]] = {}
    for kind, batch in batches.items():
        offsets = [*batch.offset.tolist(), *(r.offset for r in batch.refused)]
        times = np.full(len(offsets), -1, np.int64)
        if len(batch):
            times[batch.offset - min(offsets)] = batch.numbers["ts"]
        ts[kind] = times.tolist()
    times_in_order = np.array([ts[kind][index] for kind, index in order], np.int64)
    return times_in_order[times_in_order >= 0]
