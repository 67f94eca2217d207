"""Findings of the margin layer: a shock that an hour may bring would set off a cascade.

The rule: within `HOUR_MOVES` standard deviations of an hour's return there is a critical shock with
a jump of at least one standard deviation, for the share of the book that the market has shown (all
of it, before that is known). So both lengths are the market's own. It must hold for `ENTER_NS`,
since a book may be thin for a moment, and ends when it has not held for `LEAVE_NS`: one incident
and no flicker. A market whose volatility is not known yet, or whose data are in doubt, says
nothing. What is due already with no move at all is no shock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.core.alerts.incidents import GROWTH
from monitor.core.bands.cascades import (
    NEAR_BOOK,
    NEAR_FORCED,
    NEAR_JUMP,
    NEAR_SHOCK,
    NEAR_ZONES,
    as_fraction,
)
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.market_bands import MarketBands, VenueBands
from monitor.core.contract.feature_catalogue import CRITICAL_FEATURES
from monitor.core.contract.units import HOUR_S, SECOND_NS
from monitor.core.decode.batch import TextColumn
from monitor.core.finding import Finding, OffsetRange
from monitor.core.marks import market_rows
from monitor.core.marks.touch_probability import touch_chances
from monitor.core.snapshot import from_state, to_state
from monitor.core.venue.forced_through import ForcedThrough
from monitor.core.venue.streams import VenueMoment

ENTER_NS, LEAVE_NS = 10 * SECOND_NS, 900 * SECOND_NS
"""How long the rule must hold, and not hold, until an incident begins and ends."""
DETECTOR = "critical_shock"


@dataclass(slots=True)
class InsideHour:
    """A side of a market for which the rule holds, or held within `LEAVE_NS`. Times in ns."""

    symbol: str
    side: int
    since: int
    last: int
    """When it held last."""
    partition: int = 0
    """Of the market's books; that of the first finding."""
    excess: float | None = None
    """Notional beyond the book at the last finding; None: there was none."""


class CriticalShocks:
    """Judges the bands of every interval. `maker`: has made them."""

    def __init__(self, maker: BandMaker, window_ns: int) -> None:
        self._maker, self._window_ns = maker, window_ns
        self._inside: dict[tuple[str, int], InsideHour] = {}

    def judge(self, closed: VenueMoment) -> list[Finding]:
        """What begins, grows or ends with these bands."""
        bands = closed.bands
        if bands is None or not (bands.cascades.inside or self._inside):
            return []
        places = self._places(bands)
        findings = []
        for key in sorted({*places, *self._inside}):
            inside = self._inside.setdefault(key, InsideHour(*key, bands.ts, bands.ts))
            if key in places:
                inside.last = bands.ts
                findings += self._judge_inside(closed, bands, inside, places[key])
            elif inside.excess is None:
                del self._inside[key]
            elif bands.ts - inside.last > LEAVE_NS:
                del self._inside[key]
                findings.append(self._end(bands.ts, inside))
        return findings

    def _places(self, bands: VenueBands) -> dict[tuple[str, int], int]:
        """By name and side, the place of each market for which the rule holds now."""
        cascades = bands.cascades
        if not cascades.inside:
            return {}
        holds = np.argwhere(cascades.near[..., NEAR_JUMP] >= cascades.hour)
        named = {(cascades.symbols[k], side): k for side, k in holds.tolist()}
        markets = {name: bands.markets.find(name) for name, _ in named}
        return {key: k for key, k in named.items() if (m := markets[key[0]]) and not m.doubts}

    def _judge_inside(
        self, closed: VenueMoment, bands: VenueBands, inside: InsideHour, k: int
    ) -> list[Finding]:
        near = bands.cascades.near[inside.side, k]
        excess = abs(float(near[NEAR_FORCED] - near[NEAR_BOOK]))
        if bands.ts - inside.since < ENTER_NS:
            return []
        if inside.excess is not None and excess <= GROWTH * inside.excess:
            return []
        symbols = closed.state.ledger.symbols
        symbol = symbols.intern(TextColumn.from_strings([inside.symbol]))[0]
        book = closed.state.last_books.data[symbol]
        if inside.excess is None:
            inside.partition = int(book[market_rows.PARTITION])
        inside.excess = excess
        market = bands.markets.find(inside.symbol)
        assert market is not None
        return [self._finding(bands, inside, k, market, int(book[market_rows.OFFSET]))]

    def _finding(
        self, bands: VenueBands, inside: InsideHour, k: int, market: MarketBands, offset: int
    ) -> Finding:
        side, near = inside.side, bands.cascades.near[inside.side, k].tolist()
        through = ForcedThrough.find(self._maker, k, side, int(near[NEAR_ZONES]))
        shown = market.cascade.shown if market.cascade else None
        facts: dict[str, float | int | str | None] = {
            "shock": as_fraction(near[NEAR_SHOCK], side),
            "jump": near[NEAR_JUMP],
            "chance": _chance(market, near[NEAR_SHOCK], side),
            "survives": 1.0 if shown is None else shown,
            "cross_share": through.share,
            "cross_accounts": through.cross_accounts,
            "also": through.also,
            "also_more": through.also_more,
        }
        return Finding(
            bands.ts // self._window_ns, inside.since // self._window_ns, inside.partition,
            inside.symbol, CRITICAL_FEATURES[side], DETECTOR, near[NEAR_FORCED], near[NEAR_BOOK],
            0.0, accounts=through.accounts,
            records=[OffsetRange("book", offset, offset, inside.partition)], facts=facts,
            is_end=False,
        )  # fmt: skip

    def _end(self, now: int, inside: InsideHour) -> Finding:
        window = now // self._window_ns
        return Finding(
            window, inside.since // self._window_ns, inside.partition, inside.symbol,
            CRITICAL_FEATURES[inside.side], DETECTOR, 0.0, 0.0, 0.0,
            facts={"lasted_s": (inside.last - inside.since) / SECOND_NS}, is_end=True,
        )  # fmt: skip

    def snapshot(self) -> Any:
        return to_state([*self._inside.values()])

    def restore(self, state: Any) -> None:
        every = from_state(list[InsideHour], state)
        self._inside = {(inside.symbol, inside.side): inside for inside in every}


def _chance(market: MarketBands, shock: float, side: int) -> float:
    """The chance that the mark comes as far as the shock within an hour."""
    assert market.sigma is not None
    distance = np.array([-shock if side == 0 else shock])
    return float(touch_chances(distance, market.sigma, HOUR_S, grain_s=market.grain_s)[0])
