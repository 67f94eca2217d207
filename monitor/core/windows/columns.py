"""The columns of all that is kept of a window: their names, meanings and units."""

from __future__ import annotations

from monitor.core.contract.feature_catalogue import BAND_BPS

KINDS = ("order", "cancel", "fill", "leverage", "book", "mark")
"""The kinds of record that a shard reads, in the order of the offset columns."""

ACCOUNT_COUNTS = ("orders", "cancels", "fills", "leverage")
"""What is counted for every account in a window: records of the first four kinds."""
CONCENTRATION_COLUMNS = ("accounts", "total", "top", "squares")
"""Of one count over all accounts: how many have any, their sum, the highest, the sum of squares."""

SUMS = (
    "orders_buy", "orders_sell", "order_notional_buy", "order_notional_sell",
    "market_orders", "replaces",
    "cancels_buy", "cancels_sell", "cancels_unsided",
    "cancel_notional_buy", "cancel_notional_sell", "cancel_notional_unsided",
    "completed", "cancels_aged", "cancels_100ms", "cancels_1s",
    "trades_buy", "trades_sell", "trade_notional_buy", "trade_notional_sell",
    "maker_fills", "liquidations", "liquidation_notional",
    "leverage_changes", "leverage_raises", "books", "crossed_books", "locked_books", "marks",
    "maker_notional_buy", "maker_notional_sell", "fees", "rebates", "takers", "taker_fills",
    "leverage_compared", "leverage_doublings", "leverage_first_high", "mode_switches", "late",
    *(f"{kind}_numbered" for kind in KINDS),
)  # fmt: skip
"""Counts of records; notional, fees and rebates in 1e-6 of the quote currency.

- `completed`: removals of orders that were filled to the end; they are not cancels.
- `cancels_aged`: cancels whose order's age is known; `cancels_100ms`, `cancels_1s`: younger ones.
- `takers`: different orders that took liquidity, among the `taker_fills` that name their order.
- `leverage_compared`: changes that name the leverage before; `leverage_raises`: of these, those
  upwards; `leverage_doublings`: log2 of new over old of the raises, in 1 / `DOUBLING_UNITS`.
- `crossed_books`, `locked_books`: those whose best bid is above the best ask, or at it.
- `late`: records that came too late for their own window. They count in the window that was
  current when they arrived.
- numbered: records of each kind that carry the venue's own sequence number."""

DOUBLING_UNITS = 1 << 20
"""One doubling of leverage in `leverage_doublings`."""

MINIMA = (
    "buy_low", "buy_high", "sell_low", "sell_high", "behind",
    *(f"{kind}_seq_{end}" for kind in KINDS for end in ("low", "high")),
)  # fmt: skip
"""The lowest value of each; of every `high` and of `behind` the highest, with its sign turned.

Prices of takers' fills by side, codes; `behind`: how far a record ran behind the highest event time
of its topic partition, ns; seq: the venue's own sequence numbers by kind."""
NO_MINIMUM = 2**62
"""Where there was none."""

BOOK_COLUMNS = (
    "ts", "offset", "bid", "ask", "mid",
    *(f"depth_{bps}bps_bid" for bps in BAND_BPS), *(f"depth_{bps}bps_ask" for bps in BAND_BPS),
    "reach_bid", "reach_ask", "cost_buy", "cost_sell",
    "crossed_ts", "crossed_offset", "crossed_bid", "crossed_ask",
)  # fmt: skip
"""The last book of a window that is not crossed: event time in ns (`NEVER`: no book), prices as
codes, depth in 1e-6 of the quote currency; how far the last level of each side lies from the mid,
and the cost to trade a given notional, as distances from the mid in 1e-8. Then the last crossed
one."""

LADDER_LEVELS = 20
"""The best levels of each side that are compared with those of the window before."""
BID_PRICES, BID_SIZES, ASK_PRICES, ASK_SIZES = (
    slice(k * LADDER_LEVELS, (k + 1) * LADDER_LEVELS) for k in range(4)
)
"""The parts of a row of ladders: codes; price 0 where there is no level."""
LADDER_WIDTH = 4 * LADDER_LEVELS

MARK_COLUMNS = ("mark", "index", "last", "funding_rate", "funding_interval_s", "open_interest")
"""The last value of each, after its event time and offset: see `MARK_WIDTH`."""
MARK_TS, MARK_OFFSET, MARK_VALUE, MARK_WIDTH = range(4)
"""The columns of one value in a row of marks, and how many there are."""

CANCEL_COLUMNS = ("row", "side", "price", "notional", "account")
"""A cancel with a price and a side; `account`: the hash of its name, 0 where there is none."""
LEVERAGE_CHANGE_COLUMNS = ("row", "ts", "offset", "key", "mode")
"""A change of leverage; `key`: a hash of symbol and account; `mode`: its margin mode."""
TAKER_COLUMNS = ("row", "order")
"""A taker's fill that names its order, by the hash of its id."""
UNAGED_CANCEL_COLUMNS = ("row", "ts", "order")
"""A cancel that does not tell its order's age, with the hash of the order's id."""
PLACEMENT_COLUMNS = ("ts", "order")
"""The placement of an order, by the hash of its id."""

NEAR_TOUCH_COLUMNS = ("priced", "near", "near_notional", "near_named", "near_top")
"""Of a window's cancels: how many have a price, and a book before them; how many of those are near
the touch; the notional of these (1e-6), of those of them that name an account, and of the account
that has most."""
