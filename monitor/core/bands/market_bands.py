"""From the venue's accounts, marks, books and rules to its bands.

Markets come by name, so that nothing hangs on arrival. Nothing is guessed: a market without a mark
or a tier table makes its holders' pools unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.bands import estimate
from monitor.core.bands.inputs import BookImpact, Floats, Ints, RuleArrays
from monitor.core.bands.kernel_zones import EDGE_ZONES, PEAK_ZONES
from monitor.core.bands.layout import BIN_WIDTH, GROUPS, MARK
from monitor.core.bands.refresh import (
    STAGE_CELLS,
    ZONE_CELLS,
    BandArrays,
    ParallelMap,
    Workspace,
    ZoneCells,
    refresh_bands,
)
from monitor.core.contract.alert import AlertZone, MarketStake, Stake
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import LEVELS, MARK_VALUES
from monitor.core.venue.state import VenueState

NEAR_FRACTION = 0.02
"""Distance from the mark within which forced notional is at stake in an alert."""
SERIAL_POSITIONS = 20_000
"""Positions below which a refresh takes about as long as handing its parts to threads."""
SERIAL_BYTES = 1 << 20
"""The same of bytes to be hashed."""
_NEAR_EDGE = int(np.flatnonzero(round(NEAR_FRACTION / BIN_WIDTH) == EDGE_ZONES)[0])
_NO_TIERS = Tiers.flat(Fraction(1))


@dataclass(frozen=True, slots=True)
class MarketBands:
    """Bands of one market. Pairs are (long, short): longs are forced when the mark falls."""

    symbol: str
    mark: float
    regime: str
    sigma: float | None
    """Realised volatility of the mark, a year; None: not measured yet."""
    grain_s: float
    """How far apart the mark's steps are, s (`volatility.Volatility`)."""
    zones: tuple[ZoneCells, ZoneCells]
    """What is forced: zone z is from 5z up to 5(z + 1) bps away; the parts are `GROUPS`."""
    stages: tuple[ZoneCells, ZoneCells]
    """The parts are the stages of `zonekernels`."""
    within: Ints
    """(side, edge): notional forced within each of `EDGE_ZONES`, 1e-6."""
    depth: Floats
    """(side, edge): what the last book would take there, quote currency; NaN without a book."""
    top: tuple[list[tuple[str, int]], list[tuple[str, int]]]
    """The largest holders within `NEAR_FRACTION`: account and notional, 1e-6."""
    peaks: Ints
    """(side, 2 · `PEAKS`): the heaviest zones within `NEAR_FRACTION`, −1 for none, and their notional."""
    estimate: dict[str, Any] | None = None
    """What was assumed, where no account is known and this is an estimate (`estimate.py`)."""

    @property
    def notional_by_zone(self) -> tuple[dict[int, int], dict[int, int]]:
        """Notional by zone, 1e-6, all groups together."""
        made: tuple[dict[int, int], dict[int, int]] = {}, {}
        for out, cells in zip(made, self.zones, strict=True):
            for place, units in zip(cells.place.tolist(), cells.units.tolist(), strict=True):
                out[place // GROUPS] = out.get(place // GROUPS, 0) + units
        return made

    @property
    def nearest_forced_price(self) -> tuple[float | None, float | None]:
        """Price of the zone edge nearest to the mark that forces anybody."""
        return self._nearest_edge(0, -1), self._nearest_edge(1, 1)

    def _nearest_edge(self, side: int, sign: int) -> float | None:
        place = self.zones[side].place
        zone = int(place[0]) // GROUPS if len(place) else None
        return None if zone is None else self.mark * (1 + sign * zone * BIN_WIDTH)

    @property
    def forced_near(self) -> tuple[float, float]:
        """Notional forced within `NEAR_FRACTION`, quote currency."""
        return int(self.within[0, _NEAR_EDGE]) / MONEY_SCALE, int(
            self.within[1, _NEAR_EDGE]
        ) / MONEY_SCALE

    @property
    def absorbed_near(self) -> tuple[float | None, float | None]:
        """Share of `forced_near` that the last book can take within the same distance; None: no book, or
        nothing to take.
        """
        return self.absorbed_share(0, _NEAR_EDGE), self.absorbed_share(1, _NEAR_EDGE)

    def absorbed_share(self, side: int, edge: int) -> float | None:
        """Share of what is forced within an edge that the book can take there."""
        forced, room = int(self.within[side, edge]) / MONEY_SCALE, float(self.depth[side, edge])
        return min(1.0, room / forced) if forced and room == room else None

    def digest_parts(self) -> Iterator[bytes]:
        """All that is in here, as bytes."""
        yield repr(self._digest_fields()).encode()
        for cells in (*self.zones, *self.stages):
            yield cells.place.tobytes()
            yield cells.units.tobytes()
        yield self.depth.tobytes()

    def _digest_fields(self) -> tuple[Any, ...]:
        return (
            *(self.symbol, self.mark, self.regime, self.sigma, self.grain_s),
            *(self.top, self.estimate),
        )

    def at_stake(self) -> MarketStake:
        """What an alert says of this market's bands."""
        stake = Stake(
            forced_notional=float(f"{sum(self.forced_near):.6g}"),
            long=float(f"{self.forced_near[0]:.6g}"),
            short=float(f"{self.forced_near[1]:.6g}"),
            within_pct=NEAR_FRACTION * 100,
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


@dataclass(frozen=True, slots=True)
class VenueBands:
    """Bands of a venue, as of `ts` (ns)."""

    ts: int
    markets: list[MarketBands]
    """By name; those in which somebody holds something and the mark and the table are known."""
    by_factor: Ints
    """(fall and rise, zone): gross notional of cross accounts that a move of all markets together
    would make due, 1e-6."""
    pools: int
    unknown: int
    """Pools without a mark, a table or a margin for every position."""
    assumed: int
    """Isolated positions whose margin is taken from their leverage."""
    arrays: tuple[NDArray[Any], ...]
    """Those of which the markets show their parts."""

    def digest(self, run: ParallelMap = map) -> bytes:
        """Of all that is in here. `run`: how the parts are hashed."""
        facts = self.ts, self.pools, self.unknown, self.assumed
        held = hashlib.sha256(repr((facts, [m._digest_fields() for m in self.markets])).encode())
        arrays = [np.ascontiguousarray(array) for array in (self.by_factor, *self.arrays)]
        parts: list[bytes] = [b""] * len(arrays)
        run = run if sum(array.nbytes for array in arrays) > SERIAL_BYTES else map

        def add(part: int) -> None:
            parts[part] = hashlib.sha256(arrays[part].data).digest()

        for _ in run(add, range(len(arrays))):
            pass
        held.update(b"".join(parts))
        for market in self.markets:
            if market.estimate is not None:
                held.update(b"".join(market.digest_parts()))
        return held.digest()


def compute_bands(venue: VenueState, ts: int) -> VenueBands | None:
    """The bands as of now; None where nobody holds anything and nothing can be estimated."""
    positions = venue.pools.update()
    order = venue.pools.markets_by_name
    guessed = _estimates(venue)
    if not len(order) and not guessed:
        return None
    names = venue.pools.market_names
    known = np.array([name in venue.market_rules for name in names], np.bool_)
    mark = np.where(known, mark_prices(venue, venue.pools.market_symbols), np.nan)
    books = _book_impact(venue, venue.pools.market_symbols, mark)
    sizes = len(positions.quantity), len(positions.cash), len(mark)
    if venue.workspace is None or venue.workspace.shape != sizes:
        venue.workspace = None  # Before the new one is made: there is not room for both.
        venue.workspace = Workspace(*sizes, keep=False)
    shown = order[mark[order] == mark[order]]
    run = venue.parallel_map if len(positions.quantity) > SERIAL_POSITIONS else map
    result = refresh_bands(
        positions, _rule_arrays(venue), mark, books, NEAR_FRACTION, run, venue.workspace, shown
    )
    markets, arrays = _market_bands(venue, result, books)
    markets = sorted([*markets, *guessed], key=lambda market: market.symbol)
    pools = int(np.count_nonzero(positions.count))
    assumed = venue.pools.assumed
    return VenueBands(ts, markets, result.by_factor, pools, result.unknown, assumed, arrays)


def mark_prices(venue: VenueState, symbols: Ints) -> Floats:
    """The marks; the index where a venue tells no mark, NaN where neither is known."""
    told = venue.trusted_marks.data[symbols]
    at = np.where(told[:, 0] != ABSENT, told[:, 0], told[:, 1])
    return np.where(at != ABSENT, at / SCALE, np.nan)


def _estimates(venue: VenueState) -> list[MarketBands]:
    """Markets whose open interest is told and in which no account is known to hold anything."""
    open_interest = venue.trusted_marks.data[:, MARK_VALUES.index("open_interest")]
    told = np.flatnonzero((open_interest != ABSENT) & (open_interest > 0))
    told = told[~np.isin(told, venue.pools.market_symbols[venue.pools.markets_by_name])]
    mark = mark_prices(venue, told)
    told, mark = told[mark == mark], mark[mark == mark]
    names = venue.ledger.symbols.names(told)
    at = [i for i, name in enumerate(names) if name in venue.market_rules]
    depth = _book_impact(venue, told[at], mark[at]).depth[:, :, EDGE_ZONES - 1]
    made = []
    for k, i in enumerate(at):
        regime, tiers = venue.market_rules[names[i]]
        held = int(open_interest[told[i]]) / SCALE
        found = estimate.estimate_cells(tiers, float(mark[i]), held)
        longs, shorts = (ZoneCells(place.astype(np.uint16), units) for place, units in found)
        nothing = ZoneCells(np.empty(0, np.uint16), np.empty(0, np.int64))
        within = [[units[place // GROUPS < e].sum() for e in EDGE_ZONES] for place, units in found]
        made.append(
            MarketBands(
                names[i],
                float(mark[i]),
                regime.name,
                *venue.mark_filter.volatility_of(int(told[i])),
                (longs, shorts),
                (nothing, nothing),
                np.array(within, np.int64),
                depth[:, k],
                ([], []),
                np.full((2, 2 * PEAK_ZONES), -1, np.int64),
                estimate.assumptions(tiers, held),
            )
        )
    return made


def _rule_arrays(venue: VenueState) -> RuleArrays:
    names = venue.pools.market_names
    if venue.rule_arrays is None or venue.rule_arrays[0] is not names:
        nothing = (REGIMES["generic"], _NO_TIERS)
        venue.rule_arrays = (
            names,
            RuleArrays.from_markets([venue.market_rules.get(n, nothing) for n in names]),
        )
    return venue.rule_arrays[1]


def _book_impact(venue: VenueState, symbols: Ints, mark: Floats) -> BookImpact:
    held = venue.last_books.data[symbols, 4:]
    ladders = held.reshape(len(mark), 2, 2, LEVELS) / SCALE
    price = np.ascontiguousarray(ladders[:, :, 0].transpose(1, 0, 2))
    size = np.ascontiguousarray(ladders[:, :, 1].transpose(1, 0, 2))
    return BookImpact.from_ladders(mark, price, size)


def _market_bands(
    venue: VenueState, result: BandArrays, books: BookImpact
) -> tuple[list[MarketBands], tuple[NDArray[Any], ...]]:
    """What a refresh says of its markets, and the arrays that hold it."""
    order = result.order
    depth = np.ascontiguousarray(books.depth[:, order][:, :, EDGE_ZONES - 1].transpose(1, 0, 2))
    within = np.ascontiguousarray(result.within.transpose(1, 0, 2))
    peaks = result.peaks.transpose(1, 0, 2)
    mark = result.table[MARK, order].tolist()
    top = _largest_holders(venue, result)
    names = [venue.pools.market_names[m] for m in order.tolist()]
    symbols = venue.pools.market_symbols[order].tolist()
    made = [
        MarketBands(
            name,
            mark[k],
            venue.market_rules[name][0].name,
            *venue.mark_filter.volatility_of(symbols[k]),
            (result.cells(ZONE_CELLS, 0, k), result.cells(ZONE_CELLS, 1, k)),
            (result.cells(STAGE_CELLS, 0, k), result.cells(STAGE_CELLS, 1, k)),
            within[k],
            depth[k],
            (top[0][k], top[1][k]),
            peaks[k],
        )
        for k, name in enumerate(names)
    ]
    return made, (*result.place, *result.units, within, depth)


def _largest_holders(venue: VenueState, result: BandArrays) -> list[list[list[tuple[str, int]]]]:
    pools, units = result.top_pool, result.top.tolist()
    names = iter(venue.pools.owners(pools[pools >= 0]))
    return [
        [
            [(next(names), n) for pool, n in zip(row, amounts, strict=True) if pool >= 0]
            for row, amounts in zip(side, held, strict=True)
        ]
        for side, held in zip(pools.tolist(), units, strict=True)
    ]
