"""Recorded days, one after the other, as the one log that they were cut from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch
from monitor.core.settings import EngineSettings
from monitor.errors import ConfigError
from replay.day.layout import DaySpan
from replay.day.reader import Day


class DaySequence:
    """One recorded day, or several in the order of time.

    Each topic partition is one log: a later day's offsets go on behind those of the day before.
    Raises `ConfigError` where the days have different numbers of partitions.
    """

    def __init__(self, days: Sequence[Day]) -> None:
        self.days = list(days)
        counts = {day.partition_count for day in self.days if day.span is not None}
        if len(counts) > 1:
            raise ConfigError(
                f"the days have {' and '.join(map(str, sorted(counts)))} partitions a topic: a "
                "symbol's log would go on in another one; make them anew with as many each"
            )
        self.partition_count = max(counts, default=1)
        """How many partitions each topic has."""
        self._bases = self._first_offsets()

    def _first_offsets(self) -> list[Counter[tuple[str, int]]]:
        """By day, what is added to its offsets, by kind and partition."""
        bases, total = [], Counter[tuple[str, int]]()
        for day in self.days:
            bases.append(total.copy())
            ends: dict[tuple[str, int], int] = {}
            for part in day.meta.partitions:
                place = part.kind, part.partition
                ends[place] = max(part.next_offset, ends.get(place, 0))
            total.update(ends)
        return bases

    def check_order(self, lateness_ns: int) -> None:
        """Raise `ConfigError` where a day begins before the one named before it has ended, by more
        than a record may be late: its records would be too late for their windows."""
        spans = [(day.address, day.span) for day in self.days if day.span is not None]
        for (before, earlier), (after, later) in pairwise(spans):
            if later.first_ts < earlier.end_ts - lateness_ns:
                raise ConfigError(
                    f"{after} begins at {format_iso(later.first_ts)}, before {before} ends at "
                    f"{format_iso(earlier.end_ts)}: name the days in the order of time, none twice"
                )

    @property
    def record_count(self) -> int:
        """Accepted records of all kinds."""
        return sum(day.record_count for day in self.days)

    @property
    def places(self) -> set[tuple[str, int]]:
        """Kinds and partitions that the days have."""
        return {(part.kind, part.partition) for day in self.days for part in day.meta.partitions}

    @property
    def span(self) -> DaySpan | None:
        """Event times from the first day to the last; None where no record was accepted."""
        spans = [day.span for day in self.days if day.span is not None]
        if not spans:
            return None
        highest = max(span.last_ts for span in spans)
        return DaySpan(min(span.first_ts for span in spans), highest, spans[-1].end_ts)

    def controls(self, settings: EngineSettings) -> list[Control]:
        """The control records of all days; see `Day.controls`.

        A day that another follows ends as its records alone would have it end: what comes within
        the time that a record may be late still counts.
        """
        controls = []
        for day, base in zip(self.days, self._bases, strict=True):
            names = day.topic_names(settings.topics)
            kinds = {names[part.topic]: part.kind for part in day.meta.partitions}
            is_last = day is self.days[-1]
            interval = settings.accounts.bands_interval_ns if is_last else 1
            end_ts = None if is_last or day.span is None else day.span.end_ts
            for control in day.controls(interval, settings.topics):
                shift = base[kinds[control.topic], control.partition]
                ts = control.ts - (settings.time.lateness_ns if control.ts == end_ts else 0)
                place = {"offset": control.offset + shift, "ts": ts}
                controls.append(control.model_copy(update=place))
        return controls

    def batches(
        self, rows: int, sources: Collection[tuple[str, int]] | None = None, since: int = 0,
        until: int | None = None,
    ) -> Iterator[Batch]:  # fmt: skip
        """The records of the days number `since` to `until` − 1 (None: to the last); see
        `Day.batches`."""
        for day, base in zip(self.days[since:until], self._bases[since:until], strict=True):
            for batch in day.batches(rows, sources=sources):
                shift = base[batch.kind, batch.partition]
                if shift:
                    batch.offset = batch.offset + shift
                    batch.refused = [
                        dataclasses.replace(record, offset=record.offset + shift)
                        for record in batch.refused
                    ]
                yield batch

    def count_by_market(self, from_ts: int | None = None, to_ts: int | None = None) -> Counter[str]:
        """See `Day.count_by_market`."""
        counts: Counter[str] = Counter()
        for day in self.days:
            counts.update(day.count_by_market(from_ts, to_ts))
        return counts
