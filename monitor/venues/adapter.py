"""The interface of a venue's adapter: the venue's own lines or tables in, canonical batches out.

An adapter does no input or output: it takes the lines (or tables) of the files in order and keeps
only what the feed itself says (open orders, a local book). The canonical records that it makes are
validated by the contract like any other: a wrong number is refused for the same reason as in Kafka,
with the venue's own line as the original bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError

from monitor.core.contract import events
from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64, RefusedRecord
from monitor.venues.anomalies import FeedAnomalies
from monitor.venues.parse import Record, UnreadableError, canonical_json

SOURCE_NAMES_MAX = 100
NAME_MAX = 40
BatchRow = tuple[str, bytes, bytes | UnreadableError]
"""Kind, line, and the canonical record that the line makes or why it makes none."""


@dataclass(slots=True)
class OpenOrder:
    """An order that the feed has shown being placed: when (ns UTC), and the quantity that is left,
    in the feed's own integer unit. Orders from before the recording are not known to be open."""

    placed_ts: int
    left: int


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
        self.left_out: Counter[str] = Counter()
        """Lines (or rows) that make no record though they are sound: what they are, as it stands
        after their number, and why they are not needed."""
        self.anomalies = FeedAnomalies()
        self._offsets: Counter[str] = Counter()

    def count_source(self, name: object) -> str:
        """Count a source event under the venue's own name for its kind, and return that name.

        Names beyond the first hundred, which no venue has, are counted together.
        """
        text = str(name)[:NAME_MAX]
        if text not in self.source_counts and len(self.source_counts) >= SOURCE_NAMES_MAX:
            text = "others"
        self.source_counts[text] += 1
        return text

    def begin_file(self, file: str) -> None:  # noqa: B027 - most venues do not care
        """What follows is from another file; `file`: its path as the user wrote it. Where files
        are read by time (`LineAdapter.line_time`), it is called for a file again and again."""

    @abstractmethod
    def read(self, chunk: Any) -> list[Batch]:
        """The next lines (without newlines), or the next table, as batches by kind."""

    def finish(self) -> list[Batch]:
        """Batches of records that are complete only when all files have been read."""
        return []

    def build_batches(self, rows: Sequence[BatchRow]) -> tuple[list[Batch], NDArray[np.bool_]]:
        """Batches by kind of rows in file order, and whether the contract accepts each row.

        Every row takes an offset; a refused one keeps its line's bytes.
        """
        by_kind: dict[str, list[int]] = {}
        for i, (kind, _, _) in enumerate(rows):
            by_kind.setdefault(kind, []).append(i)
        accepted = np.zeros(len(rows), np.bool_)
        batches = []
        for kind, index in by_kind.items():
            topic, offset = self.assign_offsets(kind, len(index))
            of_offset = dict(zip(offset.tolist(), (rows[i] for i in index), strict=True))
            records = {o: r for o, (_, _, r) in of_offset.items() if isinstance(r, bytes)}
            batch = codec.decode(
                kind, topic, 0, np.array([*records], np.int64), [*records.values()]
            )
            for refused in batch.refused:
                refused.raw = of_offset[refused.offset][1]
            batch.refused += [
                RefusedRecord(topic, 0, o, error.reason, error.detail, line)
                for o, (_, line, error) in of_offset.items()
                if isinstance(error, UnreadableError)
            ]
            batch.refused.sort(key=lambda r: r.offset)
            if kind == "book":
                self.anomalies.observe_books(batch.ladders)
            if len(batch):
                accepted[np.array(index)[batch.offset - offset[0]]] = True
                self.anomalies.observe_times(kind, batch.numbers["ts"])
            batches.append(batch)
        return batches, accepted

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

    def line_time(self, raw: bytes) -> int | None:
        """When a line was received or happened, ns UTC, by a quick look; None: it does not say.

        Several files are read by these times. A venue that has none is read file by file.
        """
        return None

    def guess_kind(self, raw: bytes) -> str | None:
        """The kind that an unreadable line was meant to be, where a quick look shows it."""
        return None

    def encode_records(self, raw: bytes) -> list[tuple[str, bytes]]:
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
        except RecursionError:
            raise UnreadableError("not_json", "nested too deep") from None
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            raise UnreadableError("wrong_type", ascii(str(error))[1:-1]) from None

    def read(self, chunk: Sequence[bytes]) -> list[Batch]:
        rows: list[BatchRow] = []
        for raw in chunk:
            try:
                records = self.encode_records(raw)
            except UnreadableError as error:
                rows.append((self.guess_kind(raw) or codec.UNKNOWN, raw, error))
                continue
            rows += [(kind, raw, record) for kind, record in records]
            if records:
                self.anomalies.observe_line(raw)
        return self.build_batches(rows)[0]
