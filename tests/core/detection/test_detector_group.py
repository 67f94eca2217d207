"""Windows that a bank goes through by itself are as if they were judged and learnt one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from detectors.arrays.types import Float64
from detectors.base import Detector
from detectors.burst.detector import BurstDetector
from detectors.level_shift.detector import LevelShiftDetector
from detectors.ratio.detector import RatioDetector
from detectors.record_high import MomentDetector, RecordHighDetector
from monitor.core.budget import BudgetShare
from monitor.core.detection.detector_group import DetectorGroups, tail_prior
from monitor.core.settings import DEFAULT_STREAMS, StreamSettings
from tests.detectors.states import is_same_state

WINDOWS, SYMBOLS = 700, 3
DAY = 86_400
SECOND_NS = 1_000_000_000
FACTORIES: dict[str, Callable[[], Detector]] = {
    "orders": lambda: BurstDetector("orders", warm_up=60, patience=20),
    "cancels": lambda: BurstDetector("cancels", warm_up=60, patience=20),
    "spread_bps": lambda: LevelShiftDetector("spread_bps", warm_up=60, patience=20),
    "cancels_to_orders": lambda: RatioDetector("cancels", "orders", warm_up=60, patience=20),
    "sweep_bps": lambda: RecordHighDetector("sweep_bps", least=5.0),
}
COLUMN = {name: i for i, name in enumerate(FACTORIES)}


def day() -> Float64:
    """(windows, symbols, columns), with bursts, a step, gaps, and a number that is no count."""
    rng = np.random.default_rng(6)
    values = rng.poisson(5.0, (WINDOWS, SYMBOLS, len(COLUMN))).astype(np.float64)
    values[:, :, COLUMN["spread_bps"]] += 10.0
    values[400:415, 1, COLUMN["orders"]] += 40.0
    values[403:420, 0, COLUMN["cancels"]] += 60.0
    values[500:560, 2, COLUMN["spread_bps"]] *= 6.0
    values[rng.random(values.shape) < 0.02] = np.nan
    values[:90, 2] = np.nan
    values[405, 2, COLUMN["orders"]] = -1.0
    return values


def groups() -> DetectorGroups:
    inputs = {"cancels_to_orders": ("cancels", "orders")}
    settings = [StreamSettings(feature=name, inputs=inputs.get(name, ())) for name in FACTORIES]
    share = BudgetShare(400.0)
    return DetectorGroups(settings, list(FACTORIES.values()), COLUMN, share, SECOND_NS)


@pytest.mark.parametrize("longest", [1, 64])
def test_ordinary_windows_gone_through_at_once_are_as_one_by_one(longest: int) -> None:
    together, alone = groups(), groups()
    for group in alone._groups:
        group._runner = None
    rng, values, low, reported = np.random.default_rng(longest), day(), 0, 0
    symbols = np.arange(SYMBOLS)
    while low < WINDOWS:
        span = values[low : low + int(rng.integers(1, longest + 1))]
        for judge in (together, alone):
            judge.grow(SYMBOLS)
            judge.begin(symbols, span.reshape(-1, len(COLUMN)))
        for window in range(len(span)):
            rare = together.judge(window)
            assert rare == alone.judge(window)
            if rare or window % 50 == 0:
                for symbol in range(SYMBOLS):
                    mine = together.abstentions(symbol, window)
                    assert mine == alone.abstentions(symbol, window)
            for judge in (together, alone):
                judge.learn(window)
            assert together._ready == alone._ready
            reported += len(rare)
        low += len(span)
    assert reported > 5
    assert is_same_state(together.snapshot(), alone.snapshot())


def test_moments_are_as_many_a_day_whatever_the_budget_and_shared_by_symbols() -> None:
    """Two streams of moments report so many each, of all symbols together; others have none."""
    rng = np.random.default_rng(9)
    names = "moves", "rushes"
    settings = [StreamSettings(feature=n, detector="moment", inputs=(n, n)) for n in names]
    factories = [lambda n=n: MomentDetector(n, n, least=1e-9) for n in names]
    column = {name: i for i, name in enumerate(names)}
    reported = {}
    for symbols, budget in ((1, 1e-3), (4, 1e-3), (4, 1e3)):
        day = rng.exponential(size=(DAY, symbols, len(names)))
        groups = DetectorGroups(
            settings, factories, column, BudgetShare(budget), SECOND_NS, 1, BudgetShare(24.0)
        )
        groups.grow(symbols)
        events = 0
        for low in range(0, DAY, 600):
            part = day[low : low + 600]
            groups.begin(np.arange(symbols), part.reshape(-1, len(names)))
            for window in range(len(part)):
                events += len(groups.judge(window))
                groups.learn(window)
        reported[symbols, budget] = events
    # After the first quarter of the day: 18 of each stream, twice.
    for events in reported.values():
        assert 0.5 * 36 <= events <= 1.6 * 36, reported


def test_default_streams_in_windows_of_a_second_borrow_and_others_do_not() -> None:
    sweep = next(one for one in DEFAULT_STREAMS if one.feature == "sweep_bps")
    depth = next(one for one in DEFAULT_STREAMS if one.feature == "depth_25bps")
    assert tail_prior(sweep, 86_400.0) is not None
    assert tail_prior(sweep, 8_640.0) is None
    milder = sweep.model_copy(update={"parameters": {"least": 1.0}})
    assert tail_prior(milder, 86_400.0) == tail_prior(sweep, 86_400.0)
    rise = depth.model_copy(update={"parameters": {**depth.parameters, "direction": "up"}})
    assert tail_prior(depth, 86_400.0) is not None
    assert tail_prior(rise, 86_400.0) is None
