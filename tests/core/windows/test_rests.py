"""A shard rests when nothing comes, whatever the slices in which its windows are closed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.windows.rests import RESTS_KEPT, Rests

YEARS = 40 * 365 * 86_400
RECORDS = st.lists(
    st.one_of(st.integers(0, 40), st.integers(0, 3_000), st.just(YEARS)), min_size=1, max_size=12
)


def measured(rests: Rests, records: list[int], cuts: list[int]) -> list[int]:
    """The windows that are measured when they are closed up to each of `cuts`, one after another;
    of long spans the first and the last."""
    out: list[int] = []
    low = records[0]
    for until in cuts:
        here = np.array([w for w in records if low <= w < until], np.int64)
        for a, b in rests.awake_spans(here, low, until):
            assert a < b <= until
            out += range(a, b)
        low = until
    return out


def by_definition(records: list[int], after: int, block: int, until: int) -> list[int]:
    """Every window up to which somebody counts the windows since the last record."""
    out, awake_until = [], records[0]
    for n, record in enumerate(records):
        later = records[n + 1] if n + 1 < len(records) else until
        awake_until = max(awake_until, -(-(record + 1 + after) // block) * block)
        out += range(record, min(later, awake_until, until))
    return sorted(set(out))


@given(RECORDS, st.integers(1, 80), st.integers(1, 7), st.lists(st.integers(1, 9_000), max_size=6))
def test_any_cuts_measure_the_same_windows(
    gaps: list[int], after: int, block: int, cuts: list[int]
) -> None:
    records = sorted({100 + int(w) for w in np.cumsum(gaps)})
    until = records[-1] + 5 * after + 20
    every = [*sorted({c for c in (records[0] + cut for cut in cuts) if c < until}), until]
    expected = by_definition(records, after, block, until)
    at_once, sliced = Rests(after, block), Rests(after, block)
    assert measured(at_once, records, [until]) == expected
    assert measured(sliced, records, every) == expected
    assert at_once.snapshot() == sliced.snapshot()


@given(RECORDS, st.integers(1, 80), st.integers(1, 400))
def test_evidence_begins_so_many_measured_windows_before(
    gaps: list[int], after: int, count: int
) -> None:
    records = sorted({100 + int(w) for w in np.cumsum(gaps)})
    rests = Rests(after, 1)
    windows = measured(rests, records, [records[-1] + 1])
    count = min(count, len(windows))
    assert rests.begin_of(records[-1], count) == windows[-count]


def test_what_is_kept_does_not_grow_with_rests() -> None:
    rests = Rests(60, 5)
    records = list(range(0, 1_000_000, 1_000))
    measured(rests, records, [records[-1] + 1])
    assert len(rests.snapshot()["rests"]) == RESTS_KEPT
