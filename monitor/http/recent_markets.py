"""The last hour of each market, as the port's page draws it: in memory, bounded, and no part of the
engine's state. It begins anew where another member takes the venue stage over.

The stage's thread adds samples; whoever reads takes the samples that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.cascades import RATE, SHARES, SHOCK, SURVIVES, as_fraction
from monitor.core.bands.inputs import mark_prices
from monitor.core.bands.kernels.arrays import Float32
from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.bands.market_bands import MarketBands, VenueBands
from monitor.core.contract.feature_catalogue import NEAR_DEPTH_BPS
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.event_time.clock_state import NEVER
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS
from monitor.core.venue.state import VenueState
from monitor.errors import BusyError, UnknownNameError, nearest_name

EVERY_NS = 5 * SECOND_NS
"""Event time between two samples."""
SAMPLES_MAX = 720
"""An hour of them."""
BYTES_MAX = 32 << 20
"""Of all samples: some 80,000 of a market, an hour of 110 markets, or less of more."""
ROWS_MAX = 500
"""Markets in an overview: those with the most notional forced near the mark."""
ZONES_TOGETHER = 5
BINS = 40
"""On each side of the mark, of `ZONES_TOGETHER` zones: 25 bps each, up to 10 %."""
COLUMNS = (
    "price", "spread_bps", "bid_depth", "ask_depth", "forced_long", "forced_short", "survives",
    "r_down", "r_up", "critical_down", "critical_up",
)  # fmt: skip
"""The numbers of one market; NaN: not known, or none.

`price`: the mark, or the middle of the book where there is no mark. Depth: price × quantity within
`NEAR_DEPTH_BPS` of the middle. What is forced: `MarketBands.forced_near`, quote currency. R and
critical shocks (fractions of the mark): for the share `survives` of the book.
"""
PRICE, SPREAD, BID_DEPTH, ASK_DEPTH, FORCED_LONG, FORCED_SHORT, SURVIVING = range(7)
R, CRITICAL = 7, 9
"""First of the two columns, falls before rises."""


class MarketSample(NamedTuple):
    """All markets at one moment `ts`, ns.

    `rows`: the row of each market; `numbers` (rows, `COLUMNS`); `forced` (rows, 2 · `BINS`):
    notional forced by distance from the mark, quote currency, the furthest below it first.
    """

    ts: int
    rows: Mapping[str, int]
    numbers: Float64
    forced: Float32

    @property
    def size(self) -> int:
        """Bytes."""
        return self.numbers.nbytes + self.forced.nbytes


class RecentMarkets:
    """Samples of one venue stage, the oldest first."""

    def __init__(self) -> None:
        self._samples: tuple[MarketSample, ...] = ()
        self._bands: VenueBands | None = None
        self._next_ns = NEVER

    def take(self, venue: VenueState, bands: VenueBands | None) -> None:
        """Add a sample if it is time, between two steps of the stage. `bands`: the newest ones;
        None: there are none since the last call."""
        self._bands = bands or self._bands
        ts = venue.passed_ns
        if ts < self._next_ns or not len(venue.ledger.symbols):
            return
        self._next_ns = ts + EVERY_NS
        last = self._samples[-1].rows if self._samples else {}
        samples = (*self._samples, sample_markets(ts, venue, self._bands, last))[-SAMPLES_MAX:]
        total = sum(sample.size for sample in samples)
        while total > BYTES_MAX and len(samples) > 1:
            total -= samples[0].size
            samples = samples[1:]
        self._samples = samples

    def overview(self) -> dict[str, Any]:
        """Each market's last numbers; raises `BusyError` before the first sample."""
        last = self._newest()
        near = np.nansum(last.numbers[:, [FORCED_LONG, FORCED_SHORT]], axis=1)
        names = sorted(last.rows, key=lambda name: (-near[last.rows[name]], name))
        return {
            "ts": last.ts,
            "left_out": len(names) - len(names[:ROWS_MAX]),
            "markets": [
                {
                    "symbol": name,
                    **dict(zip(COLUMNS, _plain(last.numbers[last.rows[name]]), strict=True)),
                }
                for name in names[:ROWS_MAX]
            ],
        }

    def history(self, symbol: str, after_ns: int) -> dict[str, Any]:
        """One market's samples behind a moment: `ts`, a list for each of `COLUMNS`, and `forced`,
        for each sample pairs of a bin (0: the first above the mark, −1: the first below) and its
        notional. Raises `UnknownNameError`, and `BusyError` before the first sample."""
        last, samples = self._newest(), self._samples
        if symbol not in last.rows:
            mend = nearest_name(symbol, [*last.rows], "/markets lists them")
            raise UnknownNameError(f"no market {symbol}: {mend}")
        chosen = [one for one in samples if one.ts > after_ns and symbol in one.rows]
        numbers = [_plain(one.numbers[one.rows[symbol]]) for one in chosen]
        return {
            "symbol": symbol,
            "bin_bps": ZONES_TOGETHER * BIN_WIDTH * 1e4,
            "ts": [one.ts for one in chosen],
            **{name: [row[n] for row in numbers] for n, name in enumerate(COLUMNS)},
            "forced": [_pairs(one.forced[one.rows[symbol]]) for one in chosen],
        }

    def _newest(self) -> MarketSample:
        if not self._samples:
            raise BusyError("no second of the venue is decided yet: ask again in a few seconds")
        return self._samples[-1]


def sample_markets(
    ts: int, venue: VenueState, bands: VenueBands | None, last: Mapping[str, int]
) -> MarketSample:
    """The markets as of `ts`. `last`: rows of the sample before, kept where they are the same."""
    marks, books = venue.trusted_marks.data, venue.last_books.data
    count = min(len(venue.ledger.symbols), len(marks), len(books))
    names = venue.ledger.symbols.names(np.arange(count))
    numbers = np.full((count, len(COLUMNS)), np.nan)
    sides = [_ladder(books[:count], best) for best in (BEST_BID, BEST_ASK)]
    bid, ask = (prices[:, 0] for prices, _ in sides)
    has_book = (bid > 0) & (ask > 0)
    middle = np.where(has_book, (bid + ask) / 2, np.nan)
    mark = mark_prices(marks[:count])
    numbers[:, PRICE] = np.where(np.isnan(mark), middle, mark)
    numbers[:, SPREAD] = (ask - bid) / middle * 1e4
    reach = NEAR_DEPTH_BPS / 1e4 * middle[:, None]
    for column, (prices, notional) in zip((BID_DEPTH, ASK_DEPTH), sides, strict=True):
        is_near = np.abs(prices - middle[:, None]) <= reach
        numbers[:, column] = np.where(has_book, np.sum(notional, 1, where=is_near), np.nan)
    rows = {name: row for row, name in enumerate(names)}
    forced = np.zeros((count, 2 * BINS), np.float32)
    for market in () if bands is None else bands.markets:
        row = rows.get(market.symbol)
        if row is not None:
            _read_bands(market, numbers[row], forced[row])
    return MarketSample(ts, last if rows == last else rows, numbers, forced)


def _ladder(books: Int64, best: int) -> tuple[Float64, Float64]:
    """Prices and notional of one side of each book, (books, `LEVELS`)."""
    prices = to_floats(books[:, best : best + LEVELS])
    return prices, prices * to_floats(books[:, best + LEVELS : best + 2 * LEVELS])


def _read_bands(market: MarketBands, numbers: Float64, forced: Float32) -> None:
    """Fill in what the bands say of one market."""
    numbers[[FORCED_LONG, FORCED_SHORT]] = market.forced_near
    for side, cells in enumerate(market.zones):
        at = cells.zone // ZONES_TOGETHER
        units = np.bincount(at, cells.units, BINS)[:BINS] / MONEY_SCALE
        if side == 0:
            forced[:BINS] = units[::-1]
        else:
            forced[BINS:] = units
    if market.cascade is None:
        return
    share = 0 if market.cascade.shown is None else SHARES - 1
    numbers[SURVIVING] = market.cascade.shown if share else SURVIVES[0]
    for side, answers in enumerate(market.cascade.sides):
        rate, shock = answers.answers[share, [RATE, SHOCK]].tolist()
        numbers[R + side] = rate
        numbers[CRITICAL + side] = as_fraction(shock, side) if shock == shock else np.nan


def _plain(numbers: Float64) -> list[float | None]:
    """Six digits; None for NaN."""
    return [None if number != number else float(f"{number:.6g}") for number in numbers.tolist()]


def _pairs(forced: Float32) -> list[tuple[int, float]]:
    at = np.flatnonzero(forced)
    amounts = [float(f"{amount:.3g}") for amount in forced[at].tolist()]
    return list(zip((at - BINS).tolist(), amounts, strict=True))
