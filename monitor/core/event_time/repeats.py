"""Records that say again what one before them in their topic partition said.

A producer that delivers at least once sends a record again after a doubt; the copy has an offset of
its own. The one that was judged first counts, for windows and for accounts: that is the first by
offset, but for records that waited for others to bear out their time. What makes two records the
same depends on the kind:

- fills with a trade id: symbol, trade id, account, side and liquidity;
- leverage changes and moves of collateral: all that they say, with time and sequence number;
- reference records: their text.

A record is remembered by 64 bits of hash, so a new one is taken for a repeat once in some 10^13.
Memory is counted in generations of an hour of event time, or of `KEYS_MAX` records if those come
sooner; the current generation and the one before it are remembered. Both are properties of the log.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64

from detectors.arrays.columns import column_numbers
from detectors.arrays.hash_table import first_slot, mix, next_slot
from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.arrays.types import B1, I1, INT, RI1, RU1, U1, Bool, Int64, UInt64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Batch
from monitor.core.event_time.admission import Admission, RecordCounts
from monitor.core.event_time.clock_state import END, NEVER
from monitor.core.tables.interner import Interner, hash_text

KEYS_MAX = 1 << 20
"""Records of a generation: with the one before, at most 32 MB for a topic partition."""
ONCE_KINDS = ("fill", "leverage", "collateral", "reference")
"""Kinds whose repeats are dropped: those of which something is kept beyond its window."""
HOUR_NS = 3_600 * SECOND_NS
"""A generation lasts so long at most."""
AHEAD = 64
"""Records whose slots are fetched together."""
MET = "met_ns"
"""Of a late record: the watermark that it met in its topic partition, ns."""
_SAYS = {
    "leverage": ("ts", "seq", "leverage", "previous", "margin_mode"),
    "collateral": ("ts", "seq", "amount", "cause"),
}
_MEMORY_COLUMNS = ("generation", "hour", "added", "high", "size")
"""Number of the current generation, the hour in which it began, the records added in it, the
highest event time (ns), and how many records are remembered."""
NO_HOUR = -1
"""Before the first record."""
_MEMORY = column_numbers(_MEMORY_COLUMNS)


@njit((RU1, U1), cache=True, nogil=True)
def _fold(part, out):  # type: ignore[no-untyped-def]
    """Take one more part of each record into its hash."""
    for i in range(part.size):
        out[i] = mix(out[i] ^ part[i]) + uint64(0x9E3779B97F4A7C15)


def record_keys(batch: Batch, symbols: Interner, accounts: Interner) -> UInt64:
    """By record, what it says as one integer; 0: nothing tells it from another one."""
    n, texts = batch.numbers, batch.texts
    keys = np.ones(len(batch), np.uint64)
    if batch.kind == "reference":
        parts = [hash_text(texts["payload"])]
    else:
        named = (symbols, "symbol"), (accounts, "account")
        parts = [names.hashes_of(names.intern(texts[column])) for names, column in named]
    if batch.kind == "fill":
        liquidity = np.where(n["liquidity"] == ABSENT, 2, n["liquidity"])
        parts += [(4 * n["side"] + liquidity).view(np.uint64), hash_text(texts["trade_id"])]
    for column in _SAYS.get(batch.kind, ()):
        parts.append(np.ascontiguousarray(n[column]).view(np.uint64))
    for part in parts:
        _fold(part, keys)
    keys |= np.uint64(2)
    if batch.kind == "fill":
        keys[parts[-1] == 0] = 0
    return keys


@njit((RU1, U1), cache=True, nogil=True)
def _insert(keys, table):  # type: ignore[no-untyped-def]
    for i in range(keys.size):
        slot = first_slot(table, keys[i] >> uint64(1))
        while table[slot] != uint64(0):
            slot = next_slot(table, slot)
        table[slot] = keys[i]


@njit(INT(RU1, RI1, INT, INT, U1, I1, B1, U1), cache=True, nogil=True)
def _find_first(keys, ts, row, keys_max, table, memory, first, ahead):  # type: ignore[no-untyped-def]
    """Note of each record from `row` on whether it is the first of its key. Returns the record
    before which a generation has ended or the table is full. `ahead`: room for `AHEAD` slots.
    """
    for i in range(row, keys.size):
        if (i - row) % AHEAD == 0:
            # Slots lie far apart: those of the next records are fetched together, not in turn.
            for j in range(i, min(i + AHEAD, keys.size)):
                ahead[j - i] = table[first_slot(table, keys[j] >> uint64(1))]
        memory[_MEMORY.high] = max(memory[_MEMORY.high], ts[i])
        hour = memory[_MEMORY.high] // HOUR_NS
        if memory[_MEMORY.hour] == NO_HOUR:
            memory[_MEMORY.hour] = hour
        if hour > memory[_MEMORY.hour] or memory[_MEMORY.added] >= keys_max:
            if hour > memory[_MEMORY.hour]:
                # One step at a time: two of them, after hours without records, forget everything.
                memory[_MEMORY.hour] = max(memory[_MEMORY.hour] + 1, hour - 1)
            memory[_MEMORY.generation] += 1
            memory[_MEMORY.added] = 0
            return i
        first[i] = True
        key = keys[i] >> uint64(1)
        if key == uint64(0):
            continue
        slot = first_slot(table, key)
        while table[slot] != uint64(0) and table[slot] >> uint64(1) != key:
            slot = next_slot(table, slot)
        if table[slot] != uint64(0):
            first[i] = False
            continue
        if 2 * (memory[_MEMORY.size] + 1) > table.size:
            return i
        table[slot] = key << uint64(1) | uint64(memory[_MEMORY.generation] & 1)
        memory[_MEMORY.size] += 1
        memory[_MEMORY.added] += 1
    return keys.size


class RepeatCount(NamedTuple):
    """Records of one window of a topic partition: how many there were, how many of them were
    repeats, and the offsets of the first and the last of these.
    """

    records: int
    repeats: int
    first: int
    last: int


class RepeatFilter(Stateful):
    """What one topic partition has said within the last hours.

    `window_ns`: the length of the windows in which repeats are counted. `keys_max`: records of a
    generation.
    """

    STATE = ("_memory",)

    def __init__(self, window_ns: int, keys_max: int = KEYS_MAX) -> None:
        self._window_ns, self._keys_max = window_ns, keys_max
        self._memory = np.array([1, NO_HOUR, 0, NEVER, 0], np.int64)
        self._table = np.zeros(1024, np.uint64)
        self._ahead = np.zeros(AHEAD, np.uint64)
        self.counts: dict[int, RepeatCount] = {}
        """By the window in which the records arrived; whoever takes them empties it."""

    def find_first(self, keys: UInt64, offset: Int64, ts: Int64, came_ns: Int64) -> Bool:
        """Which of these records are no repeats; they come in the order in which they were judged.

        `keys`: `record_keys`. `ts`: event time, ns. `came_ns`: the event time that the topic
        partition had come to, ns.
        """
        first, row = np.empty(len(keys), np.bool_), 0
        while row < len(keys):
            generation = int(self._memory[_MEMORY.generation])
            state = self._table, self._memory, first, self._ahead
            row = _find_first(keys, ts, row, self._keys_max, *state)
            if row < len(keys):
                self._rebuild(generation != int(self._memory[_MEMORY.generation]))
        self._count(first, offset, came_ns // self._window_ns)
        return first

    def _count(self, first: Bool, offset: Int64, window: Int64) -> None:
        none = bool(first.all())
        for low, high in equal_runs(window):
            new = RepeatCount(high - low, 0, END, -1)
            if not none and len(repeats := offset[low:high][~first[low:high]]):
                ends = int(repeats.min()), int(repeats.max())
                new = RepeatCount(high - low, len(repeats), *ends)
            number = int(window[low])
            old = self.counts.get(number)
            self.counts[number] = new if old is None else _add(old, new)

    def _rebuild(self, generation_ended: bool) -> None:
        """Forget the generation before the last one, where one has ended; make room."""
        keys = self._table[self._table != 0]
        if generation_ended:
            generation = np.uint64(self._memory[_MEMORY.generation])
            keys = keys[(keys & np.uint64(1)) != (generation & np.uint64(1))]
        self._fill(keys)

    def _fill(self, keys: UInt64) -> None:
        self._memory[_MEMORY.size] = len(keys)
        self._table = np.zeros(1 << (4 * max(len(keys), 256) - 1).bit_length(), np.uint64)
        _insert(keys, self._table)

    def snapshot(self) -> dict[str, Any]:
        counts = [[window, *self.counts[window]] for window in sorted(self.counts)]
        keys = np.sort(self._table[self._table != 0])
        return super().snapshot() | {"keys": keys, "counts": counts}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._fill(state["keys"])
        self.counts = {window: RepeatCount(*count) for window, *count in state["counts"]}


def _add(a: RepeatCount, b: RepeatCount) -> RepeatCount:
    sums = a.records + b.records, a.repeats + b.repeats
    return RepeatCount(*sums, min(a.first, b.first), max(a.last, b.last))


def split_records(
    seen: RepeatFilter, names: tuple[Interner, Interner], admission: Admission, tally: RecordCounts
) -> tuple[Batch, Int64, Batch]:
    """Drop the repeats from what was admitted or late; `tally` counts them.

    Returns the admitted records, how far each ran behind (ns), and the late records, which have one
    more number: `MET`. `names`: those of symbols and of accounts.
    """
    admitted, behind_ns, late = admission.admitted, admission.behind_ns, admission.late
    if len(late):
        late = late.select_rows(slice(None))
        late.numbers[MET] = admission.late_watermark_ns
    parts = [part for part in (admitted, late) if len(part)]
    if not parts:
        return admitted, behind_ns, late
    came_ns = admission.late_watermark_ns
    if len(admitted):
        came_ns = np.concatenate((admitted.numbers["ts"] + behind_ns, came_ns))
    keys = np.concatenate([record_keys(part, *names) for part in parts])
    offsets = np.concatenate([part.offset for part in parts])
    ts = np.concatenate([part.numbers["ts"] for part in parts])
    order, first = admission.order, np.empty(len(keys), np.bool_)
    first[order] = seen.find_first(keys[order], offsets[order], ts[order], came_ns[order])
    if first.all():
        return admitted, behind_ns, late
    tally.repeated[admitted.kind] += int(np.count_nonzero(~first))
    once, late_once = first[: len(admitted)], first[len(admitted) :]
    if len(late):
        late = late.select_rows(late_once)
    return admitted.select_rows(once), behind_ns[once], late
