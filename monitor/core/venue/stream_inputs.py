"""What the records of one interval of the bands did to margin: inputs of the venue's streams.

Each record that counts to a stream makes one row (`feature_catalogue.VENUE_FEATURES`). Rows come in
the order in which records were applied, so that sums of floats are the same for the same records.
What is a stock and no flow (forced notional against the book) is read from the bands.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.accounts import ledger_kernels as ledger
from monitor.core.accounts.ledger_kernels import ADJUSTMENT, FILL, LEVERAGE, MOVE
from monitor.core.bands.inputs import mark_prices
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES
from monitor.core.bands.market_bands import NEAR_FRACTION, Markets
from monitor.core.contract.feature_catalogue import HIGH_LEVERAGE, VENUE_FEATURES
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.finding import OffsetRange
from monitor.core.venue.state import VenueState

TIER_REACH = 0.1
"""A position is near a tier bound when its notional lies below it by less than this part of it."""
OPENED_MIN = 0.1
"""Percent of the near depth: opening less than a thousandth of it puts no pressure on the book."""
NEAR_DEPTH_FRACTION = 0.0025
"""The near depth is what the book offers within 25 bps of the mark."""
VENUE_COLUMN = {name: i for i, name in enumerate(VENUE_FEATURES)}
"""The column of each of the venue's streams."""
_OF_MOVES = [VENUE_COLUMN["unexplained"]]
_OF_POSITIONS = [
    VENUE_COLUMN[name]
    for name in ("raised_notional", "raised_near_tier", "opened_high_to_depth", "churned_notional")
]
_KINDS = {LEVERAGE: "leverage", FILL: "fill", MOVE: "collateral"}
_NEAR_EDGES = np.less_equal(EDGE_ZONES, round(NEAR_FRACTION / BIN_WIDTH))
_NEAR_DEPTH_EDGE = int(np.flatnonzero(round(NEAR_DEPTH_FRACTION / BIN_WIDTH) == EDGE_ZONES)[0])


class StreamRows(NamedTuple):
    """Records of an interval that count to the streams, a row each: its entry (`ENTRY_COLUMNS`),
    its stream as in `VENUE_COLUMN`, and its amount in the stream's unit, > 0.
    """

    entries: Int64
    stream: Int64
    amount: Float64

    @property
    def symbol(self) -> Int64:
        """Number among the ledger's symbols; −1: none."""
        return np.where(self.entries[:, ledger.OP] == MOVE, -1, self.entries[:, ledger.SYMBOL])

    def ranges(self, rows: Int64) -> list[OffsetRange]:
        """Where the records of these rows lie."""
        places = self.entries[rows][:, [ledger.OP, ledger.OFFSET, ledger.PARTITION]].tolist()
        return [
            OffsetRange(_KINDS[op], offset, offset, partition) for op, offset, partition in places
        ]


def stream_rows(venue: VenueState, depth: Float64) -> StreamRows:
    """Of the interval that was applied last. `depth`: by symbol number, `thinner_depth`."""
    none = np.empty((0, len(ledger.ENTRY_COLUMNS)), np.int64), np.empty(0, np.int64), np.empty(0)
    parts = [none, *(_counted_entries(venue, *change, depth) for change in venue.changes)]
    return StreamRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def running_streams(venue: VenueState) -> Bool:
    """By stream: whether the interval that was applied last shows that its feed runs.

    A venue that names the accounts of fills or of changes of leverage would tell of both.
    """
    runs = np.zeros(len(VENUE_COLUMN), np.bool_)
    for entries, _ in venue.changes:
        is_move = entries[:, ledger.OP] == MOVE
        runs[_OF_MOVES] |= is_move.any()
        runs[_OF_POSITIONS] |= not is_move.all()
    return runs


def _counted_entries(
    venue: VenueState, entries: Int64, effects: Int64, depth: Float64
) -> tuple[Int64, Int64, Float64]:
    """Entries that count, the stream of each and its amount; one may count to two streams."""
    operation, symbol = entries[:, ledger.OP], entries[:, ledger.SYMBOL]
    changes_leverage, is_fill, is_move = (operation == op for op in (LEVERAGE, FILL, MOVE))
    before, after = effects[:, ledger.BEFORE], effects[:, ledger.AFTER]
    mark = np.where(symbol >= 0, mark_prices(venue.trusted_marks.data[symbol]), np.nan)
    raised = changes_leverage & (before > 0) & (after > before)
    notional = to_floats(effects[:, ledger.OPEN_SIZE]) * mark
    high = is_fill & (after >= HIGH_LEVERAGE * SCALE)
    near_depth = np.where(symbol >= 0, depth[symbol], np.nan)
    near_depth = np.where(near_depth > 0.0, near_depth, np.nan)
    opened = 100.0 * to_floats(effects[:, ledger.OPENED_SIZE]) * mark / near_depth
    closed, gain = effects[:, ledger.CLOSED_SIZE], effects[:, ledger.GAIN]
    # The fee of the fill that closes stands for that of the fill that opened, too.
    profit = gain - 2 * np.where(is_fill, entries[:, ledger.FILL_FEE], 0)
    churned = is_fill & (closed > 0) & (gain <= 0) & (profit > 0)
    unexplained = is_move & (entries[:, ledger.MOVE_CAUSE] == ADJUSTMENT)
    near_tier = raised & _near_tier(venue, symbol, notional, raised)
    streams = {
        "raised_notional": (raised, notional),
        "raised_near_tier": (near_tier, notional),
        "opened_high_to_depth": (high & (opened >= OPENED_MIN), opened),
        "churned_notional": (churned, to_floats(closed) * mark),
        "unexplained": (unexplained, np.abs(entries[:, ledger.MOVE_AMOUNT]) / MONEY_SCALE),
    }
    rows = {name: np.flatnonzero(mask & (amount > 0)) for name, (mask, amount) in streams.items()}
    return (
        np.concatenate([entries[i] for i in rows.values()]),
        np.concatenate([np.full(len(i), VENUE_COLUMN[name]) for name, i in rows.items()]),
        np.concatenate([streams[name][1][i] for name, i in rows.items()]),
    )


def _near_tier(venue: VenueState, symbol: Int64, notional: Float64, mask: Bool) -> Bool:
    """Where a notional lies just below a bound of its market's tiers; only rows of `mask`."""
    near = np.zeros(len(symbol), np.bool_)
    for number in np.unique(symbol[mask]).tolist():
        name = venue.ledger.symbols.names(np.array([number]))[0]
        if name not in venue.market_rules:
            continue
        tiers = venue.market_rules[name][1]
        bounds = np.array([float(row.lower_bound) for row in tiers.rows[1:]] + [np.inf])
        rows = np.flatnonzero(mask & (symbol == number) & ~np.isnan(notional))
        next_bound = bounds[np.searchsorted(bounds, notional[rows], side="right")]
        near[rows] = notional[rows] >= (1.0 - TIER_REACH) * next_bound
    return near


def forced_to_depth(markets: Markets) -> Float64:
    """What is forced within a distance of the mark, over the book's depth within that distance: of
    each market the highest ratio of both sides and all distances up to `NEAR_FRACTION`. NaN: no
    depth, or the mark is in doubt.
    """
    forced = markets.within[:, :, _NEAR_EDGES] / MONEY_SCALE
    depth = markets.depth[:, :, _NEAR_EDGES]
    ratio = np.full(depth.shape, -np.inf)
    np.divide(forced, depth, out=ratio, where=depth > 0.0)
    highest: Float64 = ratio.max(axis=(1, 2), initial=-np.inf)
    highest[highest == -np.inf] = np.nan
    if markets.at_market:
        highest[[name in markets.at_market for name in markets.symbols]] = np.nan
    return highest


def thinner_depth(markets: Markets) -> Float64:
    """The near depth of each market's thinner side, quote currency; NaN: no book."""
    depth: Float64 = markets.depth[:, :, _NEAR_DEPTH_EDGE].min(axis=1)
    return depth
