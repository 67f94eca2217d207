"""Records of several files in the order of their times, in bounded memory.

The records of one file keep their order, which is roughly that of time: a record's place among
those of other files is the highest time up to it, of times that the records after it bear out. So
one record with a wrong time moves no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from monitor.core.decode.batch import Int64
from monitor.venues.anomalies import RETURN_RECORDS

Item = TypeVar("Item")

UNKNOWN_TS = -1
"""The time of a record that has none."""


@dataclass
class TimedStream(Generic[Item]):
    """One file: when it begins (`UNKNOWN_TS`: not known), and how it is opened: chunks of its
    records with their times, ns UTC."""

    first_ts: int
    open: Callable[[], Iterator[tuple[Sequence[Item], Int64]]]


def place_times(ts: Int64, after: int) -> tuple[Int64, int]:
    """Where the records of a chunk stand among others: times that never fall, and the last.

    `after`: that of the record before them.
    """
    known = np.where(ts == UNKNOWN_TS, np.iinfo(np.int64).max, ts)
    padded = np.concatenate([known, np.full(RETURN_RECORDS, np.iinfo(np.int64).max)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, RETURN_RECORDS + 1)[: len(ts)]
    low = windows.min(axis=1)
    low[low == np.iinfo(np.int64).max] = UNKNOWN_TS
    places = np.maximum(np.maximum.accumulate(low), after)
    return places, int(places[-1]) if len(places) else after


class _OpenStream(Generic[Item]):
    """The records of one file that are read and wait."""

    def __init__(self, number: int, stream: TimedStream[Item]) -> None:
        self.number = number
        self._chunks = stream.open()
        self.items: Sequence[Item] = ()
        self.places = np.zeros(0, np.int64)
        self._last = UNKNOWN_TS

    def fill(self) -> bool:
        """Read on where nothing waits; whether anything does."""
        while not len(self.places):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self.items, ts = chunk
            self.places, self._last = place_times(ts, self._last)
        return True

    def take(self, until: int) -> tuple[Sequence[Item], Int64]:
        """The records up to a time, which no longer wait."""
        count = int(np.searchsorted(self.places, until, side="right"))
        taken = self.items[:count], self.places[:count]
        self.items, self.places = self.items[count:], self.places[count:]
        return taken


def merge_streams(streams: Sequence[TimedStream[Item]]) -> Iterator[list[Item]]:
    """The records of all streams by time; at the same time in the streams' order.

    A stream is opened when its time comes, so that a thousand files one after another need no more
    memory than one.
    """
    waiting = sorted(enumerate(streams), key=lambda pair: pair[1].first_ts, reverse=True)
    active: list[_OpenStream[Item]] = []
    while waiting or active:
        active = [stream for stream in active if stream.fill()]
        until = min((int(s.places[-1]) for s in active), default=None)
        if waiting and (until is None or waiting[-1][1].first_ts <= until):
            active.append(_OpenStream(*waiting.pop()))
            active.sort(key=lambda stream: stream.number)
            continue
        if until is None:
            continue
        taken = [stream.take(until) for stream in active]
        order = np.argsort(np.concatenate([places for _, places in taken]), kind="stable")
        items = [item for some, _ in taken for item in some]
        yield [items[i] for i in order.tolist()]
