"""The bands of a venue as others read them: one object a market."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.cascades import CascadeColumns, MarketCascade
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES, PEAK_ZONES
from monitor.core.bands.refresh import ParallelMap, ZoneCells
from monitor.core.contract.alert import AlertZone, MarketStake, Stake
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.margin.paths.path import LiquidationPath

NEAR_FRACTION = 0.02
"""Distance from the mark within which forced notional is at stake in an alert."""
SERIAL_BYTES = 1 << 20
"""Bytes below which hashing takes about as long as handing its parts to threads."""
_NEAR_EDGE = int(np.flatnonzero(round(NEAR_FRACTION / BIN_WIDTH) == EDGE_ZONES)[0])


def name_rules(regime: str, path: LiquidationPath) -> str | tuple[str, str]:
    """What a digest calls a market's rules: its regime, and its path where that is another's."""
    return regime if path.name == regime else (regime, path.name)


@dataclass(frozen=True, slots=True)
class MarketBands:
    """Bands of one market. Pairs are (long, short): longs are forced when the mark falls.

    `path`: what happens to whoever is forced: the market's own path, else its regime's. `sigma`:
    realised volatility of the mark a year (None: not measured yet), measured on steps that are
    `grain_s` seconds apart. `zones`: what is forced; zone z is from 5z up to 5(z + 1) bps away, and
    the parts are `layout.GROUPS`. `stages`: the parts are the stages of `layout.py`. `within`
    (side, edge): notional forced within each of `EDGE_ZONES`, 1e-6. `depth` (side, edge): what the
    last book would take there, quote currency; NaN: no book. `top`: the largest holders within
    `NEAR_FRACTION`, account and notional, 1e-6. `peaks` (side, 2 · `PEAK_ZONES`): the heaviest
    zones there, −1 for none, and their notional, 1e-6. `estimate`: what was assumed, where no
    account is known and this is an estimate (`open_interest_estimate.py`). `mark_age_s`: how old
    the mark was. `market_price`: the middle of the book, else the last price; None: neither.
    `doubts`: what is wrong with the market's data. `at_market`: the same bands with `market_price`
    for a mark that is old or far from the market. `cascade`: None for an estimate.
    """

    symbol: str
    mark: float
    regime: str
    path: LiquidationPath
    sigma: float | None
    grain_s: float
    zones: tuple[ZoneCells, ZoneCells]
    stages: tuple[ZoneCells, ZoneCells]
    within: Int64
    depth: Float64
    top: tuple[list[tuple[str, int]], list[tuple[str, int]]]
    peaks: Int64
    estimate: dict[str, Any] | None = None
    mark_age_s: float | None = None
    market_price: float | None = None
    doubts: tuple[str, ...] = ()
    at_market: MarketBands | None = None
    cascade: MarketCascade | None = None

    @property
    def nearest_forced_price(self) -> tuple[float | None, ...]:
        """Price of the zone edge nearest to the mark that forces anybody."""
        return tuple(
            self.mark * (1 + sign * int(cells.zone[0]) * BIN_WIDTH) if len(cells.zone) else None
            for sign, cells in zip((-1, 1), self.zones, strict=True)
        )

    @property
    def forced_near(self) -> tuple[float, float]:
        """Notional forced within `NEAR_FRACTION`, quote currency."""
        long, short = self.within[:, _NEAR_EDGE].tolist()
        return long / MONEY_SCALE, short / MONEY_SCALE

    @property
    def absorbed_near(self) -> tuple[float | None, float | None]:
        """Share of `forced_near` that the last book can take there, as in `absorbed_share`."""
        return self.absorbed_share(0, _NEAR_EDGE), self.absorbed_share(1, _NEAR_EDGE)

    def absorbed_share(self, side: int, edge: int) -> float | None:
        """Share of what is forced within an edge that the book can take; None: no book, or none."""
        forced, room = int(self.within[side, edge]) / MONEY_SCALE, float(self.depth[side, edge])
        return min(1.0, room / forced) if forced and room == room else None

    def digest_parts(self) -> Iterator[bytes]:
        """Everything in here, as bytes."""
        yield repr(self.digest_fields()).encode()
        for cells in (*self.zones, *self.stages):
            yield cells.place.tobytes()
            yield cells.units.tobytes()
        yield self.depth.tobytes()

    def digest_fields(self) -> tuple[Any, ...]:
        """What is no array that others share."""
        return (
            self.symbol,
            self.mark,
            name_rules(self.regime, self.path),
            self.sigma,
            self.grain_s,
            self.top,
            self.estimate,
            self.mark_age_s,
            self.market_price,
            self.doubts,
            None if self.at_market is None else self.at_market.within.tolist(),
            self.cascade and (self.cascade.shown, [s.near.tolist() for s in self.cascade.sides]),
        )

    def at_stake(self) -> MarketStake:
        """What an alert says of this market's bands."""
        forced = sum(self.forced_near)
        # NaN where there is no book.
        taken = float(np.minimum(self.forced_near, self.depth[:, _NEAR_EDGE]).sum())
        stake = Stake(
            forced_notional=float(f"{forced:.6g}"),
            long=float(f"{self.forced_near[0]:.6g}"),
            short=float(f"{self.forced_near[1]:.6g}"),
            within_pct=NEAR_FRACTION * 100,
            down=self.cascade and self.cascade.critical_shock(0),
            up=self.cascade and self.cascade.critical_shock(1),
            absorbed=float(f"{taken / forced:.6g}") if forced and taken == taken else None,
        )
        zones = tuple(
            self._zone(side, zone, units)
            for side, row in enumerate(self.peaks.tolist())
            for zone, units in zip(row[:PEAK_ZONES], row[PEAK_ZONES:], strict=True)
            if zone >= 0
        )
        return MarketStake(stake, zones)

    def _zone(self, side: int, zone: int, units: int) -> AlertZone:
        sign = -1 if side == 0 else 1
        edges = [self.mark * (1 + sign * z * BIN_WIDTH) for z in (zone, zone + 1)]
        return AlertZone(
            low=float(f"{min(edges):.8g}"),
            high=float(f"{max(edges):.8g}"),
            side="long" if side == 0 else "short",
            forced_notional=float(f"{units / MONEY_SCALE:.6g}"),
        )


class Markets(Sequence[MarketBands]):
    """Markets in the order of their names, each put together when it is asked for.

    What concerns all of them reads the columns: `symbols`, `within` and `depth` (markets, side,
    edge). `estimates`: those without known accounts. `at_market`: by symbol, the bands of
    `MarketBands.at_market`. `digest_parts`: what stands in no array that the bands share, as bytes
    or arrays. `market`: the one at a place.
    """

    def __init__(
        self, symbols: list[str], within: Int64, depth: Float64,
        digest_parts: Callable[[], list[Any]], market: Callable[[int], MarketBands],
        at_market: Mapping[str, MarketBands], estimates: Sequence[MarketBands] = (),
    ) -> None:  # fmt: skip
        self.symbols, self.within, self.depth = symbols, within, depth
        self.digest_parts, self.at_market, self.estimates = digest_parts, at_market, estimates
        self._market = market

    @classmethod
    def from_list(cls, markets: list[MarketBands]) -> Markets:
        """Of markets that stand in the order of their names."""
        shape = 0, 2, len(EDGE_ZONES)
        return cls(
            [market.symbol for market in markets],
            np.array([m.within for m in markets]) if markets else np.empty(shape, np.int64),
            np.array([m.depth for m in markets]) if markets else np.empty(shape),
            lambda: [repr(market.digest_fields()).encode() for market in markets],
            markets.__getitem__,
            {m.symbol: m.at_market for m in markets if m.at_market is not None},
            [market for market in markets if market.estimate is not None],
        )

    def find(self, symbol: str) -> MarketBands | None:
        """The market of that name; None: it has no bands."""
        place = bisect_left(self.symbols, symbol)
        return self[place] if self.symbols[place : place + 1] == [symbol] else None

    def __len__(self) -> int:
        return len(self.symbols)

    @overload
    def __getitem__(self, at: int) -> MarketBands: ...

    @overload
    def __getitem__(self, at: slice) -> list[MarketBands]: ...

    def __getitem__(self, at: int | slice) -> MarketBands | list[MarketBands]:
        places = range(len(self.symbols))[at]
        if isinstance(places, range):
            return [self._market(place) for place in places]
        return self._market(places)


class MarketStakes(Mapping[str, MarketStake]):
    """What an alert says of each market's bands, by symbol."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets

    def __getitem__(self, symbol: str) -> MarketStake:
        market = self._markets.find(symbol)
        if market is None:
            raise KeyError(symbol)
        return market.at_stake()

    def __iter__(self) -> Iterator[str]:
        return iter(self._markets.symbols)

    def __len__(self) -> int:
        return len(self._markets)


@dataclass(frozen=True, slots=True)
class VenueBands:
    """Bands of a venue, as of `ts` (ns).

    `markets`: by name; those with open positions, a mark and a tier table. `by_factor` (fall and
    rise, zone): gross notional of cross accounts that a move of all markets together would make
    due, 1e-6. `unknown`: pools without a mark, a table or a margin for every position. `assumed`:
    isolated positions whose margin is taken from their leverage. `left_out`: markets whose
    positions cannot be counted, and why: their holders' pools are unknown. `arrays`: those whose
    parts the markets show. `cascades`: what shocks would set off. `collateral_outside`: accounts
    that have some, and its sum, 1e-6. `printed_prices`: what came of the prices that the venue
    printed so far, by verdict.
    """

    ts: int
    markets: Markets
    by_factor: Int64
    pools: int
    unknown: int
    assumed: int
    left_out: tuple[tuple[str, str], ...]
    arrays: tuple[NDArray[Any], ...]
    cascades: CascadeColumns
    collateral_outside: tuple[int, int] = (0, 0)
    printed_prices: dict[str, int] = field(default_factory=dict)

    def digest(self, run: ParallelMap = map) -> bytes:
        """Hash of everything in here. `run`: how the parts are hashed."""
        facts: tuple[Any, ...] = self.ts, self.pools, self.unknown, self.assumed, self.left_out
        if self.collateral_outside[0]:
            facts = *facts, self.collateral_outside
        total = hashlib.sha256(repr(facts).encode())
        for part in self.markets.digest_parts():
            total.update(memoryview(part).nbytes.to_bytes(8, "little"))
            total.update(part)
        arrays = [np.ascontiguousarray(array) for array in (self.by_factor, *self.arrays)]
        run = run if sum(array.nbytes for array in arrays) > SERIAL_BYTES else map
        total.update(b"".join(run(lambda array: hashlib.sha256(array.data).digest(), arrays)))
        for market in self.markets.estimates:
            total.update(b"".join(market.digest_parts()))
        return total.digest()
