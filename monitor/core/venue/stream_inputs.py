"""What the records of one interval of the bands did to margin: inputs of the venue's streams.

Each record that counts to a stream makes one row (`feature_catalogue.VENUE_FEATURES`). Rows come in
the order in which records were applied, so that sums of floats are the same for the same records.
What is a stock and no flow (forced notional against the book) is read from the bands.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectors.arrays.types import F1, I1, I2, INT, Bool, Float64, Int64
from monitor.core.accounts import ledger_kernels as ledger
from monitor.core.accounts.ledger_kernels import ADJUSTMENT, FILL, LEVERAGE, MOVE
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES
from monitor.core.bands.market_bands import NEAR_FRACTION, Markets
from monitor.core.contract.feature_catalogue import HIGH_LEVERAGE, VENUE_FEATURES
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.finding import OffsetRange
from monitor.core.marks.market_rows import INDEX, MARK, VALUES
from monitor.core.venue.state import VenueState

TIER_REACH = 0.1
"""A position is near a tier bound when its notional lies below it by less than this part of it."""
OPENED_MIN = 0.1
"""Percent of the near depth: opening less than a thousandth of it puts no pressure on the book."""
NEAR_DEPTH_FRACTION = 0.0025
"""The near depth is what the book offers within 25 bps of the mark."""
VENUE_COLUMN = {name: i for i, name in enumerate(VENUE_FEATURES)}
"""The column of each of the venue's streams."""
_RAISED, _RAISED_NEAR_TIER, _OPENED_HIGH, _CHURNED, _UNEXPLAINED = (
    VENUE_COLUMN[name]
    for name in (
        "raised_notional", "raised_near_tier", "opened_high_to_depth", "churned_notional",
        "unexplained",
    )
)  # fmt: skip
_NO_ENTRIES = np.empty((0, len(ledger.ENTRY_COLUMNS)), np.int64)
_KINDS = {LEVERAGE: "leverage", FILL: "fill", MOVE: "collateral"}
_NEAR_EDGES = slice(np.count_nonzero(round(NEAR_FRACTION / BIN_WIDTH) >= EDGE_ZONES))
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
    parts = [_counted_entries(venue, *change, depth) for change in venue.changes]
    if len(parts) == 1:
        return parts[0]
    none = StreamRows(_NO_ENTRIES, np.empty(0, np.int64), np.empty(0))
    return StreamRows(*(np.concatenate(column) for column in zip(none, *parts, strict=True)))


def running_streams(venue: VenueState) -> Bool:
    """By stream: whether the interval that was applied last shows that its feed runs.

    A venue that names the accounts of fills or of changes of leverage would tell of both.
    """
    runs = np.zeros(len(VENUE_COLUMN), np.bool_)
    for entries, _ in venue.changes:
        is_move = entries[:, ledger.OP] == MOVE
        runs[_UNEXPLAINED] |= is_move.any()
        runs[[_RAISED, _RAISED_NEAR_TIER, _OPENED_HIGH, _CHURNED]] |= not is_move.all()
    return runs


def _counted_entries(
    venue: VenueState, entries: Int64, effects: Int64, depth: Float64
) -> StreamRows:
    """Entries that count, the stream of each and its amount; one may count to two streams."""
    places, streams = np.empty((2, 2 * len(entries)), np.int64)
    amounts = np.empty(2 * len(entries))
    count = _count_entries(
        entries, effects, venue.trusted_marks.data, depth, places, streams, amounts
    )
    raised = np.flatnonzero(streams[:count] == _RAISED)
    for i in raised[_near_tier(venue, entries[places[raised], ledger.SYMBOL], amounts[raised])]:
        places[count], streams[count], amounts[count] = places[i], _RAISED_NEAR_TIER, amounts[i]
        count += 1
    return StreamRows(entries[places[:count]], streams[:count], amounts[:count])


@njit(INT(I2, I2, I2, F1, I1, I1, F1), cache=True, nogil=True, error_model="numpy")
def _count_entries(entries, effects, marks, depth, places, streams, amounts):  # type: ignore[no-untyped-def]
    """Write the place, the stream and the amount of what counts; how many there are. An entry has
    at most one here: what is near a tier bound is looked for afterwards, among what was raised.

    `marks` (symbols, `MARK_VALUES`): the last trusted ones. `depth`: by symbol number.
    """
    n = 0
    for i in range(entries.shape[0]):
        entry, effect = entries[i], effects[i]
        operation, symbol = entry[ledger.OP], entry[ledger.SYMBOL]
        if operation == MOVE:
            if entry[ledger.MOVE_CAUSE] == ADJUSTMENT and entry[ledger.MOVE_AMOUNT] != 0:
                places[n], streams[n] = i, _UNEXPLAINED
                amounts[n] = abs(entry[ledger.MOVE_AMOUNT]) / MONEY_SCALE
                n += 1
            continue
        if symbol < 0:
            continue
        code = marks[symbol, MARK - VALUES]
        code = marks[symbol, INDEX - VALUES] if code == ABSENT else code
        if code == ABSENT:
            continue
        mark = to_float(code)
        if operation == LEVERAGE:
            amount = to_float(effect[ledger.OPEN_SIZE]) * mark
            if 0 < effect[ledger.BEFORE] < effect[ledger.AFTER] and amount > 0.0:
                places[n], streams[n], amounts[n] = i, _RAISED, amount
                n += 1
        if operation != FILL:
            continue
        if effect[ledger.AFTER] >= HIGH_LEVERAGE * SCALE and depth[symbol] > 0.0:
            amount = 100.0 * to_float(effect[ledger.OPENED_SIZE]) * mark / depth[symbol]
            if amount >= OPENED_MIN:
                places[n], streams[n], amounts[n] = i, _OPENED_HIGH, amount
                n += 1
        closed, gain = effect[ledger.CLOSED_SIZE], effect[ledger.GAIN]
        # The fee of the fill that closes stands for that of the fill that opened, too.
        if closed > 0 and gain <= 0 and gain - 2 * entry[ledger.FILL_FEE] > 0:
            amount = to_float(closed) * mark
            if amount > 0.0:
                places[n], streams[n], amounts[n] = i, _CHURNED, amount
                n += 1
    return n


def _near_tier(venue: VenueState, symbols: Int64, notional: Float64) -> Bool:
    """Whether each notional lies just below a bound of its market's tiers."""
    near = np.zeros(len(symbols), np.bool_)
    for number in np.unique(symbols).tolist() if len(symbols) else ():
        (name,) = venue.ledger.symbols.names(np.array([number]))
        if name not in venue.market_rules:
            continue
        tiers = venue.market_rules[name][1]
        if tiers.by_contracts:
            continue
        bounds = np.array([float(row.lower_bound) for row in tiers.rows[1:]] + [np.inf])
        rows = np.flatnonzero(symbols == number)
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
