"""Several partitions become one order of event time, the same however they are fetched."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.units import SECOND_NS
from monitor.sources.acceptance import SourceRecord
from monitor.sources.merge import AHEAD_NS, LOOK_AHEAD, Place, TimeMerge

ALL = 1_000_000
HOUR_NS = 3_600 * SECOND_NS

Logs = dict[Place, list[SourceRecord]]
LOGS = st.lists(
    st.lists(st.integers(1, 60).map(lambda s: s * SECOND_NS), max_size=12), min_size=1, max_size=4
)


def log_of(times: list[int]) -> list[SourceRecord]:
    return [SourceRecord(offset, 0, ts) for offset, ts in enumerate(times)]


def merge_all(logs: Logs, chance: random.Random) -> list[tuple[Place, int]]:
    """The places and times, in the order in which they come out when pieces of any size are
    fetched in any order."""
    merge, fetched = TimeMerge(logs), dict.fromkeys(logs, 0)
    out = []
    while True:
        coming = {place for place, log in logs.items() if fetched[place] < len(log)}
        out += [(at, r.ts) for at, r in merge.release(coming, chance.choice((1, 3, ALL)))]
        if not coming:
            return out + [(at, r.ts) for at, r in merge.release((), ALL)]
        place = chance.choice(sorted(coming))
        end = fetched[place] + chance.randint(1, 4)
        merge.add(place, logs[place][fetched[place] : end])
        fetched[place] = min(end, len(logs[place]))


@given(lists=LOGS, seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_a_backlog_has_one_order_however_it_is_fetched(lists: list[list[int]], seed: int) -> None:
    logs: Logs = {("t", n): log_of(times) for n, times in enumerate(lists)}
    out = merge_all(logs, random.Random(seed))
    assert out == merge_all(logs, random.Random(0))
    for place, log in logs.items():
        assert [ts for at, ts in out if at == place] == [record.ts for record in log]


@given(lists=LOGS, seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_partitions_in_order_come_out_in_order(lists: list[list[int]], seed: int) -> None:
    steps = [sorted({ts // 10 for ts in times}) for times in lists]  # no step is a jump
    out = merge_all({("t", n): log_of(times) for n, times in enumerate(steps)}, random.Random(seed))
    assert [ts for _, ts in out] == sorted(ts for times in steps for ts in times)


def test_a_partition_with_records_that_are_not_here_yet_is_waited_for() -> None:
    merge = TimeMerge([("a", 0), ("b", 0)])
    merge.add(("a", 0), log_of([SECOND_NS, 2 * SECOND_NS]))
    assert list(merge.release({("b", 0)}, ALL)) == []
    assert [record.ts for _, record in merge.release((), ALL)] == [SECOND_NS, 2 * SECOND_NS]


def test_a_broken_clock_neither_holds_its_partition_back_nor_moves_the_time() -> None:
    ordinary = [n * SECOND_NS for n in range(1, 20)]
    odd = [*ordinary[:10], ordinary[10] + HOUR_NS, *ordinary[11:]]
    merge = TimeMerge([("a", 0), ("b", 0)])
    merge.add(("a", 0), log_of(odd))
    merge.add(("b", 0), log_of(ordinary))
    out = [(at[0], record.ts) for at, record in merge.release((), ALL)]
    times = [ts for _, ts in out if ts < HOUR_NS]
    assert times == sorted(times)
    assert merge.high_ns == ordinary[-1]


def test_a_real_gap_is_crossed_in_the_order_of_time() -> None:
    night = [1 * SECOND_NS, 2 * SECOND_NS, *(HOUR_NS + n * SECOND_NS for n in range(5))]
    steady = [n * 5 * SECOND_NS for n in range(1, 721)]
    merge = TimeMerge([("a", 0), ("b", 0)])
    merge.add(("a", 0), log_of(night))
    merge.add(("b", 0), log_of(steady))
    times = [record.ts for _, record in merge.release((), ALL)]
    assert times == sorted(times)
    assert merge.high_ns == night[-1]


def test_far_records_that_come_one_by_one_are_believed_after_a_few() -> None:
    merge = TimeMerge([("a", 0)])
    merge.add(("a", 0), log_of([n * SECOND_NS for n in range(1, 5)]))
    list(merge.release((), ALL))
    for number in range(LOOK_AHEAD):
        assert merge.high_ns == 4 * SECOND_NS
        merge.add(("a", 0), log_of([AHEAD_NS + HOUR_NS + number]))
        assert len(list(merge.release((), ALL))) == 1
    assert merge.high_ns == AHEAD_NS + HOUR_NS + LOOK_AHEAD - 1


def test_records_without_a_time_stay_in_their_place() -> None:
    merge = TimeMerge([("a", 0), ("b", 0)])
    merge.add(("a", 0), [SourceRecord(0, 0, SECOND_NS), SourceRecord(1, 0), SourceRecord(2, 0)])
    merge.add(("b", 0), log_of([SECOND_NS // 2, 3 * SECOND_NS]))
    out = [(at[0], record.offset) for at, record in merge.release((), ALL)]
    assert out == [("b", 0), ("a", 0), ("a", 1), ("a", 2), ("b", 1)]
