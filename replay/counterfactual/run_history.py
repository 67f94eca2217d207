"""What one run of a day leaves behind for a comparison with another run of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.types import Float64, Int64
from monitor.core.accounts.liquidation_outcomes import Outcome
from monitor.core.bands.inputs import MarketInputs
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.market_bands import VenueBands
from monitor.core.cascade.all_shocks import Jump
from monitor.core.cascade.market_stress import ShockRow
from monitor.core.cascade.zone_shocks import pass_zones
from monitor.core.contract.alert import Alert
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.venue.answers.stress_test import StressTest
from monitor.core.venue.stage import VenueStage
from replay.counterfactual.leverage_caps import CappedPools, ForcedFillLog, LeverageCaps
from replay.counterfactual.rules import OverrideRules
from replay.run import AlertFilter

WITHIN_PCT = (1.0, 2.0, 5.0, 10.0)
"""Distances from the mark within which forced notional is compared."""
_EDGES = np.searchsorted(EDGE_ZONES, np.round(np.array(WITHIN_PCT) / 100 / BIN_WIDTH))
STRESS_EVERY_NS = 60 * SECOND_NS
"""How far apart in event time all markets are put under stress."""
SHOCK = 0.1
"""The move, down and up, at which shortfall and auto-deleveraging are compared."""
SURVIVES = (1.0, 0.3)
"""The shares of the book that are still there under stress."""


class ForcedNotional:
    """Forced notional within `WITHIN_PCT` by market and side (long, short): its highest value and
    its mean over time, quote currency. Bands count until the next ones."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._symbols: list[str] = []
        self._places = np.empty(0, np.int64)
        shape = 0, 2, len(WITHIN_PCT)
        self._highest, self._area = np.empty(shape, np.int64), np.empty(shape)
        self._seconds = np.empty(0)
        self._since: tuple[int, Int64, Int64] | None = None

    def add(self, bands: VenueBands) -> None:
        """The bands of the next moment."""
        self.close(bands.ts)
        symbols = bands.markets.symbols
        if symbols is not self._symbols:
            index = self._index
            numbers = [index.setdefault(symbol, len(index)) for symbol in symbols]
            self._symbols, self._places = symbols, np.array(numbers, np.int64)
            self._highest = grow_rows(self._highest, len(index), 0, 1.0)
            self._area = grow_rows(self._area, len(index), 0.0, 1.0)
            self._seconds = grow_rows(self._seconds, len(index), 0.0, 1.0)
        places, now = self._places, bands.markets.within[:, :, _EDGES]
        self._highest[places] = np.maximum(self._highest[places], now)
        self._since = bands.ts, places, now

    def close(self, ts: int) -> None:
        """The last bands held until `ts` (ns)."""
        if self._since is not None:
            since, places, now = self._since
            seconds = (ts - since) / SECOND_NS
            self._area[places] += now * (seconds / MONEY_SCALE)
            self._seconds[places] += seconds
            self._since = None

    def finish(self, interval_ns: int) -> None:
        """The run has ended: its last bands are those of an interval."""
        if self._since is not None:
            self.close(self._since[0] + interval_ns)

    def of(self, symbol: str) -> tuple[Float64, Float64]:
        """The highest value and the mean of a market, each by side and distance."""
        none = np.zeros((2, len(WITHIN_PCT)))
        place = self._index.get(symbol)
        if place is None:
            return none, none
        seconds = self._seconds[place]
        mean = self._area[place] / seconds if seconds else none
        return self._highest[place] / MONEY_SCALE, mean

    @property
    def symbols(self) -> list[str]:
        """The markets that had bands."""
        return sorted(self._index)


@dataclass(slots=True)
class StressHistory:
    """One side of a market under stress at many moments, with one share of the book.

    `moments`: how many; `with_critical`: how many of them had a critical shock; `nearest`: the
    nearest of these, a fraction of the mark (negative: a fall; None: none). `shortfall`,
    `adl_notional`: the highest at `SHOCK`; see `ShockRow`.
    """

    moments: int = 0
    with_critical: int = 0
    nearest: float | None = None
    shortfall: float = 0.0
    adl_notional: float = 0.0

    def add(self, row: ShockRow, jump: Jump | None) -> None:
        """The next moment: its shock, and its critical shock (None: it had none)."""
        self.moments += 1
        self.shortfall = max(self.shortfall, row.shortfall)
        self.adl_notional = max(self.adl_notional, row.adl_notional)
        if jump is not None:
            self.with_critical += 1
            shock = math.expm1(math.copysign(jump.shock, row.shock))
            self.nearest = min(shock, self.nearest or shock, key=abs)


@dataclass(slots=True)
class RunHistory:
    """What is compared of one run. `stress`: by market, side and share of the book."""

    shown: AlertFilter
    alerts: list[Alert] = field(default_factory=list)
    forced: ForcedNotional = field(default_factory=ForcedNotional)
    stress: dict[tuple[str, str, float], StressHistory] = field(default_factory=dict)
    _fills: ForcedFillLog | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        """What the venue forced, beside what the run's rules say of it."""
        return [] if self._fills is None else self._fills.every

    def watch(self, stage: VenueStage, rules: OverrideRules | None) -> None:
        """Have a venue stage, before its first record, keep here what is compared."""
        caps = None if rules is None else LeverageCaps(rules)
        caps = caps if caps is not None and caps.are_any else None
        self._fills = ForcedFillLog(stage.venue_state.ledger, caps)
        stage.venue_state.outcomes = self._fills
        stage.band_maker = WatchedBandMaker(stage, self, caps)

    def shows(self, ts: int) -> bool:
        """Whether a moment (ns) is in the span that was asked for."""
        low, high = self.shown.from_ts, self.shown.to_ts
        return (low is None or ts >= low) and (high is None or ts <= high)


class WatchedBandMaker(BandMaker):
    """Makes the bands of a run, and notes them; once in `STRESS_EVERY_NS` stress too.

    Bands are made as each interval ends, so what is noted depends on the records alone.
    """

    def __init__(self, stage: VenueStage, history: RunHistory, caps: LeverageCaps | None) -> None:
        ledger = stage.venue_state.ledger
        super().__init__(ledger, pass_zones)
        if caps is not None:
            self.pools = CappedPools(ledger, caps)
        self._venue, self._history = stage.venue_state, history
        self._next_stress = -math.inf

    def compute(self, ts: int, inputs: MarketInputs) -> VenueBands | None:
        """See `BandMaker.compute`."""
        bands = super().compute(ts, inputs)
        if bands is None or not self._history.shows(ts):
            self._history.forced.close(ts)
            return bands
        self._history.forced.add(bands)
        if ts >= self._next_stress and len(bands.markets):
            self._next_stress = ts - ts % STRESS_EVERY_NS + STRESS_EVERY_NS
            self._note_stress()
        return bands

    def _note_stress(self) -> None:
        sides, _ = StressTest(self._venue, self).shock_sides((-SHOCK, SHOCK), SURVIVES)
        for side in sides:
            for row, (share, jump) in zip(side.rows, side.critical, strict=True):
                place = side.symbol, side.side, share
                self._history.stress.setdefault(place, StressHistory()).add(row, jump)
