"""What a venue's adapter is: from the venue's own records to the contract's, and what it noticed.

An adapter is pure: it is handed a file's lines (or tables) in order and keeps only what the feed
itself told (open orders, a local book). It makes canonical records; `decode` judges them by the
contract like any other, so that a wrong number is refused here for the same reason as in Kafka,
with the venue's own line kept as the original bytes.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Never

import msgspec
import numpy as np
from pydantic_core import PydanticCustomError

from monitor.core.contract import events
from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64, RefusedRecord

Record = dict[str, Any]
"""A canonical record with its `kind`; numbers as text or integers, absent fields None."""

MS = 1_000_000
"""Nanoseconds in a millisecond."""
BREAK_NS = 60_000_000_000
"""A silence of over a minute is reported as a break in the feed."""
BREAKS_SHOWN = 100
"""Breaks beyond these are counted, not listed."""
REPEAT_LINES = 65_536
"""A line is a repeat when it equals one of so many before it."""


class UnreadableError(Exception):
    """A line that is not in the venue's format: a reason of `decode.REASONS`, and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class OptionError(ValueError):
    """An option that the venue does not have or cannot read; says which it has."""


@dataclass
class FeedAnomalies:
    """What is odd in a feed's order of time: reported, never smoothed over."""

    break_ns: int = BREAK_NS
    breaks: list[dict[str, int]] = field(default_factory=list)
    break_count: int = 0
    back_count: int = 0
    back_ns_max: int = 0
    repeat_count: int = 0
    truncated_files: list[str] = field(default_factory=list)
    """Files that end in the middle of their compressed stream."""
    highest_ts: int = -1
    _recent_lines: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def observe_times(self, ts: Int64) -> None:
        """Take the event times (ns) of the next records, in file order."""
        if not len(ts):
            return
        before = np.maximum.accumulate(ts)[:-1]
        first = self.highest_ts if self.highest_ts >= 0 else int(ts[0])
        highest = np.maximum(np.concatenate(([first], before)), first)
        step = ts - highest
        self.back_count += int((step < 0).sum())
        self.back_ns_max = max(self.back_ns_max, -int(step.min()))
        for i in np.flatnonzero(step > self.break_ns).tolist():
            self.break_count += 1
            if len(self.breaks) < BREAKS_SHOWN:
                self.breaks.append({"from": int(highest[i]), "to": int(ts[i])})
        self.highest_ts = max(first, int(ts.max()))

    def observe_line(self, raw: bytes) -> None:
        """Take a line that made records, to know a repeat of it."""
        key = hash(raw)
        if key in self._recent_lines:
            self.repeat_count += 1
            self._recent_lines.move_to_end(key)
            return
        self._recent_lines[key] = None
        if len(self._recent_lines) > REPEAT_LINES:
            self._recent_lines.popitem(last=False)

    def facts(self) -> dict[str, Any]:
        """All of it, as the import's report and the day's notes give it."""
        return {
            "break_over_ns": self.break_ns,
            "breaks": self.break_count,
            "longest_breaks_listed": self.breaks,
            "jumps_back": self.back_count,
            "jump_back_ns_max": self.back_ns_max,
            "repeated_lines": self.repeat_count,
            "broken_off": self.truncated_files,
        }


class VenueAdapter(ABC):
    """Base of the adapters; `options` are the words of `OPTIONS` with their values as text."""

    NAME: ClassVar[str]
    OPTIONS: ClassVar[Mapping[str, str]] = {}
    """What the user may tell beside the files: name → words."""
    READS_PARQUET: ClassVar[bool] = False
    """Whether the venue's files are Parquet: `read` then takes tables, not lines."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.options = dict(options or {})
        for name in self.options:
            if name not in self.OPTIONS:
                known = "; ".join(f"{n}: {w}" for n, w in self.OPTIONS.items()) or "none"
                raise OptionError(f"{self.NAME} has no option {name!r}; it has: {known}")
        self.source_counts: Counter[str] = Counter()
        """Source events by the venue's own kinds, those refused included."""
        self.notes: Counter[str] = Counter()
        """What was noticed beside, in words, and how often."""
        self.anomalies = FeedAnomalies()
        self._offsets: Counter[str] = Counter()

    def begin_file(self, file: str) -> None:  # noqa: B027 - most venues do not care
        """A file of the feed begins (`file`: its path as given)."""

    @abstractmethod
    def read(self, chunk: Any) -> list[Batch]:
        """The next lines (without their newline) or the next table, as batches by kind."""

    def finish(self) -> list[Batch]:
        """All files were read: what had to wait for that, as batches by kind."""
        return []

    def assign_offsets(self, kind: str, count: int) -> tuple[str, Int64]:
        """The topic of `kind` and its next `count` offsets."""
        first = self._offsets[kind]
        self._offsets[kind] += count
        topic = events.TOPICS.get(kind, codec.UNKNOWN)
        return topic, np.arange(first, first + count)


class LineAdapter(VenueAdapter):
    """A venue whose files are lines, each of which makes no, one or several records."""

    @abstractmethod
    def parse_line(self, raw: bytes) -> list[Record]:
        """The records that a line makes. Raises `UnreadableError`, or `KeyError`, `ValueError`,
        `TypeError` and the like where the line lacks what the format promises: it is refused then.
        """

    def guess_kind(self, raw: bytes) -> str | None:
        """The kind that an unreadable line was meant to be, if a cheap look can tell."""
        return None

    def _encode_records(self, raw: bytes) -> list[tuple[str, bytes]]:
        """The line's records by kind, as canonical JSON."""
        if not raw.strip():
            raise UnreadableError("empty", f"{len(raw)} bytes")
        try:
            return [(record["kind"], _canonical_json(record)) for record in self.parse_line(raw)]
        except KeyError as error:
            raise UnreadableError("missing_field", f"{error.args[0]}: Field required") from None
        except UnicodeDecodeError as error:
            raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
        except PydanticCustomError as error:
            raise UnreadableError(error.type, error.message()) from None
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            raise UnreadableError("wrong_type", ascii(str(error))[1:-1]) from None

    def read(self, chunk: Sequence[bytes]) -> list[Batch]:
        made: dict[str, _BatchBuilder] = {}
        times: list[tuple[str, int]] = []
        for raw in chunk:
            try:
                records = self._encode_records(raw)
            except UnreadableError as error:
                kind = self.guess_kind(raw) or codec.UNKNOWN
                made.setdefault(kind, _BatchBuilder()).add_unreadable(raw, error)
                continue
            for kind, record in records:
                rows = made.setdefault(kind, _BatchBuilder())
                times.append((kind, len(rows.lines)))
                rows.add_record(raw, record)
            if records:
                self.anomalies.observe_line(raw)
        return self._batches(made, times)

    def build_batches(self, rows: Sequence[tuple[bytes, Record]]) -> list[Batch]:
        """Batches of records that are told later than their line (the first of each pair)."""
        made: dict[str, _BatchBuilder] = {}
        times: list[tuple[str, int]] = []
        for raw, record in rows:
            kind = record["kind"]
            into = made.setdefault(kind, _BatchBuilder())
            times.append((kind, len(into.lines)))
            into.add_record(raw, _canonical_json(record))
        return self._batches(made, times)

    def _batches(self, made: dict[str, _BatchBuilder], times: list[tuple[str, int]]) -> list[Batch]:
        batches = {
            k: rows.build(k, *self.assign_offsets(k, len(rows.lines))) for k, rows in made.items()
        }
        self.anomalies.observe_times(_accepted_times(times, batches))
        return list(batches.values())


def _canonical_json(record: Record) -> bytes:
    return msgspec.json.encode({name: v for name, v in record.items() if v is not None})


def _accepted_times(rows: list[tuple[str, int]], batches: Mapping[str, Batch]) -> Int64:
    """The event times of the accepted records, in the order of `rows` (kind, index by offset)."""
    if not rows:
        return np.zeros(0, np.int64)
    sizes = Counter[str]()
    for kind, index in rows:
        sizes[kind] = max(sizes[kind], index + 1)
    ts: dict[str, list[int]] = {}
    for kind, b in batches.items():
        if kind in sizes:
            row = np.full(sizes[kind], -1, np.int64)
            every = [*b.offset.tolist(), *(r.offset for r in b.refused)]
            row[b.offset - min(every)] = b.numbers["ts"]
            ts[kind] = row.tolist()
    found = np.array([ts[kind][index] for kind, index in rows], np.int64)
    return found[found >= 0]


@dataclass
class _BatchBuilder:
    """Records of one kind under way, with the lines from which they come."""

    lines: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """The indices of the records among the lines."""
    records: list[bytes] = field(default_factory=list)
    refused: dict[int, UnreadableError] = field(default_factory=dict)

    def add_record(self, line: bytes, record: bytes) -> None:
        self.rows.append(len(self.lines))
        self.lines.append(line)
        self.records.append(record)

    def add_unreadable(self, line: bytes, error: UnreadableError) -> None:
        self.refused[len(self.lines)] = error
        self.lines.append(line)

    def build(self, kind: str, topic: str, offset: Int64) -> Batch:
        made = codec.decode(kind, topic, 0, offset[self.rows], self.records)
        first = int(offset[0])
        for refused in made.refused:
            refused.raw = self.lines[refused.offset - first]
        made.refused += [
            RefusedRecord(topic, 0, first + i, error.reason, error.detail, self.lines[i])
            for i, error in self.refused.items()
        ]
        made.refused.sort(key=lambda r: r.offset)
        return made


def _reject_constant(word: str) -> Never:
    raise UnreadableError("not_json", f"{word} is no JSON number")


_JSON = json.JSONDecoder(parse_float=str, parse_constant=_reject_constant)


def read_json(raw: bytes) -> dict[str, Any]:
    """One JSON object; numbers with a point or an exponent stay text, as they stood there."""
    try:
        found = _JSON.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError("not_json", f"at character {error.pos}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not_json", type(error).__name__) from None
    if not isinstance(found, dict):
        raise UnreadableError("not_object", "the JSON value is no object")
    return found


def epoch_ns(digits: str) -> int:
    """A time since 1970 in s, ms, µs or ns, told by how many digits it has (years 2001 to 2286).

    >>> epoch_ns("1680652700423575")
    1680652700423575000
    """
    if len(digits) not in (10, 13, 16, 19) or not (digits.isascii() and digits.isdecimal()):
        raise UnreadableError("wrong_type", "no time in s, ms, µs or ns since 1970")
    return int(digits.ljust(19, "0"))
