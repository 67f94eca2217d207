"""Bursts with their marks: planted ones made by one account, or by three, and who was named.

    python -m tests.bench.detect.marks [--quick] [--seed N]

Protocol. Each flow is split in time. Detector and calibrator run through the calibration stretch as
in the engine (judge, then report or learn) and on through the test stretch, where the alarms are
counted (exceedances less than 60 s apart are one). Bursts are planted one at a time, each into a
copy of the state in which the untouched run came to that place: ×k for s seconds adds Poisson
events at (k-1) times the mean rate, of all accounts, of the ten minutes before; each event falls on
one of its one or three accounts. These are drawn among those that acted in the calibration stretch:
alike (rows "one", "three"), or by their activity (rows "by activity": mostly market makers, whose
habits hide most). A burst is found when an alarm falls into its own windows, and named right when
the account, or two of the three, are among the accounts of the first alarm and are most of them.
Recall at .1 a day reads the p-values of the same run against a tenth of the limit. Beside it, the
same bursts in the counts of all accounts together (`BurstDetector`), and how many can be found at
all, where the process is known (`accountbound`).

Parameters were chosen on seeds 11, 21, 31 and 41; the table's seed is 60.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.detector import AccountBurstDetector
from detectors.account_burst.verdict import AccountVerdict
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from tests.bench.backgrounds import DAY
from tests.bench.detect.accountbound import AccountBound
from tests.bench.detect.accountflow import (
    Flow,
    acts,
    bytes_per_account,
    dydx_cancels,
    hawkes_accounts,
    keys,
    long_recording,
)
from tests.bench.detect.counts import SEVEN
from tests.bench.detect.methods import REFRACTORY_S, Ours

FEED = Path(__file__).parents[3] / "../shared/data/dydx-full-node-2024-06-29/feed.jsonl.gz"
LIMIT = FalseAlarmRate(1.0, 1.0).p_limit
Keys = NDArray[np.uint64]


class ByAccount:
    """The shipped detector and calibrator, called as the engine calls them."""

    def __init__(self) -> None:
        self.detector = AccountBurstDetector()
        ours = AccountBurstDetector
        self.calibrator = Calibrator(ours.log_likelihood, DAY, tail_slope_max=ours.tail_slope_max)

    def p_value(self, window: int, acts: WindowActivity) -> tuple[float, AccountVerdict]:
        """Judge and learn one window."""
        verdict = self.detector.judge(window, acts)
        if verdict.value is None:
            self.detector.learn(window, acts)
            return 1.0, verdict
        p = self.calibrator.p_value(verdict.value)
        (self.detector.report if p <= LIMIT else self.detector.learn)(window, acts)
        self.calibrator.learn(verdict.value)
        return p, verdict

    def freeze(self) -> Any:
        return self.detector.snapshot(), self.calibrator.snapshot()

    def thaw(self, frozen: Any) -> None:
        self.detector.restore(frozen[0])
        self.calibrator.restore(frozen[1])


class Planted(NamedTuple):
    """A burst to plant."""

    at: int
    size: float
    seconds: int
    accounts: tuple[int, ...]
    added: NDArray[np.int64]
    """(seconds, accounts)"""


def plan(
    flow: Flow, start: int, places: int, seed: int, share: float = 1.0
) -> dict[str, list[Planted]]:
    """All bursts of a table, by row; each in one market, drawn alike. Of their events `share` is
    planted."""
    rng = np.random.default_rng(seed)
    market = np.zeros(flow.accounts, np.int64) if flow.market is None else flow.market
    totals = [flow.totals(m) for m in range(market.max() + 1)]
    before = slice(0, flow.begin[start])
    activity = np.bincount(flow.account[before], flow.count[before], flow.accounts)
    alike = (activity > 0) / (activity > 0).sum()
    spots = np.sort(rng.integers(start + 600, flow.windows - 100, places)).tolist()
    rows: dict[str, list[Planted]] = {}
    for how, chance in (("", alike), (", by activity", activity / activity.sum())):
        for who, number in (("one", 1), ("three", 3)):
            made = rows.setdefault(who + how, [])
            for size, seconds in SEVEN:
                for at in spots:
                    m = rng.integers(len(totals)) if len(totals) > 1 else 0
                    among = chance * (market == m)
                    among /= among.sum()
                    accounts = rng.choice(flow.accounts, number, replace=False, p=among)
                    mean = share * (size - 1) * totals[m][at - 600 : at].mean() / number
                    added = rng.poisson(mean, (seconds, number))
                    made.append(Planted(at, size, seconds, tuple(accounts.tolist()), added))
    return rows


def with_burst(flow: Flow, burst: Planted, i: int, key: Keys) -> WindowActivity:
    """The window `i` of a burst."""
    count = flow.row(burst.at + i)
    np.add.at(count, list(burst.accounts), burst.added[i])
    acting = np.flatnonzero(count)
    return acts(acting, count[acting], key)


class Run(NamedTuple):
    """The untouched run."""

    alarms: int
    alarms_tenth: int
    frozen: dict[int, Any]
    us: float


def untouched(method: ByAccount, flow: Flow, start: int, spots: set[int], key: Keys) -> Run:
    frozen: dict[int, Any] = {}
    alarms = [0, 0]
    last = [-DAY, -DAY]
    spent = 0.0
    for window in range(flow.windows):
        if window in spots:
            frozen[window] = method.freeze()
        now = flow.acts(window, key)
        began = time.process_time()
        p, _ = method.p_value(window, now)
        spent += time.process_time() - began
        for i, limit in enumerate((LIMIT, LIMIT / 10)):
            if window >= start and p <= limit:
                alarms[i] += window - last[i] > REFRACTORY_S
                last[i] = window
    return Run(*alarms, frozen, spent / flow.windows * 1e6)


def first_alarm(method: ByAccount, flow: Flow, burst: Planted, key: Keys) -> tuple[int, bool, bool]:
    """The window of the first alarm in a burst (1: its first; 0: none), whether it names the right
    accounts, and whether there is an alarm at a tenth of the budget."""
    delay, right, tenth = 0, False, False
    names = set(key[list(burst.accounts)].tolist())
    for i in range(burst.seconds):
        p, verdict = method.p_value(burst.at + i, with_burst(flow, burst, i, key))
        if p <= LIMIT and not delay:
            delay = i + 1
            named = [actor.key for actor in verdict.actors]
            hits = len(names.intersection(named))
            right = hits >= min(2, len(names)) and 2 * hits > len(named)
        if p <= LIMIT / 10:
            tenth = True
        if delay and (tenth or p > LIMIT):
            break
    return delay, right, tenth


def of_counts(flow: Flow, bursts: list[Planted], start: int) -> tuple[float, list[int], float]:
    """The detector of counts alone on the same bursts: recall, delays, false alarms a day."""
    total = flow.totals()
    method = Ours()
    spots = {burst.at for burst in bursts}
    frozen, alarms, last = {}, 0, -DAY
    for window, count in enumerate(total.tolist()):
        if window in spots:
            frozen[window] = method.freeze()
        if method.alarm(count) and window >= start:
            alarms += window - last > REFRACTORY_S
            last = window
    delays = []
    for burst in bursts:
        method.thaw(frozen[burst.at])
        for i, added in enumerate(burst.added.sum(axis=1).tolist()):
            if method.alarm(total[burst.at + i] + added):
                delays.append(i + 1)
                break
    return len(delays) / len(bursts), delays, alarms / (flow.windows - start) * DAY


def of_bound(bursts: list[Planted], bound: AccountBound) -> tuple[float, float, list[int]]:
    """What can be known of the same bursts: recall at 1 and at .1 a day, delays."""
    high, higher = bound.threshold(1.0), bound.threshold(0.1)
    scores = [bound.scores(burst.at, burst.accounts, burst.added) for burst in bursts]
    delays = [int((s > high).argmax()) + 1 for s in scores if s.max() > high]
    tenths = sum(s.max() > higher for s in scores)
    return len(delays) / len(bursts), tenths / len(bursts), delays


def backgrounds(quick: bool, seed: int) -> Iterator[tuple[str, Flow, int]]:
    days, start = (2.0, DAY) if quick else (4.0, 3 * DAY // 2)
    for mean in (20, 4):
        for own in (0.5, 0.8):
            flow = hawkes_accounts(days, mean, seed, own)
            yield f"1,000 accounts {mean}/s, own {own:g}", flow, start
    if FEED.exists():
        days, start = (1.0, DAY // 2) if quick else (2.0, DAY)
        yield "dYdX accounts, made long", long_recording(dydx_cancels(FEED), days, seed), start


def rows(quick: bool = False, seed: int = 60) -> Iterator[dict[str, Any]]:
    """One row for each background and kind of burst, and one for the counts alone."""
    places = 15 if quick else 40
    for name, flow, start in backgrounds(quick, seed):
        key = keys(flow.accounts, seed)
        planned = plan(flow, start, places, seed + 1)
        spots = {burst.at for bursts in planned.values() for burst in bursts}
        method = ByAccount()
        run = untouched(method, flow, start, spots, key)
        days = (flow.windows - start) / DAY
        acting = len(flow.account) / flow.windows
        note = (
            f"{run.us:.0f} µs a window of {acting:.1f} acting accounts,"
            f" {bytes_per_account(method.detector):.0f} bytes an account;"
            f" {run.alarms} and {run.alarms_tenth} alarms in {days:g} days at 1 and .1 a day"
        )
        for who, bursts in planned.items():
            delays, right, tenths = [], 0, 0
            for burst in bursts:
                method.thaw(run.frozen[burst.at])
                delay, named, tenth = first_alarm(method, flow, burst, key)
                if delay:
                    delays.append(delay)
                right += named
                tenths += tenth
            found_share = len(delays) / len(bursts), tenths / len(bursts)
            named = right / max(1, len(delays))
            what = f"accountburst: {who}"
            yield row(name, what, *found_share, delays, run.alarms / days, named, note)
        if flow.process is not None:
            bound = AccountBound(flow, flow.process)
            for who, bursts in planned.items():
                what, how = f"process known (bound): {who}", "false alarms by construction"
                yield row(name, what, *of_bound(bursts, bound), 1.0, None, f"{how}, over all days")
        recall, delays, false = of_counts(flow, planned["one"], start)
        what = f"{BurstDetector.__name__}, counts alone: one"
        yield row(name, what, recall, None, delays, false, None, "")


def row(
    background: str,
    detector: str,
    recall: float,
    tenth: float | None,
    delays: list[int],
    false: float,
    named: float | None,
    note: str,
) -> dict[str, Any]:
    """A line of the table."""
    return {
        "table": "marks",
        "background": background,
        "detector": detector,
        "recall_at_1": recall,
        "recall_at_01": tenth,
        "delay_p50_s": float(np.percentile(delays or [np.nan], 50)),
        "delay_p95_s": float(np.percentile(delays or [np.nan], 95)),
        "false_a_day": false,
        "named_right": named,
        "note": note,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a day each, 15 places")
    parser.add_argument("--seed", type=int, default=60)
    args = parser.parse_args()
    if not FEED.exists():
        print("no dYdX recording beside the project: left out")
    print(
        f"{'background':30}{'detector':38}{'at 1':>6}{'at .1':>7}{'median s':>9}{'p95 s':>7}"
        f"{'false/day':>10}{'named':>7}  note"
    )
    for row in rows(args.quick, args.seed):
        tenth = "" if row["recall_at_01"] is None else f"{row['recall_at_01']:.3f}"
        named = "" if row["named_right"] is None else f"{row['named_right']:.2f}"
        print(
            f"{row['background']:30}{row['detector']:38}{row['recall_at_1']:6.3f}{tenth:>7}"
            f"{row['delay_p50_s']:9.1f}{row['delay_p95_s']:7.1f}{row['false_a_day']:10.2f}"
            f"{named:>7}  {row['note']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
