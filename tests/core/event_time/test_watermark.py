"""The rule of time in one topic partition, and its theorems (docs/decisions/0017)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.contract.units import DAY_S
from monitor.core.event_time.clock_state import (
    AHEAD_NS,
    CONFIRM_MAX,
    CONTRADICT,
    DELAY,
    LATE_SHARE,
    LATENESS_MIN_NS,
    LATENESS_RECORDS,
    TIME_JUMPS,
    WAITING_MAX,
)
from tests.core.event_time.logs import CEILING, SECOND, START, Log, judge
from tests.theorems.cases import CASES, SEEDS

AHEAD_S = AHEAD_NS / SECOND


def steady(n: int, start: float = 0.0, step: float = 0.25) -> list[float]:
    return [start + step * i for i in range(n)]


def odd_log(seed: int, stamped: bool = False) -> Log:
    """A steady log with gaps, records ahead of it, records behind it, few keys, control records."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 160))
    step = float(rng.choice([0.01, 0.25, 3.0, 40.0]))
    gaps = rng.exponential(step, n)
    gaps[rng.random(n) < 0.03] *= 1 + rng.integers(0, 10_000)
    truth = np.cumsum(gaps)
    seconds = truth - (rng.random(n) < 0.2) * rng.exponential(0.3, n)
    odd = rng.random(n) < rng.choice([0.0, 0.05, 0.4])
    seconds = seconds + odd * rng.choice([-3.0, 8.0, 12.0, 30.0, 7_200.0, 1e6], n)
    keys = [f"s-{i}" for i in rng.integers(0, rng.integers(1, 4), n)]
    controls = []
    for offset in rng.integers(0, n + 1, int(rng.integers(0, 5))).tolist():
        controls.append((offset, float(truth[min(offset, n - 1)] + rng.normal() * 2 * step)))
    appended = None
    if stamped:
        shift = float(rng.choice([0.0, 0.0, 5.0, 1e5, -1e5]))
        appended = (truth + shift + rng.exponential(0.2, n)).round(3).tolist()
    return Log(seconds.tolist(), keys, appended, sorted(controls))


@CASES
@given(SEEDS, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_no_slicing_restart_or_time_of_a_control_record_shows(
    seed: int, stamped: bool, restart: bool, early: bool, end: bool
) -> None:
    for k in range(20):
        log = odd_log(seed + k, stamped)
        rng = np.random.default_rng(seed + k + 1)
        cuts = rng.integers(1, len(log.seconds) + 1, int(rng.integers(0, 30))).tolist()
        assert judge(log, cuts, restart, early, end) == judge(log, end=end)


@CASES
@given(SEEDS, st.integers(CONTRADICT, 40), st.floats(AHEAD_S * 2, 40 * 365 * DAY_S))
def test_an_odd_record_never_changes_the_verdict_of_the_ordinary_ones(
    seed: int, at: int, ahead: float
) -> None:
    rng = np.random.default_rng(seed)
    seconds = (np.array(steady(60)) - rng.exponential(0.3, 60) * (rng.random(60) < 0.3)).tolist()
    plain = judge(Log(seconds))
    odd = judge(Log([*seconds[:at], seconds[at] + ahead, *seconds[at:]]))
    assert list(odd.refused) == [at]
    assert odd.high == plain.high
    assert odd.watermark == plain.watermark
    for name in ("admitted", "late"):
        moved = {o + (o >= at): v for o, v in getattr(plain, name).items()}
        assert moved == getattr(odd, name)


@CASES
@given(SEEDS, st.integers(1, 3), st.floats(0, 40 * 365 * DAY_S), st.booleans())
def test_a_gap_of_any_length_loses_nothing(
    seed: int, symbols: int, gap: float, stamped: bool
) -> None:
    n = CONFIRM_MAX + 10
    rng = np.random.default_rng(seed)
    keys = [f"s-{i}" for i in rng.integers(0, symbols, 60 + n)]
    seconds = [*steady(60), *steady(n, 15 + gap)]
    appended = [s + 0.01 for s in seconds] if stamped else None
    fates = judge(Log(seconds, keys, appended))
    assert len(fates.admitted) == 60 + n
    assert not fates.notices or {n.about for n in fates.notices} == {DELAY}


@CASES
@given(SEEDS, st.integers(1, 3_000))
def test_no_producer_moves_a_stamped_clock_further_than_its_append_time_allows(
    seed: int, flood: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.exponential(0.01, 50 + flood))
    claims = truth.copy()
    claims[50:] += np.cumsum(rng.exponential(rng.choice([0.1, 9.0, 1e4]), flood))
    keys = [*(f"s-{i % 3}" for i in range(50)), *(f"x-{i % 2}" for i in range(flood))]
    fates = judge(Log(claims.tolist(), keys, (truth + 0.01).tolist()))
    assert fates.high <= START + round((truth[-1] + 0.011) * SECOND) + AHEAD_NS


def test_a_single_key_does_not_move_the_clock_of_a_log_that_has_two() -> None:
    few = [*steady(60), *steady(100, 7_200)]
    mine = judge(Log(few, [*(f"s-{i % 3}" for i in range(60)), *["s-0"] * 100]))
    assert mine.waiting == list(range(60, 160))
    both = judge(Log(few, [f"s-{i % 3}" for i in range(160)]))
    assert len(both.admitted) == 160
    alone = judge(Log(few, ["s-0"] * 160))
    assert len(alone.admitted) == 160


def test_claims_of_half_a_log_do_not_carry_it_away() -> None:
    """Of two gateways one is two hours fast: neither its records nor runs of them are believed."""
    rng = np.random.default_rng(5)
    seconds = np.array(steady(4_000, step=0.02))
    fast = rng.random(4_000) < 0.5
    fast[:1_000] = False
    fates = judge(Log((seconds + fast * 7_200).tolist()))
    assert len(fates.admitted) == 4_000 - fast.sum()
    assert len(fates.refused) + len(fates.waiting) == fast.sum()
    assert len(fates.waiting) < 40


@pytest.mark.parametrize("claim", [7_200.0, 40 * 365 * 86_400.0])
@pytest.mark.parametrize("first", [True, False])
def test_the_first_records_of_a_log_wait_for_a_third(claim: float, first: bool) -> None:
    seconds = [claim, 0.0, 1.0, 2.0, 3.0, 4.0] if first else [0.0, claim, 1.0, 2.0, 3.0, 4.0]
    assert judge(Log(seconds[:2])).waiting == [0, 1]
    fates = judge(Log(seconds))
    assert list(fates.refused) == [0 if first else 1]
    assert len(fates.admitted) == 5


def test_a_stamped_log_begins_at_once() -> None:
    assert list(judge(Log([5.0], appended=[5.02])).admitted) == [0]
    assert judge(Log([5.0], appended=[20.0])).waiting == [0]


def test_a_control_record_bears_out_what_waits_and_does_not_make_it_late() -> None:
    log = Log([*steady(20), 3_600.0], controls=[(21, 3_595.0)])
    assert 20 in judge(log, early=False).admitted
    far = Log([*steady(20), 3_600.0], controls=[(21, 3_500.0)])
    assert judge(far).waiting == [20]


def test_at_the_end_what_nothing_bears_out_is_refused() -> None:
    fates = judge(Log([*steady(20), 7_200.0]), end=True)
    assert list(fates.refused) == [20]
    (notice,) = fates.notices
    assert (notice.about, notice.offset) == (TIME_JUMPS, 20)
    assert notice.observed - notice.expected == round((7_200 - 19 * 0.25) * SECOND)
    tiny = judge(Log([3.0, 63.0]), end=True)
    assert sorted(tiny.admitted) == [0, 1]


@pytest.mark.parametrize("step", [60.0, 3_600.0, 86_400.0])
def test_a_topic_with_a_record_now_and_then_is_believed_at_once_after_a_while(step: float) -> None:
    fates = judge(Log([step * i for i in range(30)]))
    assert len(fates.admitted) == 30


def test_what_waits_is_bounded() -> None:
    """Claims of one key that never agree, parted by ordinary records, as many as can wait."""
    seconds, keys = steady(1_200, step=0.01), [f"s-{i % 2}" for i in range(1_200)]
    for k in range(20):
        seconds += [1e6 + 1e5 * i for i in range(1_500)]
        keys += ["x"] * 1_500
        seconds.append(12.0 + k / 100)
        keys.append("s-0")
    log = Log(seconds, keys)
    assert len(judge(log, list(range(0, len(seconds), 700))).waiting) <= WAITING_MAX


def test_lateness_follows_the_skew_that_the_log_shows() -> None:
    n = 6 * LATENESS_RECORDS
    rng = np.random.default_rng(1)
    ordered = judge(Log(steady(n, step=0.01)))
    assert ordered.high - ordered.watermark == LATENESS_MIN_NS
    skewed = np.array(steady(n, step=0.01)) - 0.12 * (rng.random(n) < 0.5)
    fates = judge(Log(skewed.tolist()))
    assert not fates.late
    assert 0.2 * SECOND <= fates.high - fates.watermark <= 0.6 * SECOND
    assert fates.high - judge(Log(skewed[:1_000].tolist())).high > 0
    before = judge(Log(skewed[:1_000].tolist()))
    assert before.high - before.watermark == CEILING
    low = judge(Log(skewed.tolist()), ceiling=30_000_000)
    assert low.high - low.watermark == 30_000_000


def test_a_standing_share_of_late_records_begins_once_and_ends_once() -> None:
    n = 20_000
    late = np.array(steady(n, step=0.05))
    late[4_000:10_000:20] -= 30
    fates = judge(Log(late.tolist()))
    begin, end = (x for x in fates.notices if x.about == LATE_SHARE)
    assert (begin.over, end.over) == (0, 1)
    assert 200 * SECOND < begin.ts - START < 400 * SECOND
    assert 500 * SECOND < end.ts - START < 900 * SECOND
    few = np.array(steady(n, step=0.05))
    few[4_000:10_000:70] -= 30
    assert not [n for n in judge(Log(few.tolist())).notices if n.about == LATE_SHARE]


def test_a_flip_of_delay_is_noticed_and_jitter_is_not() -> None:
    rng = np.random.default_rng(3)
    seconds = np.array(steady(20_000, step=0.05))
    delay = rng.exponential(0.02, 20_000)
    slow = Log(seconds.tolist(), appended=(seconds + delay + 0.18 * (seconds > 500)).tolist())
    flip, usual = (n for n in judge(slow).notices if n.about == DELAY)
    assert (flip.over, usual.over) == (0, 1)
    assert 500 * SECOND < flip.ts - START <= 625 * SECOND
    assert flip.expected == pytest.approx(0.02 * SECOND, rel=0.1)
    assert usual.ts - flip.ts >= 300 * SECOND
    wild = Log(seconds.tolist(), appended=(seconds + delay * rng.exponential(3, 20_000)).tolist())
    assert not judge(wild).notices
