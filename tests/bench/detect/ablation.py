"""Bursts by account without one mechanism after the other: what each is worth.

    python -m tests.bench.detect.ablation [--quick] [--only NAME,...] [--list]

Protocol. A mechanism is a few lines of `detectors/account_burst`; without it means the same code
with these lines changed, as `MECHANISMS` says, in a copy of `detectors` that a process of its own
imports. Backgrounds are such as nobody chose the detector by: other branching, other tails of
activity, other batches, few accounts, and a recording's accounts made long, with seeds of their
own. Bursts are planted and counted as in `marks`. The full detector and every ablation see the same
flows and bursts, so a difference is one of the mechanism: its error is that of the mean over
backgrounds and seeds. A mechanism earns its lines where without it recall falls, or false alarms
rise, by more than two errors.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.bench.backgrounds import DAY
from tests.bench.detect.accountflow import (
    Flow,
    dydx_cancels,
    hawkes_accounts,
    keys,
    long_recording,
)
from tests.bench.detect.marks import FEED, ByAccount, first_alarm, plan, untouched

ROOT = Path(__file__).parents[3]
FOLDER = Path("detectors/account_burst")


class Mechanism(NamedTuple):
    """`text` of `file` becomes `without`."""

    name: str
    file: str
    text: str
    without: str


MECHANISMS = (
    Mechanism(
        "rate of the last ten minutes", "constants.py",
        "MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 20.0",
        "MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 1e12",
    ),
    Mechanism(
        "its own last seconds in the forecast", "likelihood.py",
        "own = min(own, WEIGHTS_MAX)", "own = 0.0",
    ),
    Mechanism(
        "its busy market in the forecast", "likelihood.py",
        "shared = min(shared, WEIGHTS_MAX - own)", "shared = 0.0",
    ),
    Mechanism(
        "weights of each account", "likelihood.py",
        "counted = WEIGHT_EVENTS + profile[EVENTS]\n"
        "        own = (WEIGHT_EVENTS * own_of_all + profile[OWN]) / counted\n"
        "        shared = (WEIGHT_EVENTS * shared_of_all + profile[SHARED]) / counted\n",
        "own, shared = own_of_all, shared_of_all\n",
    ),
    Mechanism(
        "weights of all accounts", "likelihood.py",
        "events = POPULATION_EVENTS + population[P_EVENTS]\n",
        "events = POPULATION_EVENTS + population[P_EVENTS] * 0.0\n"
        "    population = population.copy()\n"
        "    population[P_OWN] = population[P_SHARED] = 0.0\n",
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
        "return min(1.0, peaks / (PROFILE_PEAKS + profile[EXCESS]))", "return 1.0",
    ),
    Mechanism(
        "how the peaks of all accounts thin out", "likelihood.py",
        "return (POPULATION_PEAKS + population[P_PEAKS]) "
        "/ (POPULATION_PEAKS + population[P_EXCESS])", "return 1.0",
    ),
    Mechanism(
        "sizes beside the slow rate", "constants.py",
        "SIZES_RELATIVE = (0.5, 2.0, 8.0, 32.0)", "SIZES_RELATIVE = (0.0, 0.0, 0.0, 0.0)",
    ),
    Mechanism(
        "sizes beside the market", "constants.py",
        "SIZES = (1 / 3, 1.0, 3.0, 30.0)", "SIZES = (1e-3, 1e-3, 1e-3, 1e-3)",
    ),
    Mechanism(
        "gamma law of a burst's rate", "constants.py", "BURST_SHAPE = 1.5", "BURST_SHAPE = 1e6",
    ),
    Mechanism(
        "a burst may end each window", "constants.py",
        "CONTINUATION_COST = -math.log1p(-1.0 / BURST_WINDOWS)", "CONTINUATION_COST = 0.0",
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
        "windows below the forecast are no evidence", "likelihood.py",
        "            if x <= forecast:\n                ratio = min(0.0, ratio)\n", "",
    ),
    Mechanism(
        "evidence counts in the name", "verdict.py",
        "NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4",
        "NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.0, 0.4",
    ),
)  # fmt: skip


def flows(quick: bool, seed: int) -> Iterator[tuple[str, Flow]]:
    """Backgrounds that did not choose the detector; `quick` leaves out those where it finds all."""
    days = 1.0 if quick else 2.0
    yield "branching .8, 10/s", hawkes_accounts(days, 10, seed, 0.5, branching=0.8)
    yield "40 accounts, 4/s", hawkes_accounts(days, 4, seed + 1, 0.6, accounts=40)
    yield (
        "batches of 30, steep tail",
        hawkes_accounts(days, 10, seed + 2, 0.7, batch=30.0, tail=1.4),
    )
    if quick:
        return
    yield (
        "branching .3, flat tail, 20/s",
        hawkes_accounts(days, 20, seed + 3, 0.2, branching=0.3, tail=0.6),
    )
    if FEED.exists():
        yield "dYdX accounts, made long", long_recording(dydx_cancels(FEED), days, seed + 4)


def measure(quick: bool, seed: int) -> Iterator[dict[str, Any]]:
    """Recall, the share named right, and false alarms a day of the detector that is imported."""
    places = 4 if quick else 20
    for name, flow in flows(quick, seed):
        start, key = flow.windows // 2, keys(flow.accounts, seed)
        bursts = [one for row in plan(flow, start, places, seed + 1).values() for one in row]
        method = ByAccount()
        run = untouched(method, flow, start, {burst.at for burst in bursts}, key)
        hits = right = 0
        for burst in bursts:
            method.thaw(run.frozen[burst.at])
            delay, named, _ = first_alarm(method, flow, burst, key)
            hits += delay > 0
            right += named
        days = (flow.windows - start) / DAY
        yield {
            "background": f"{name}, seed {seed}",
            "recall": hits / len(bursts),
            "named": right / max(1, hits),
            "false": run.alarms / days,
        }


def measure_without(mechanism: Mechanism | None, quick: bool, seeds: range) -> list[dict[str, Any]]:
    """The same in a process that imports the detector without a mechanism."""
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "detectors", Path(folder) / "detectors", ignore=ignored)
        if mechanism:
            path = Path(folder) / FOLDER / mechanism.file
            text = path.read_text()
            if text.count(mechanism.text) != 1:
                raise ValueError(f"{mechanism.name}: {mechanism.file} has no such lines")
            path.write_text(text.replace(mechanism.text, mechanism.without))
        paths = [folder, str(ROOT), os.environ.get("PYTHONPATH", "")]
        asked = ["--child", f"{seeds.start},{seeds.stop}", *(["--quick"] if quick else [])]
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.detect.ablation", *asked],
            cwd=folder, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def mean_and_error(differences: list[float]) -> str:
    """The mean with its standard error.

    >>> mean_and_error([0.01, 0.03])
    '+0.020 ± 0.010'
    """
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    return f"{np.mean(differences):+.3f} ± {error:.3f}"


def rows(quick: bool = False, only: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """One row for the full detector and one for each mechanism."""
    seeds = range(201, 202) if quick else range(201, 204)
    full = measure_without(None, quick, seeds)
    for mechanism in (None, *(one for one in MECHANISMS if not only or one.name in only)):
        seen = measure_without(mechanism, quick, seeds) if mechanism else full
        difference = {
            what: mean_and_error([a[what] - b[what] for a, b in zip(seen, full, strict=True)])
            for what in ("recall", "named", "false")
        }
        yield {
            "table": "bursts by account, without one mechanism",
            "background": f"{len(seen)} backgrounds",
            "detector": f"without {mechanism.name}" if mechanism else "full",
            "recall_at_1": float(np.mean([one["recall"] for one in seen])),
            "false_a_day": float(np.mean([one["false"] for one in seen])),
            "note": "; ".join(f"{what} {of}" for what, of in difference.items()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a day and a seed, few bursts")
    parser.add_argument("--only", default="", help="names of mechanisms, with commas")
    parser.add_argument("--list", action="store_true", help="the mechanisms")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(one.name for one in MECHANISMS))
    elif asked.child:
        for seed in range(*map(int, asked.child.split(","))):
            for one in measure(asked.quick, seed):
                print(json.dumps(one), flush=True)
    else:
        only = tuple(filter(None, asked.only.split(",")))
        for row in rows(asked.quick, only):
            figures = f"{row['recall_at_1']:7.3f}{row['false_a_day']:8.2f}"
            print(f"{row['detector']:48}{figures}  {row['note']}", flush=True)


if __name__ == "__main__":
    main()
