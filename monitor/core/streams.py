"""Every number that is made of a window, in one table: what it is, its layer, and its words.

Light: nothing here computes. `features.py` makes the numbers, `explain.py` the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BAND_BPS = (5, 10, 25, 50, 100)
"""Distances from the mid within which depth is summed, bps."""
NEAR_BPS = 5
"""A cancel this near to the best price of its side is a cancel near the touch, bps."""
HIGH_LEVERAGE = 20
"""Leverage that an account begins with counts as high from here: a move of a few percent ends it,
and it is the most that large venues give beyond their two largest markets."""

Layer = Literal["data", "pricing", "margin", "execution", "post_trade"]
Form = Literal["count", "amount", "share", "level", "signed"]
"""What a sentence does with a number: counts and amounts of a window add up to a rate; a share is
told in percent, a level in its unit beside its usual; a signed level has no ratio."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of one number."""

    unit: str
    layer: Layer
    form: Form
    noun: str
    """As a sentence begins with it."""
    records: tuple[str, ...]
    """The kinds of records that it is made of."""
    kind: str | None = None
    """The kind of alert, where it has a name of its own beside its detector's."""
    carrier: str | None = None
    """The count by account that tells who carries it (`windows.ACCOUNT_COUNTS`)."""
    down: bool = False
    """Whether it is a fall that hurts."""

    @property
    def plural(self) -> bool:
        """Whether the noun takes a verb in the plural."""
        return self.form == "count"


_QUOTE, _BPS, _ACCOUNTS = "quote currency", "bps of the mid", "accounts"
_AGED = "share of the cancels of known age"
_PRICED = "share of the cancels of known price"
_ORDER, _CANCEL, _FILL, _LEVERAGE = ("order",), ("cancel",), ("fill",), ("leverage",)
_BOOK, _MARK = ("book",), ("mark",)
_ALL = ("order", "cancel", "fill", "leverage", "book", "mark")
_SURGE, _THIN = "leverage_surge", "thin_book"

TABLE: dict[str, Stream] = {
    "orders": Stream("orders", "execution", "count", "orders", _ORDER, carrier="orders"),
    "order_notional": Stream(
        _QUOTE, "execution", "amount", "notional of orders", _ORDER, carrier="orders"
    ),
    "cancels": Stream("cancels", "execution", "count", "cancels", _CANCEL, carrier="cancels"),
    "cancel_notional": Stream(
        _QUOTE, "execution", "amount", "cancelled notional", _CANCEL, carrier="cancels"
    ),
    "cancel_imbalance": Stream(
        "(buy − sell) / cancelled notional", "execution", "signed", "imbalance of cancels", _CANCEL
    ),
    "cancels_to_orders": Stream(
        "cancels an order", "execution", "level", "cancels an order", ("order", "cancel"),
        carrier="cancels",
    ),
    "cancels_100ms_share": Stream(
        _AGED, "execution", "share", "cancels within 100 ms", _CANCEL, carrier="cancels"
    ),
    "cancels_1s_share": Stream(
        _AGED, "execution", "share", "cancels within 1 s", _CANCEL, carrier="cancels"
    ),
    "cancels_near": Stream(
        "cancels", "execution", "count", "cancels near the touch", ("cancel", "book"),
        carrier="cancels",
    ),
    "cancels_near_share": Stream(
        _PRICED, "execution", "share", "cancels near the touch", ("cancel", "book"),
        carrier="cancels",
    ),
    "cancels_near_notional": Stream(
        _QUOTE, "execution", "amount", "notional cancelled near the touch", ("cancel", "book"),
        carrier="cancels",
    ),
    "cancels_near_top_share": Stream(
        "share of one account", "execution", "share", "notional cancelled near the touch by one",
        ("cancel", "book"), carrier="cancels",
    ),
    "layering": Stream(
        "times the usual depth within 25 bps", "execution", "level",
        "one side's cancels, unfilled, before the price moved through it,",
        ("cancel", "fill", "book"), kind="layering", carrier="cancels",
    ),
    "trades": Stream("trades", "execution", "count", "trades", _FILL, carrier="fills"),
    "trade_notional": Stream(_QUOTE, "execution", "amount", "traded notional", _FILL),
    "trade_imbalance": Stream(
        "(bought − sold) / traded notional", "execution", "signed", "imbalance of trades", _FILL
    ),
    "fills_per_taker": Stream(
        "fills an order", "execution", "level", "fills that one taking order needs", _FILL
    ),
    "sweep_bps": Stream(
        "bps of the price", "execution", "level", "prices swept by one side", _FILL, kind="sweep",
        carrier="fills",
    ),
    "liquidations": Stream("liquidations", "post_trade", "count", "liquidations", _FILL),
    "liquidation_notional": Stream(
        _QUOTE, "post_trade", "amount", "liquidated notional", _FILL
    ),
    "fees": Stream(_QUOTE, "post_trade", "amount", "fees", _FILL),
    "rebates": Stream(_QUOTE, "post_trade", "amount", "rebates", _FILL),
    "rebates_to_fees": Stream(
        "share of the fees", "post_trade", "share", "rebates", _FILL, kind="rebate_churn"
    ),
    "leverage_changes": Stream(
        "leverage changes", "margin", "count", "leverage changes", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_raises": Stream(
        "leverage raises", "margin", "count", "leverage raises", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_raises_share": Stream(
        "share of the changes that tell what was before", "margin", "share", "leverage raises",
        _LEVERAGE, _SURGE, "leverage",
    ),
    "leverage_doublings": Stream(
        "doublings", "margin", "count", "doublings of leverage", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_first_high": Stream(
        f"accounts that begin at {HIGH_LEVERAGE}x or more", "margin", "count",
        "accounts beginning with high leverage", _LEVERAGE, _SURGE, "leverage",
    ),
    "mode_switches": Stream(
        "switches", "margin", "count", "switches between cross and isolated", _LEVERAGE,
        "mode_switches", "leverage",
    ),
    **{
        f"{what}_accounts": Stream(_ACCOUNTS, "execution", "count", f"accounts with {what}", kinds)
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    **{
        f"{what}_top_share": Stream(
            "share of one account", "execution", "share", f"{what} by one account", kinds,
            carrier=what,
        )
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    **{
        f"{what}_herfindahl": Stream(
            "sum of squared shares", "execution", "share", f"concentration of {what}", kinds,
            carrier=what,
        )
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    "spread_bps": Stream(_BPS, "execution", "level", "spread", _BOOK, "wide_spread"),
    **{
        f"depth_{b}bps_{s}": Stream(
            _QUOTE, "execution", "level", f"depth within {b} bps ({s})", _BOOK, _THIN, down=True
        )
        for s in ("bid", "ask")
        for b in BAND_BPS
    },
    "depth_25bps": Stream(
        _QUOTE, "execution", "level", "depth within 25 bps", _BOOK, _THIN, down=True
    ),
    "depth_25bps_least": Stream(
        _QUOTE, "execution", "level", "depth within 25 bps (thinner side)", _BOOK, _THIN, down=True
    ),
    "depth_withdrawn_25bps": Stream(
        "share of the usual depth", "execution", "share", "depth gone within 25 bps", _BOOK, _THIN
    ),
    "refill_s": Stream(
        "s", "execution", "level", "time without the depth that a sweep took", ("book", "fill"),
        "slow_refill",
    ),
    "imbalance_25bps": Stream(
        "(bid − ask) / depth within 25 bps", "execution", "signed", "imbalance of the book", _BOOK
    ),
    "cost_buy_bps": Stream(_BPS, "execution", "level", "cost to buy", _BOOK, "costly_book"),
    "cost_sell_bps": Stream(_BPS, "execution", "level", "cost to sell", _BOOK, "costly_book"),
    "cost_bps": Stream(_BPS, "execution", "level", "cost to trade", _BOOK, "costly_book"),
    "book_age_s": Stream("s", "data", "level", "age of the book", _BOOK, "stale_book"),
    "volatility": Stream(
        "a year, annualised", "pricing", "level", "realised volatility", _BOOK, "volatility"
    ),
    "mark_to_index_bps": Stream(
        "bps of the index", "pricing", "signed", "mark over index", _MARK, "mark_gap"
    ),
    "mark_gap_bps": Stream(
        "bps of the index", "pricing", "level", "mark off the index", _MARK, "mark_gap"
    ),
    "mark_age_s": Stream("s", "data", "level", "age of the mark", _MARK, "stale_mark"),
    "funding_rate": Stream(
        "a funding interval", "pricing", "signed", "funding rate", _MARK, "funding"
    ),
    "funding_apr": Stream("a year", "pricing", "signed", "funding", _MARK, "funding"),
    "crowding": Stream(
        "robust standard deviations", "pricing", "signed", "crowding", ("mark", "book"), "crowding"
    ),
    "open_interest": Stream("base units", "pricing", "level", "open interest", _MARK),
    "late": Stream("records", "data", "count", "late records", _ALL, "late_records"),
    "missing": Stream("records", "data", "count", "missing records", _ALL, "missing_records"),
    "lag_ms": Stream("ms", "data", "level", "lag of records", _ALL, "lag"),
}  # fmt: skip
"""Every feature of one window and symbol. Counts and amounts are per window."""

NAMES = tuple(TABLE)

_MONEY = "notional"
OF_VENUE: dict[str, Stream] = {
    "raised_notional": Stream(
        _QUOTE, "margin", "amount", "notional on which leverage was raised", _LEVERAGE, _SURGE,
        _MONEY,
    ),
    "raised_near_tier": Stream(
        _QUOTE, "margin", "amount", "notional just below a tier bound on which leverage was raised",
        _LEVERAGE, _SURGE, _MONEY,
    ),
    "opened_high_to_depth": Stream(
        "percent of the depth within 25 bps", "margin", "amount",
        "positions opened with high leverage, against the book,", _FILL, "leverage_into_thin_book",
        _MONEY,
    ),
    "forced_to_depth": Stream(
        "times what the book takes up to there", "margin", "level",
        "notional that would be forced, against the book,", _BOOK, "forced_beyond_book",
    ),
    "churned_notional": Stream(
        _QUOTE, "post_trade", "amount", "churn that only rebates pay for", _FILL,
        "rebate_churn", _MONEY,
    ),
    "unexplained": Stream(
        _QUOTE, "post_trade", "amount",
        "money moved by adjustments, which no price, fee, funding or transfer explains,",
        ("collateral",), "equity_unexplained", _MONEY,
    ),
}  # fmt: skip
"""Numbers of a market that need its accounts, as of each moment of its bands. Amounts are of the
time since the moment before. `unexplained` is of the whole venue: its symbol is empty."""
TABLE |= OF_VENUE

SILENCES = {f"{kind}_silence": kind for kind in _ALL}
"""Streams of a topic partition and not of a symbol: seconds without a record of the kind."""
TABLE |= {
    name: Stream("s", "data", "level", f"silence of {kind} records", (kind,), "feed_stopped")
    for name, kind in SILENCES.items()
}
TABLE["marks"] = Stream("records", "pricing", "count", "prices in doubt", _MARK)
"""What the guard of marks found (`pricing.py`): a rule decides there, and no detector."""
