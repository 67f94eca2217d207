"""Records of several files in the order of their times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from monitor.core.decode.batch import Int64
from replay.field_map.merge import UNKNOWN_TS, TimedStream, merge_streams

Item = tuple[int, int]
"""File and time."""


def merged(files: list[list[int]], chunk: int, opened: list[int] | None = None) -> list[Item]:
    def stream(number: int) -> TimedStream[Item]:
        times = files[number]

        def read() -> Iterator[tuple[list[Item], Int64]]:
            if opened is not None:
                opened.append(number)
            for at in range(0, len(times), chunk):
                some = times[at : at + chunk]
                yield [(number, ts) for ts in some], np.array(some, np.int64)

        first = next((ts for ts in times if ts != UNKNOWN_TS), UNKNOWN_TS)
        return TimedStream(first, read)

    return [item for items in merge_streams([*map(stream, range(len(files)))]) for item in items]


@pytest.mark.parametrize("chunk", [1, 3, 1_000])
def test_sorted_files_become_one_sorted_log(chunk: int) -> None:
    rng = random.Random(chunk)
    files = [sorted(rng.choices(range(1, 300), k=rng.randint(0, 80))) for _ in range(6)]
    items = merged(files, chunk)
    assert [ts for _, ts in items] == sorted(ts for times in files for ts in times)
    for number, times in enumerate(files):
        assert [ts for file, ts in items if file == number] == times


@pytest.mark.parametrize("chunk", [2, 50])
def test_a_file_keeps_its_own_order(chunk: int) -> None:
    rng = random.Random(chunk)
    files = [[n * 10 + rng.randint(-30, 30) + 100 for n in range(200)] for _ in range(3)]
    items = merged(files, chunk)
    for number, times in enumerate(files):
        assert [ts for file, ts in items if file == number] == times
    late = [items[i - 1][1] - items[i][1] for i in range(1, len(items))]
    assert max(late) <= 60 + 10 * 20  # their own disorder, and what is borne out later


@pytest.mark.parametrize("wrong", [1, 10**15, UNKNOWN_TS])
def test_one_record_with_a_wrong_time_moves_no_other(wrong: int) -> None:
    spoilt = [*range(100, 200)]
    spoilt[50] = wrong
    items = merged([spoilt, [*range(100, 200)]], 40)
    others = [ts for _, ts in items if ts != wrong]
    assert max(a - b for a, b in pairwise(others)) <= 20


def test_files_that_follow_each_other_are_opened_one_after_the_other() -> None:
    files = [[*range(n * 100 + 1, n * 100 + 101)] for n in (2, 0, 1)]
    opened: list[int] = []
    items = merged(files, 10, opened)
    assert [ts for _, ts in items] == [*range(1, 301)]
    assert opened == [1, 2, 0]
