"""Calibration without one mechanism after the other: what each is worth.

    python -m tests.bench.detect.ablation.calibration [--only NAME,...] [--list]

Protocol. A mechanism is a few lines of `detectors/calibration/calibrator.py`; without it means the
same module with these lines changed. A series is the highest score of each block of windows, as
real detectors made them of flows, books and trades (`series`) or as drawn from laws of tails. Each
is read as the engine does, judge, then learn, and counts as three cases:

- the first six hours, and what comes after them: blocks that are reported at a budget of one and of
  ten a day; and recall, the share of planted scores that would be reported at one a day, planted
  every half hour. They lie above what the series exceeds once a day: 1, 3 and 6 nats of a
  log-likelihood, a tenth, a half and one and a half of any other score.
- the same with attacks: in half a day every tenth block is one, of 8 nats or four times as much.

Errors are those of the mean over series; `accounts` says when a mechanism earns its lines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.calibration.tail_prior import READY_BLOCKS
from tests.bench.backgrounds import DAY
from tests.bench.detect.ablation.mechanisms import (
    HEAD,
    ROOT,
    Measured,
    Mechanism,
    compare,
    full_row,
    table_row,
)
from tests.bench.detect.ablation.series import Series, all_series

FOLDER, FILE = Path("detectors/calibration"), "calibrator.py"
ONE, TEN = (FalseAlarmRate(per_day, 1.0).p_limit for per_day in (1.0, 10.0))
BLOCKS_DAY = DAY // 300
PROBE_BLOCKS = 6
ATTACK_BLOCKS, ATTACKS_BLOCKS = 10, 144
"""Between two attacks, and from the first to the last."""
NATS, SHARES = (1.0, 3.0, 6.0), (0.1, 0.5, 1.5)


MECHANISMS = (
    Mechanism(
        "theory counts as blocks", FILE, "PRIOR_BLOCKS = 24.0", "PRIOR_BLOCKS = 0.0"
    ),
    Mechanism(
        "the slope of the tail is uncertain", FILE,
        "SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 16.0, 4.0",
        "SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 1e6, 0.0",
    ),
    Mechanism(
        "the slope is more certain with each block", FILE,
        "SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 16.0, 4.0",
        "SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 16.0, 0.0",
    ),
    Mechanism(
        "theory is moved to the middle block", FILE,
        "self._shift = max(0.0, self._fit_blocks[n // 2] - theory)", "self._shift = 0.0",
    ),
    Mechanism(
        "scores are capped", FILE,
        "self.cap = self.score_at_p(1.0 / self.windows_per_day, CAP_MEANS)",
        "self.cap = SCORE_BOUND",
    ),
    Mechanism("the cap lies three means out", FILE, "CAP_MEANS = 3.0", "CAP_MEANS = 0.0"),
    Mechanism(
        "capped scores are lower bounds", FILE,
        "ended = max(ENDED_MIN, count - beyond + prior / 3)",
        "ended = max(ENDED_MIN, count + prior / 3)",
    ),
    Mechanism(
        "a neutral least of ended excesses", FILE,
        "ENDED_MIN = 1.0 / 3.0", "ENDED_MIN = 1e-9",
    ),
    Mechanism(
        "attacks are left out", FILE,
        "if self.by_rank or True not in self._rare:", "if True:",
    ),
    Mechanism(
        "attacks are a quarter at most", FILE,
        "ATTACK_SHARE, ATTACKED_SHARE, CHANCE_BLOCKS = 2, 4, 64",
        "ATTACK_SHARE, ATTACKED_SHARE, CHANCE_BLOCKS = 2, 1, 64",
    ),
    Mechanism(
        "a few rare blocks may be chance", FILE,
        "chance = 1 + n // CHANCE_BLOCKS", "chance = 1",
    ),
    Mechanism(
        "heavy tails", FILE,
        "heavy = not self.log_likelihood and bool(tail) and self._start > 0", "heavy = False",
    ),
    Mechanism(
        "ties at the start of the tail are no excesses", FILE,
        "if not self.log_likelihood and excess > 0.0:", "if False:",
    ),
    Mechanism(
        "a steeper tail than in theory is not believed", FILE,
        "self._slope = min(self.tail_slope_max, slope)", "self._slope = slope",
    ),
    Mechanism(
        "scores seen are as rare as their rank", FILE,
        "if self._peaks is not None:\n            share", "if False:\n            share",
    ),
    Mechanism("the highest two are no rank", FILE, "RANK_MIN = 3.0", "RANK_MIN = 1.0"),
    Mechanism(
        "blocks of other markets are borrowed", FILE,
        "borrowed = self._others[: max(0, READY_BLOCKS - own)]", "borrowed = self._others[:0]",
    ),
    Mechanism(
        "what is borrowed is raised in proportion", FILE,
        "higher = max(1.0, self._sorted[own // 2] / self._others_middle)", "higher = 1.0",
    ),
    Mechanism(
        "the scale of what is borrowed counts as blocks", FILE,
        "SCALE_BLOCKS = 0.3", "SCALE_BLOCKS = 0.0",
    ),
)  # fmt: skip


@cache
def load_without(mechanism: Mechanism | None) -> type[Calibrator]:
    """The class of the module that lacks it."""
    if not mechanism:
        return Calibrator
    module = ModuleType(f"calibrator_without_{mechanism.name.replace(' ', '_')}")
    sys.modules[module.__name__] = module
    source = mechanism.remove((ROOT / FOLDER / FILE).read_text())
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    of: type[Calibrator] = module.Calibrator
    return of


def attack(series: Series, reference: float) -> list[float]:
    """The blocks of a series in whose middle there are attacks."""
    heights = list(series.heights)
    first = len(heights) // 2 - ATTACKS_BLOCKS // 2
    height = reference + 8.0 if series.log_likelihood else 4.0 * reference
    for at in range(max(0, first), first + ATTACKS_BLOCKS, ATTACK_BLOCKS):
        heights[at] = height
    return heights


def measure(series: Series, of: type[Calibrator]) -> list[Measured]:
    """Its three cases, or two where the first six hours are silent."""
    days = len(series.heights) / BLOCKS_DAY
    reference = float(np.sort(series.heights)[-max(1, round(days))])
    planted = [reference + nats for nats in NATS]
    if not series.log_likelihood:
        planted = [reference * (1.0 + share) for share in SHARES]
    cases = []
    for attacked in (False, True):
        heights = attack(series, reference) if attacked else list(series.heights)
        calibrator = of(
            series.log_likelihood, DAY, tail_slope_max=series.tail_slope_max,
            by_rank=series.by_rank, prior=series.prior,
        )  # fmt: skip
        p_values, found = [], []
        for block, height in enumerate(heights):
            p_values.append(calibrator.p_value(height))
            if block % PROBE_BLOCKS == 0:
                found.append(np.mean([calibrator.p_value(one) <= ONE for one in planted]))
            calibrator.close_block(min(height, calibrator.cap))
        ordinary = np.equal(heights, series.heights)
        parts = {", first six hours": slice(0, READY_BLOCKS), "": slice(READY_BLOCKS, None)}
        if attacked or not (series.log_likelihood or series.prior):
            del parts[", first six hours"]  # as before, or silent
        for what, part in parts.items():
            p, known = np.array(p_values[part]), ordinary[part]
            probes = slice(part.start // PROBE_BLOCKS, part.stop and part.stop // PROBE_BLOCKS)
            recall, spent = float(np.mean(found[probes])), len(p) / BLOCKS_DAY
            alarms = (float((p[known] <= limit).sum() / spent) for limit in (ONE, TEN))
            name = series.background + what + ", attacked" * attacked
            cases.append(Measured(name, series.seed, [recall], recall, 1.0, *alarms))
    return cases


def measure_without(mechanism: Mechanism | None, series: Sequence[Series]) -> list[Measured]:
    """All cases of all series."""
    of = load_without(mechanism)
    return [case for one in series for case in measure(one, of)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of mechanisms, with commas")
    parser.add_argument("--list", action="store_true", help="the mechanisms")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(one.name for one in MECHANISMS))
        return
    series = all_series()
    full = measure_without(None, series)
    print(full_row(full), HEAD, sep="\n", flush=True)
    only = set(filter(None, asked.only.split(",")))
    for mechanism in MECHANISMS:
        if not only or mechanism.name in only:
            loss = compare(measure_without(mechanism, series), full)
            print(table_row(mechanism.name, loss), flush=True)


if __name__ == "__main__":
    main()
