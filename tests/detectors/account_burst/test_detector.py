"""Bursts by account: what is detected, what is a habit, what is new, and who has to leave."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from detectors.account_burst.columns import LAST, WindowActivity
from detectors.account_burst.constants import DISPERSION_MIN, SIZES
from detectors.account_burst.detector import AccountBurstDetector
from detectors.account_burst.likelihood import silent_window_increment, slow_rate
from detectors.account_burst.table import AccountTable
from detectors.account_burst.verdict import AccountVerdict
from detectors.conformance import check_detector
from tests.bench.detect.accountflow import (
    NO_ACTIVITY,
    Flow,
    acts,
    bytes_per_account,
    hawkes_accounts,
    keys,
)
from tests.detectors.account_burst.river_face import (
    AccountBurstEstimator,
    account_key,
    activity_from_counts,
)
from tests.detectors.states import is_same_state

WINDOWS = 6000


def ordinary_flow(seed: int = 401) -> Flow:
    return hawkes_accounts(0.11, 4.0, seed, own=0.5)


FLOW = ordinary_flow()
KEY = keys(FLOW.accounts, 1)


def trained(windows: int = WINDOWS, **parameters: Any) -> AccountBurstDetector:
    detector = AccountBurstDetector(**parameters)
    for window in range(windows):
        detector.learn(window, FLOW.acts(window, KEY))
    return detector


def with_burst(window: int, added: dict[int, float]) -> WindowActivity:
    count = FLOW.row(window)
    for account, more in added.items():
        count[account] += more
    acting = np.flatnonzero(count)
    return acts(acting, count[acting], KEY)


def test_it_conforms() -> None:
    check_detector(AccountBurstEstimator)


def test_a_quiet_account_that_bursts_is_detected_and_named() -> None:
    detector = trained()
    for i in range(3):
        verdict = detector.judge(WINDOWS + i, with_burst(WINDOWS + i, {700: 6.0}))
        detector.learn(WINDOWS + i, with_burst(WINDOWS + i, {700: 6.0}))
    assert verdict.value is not None
    assert verdict.value > 10
    (actor,) = verdict.actors
    assert actor.key == int(KEY[700])
    assert actor.since == WINDOWS
    assert actor.observed >= 18
    assert actor.expected < 1


@pytest.mark.parametrize("size", SIZES)
def test_silence_is_no_evidence_of_a_burst(size: float) -> None:
    """Not even the silence of an account that acts 20 times in each window. If it were, an account
    that was reported would be reported again for doing nothing."""
    assert silent_window_increment(20.0, DISPERSION_MIN, size) <= 0
    key, market = np.array([7], np.uint64), np.zeros(1, np.int64)
    detector = AccountBurstDetector()
    for window in range(2000):
        detector.learn(window, WindowActivity(key, market, np.array([20.0])))
    for window in range(2000, 2020):
        detector.report(window, WindowActivity(key, market, np.array([20.0 + 30 * (window % 5)])))
    usual = WindowActivity(key, market, np.array([20.0]))
    for silent in (0, 1, 10, 180):
        assert not detector.judge(2020 + silent, usual).actors


def test_three_accounts_come_to_more_than_any_of_them_alone() -> None:
    scores = []
    for who in ((300,), (400,), (500,), (300, 400, 500)):
        detector = trained()
        for i in range(3):
            now = with_burst(WINDOWS + i, dict.fromkeys(who, 4.0))
            verdict = detector.judge(WINDOWS + i, now)
            detector.learn(WINDOWS + i, now)
        assert verdict.value is not None
        scores.append(verdict.value)
    assert {actor.key for actor in verdict.actors} == {int(KEY[a]) for a in (300, 400, 500)}
    assert scores[3] > max(scores[:3]) + 5


def test_what_an_account_does_by_habit_is_no_evidence() -> None:
    """A maker who replaces 30 quotes each minute, beside one who does it for the first time."""
    detector = trained()
    for window in range(WINDOWS, WINDOWS + 1800):
        detector.learn(window, with_burst(window, {600: 30.0} if window % 60 == 0 else {}))
    last = WINDOWS + 1800
    by_habit = detector.judge(last, with_burst(last, {600: 30.0}))
    for i in range(4):
        assert detector.judge(last + i, with_burst(last + i, {601: 30.0})) is not None
        never_before = detector.judge(last + i, with_burst(last + i, {601: 30.0})).value
        detector.learn(last + i, with_burst(last + i, {601: 30.0}))
    assert all(actor.level <= 6.0 for actor in by_habit.actors)
    assert by_habit.value is not None
    assert never_before is not None
    assert by_habit.value < never_before / 2
    assert never_before > 10


def test_an_account_that_always_acts_in_batches_has_them_for_flow() -> None:
    """Else each would count as one event, and its mean would seem 30 times its rate."""
    detector, rng = AccountBurstDetector(), np.random.default_rng(3)
    key, market = np.array([7], np.uint64), np.zeros(1, np.int64)
    for window in range(4000):
        count = rng.integers(1, 60, 1).astype(np.float64)
        detector.learn(window, WindowActivity(key, market, count))
    table = detector._table
    row = int(table.rows(key)[0])
    slow = slow_rate(table.profiles[row], 1, 4000, table.population)
    assert 20 < slow < 35


def test_an_account_never_seen_is_judged_by_the_habits_of_all() -> None:
    detector = trained()
    stranger = 2**63
    for i in range(4):
        now = with_burst(WINDOWS + i, {})
        place = int(np.searchsorted(now.key, np.uint64(stranger)))
        now = WindowActivity(
            np.insert(now.key, place, np.uint64(stranger)),
            np.insert(now.market, place, 0),
            np.insert(now.events, place, 10.0),
        )
        verdict = detector.judge(WINDOWS + i, now)
        detector.learn(WINDOWS + i, now)
        if i == 0:
            assert verdict.value is not None
            assert verdict.value < 10  # no alarm: a stranger's first second may be a batch
    assert verdict.value is not None
    assert verdict.value > 10
    assert [actor.key for actor in verdict.actors] == [stranger]


def test_evidence_falls_while_its_account_does_not_act() -> None:
    detector = trained()
    for i in range(3):
        detector.learn(WINDOWS + i, with_burst(WINDOWS + i, {700: 6.0}))
    assert detector.judge(WINDOWS + 3, NO_ACTIVITY).value == 0.0
    again = acts(np.array([700]), np.array([2.0]), KEY)
    values = [detector.judge(WINDOWS + 3 + i, again).value or 0.0 for i in range(60)]
    assert values[0] > 10
    assert values[:10] == sorted(values[:10], reverse=True)
    assert max(values[30:]) < values[0] / 2


def test_a_burst_after_a_day_of_silence_is_detected() -> None:
    detector = trained()
    later = WINDOWS + 86_400
    for i in range(3):
        now = acts(np.array([700]), np.array([6.0]), KEY)
        verdict = detector.judge(later + i, now)
        detector.learn(later + i, now)
    assert verdict.value is not None
    assert verdict.value > 10


def test_judging_changes_nothing_and_a_restored_detector_continues_identically() -> None:
    left, asked = trained(), trained()
    for _ in range(3):
        asked.judge(WINDOWS, with_burst(WINDOWS, {700: 9.0}))
    asked.report(WINDOWS, with_burst(WINDOWS, {700: 9.0}))
    left.report(WINDOWS, with_burst(WINDOWS, {700: 9.0}))
    restored = AccountBurstDetector()
    restored.restore(pickle.loads(pickle.dumps(asked.snapshot())))
    for i in range(1, 400):
        now = with_burst(WINDOWS + i, {700: 5.0} if i < 8 else {})
        verdicts = [d.judge(WINDOWS + i, now) for d in (left, asked, restored)]
        assert verdicts[0] == verdicts[1] == verdicts[2]
        for d in (left, asked, restored):
            (d.report if i == 5 else d.learn)(WINDOWS + i, now)
    assert is_same_state(left.snapshot(), restored.snapshot())


def test_a_new_level_becomes_a_habit_after_a_bounded_time() -> None:
    detector = trained()
    reported = 0
    verdict: AccountVerdict
    for i in range(2000):
        now = with_burst(WINDOWS + i % 1500, {700: 5.0})
        verdict = detector.judge(WINDOWS + i, now)
        mine = [a for a in verdict.actors if a.key == int(KEY[700])]
        report = bool(mine) and (verdict.value or 0.0) > 8
        (detector.report if report else detector.learn)(WINDOWS + i, now)
        reported = i if report else reported
    assert 0 < reported <= 2 * detector.patience + 10


def test_one_absurd_count_does_not_blind_the_detector_to_an_account() -> None:
    detector, twin = trained(), trained()
    detector.learn(WINDOWS, with_burst(WINDOWS, {5: 1e15}))
    twin.learn(WINDOWS, with_burst(WINDOWS, {}))
    for window in range(WINDOWS + 1, WINDOWS + 1200):
        for d in (detector, twin):
            d.learn(window, FLOW.acts(window, KEY))
    scores = []
    for d in (detector, twin):
        for i in range(3):
            now = with_burst(WINDOWS + 1200 + i, {5: 12.0})
            verdict = d.judge(WINDOWS + 1200 + i, now)
            d.learn(WINDOWS + 1200 + i, now)
        scores.append(verdict.value or 0.0)
    assert scores[0] > 0.5 * scores[1] > 5


def test_times_and_keys_decide_who_leaves_a_full_table() -> None:
    table = AccountTable(capacity=8)
    for window, names in enumerate(([5, 6, 7, 8], [1, 2, 3, 4], [20])):
        key = np.array(names, np.uint64)
        table.grow(key, table.rows(key), window)
        table.times[table.rows(key), LAST] = window
    # Six stay: all of window 1, and of window 0 the two lowest keys.
    assert sorted(table.keys[: table.n].tolist()) == [1, 2, 3, 4, 5, 6, 20]
    assert table.evicted == 2
    assert (table.rows(np.array([1, 7], np.uint64)) >= 0).tolist() == [True, False]


def test_memory_is_bounded_under_a_flood_of_names() -> None:
    detector = AccountBurstDetector(most=2000)
    for window in range(100):
        key = np.arange(window * 500 + 1, window * 500 + 501, dtype=np.uint64)
        detector.learn(window, WindowActivity(key, np.zeros(500, np.int64), np.ones(500)))
    assert detector._table.n <= 2000
    assert detector.evicted == 50_000 - detector._table.n
    assert bytes_per_account(detector) < 160


def test_markets_are_judged_separately() -> None:
    """One account that bursts in two markets is in the one where it stands out most."""
    detector = AccountBurstDetector()
    rng = np.random.default_rng(5)
    key = np.arange(1, 41, dtype=np.uint64)
    market = np.repeat([0, 1], 20)
    for window in range(3000):
        acting = rng.random(40) < 0.1
        now = WindowActivity(key[acting], market[acting], np.ones(int(acting.sum())))
        detector.learn(window, now)
    for i in range(3):
        now = WindowActivity(key[[3, 25, 26]], market[[3, 25, 26]], np.array([6.0, 12.0, 12.0]))
        verdict = detector.judge(3000 + i, now)
        detector.learn(3000 + i, now)
    assert verdict.market == 1
    assert {actor.key for actor in verdict.actors} == {26, 27}


def test_the_order_of_names_does_not_change_the_keys() -> None:
    one, two = (
        activity_from_counts({"a": 1, "b": 2, "c": 0}),
        activity_from_counts({"b": 2, "a": 1}),
    )
    assert isinstance(one, WindowActivity)
    assert isinstance(two, WindowActivity)
    assert one.key.tolist() == two.key.tolist() == sorted([account_key("a"), account_key("b")])
    assert one.events.tolist() == two.events.tolist()


@pytest.mark.parametrize("wrong", [{"most": 0}, {"warm_up": 0}, {"patience": 0}])
def test_impossible_parameters_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AccountBurstDetector(**wrong)


@pytest.mark.parametrize("most", [10_000, 300])
def test_windows_learnt_together_are_as_judged_and_learnt_one_by_one(most: int) -> None:
    """However they are cut; also where a burst is reported and where accounts have to leave."""
    alone, together = AccountBurstDetector(most, 400), AccountBurstDetector(most, 400)
    rng = np.random.default_rng(9)
    key = np.sort(rng.integers(1, 2**63, 400).astype(np.uint64))
    market, rate = rng.integers(0, 5, 400), rng.gamma(0.5, 0.2, 400)
    flow, expected, rare = [], [], 9.0
    for window in range(1500):
        count = rng.poisson(rate) + 4 * (700 < window < 712) * (np.arange(400) % 200 == 7)
        acted = np.flatnonzero(count)[: 400 * (window % 89 != 0)]
        flow.append(WindowActivity(key[acted], market[acted], count[acted].astype(np.float64)))
        verdict = alone.judge(window, flow[-1])
        is_rare = verdict.value is not None and verdict.value >= rare
        (alone.report if is_rare else alone.learn)(window, flow[-1])
        expected.append((verdict.value, is_rare))
    assert any(is_rare for _, is_rare in expected)
    acts = WindowActivity(*(np.concatenate(column) for column in zip(*flow, strict=True)))
    ends = np.cumsum([0, *(len(one.key) for one in flow)])
    low, seen, runs = 0, [], 0
    while low < len(flow):
        high = min(len(flow), low + int(rng.integers(1, 60)))
        scores = together.learn_ordinary(low, ends[low : high + 1], acts, rare).tolist()
        seen += [(None if np.isnan(score) else score, False) for score in scores]
        low, runs = low + len(scores), runs + 1
        if low < high:
            verdict = together.judge(low, flow[low])
            is_rare = verdict.value is not None and verdict.value >= rare
            (together.report if is_rare else together.learn)(low, flow[low])
            seen.append((verdict.value, is_rare))
            low += 1
    assert seen == expected
    assert runs < len(flow) / 2
    assert is_same_state(alone.snapshot(), together.snapshot())
