"""What the records of one moment's cell did to margin: the numbers that `feature_catalogue.py` watches.

One row for each record that counts to a stream; what is held in stock (forced notional against the
book) is read from the bands. Rows come in the order in which the records were applied, so that sums
of floats are the same for the same records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.accounts.ledger_kernels import (
    ADJUSTMENT,
    EFFECT_COLUMNS,
    ENTRY_COLUMNS,
    FILL,
    LEVERAGE,
    MOVE,
)
from monitor.core.bands.inputs import Floats, mark_prices
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES
from monitor.core.bands.market_bands import NEAR_FRACTION, MarketBands
from monitor.core.contract.feature_catalogue import HIGH_LEVERAGE, VENUE_FEATURES
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import Int64
from monitor.core.venue.state import VenueState

TIER_REACH = 0.1
"""A position is near a tier bound when its notional lies less than this part below it."""
OPENED_MIN = 0.1
"""Opening less than a thousandth of the near depth, in percent, presses on no book."""
VENUE_COLUMN = {name: i for i, name in enumerate(VENUE_FEATURES)}
_KINDS = {LEVERAGE: "leverage", FILL: "fill", MOVE: "collateral"}
_NEAR_EDGES = np.less_equal(EDGE_ZONES, round(NEAR_FRACTION / BIN_WIDTH))
_TOUCH = int(np.flatnonzero(round(0.0025 / BIN_WIDTH) == EDGE_ZONES)[0])
"""The edge 25 bps away."""


@dataclass(frozen=True, slots=True)
class StreamRows:
    """Records of a cell that count to the streams, a row each."""

    stream: Int64
    """As in `VENUE_COLUMN`."""
    symbol: Int64
    """Number among the accounts' symbols; −1: none."""
    account: Int64
    """Number among the accounts' names."""
    amount: Floats
    """In the stream's unit, > 0."""
    kind: list[str]
    partition: Int64
    offset: Int64


def stream_rows(venue: VenueState, depth: dict[int, float]) -> StreamRows:
    """Of the cell that was applied last. `depth`: within 25 bps of the thinner side, by symbol."""
    parts = [_rows(venue, *change, depth) for change in venue.changes]
    parts = [part for part in parts if len(part[0])]
    if not parts:
        none = np.empty(0, np.int64)
        return StreamRows(none, none, none, np.empty(0), [], none, none)
    entries = np.concatenate([part[0] for part in parts])
    column = {name: entries[:, i] for i, name in enumerate(ENTRY_COLUMNS)}
    return StreamRows(
        np.concatenate([part[1] for part in parts]),
        np.where(column["op"] == MOVE, -1, column["symbol"]),
        column["account"],
        np.concatenate([part[2] for part in parts]),
        [_KINDS[op] for op in column["op"].tolist()],
        column["partition"],
        column["offset"],
    )


def _rows(
    venue: VenueState, entries: Int64, moved: Int64, depth: dict[int, float]
) -> tuple[Int64, Int64, Floats]:
    """Entries that count, the stream of each and its amount; one may count to two streams."""
    e = {name: entries[:, i] for i, name in enumerate(ENTRY_COLUMNS)}
    m = {name: moved[:, i] for i, name in enumerate(EFFECT_COLUMNS)}
    mark = np.where(e["symbol"] >= 0, mark_prices(venue.trusted_marks.data[e["symbol"]]), np.nan)
    raised = (e["op"] == LEVERAGE) & (m["before"] > 0) & (m["leverage"] > m["before"])
    held = m["held"] / SCALE * mark
    high = (e["op"] == FILL) & (m["leverage"] >= HIGH_LEVERAGE * SCALE)
    thin = np.array([depth.get(symbol, np.nan) for symbol in e["symbol"].tolist()])
    opened = 100.0 * m["opened"] / SCALE * mark / np.where(thin > 0.0, thin, np.nan)
    # The fee of the fill that closes stands for that of the one that opened, too.
    paid = m["gain"] - 2 * np.where(e["op"] == FILL, e["c"], 0)
    churned = (e["op"] == FILL) & (m["closed"] > 0) & (m["gain"] <= 0) & (paid > 0)
    moves = (e["op"] == MOVE) & (e["b"] == ADJUSTMENT)
    found = (
        ("raised_notional", raised, held),
        ("raised_near_tier", raised & _near_tier(venue, e["symbol"], held, raised), held),
        ("opened_high_to_depth", high & (opened >= OPENED_MIN), opened),
        ("churned_notional", churned, m["closed"] / SCALE * mark),
        ("unexplained", moves, np.abs(e["a"]) / MONEY_SCALE),
    )
    rows, streams, amounts = [], [], []
    for name, counts, amount in found:
        at = np.flatnonzero(counts & (amount > 0.0))
        rows.append(entries[at])
        streams.append(np.full(len(at), VENUE_COLUMN[name]))
        amounts.append(amount[at])
    return np.concatenate(rows), np.concatenate(streams), np.concatenate(amounts)


def _near_tier(
    venue: VenueState, symbol: Int64, held: Floats, asked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether a notional lies just below a bound of its market's tiers."""
    near = np.zeros(len(symbol), np.bool_)
    for number in np.unique(symbol[asked]).tolist():
        name = venue.ledger.symbols.names(np.array([number]))[0]
        if name not in venue.market_rules:
            continue
        tiers = venue.market_rules[name][1]
        bounds = np.array([float(row.lower_bound) for row in tiers.rows[1:]] + [np.inf])
        at = np.flatnonzero(asked & (symbol == number) & (held == held))
        above = bounds[np.searchsorted(bounds, held[at], side="right")]
        near[at] = held[at] >= (1.0 - TIER_REACH) * above
    return near


def forced_to_depth(market: MarketBands) -> float:
    """The most that is forced within a distance from the mark, over what the book takes within the
    same distance: of both sides and all edges within `NEAR`. NaN: no book.

    A book that holds nothing at all there takes nothing, which is no ratio: NaN as well.
    """
    forced = market.within[:, _NEAR_EDGES] / MONEY_SCALE
    room = market.depth[:, _NEAR_EDGES]
    known = room > 0.0
    return float((forced[known] / room[known]).max()) if known.any() else float("nan")


def thinner_depth(market: MarketBands) -> float:
    """Depth within 25 bps of the thinner side, quote currency; NaN: no book."""
    return float(market.depth[:, _TOUCH].min())
