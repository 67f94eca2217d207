"""Bursts by account without one mechanism after the other: what each is worth.

    python -m tests.bench.detect.ablation.accounts [--seeds N] [--only NAME,...] [--list]

Protocol. A mechanism is a few lines of `detectors/account_burst`; without it means the same code
with these lines changed, as `MECHANISMS` says, in a copy of `detectors` that a process of its own
imports. Backgrounds (`flows`) are such as nobody chose the detector by, of three seeds each; bursts
are those of `marks`, planted and counted in the same way. The full detector and every ablation see
the same flows and bursts, so a difference is one of the mechanism. False alarms are counted at the
budget of one a day and, for there are too few of those, by p-values of the same run at ten a day.

Errors. Over all backgrounds: of the mean over backgrounds and seeds. On one background: of the mean
over its places. A mechanism earns its lines where without it recall or the share named right falls,
or false alarms rise, by more than `ERRORS_OVERALL`; or recall on one background by more than
`ERRORS_ANYWHERE`.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.columns import WindowActivity
from detectors.calibration.calibrator_bank import find_score_min
from tests.bench.backgrounds import DAY
from tests.bench.detect.ablation.flows import Background, backgrounds
from tests.bench.detect.ablation.mechanisms import (
    HEAD,
    ROOT,
    Measured,
    Mechanism,
    compare,
    copy_without,
    full_row,
    table_row,
)
from tests.bench.detect.accountflow import keys
from tests.bench.detect.marks import LIMIT, ByAccount, Planted, plan
from tests.bench.detect.methods import REFRACTORY_S

FOLDER = Path("detectors/account_burst")
PLACES = 12
SEED, SEEDS, DAYS = 301, 3, 1.5

MECHANISMS = (
    Mechanism(
        "rate of the last ten minutes", "constants.py",
        "MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 20.0",
        "MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 1e12",
    ),
    Mechanism(
        "its own last seconds in the forecast", "likelihood.py",
        "own = min((WEIGHT_EVENTS * own_of_all + profile[OWN]) / counted, WEIGHT_MAX)",
        "own = 0.0 * counted",
    ),
    Mechanism(
        "weight of each account", "likelihood.py",
        "own = min((WEIGHT_EVENTS * own_of_all + profile[OWN]) / counted, WEIGHT_MAX)",
        "own = min(own_of_all, WEIGHT_MAX) + 0.0 * counted",
    ),
    Mechanism(
        "weight of all accounts", "likelihood.py",
        "own_of_all = (WEIGHT_OWN * POPULATION_EVENTS + population[P_OWN]) / events",
        "own_of_all = WEIGHT_OWN * POPULATION_EVENTS / events",
    ),
    Mechanism(
        "dispersion of each account", "likelihood.py",
        "own = (of_all * FLOW_EVENTS + profile[SQUARES]) / (FLOW_EVENTS + profile[FORECASTS])",
        "own = of_all",
    ),
    Mechanism(
        "batches", "likelihood.py",
        "as_batch = math.log(batch * min(1.0, forecast) / size) "
        "+ (x - 1) * math.log1p(-1.0 / size)", "as_batch = -1e9",
    ),
    Mechanism(
        "batches in at most half of the acts", "profile_learning.py",
        "BATCH_SHARE_MAX = 0.5", "BATCH_SHARE_MAX = 1.0",
    ),
    Mechanism(
        "batch sizes beside the slow rate", "constants.py",
        "BATCH_MIN, BATCH_MIN_RELATIVE = 8.0, 4.0", "BATCH_MIN, BATCH_MIN_RELATIVE = 8.0, 0.0",
    ),
    Mechanism(
        "how peaks thin out", "likelihood.py",
        "return min(1.0, (PROFILE_PEAKS + profile[PEAKS]) / (PROFILE_PEAKS + profile[EXCESS]))",
        "return 1.0",
    ),
    Mechanism(
        "sizes beside the market", "constants.py",
        "SIZES = (1 / 3, 1.0, 3.0)", "SIZES = (1e-3, 1e-3, 1e-3)",
    ),
    Mechanism(
        "gamma law of a burst's rate", "constants.py", "BURST_SHAPE = 1.5", "BURST_SHAPE = 1e6",
    ),
    Mechanism(
        "two more accounts", "kernel.py",
        "COMBINED_ACCOUNTS_MAX = 3", "COMBINED_ACCOUNTS_MAX = 1",
    ),
    Mechanism(
        "a start together costs less", "kernel.py",
        "COST_SAME_START, COST_OTHER_START = 8.0, 9.0",
        "COST_SAME_START, COST_OTHER_START = 8.0, 8.0",
    ),
    Mechanism("two events at least", "kernel.py", "EVENTS_MIN = 2.0", "EVENTS_MIN = 0.0"),
    Mechanism(
        "how many accounts act", "market_rates.py",
        "reading.cost[i] = math.log(max(ACTING_MIN, (acted + 1.0) / (seen + 1.0)))",
        "reading.cost[i] = 0.0",
    ),
    Mechanism(
        "no evidence in the first minutes", "kernel.py",
        "SETTLE_WINDOWS = 300", "SETTLE_WINDOWS = 0",
    ),
    Mechanism(
        "an excursion ends at a fifth", "profile_learning.py", "PEAK_OVER = 0.2", "PEAK_OVER = 0.0",
    ),
    Mechanism(
        "evidence counts in the name", "verdict.py",
        "NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4",
        "NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.0, 0.4",
    ),
    Mechanism(
        "the least size of a burst", "constants.py",
        "SIZES = (1 / 3, 1.0, 3.0)", "SIZES = (1.0, 1.0, 3.0)",
    ),
    Mechanism(
        "the second size of a burst", "constants.py",
        "SIZES = (1 / 3, 1.0, 3.0)", "SIZES = (1 / 3, 1 / 3, 3.0)",
    ),
    Mechanism(
        "the largest size of a burst", "constants.py",
        "SIZES = (1 / 3, 1.0, 3.0)", "SIZES = (1 / 3, 1.0, 1.0)",
    ),
    Mechanism(
        "batch habits of each account", "likelihood.py",
        "batch = (BATCH_SHARE * BATCH_ACTS + profile[BATCHES]) / acts", "batch = BATCH_SHARE",
    ),
    Mechanism(
        "batches follow the forecast", "likelihood.py",
        "math.log(batch * min(1.0, forecast) / size)", "math.log(batch / size)",
    ),
    Mechanism(
        "dispersion of all accounts", "likelihood.py",
        "of_all = (FLOW_DISPERSION * FLOW_EVENTS + population[P_SQUARES]) / all_events",
        "of_all = FLOW_DISPERSION + 0.0 * all_events",
    ),
    Mechanism(
        "busy accounts count less for all", "profile_learning.py",
        "    weight = WEIGHT_EVENTS / (WEIGHT_EVENTS + profile[EVENTS])\n", "    weight = 1.0\n",
    ),
    Mechanism(
        "a quiet market counts as one event a second", "market_rates.py",
        "USUAL_RATE_MIN = 1.0", "USUAL_RATE_MIN = 1e-3",
    ),
    Mechanism(
        "long evidence becomes a habit", "profile_learning.py",
        "if not in_episode[i] and length >= patience:", "if False:",
    ),
    Mechanism(
        "what was reported is not learnt", "detector.py",
        "learning = self._episodes.contain(key), self.warm_up, self.patience\n",
        "learning = self._arrays.nobody[: len(key)], self.warm_up, self.patience\n",
    ),
)  # fmt: skip


class Case(NamedTuple):
    """A flow with the bursts to plant into it, as the detector takes them."""

    name: str
    seed: int
    start: int
    """Alarms count from this window on."""
    key: NDArray[np.uint64]
    market: NDArray[np.int64]
    """(accounts,) both."""
    ends: NDArray[np.int64]
    acts: WindowActivity
    """Of all windows, one after the other; `ends` (windows + 1,) is where each begins."""
    bursts: list[Planted]

    @classmethod
    def build(cls, background: Background, seed: int) -> Case:
        name, flow, start, share = background
        key = keys(flow.accounts, seed)
        market = np.zeros(flow.accounts, np.int64) if flow.market is None else flow.market
        window = np.repeat(np.arange(flow.windows), np.diff(flow.begin))
        order = np.lexsort((key[flow.account], window))
        account = flow.account[order]
        acts = WindowActivity(key[account], market[account], flow.count[order])
        bursts = [one for row in plan(flow, start, PLACES, seed + 1, share).values() for one in row]
        return cls(name, seed, start, key, market, flow.begin, acts, bursts)

    @property
    def windows(self) -> int:
        return len(self.ends) - 1

    def window(self, window: int) -> WindowActivity:
        """Who acted in it."""
        a, b = self.ends[window], self.ends[window + 1]
        return WindowActivity(*(column[a:b] for column in self.acts))

    def with_burst(self, burst: Planted, i: int) -> WindowActivity:
        """The window `i` of a burst."""
        now, accounts, added = self.window(burst.at + i), list(burst.accounts), burst.added[i]
        acting = added > 0
        key = np.concatenate([now.key, self.key[accounts][acting]])
        market = np.concatenate([now.market, self.market[accounts][acting]])
        distinct, first, place = np.unique(key, return_index=True, return_inverse=True)
        count = np.zeros(len(distinct))
        np.add.at(count, place, np.concatenate([now.events, added[acting]]))
        return WindowActivity(distinct, market[first], count)


class Run(NamedTuple):
    """The untouched run: alarms at a budget of one a day and of ten, and states by window."""

    alarms: int
    alarms_ten: int
    frozen: dict[int, Any]


def run_untouched(case: Case) -> Run:
    """Through the whole flow, ordinary windows together as in the engine."""
    method, frozen = ByAccount(), {}
    spots = [*sorted({burst.at for burst in case.bursts}), case.windows]
    alarms, last = [0, 0], [-DAY, -DAY]
    low = 0
    for spot in spots:
        while low < spot:
            calibrator = method.calibrator
            high = min(spot, low + calibrator.block_windows - calibrator.windows)
            rare = find_score_min(calibrator, 10.0 * LIMIT)
            scores = method.detector.learn_ordinary(low, case.ends[low : high + 1], case.acts, rare)
            low += len(scores)
            if len(seen := scores[np.isfinite(scores)]):
                calibrator.windows += len(seen) - 1
                calibrator.learn(float(seen.max()))
            if low < high:
                p, _ = method.p_value(low, case.window(low))
                for i, limit in enumerate((LIMIT, 10.0 * LIMIT)):
                    if low >= case.start and p <= limit:
                        alarms[i] += low - last[i] > REFRACTORY_S
                        last[i] = low
                low += 1
        frozen[spot] = method.freeze()
    return Run(*alarms, frozen)


def find_burst(method: ByAccount, case: Case, burst: Planted) -> tuple[bool, bool]:
    """Whether there is an alarm in the burst, and whether the first one names the right accounts:
    see `marks`."""
    names = set(case.key[list(burst.accounts)].tolist())
    for i in range(burst.seconds):
        p, verdict = method.p_value(burst.at + i, case.with_burst(burst, i))
        if p <= LIMIT:
            named = [actor.key for actor in verdict.actors]
            hits = len(names.intersection(named))
            return True, hits >= min(2, len(names)) and 2 * hits > len(named)
    return False, False


def measure(case: Case) -> Measured:
    """What the detector that is imported makes of it; recall by place."""
    method, run = ByAccount(), run_untouched(case)
    days = (case.windows - case.start) / DAY
    by_place: dict[int, list[bool]] = {}
    hits = right = 0
    for burst in case.bursts:
        method.thaw(run.frozen[burst.at])
        found, named = find_burst(method, case, burst)
        by_place.setdefault(burst.at, []).append(found)
        hits, right = hits + found, right + named
    places = [float(np.mean(by_place[at])) for at in sorted(by_place)]
    recall, named_right = hits / len(case.bursts), right / max(1, hits)
    alarms = run.alarms / days, run.alarms_ten / days
    return Measured(case.name, case.seed, places, recall, named_right, *alarms)


def measure_without(mechanism: Mechanism | None, cases: Path) -> list[Measured]:
    """The same in a process that imports the detector without a mechanism."""
    with tempfile.TemporaryDirectory() as folder:
        copy_without(mechanism, FOLDER, Path(folder))
        paths = [folder, str(ROOT), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.detect.ablation.accounts", "--child", str(cases)],
            cwd=folder, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return [Measured(*json.loads(line)) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many of each background")
    parser.add_argument("--days", type=float, default=DAYS, help="of each background")
    parser.add_argument("--only", default="", help="names of mechanisms, with commas")
    parser.add_argument("--list", action="store_true", help="the mechanisms")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(one.name for one in MECHANISMS))
    elif asked.child:
        for case in pickle.loads(asked.child.read_bytes()):
            print(json.dumps(measure(case)), flush=True)
    else:
        print_table(asked.seeds, asked.days, set(filter(None, asked.only.split(","))))


def print_table(seeds: int, days: float, only: set[str]) -> None:
    """One line for the full detector and one for each mechanism (`only` these, if any)."""
    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder) / "cases"
        seed = range(SEED, SEED + 100 * seeds, 100)
        cases.write_bytes(
            pickle.dumps([Case.build(one, s) for s in seed for one in backgrounds(days, s)])
        )
        full = measure_without(None, cases)
        print(full_row(full), HEAD, sep="\n", flush=True)
        for mechanism in MECHANISMS:
            if not only or mechanism.name in only:
                loss = compare(measure_without(mechanism, cases), full)
                print(table_row(mechanism.name, loss), flush=True)


if __name__ == "__main__":
    main()
