"""Every number that is made of a window, in one table: what it is, its layer, and its words.

Light: nothing here computes. `monitor/core/features/compute.py` makes the numbers, `monitor/core/alerts/wording.py` the sentences.
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
class FeatureSpec:
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
    account_count: str | None = None
    """The count by account that tells who carries it (`open_windows.ACCOUNT_COUNTS`)."""
    fall_is_bad: bool = False
    """Whether it is a fall that hurts."""

    @property
    def is_additive(self) -> bool:
        """Whether the numbers of several windows, or of several markets, add up."""
        return self.form in ("count", "amount")

    @property
    def is_plural(self) -> bool:
        """Whether the noun takes a verb in the plural."""
        return self.form == "count"


_QUOTE, _BPS, _ACCOUNTS = "quote currency", "bps of the mid", "accounts"
_AGED = "share of the cancels of known age"
_PRICED = "share of the cancels of known price"
_ORDER, _CANCEL, _FILL, _LEVERAGE = ("order",), ("cancel",), ("fill",), ("leverage",)
_BOOK, _MARK = ("book",), ("mark",)
_ALL = ("order", "cancel", "fill", "leverage", "book", "mark")
_SURGE, _THIN = "leverage_surge", "thin_book"

FEATURES: dict[str, FeatureSpec] = {
    "orders": FeatureSpec("orders", "execution", "count", "orders", _ORDER, account_count="orders"),
    "order_notional": FeatureSpec(
        _QUOTE, "execution", "amount", "notional of orders", _ORDER, account_count="orders"
    ),
    "cancels": FeatureSpec("cancels", "execution", "count", "cancels", _CANCEL, account_count="cancels"),
    "cancel_notional": FeatureSpec(
        _QUOTE, "execution", "amount", "cancelled notional", _CANCEL, account_count="cancels"
    ),
    "cancel_imbalance": FeatureSpec(
        "(buy − sell) / cancelled notional", "execution", "signed", "imbalance of cancels", _CANCEL
    ),
    "cancels_to_orders": FeatureSpec(
        "cancels an order", "execution", "level", "cancels an order", ("order", "cancel"),
        account_count="cancels",
    ),
    "cancels_100ms_share": FeatureSpec(
        _AGED, "execution", "share", "cancels within 100 ms", _CANCEL, account_count="cancels"
    ),
    "cancels_1s_share": FeatureSpec(
        _AGED, "execution", "share", "cancels within 1 s", _CANCEL, account_count="cancels"
    ),
    "cancels_near": FeatureSpec(
        "cancels", "execution", "count", "cancels near the touch", ("cancel", "book"),
        account_count="cancels",
    ),
    "cancels_near_share": FeatureSpec(
        _PRICED, "execution", "share", "cancels near the touch", ("cancel", "book"),
        account_count="cancels",
    ),
    "cancels_near_notional": FeatureSpec(
        _QUOTE, "execution", "amount", "notional cancelled near the touch", ("cancel", "book"),
        account_count="cancels",
    ),
    "cancels_near_top_share": FeatureSpec(
        "share of one account", "execution", "share", "notional cancelled near the touch by one",
        ("cancel", "book"), account_count="cancels",
    ),
    "layering": FeatureSpec(
        "times the usual depth within 25 bps", "execution", "level",
        "one side's cancels, unfilled, before the price moved through it,",
        ("cancel", "fill", "book"), kind="layering", account_count="cancels",
    ),
    "trades": FeatureSpec("trades", "execution", "count", "trades", _FILL, account_count="fills"),
    "trade_notional": FeatureSpec(_QUOTE, "execution", "amount", "traded notional", _FILL),
    "trade_imbalance": FeatureSpec(
        "(bought − sold) / traded notional", "execution", "signed", "imbalance of trades", _FILL
    ),
    "fills_per_taker": FeatureSpec(
        "fills an order", "execution", "level", "fills that one taking order needs", _FILL
    ),
    "sweep_bps": FeatureSpec(
        "bps of the price", "execution", "level", "prices swept by one side", _FILL, kind="sweep",
        account_count="fills",
    ),
    "liquidations": FeatureSpec("liquidations", "post_trade", "count", "liquidations", _FILL),
    "liquidation_notional": FeatureSpec(
        _QUOTE, "post_trade", "amount", "liquidated notional", _FILL
    ),
    "fees": FeatureSpec(_QUOTE, "post_trade", "amount", "fees", _FILL),
    "rebates": FeatureSpec(_QUOTE, "post_trade", "amount", "rebates", _FILL),
    "rebates_to_fees": FeatureSpec(
        "share of the fees", "post_trade", "share", "rebates", _FILL, kind="rebate_churn"
    ),
    "leverage_changes": FeatureSpec(
        "leverage changes", "margin", "count", "leverage changes", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_raises": FeatureSpec(
        "leverage raises", "margin", "count", "leverage raises", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_raises_share": FeatureSpec(
        "share of the changes that tell what was before", "margin", "share", "leverage raises",
        _LEVERAGE, _SURGE, "leverage",
    ),
    "leverage_doublings": FeatureSpec(
        "doublings", "margin", "count", "doublings of leverage", _LEVERAGE, _SURGE, "leverage"
    ),
    "leverage_first_high": FeatureSpec(
        f"accounts that begin at {HIGH_LEVERAGE}x or more", "margin", "count",
        "accounts beginning with high leverage", _LEVERAGE, _SURGE, "leverage",
    ),
    "mode_switches": FeatureSpec(
        "switches", "margin", "count", "switches between cross and isolated", _LEVERAGE,
        "mode_switches", "leverage",
    ),
    **{
        f"{what}_accounts": FeatureSpec(_ACCOUNTS, "execution", "count", f"accounts with {what}", kinds)
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    **{
        f"{what}_top_share": FeatureSpec(
            "share of one account", "execution", "share", f"{what} by one account", kinds,
            account_count=what,
        )
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    **{
        f"{what}_herfindahl": FeatureSpec(
            "sum of squared shares", "execution", "share", f"concentration of {what}", kinds,
            account_count=what,
        )
        for what, kinds in (("orders", _ORDER), ("cancels", _CANCEL))
    },
    "spread_bps": FeatureSpec(_BPS, "execution", "level", "spread", _BOOK, "wide_spread"),
    **{
        f"depth_{b}bps_{s}": FeatureSpec(
            _QUOTE, "execution", "level", f"depth within {b} bps ({s})", _BOOK, _THIN, fall_is_bad=True
        )
        for s in ("bid", "ask")
        for b in BAND_BPS
    },
    "depth_25bps": FeatureSpec(
        _QUOTE, "execution", "level", "depth within 25 bps", _BOOK, _THIN, fall_is_bad=True
    ),
    "depth_25bps_least": FeatureSpec(
        _QUOTE, "execution", "level", "depth within 25 bps (thinner side)", _BOOK, _THIN, fall_is_bad=True
    ),
    "depth_withdrawn_25bps": FeatureSpec(
        "share of the usual depth", "execution", "share", "depth gone within 25 bps", _BOOK, _THIN
    ),
    "refill_s": FeatureSpec(
        "s", "execution", "level", "time without the depth that a sweep took", ("book", "fill"),
        "slow_refill",
    ),
    "imbalance_25bps": FeatureSpec(
        "(bid − ask) / depth within 25 bps", "execution", "signed", "imbalance of the book", _BOOK
    ),
    "cost_buy_bps": FeatureSpec(_BPS, "execution", "level", "cost to buy", _BOOK, "costly_book"),
    "cost_sell_bps": FeatureSpec(_BPS, "execution", "level", "cost to sell", _BOOK, "costly_book"),
    "cost_bps": FeatureSpec(_BPS, "execution", "level", "cost to trade", _BOOK, "costly_book"),
    "book_age_s": FeatureSpec("s", "data", "level", "age of the book", _BOOK, "stale_book"),
    "volatility": FeatureSpec(
        "a year, annualised", "pricing", "level", "realised volatility", _BOOK, "volatility"
    ),
    "mark_to_index_bps": FeatureSpec(
        "bps of the index", "pricing", "signed", "mark over index", _MARK, "mark_gap"
    ),
    "mark_gap_bps": FeatureSpec(
        "bps of the index", "pricing", "level", "mark off the index", _MARK, "mark_gap"
    ),
    "mark_age_s": FeatureSpec("s", "data", "level", "age of the mark", _MARK, "stale_mark"),
    "funding_rate": FeatureSpec(
        "a funding interval", "pricing", "signed", "funding rate", _MARK, "funding"
    ),
    "funding_apr": FeatureSpec("a year", "pricing", "signed", "funding", _MARK, "funding"),
    "crowding": FeatureSpec(
        "robust standard deviations", "pricing", "signed", "crowding", ("mark", "book"), "crowding"
    ),
    "open_interest": FeatureSpec("base units", "pricing", "level", "open interest", _MARK),
    "late": FeatureSpec("records", "data", "count", "late records", _ALL, "late_records"),
    "missing": FeatureSpec("records", "data", "count", "missing records", _ALL, "missing_records"),
    "lag_ms": FeatureSpec("ms", "data", "level", "lag of records", _ALL, "lag"),
}  # fmt: skip
"""Every feature of one window and symbol. Counts and amounts are per window."""

FEATURE_NAMES = tuple(FEATURES)

_MONEY = "notional"
VENUE_FEATURES: dict[str, FeatureSpec] = {
    "raised_notional": FeatureSpec(
        _QUOTE, "margin", "amount", "notional on which leverage was raised", _LEVERAGE, _SURGE,
        _MONEY,
    ),
    "raised_near_tier": FeatureSpec(
        _QUOTE, "margin", "amount", "notional just below a tier bound on which leverage was raised",
        _LEVERAGE, _SURGE, _MONEY,
    ),
    "opened_high_to_depth": FeatureSpec(
        "percent of the depth within 25 bps", "margin", "amount",
        "positions opened with high leverage, against the book,", _FILL, "leverage_into_thin_book",
        _MONEY,
    ),
    "forced_to_depth": FeatureSpec(
        "times what the book takes up to there", "margin", "level",
        "notional that would be forced, against the book,", _BOOK, "forced_beyond_book",
    ),
    "churned_notional": FeatureSpec(
        _QUOTE, "post_trade", "amount", "churn that only rebates pay for", _FILL,
        "rebate_churn", _MONEY,
    ),
    "unexplained": FeatureSpec(
        _QUOTE, "post_trade", "amount",
        "money moved by adjustments, which no price, fee, funding or transfer explains,",
        ("collateral",), "equity_unexplained", _MONEY,
    ),
}  # fmt: skip
"""Numbers of a market that need its accounts, as of each moment of its bands. Amounts are of the
time since the moment before. `unexplained` is of the whole venue: its symbol is empty."""
FEATURES |= VENUE_FEATURES

SILENCE_FEATURES = {f"{kind}_silence": kind for kind in _ALL}
"""Streams of a topic partition and not of a symbol: seconds without a record of the kind."""
FEATURES |= {
    name: FeatureSpec("s", "data", "level", f"silence of {kind} records", (kind,), "feed_stopped")
    for name, kind in SILENCE_FEATURES.items()
}

DOUBTED_PRICES = "marks"
"""The stream of prices in doubt (`monitor/core/marks/mark_filter.py`): a rule judges it, and no
detector."""
FEATURES[DOUBTED_PRICES] = FeatureSpec("records", "pricing", "count", "prices in doubt", _MARK)
