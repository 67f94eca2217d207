"""Every number that is made of a window, in one table: its unit, its layer, and its noun.

Nothing is computed here. `monitor/core/features/compute.py` computes the numbers,
`monitor/core/alerts/wording.py` writes the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

BAND_BPS = (5, 10, 25, 50, 100)
"""Distances from the mid within which depth is summed, bps."""
NEAR_DEPTH_BPS = 25
"""The depth that is watched is that within so much of the mid, or as far as the book goes."""
NEAR_BPS = 5
"""A cancel this near to the best price of its side is a cancel near the touch, bps."""
HIGH_LEVERAGE = 20
"""Leverage from which an account begins with high leverage: a move of a few percent liquidates it.
It is the most that large venues give beyond their two largest markets."""

Layer = Literal["data", "pricing", "margin", "execution", "post_trade"]
"""The lowest first: what is broken below explains what is odd above."""
Form = Literal["count", "amount", "share", "level", "signed"]
"""How a sentence gives a number: a count or an amount as a rate, a share in percent, a level in its
unit beside the usual, a signed level without a ratio."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One number of a window and a symbol."""

    unit: str
    form: Form
    noun: str
    """How a sentence calls it, in lower case."""
    layer: Layer
    records: tuple[str, ...]
    """The kinds of records from which it is computed. A number that `counts_events` is known once
    the feeds of all of them have run, and 0 in every window of theirs in which nothing happened."""
    kind: str | None = None
    """The kind of its alerts; None: the name of the detector."""
    account_count: str | None = None
    """The count by account that shows who is behind it (`windows.columns.ACCOUNT_COUNTS`)."""
    fall_is_bad: bool = False
    """Whether a fall does harm, and not a rise."""
    within_bps: int | None = None
    """Of depth near the mid: up to where. A sentence puts the book's own reach in place of it where
    that is less."""
    is_event: bool = False
    """Of a level: whether it is that of an event, and 0 where there was none."""

    @property
    def is_additive(self) -> bool:
        """Whether the numbers of several windows, or of several markets, add up."""
        return self.form in ("count", "amount")

    @property
    def counts_events(self) -> bool:
        """Whether it is 0 in a window in which nothing happened."""
        return self.is_additive or self.is_event

    @property
    def is_width(self) -> bool:
        """Whether it says how dear an immediate trade is, in bps of the price."""
        return self.kind in ("wide_spread", "costly_book") and not self.is_event

    @property
    def is_factor(self) -> bool:
        """Whether it is measured in usual ones: what is expected of it does not divide it again."""
        return self.unit == _TIMES_LESS

    @property
    def is_plural(self) -> bool:
        """Whether the noun takes a verb in the plural."""
        return self.form == "count"


_TIMES_LESS = "times less than usual"
_ALL = ("order", "cancel", "fill", "leverage", "book", "mark")
_LOGS = (*_ALL, "collateral", "reference")
_QUOTE, _BPS, _TOP = "quote currency", "bps of the mid", "share of one account"
_AGED, _PRICED = "share of the cancels of known age", "share of the cancels of known price"

_execution = partial(FeatureSpec, layer="execution")
_order = partial(_execution, records=("order",))
_cancel = partial(_execution, records=("cancel",))
_cancels = partial(_cancel, account_count="cancels")
_near = partial(_execution, records=("cancel", "book"), account_count="cancels")
_fill = partial(_execution, records=("fill",))
_rush = partial(_fill, form="level", kind="trade_rush", account_count="fills", is_event=True)
_book = partial(_execution, records=("book",))
_thin = partial(_book, kind="thin_book")
_near_depth = partial(_thin, within_bps=NEAR_DEPTH_BPS)
_post_trade = partial(FeatureSpec, layer="post_trade", records=("fill",))
_margin = partial(FeatureSpec, layer="margin", records=("leverage",), kind="leverage_surge")
_leverage = partial(_margin, account_count="leverage")
_mark = partial(FeatureSpec, layer="pricing", records=("mark",))
_move = partial(_mark, form="level", records=("book", "fill"), kind="price_move")
_data = partial(FeatureSpec, layer="data")


def _per_account(unit: str, form: Form, name: str, noun: str) -> dict[str, FeatureSpec]:
    """One feature of orders and the same of cancels; `%s` stands for either."""
    return {
        name % "orders": _order(unit, form, noun % "orders", account_count="orders"),
        name % "cancels": _cancels(unit, form, noun % "cancels"),
    }


FEATURES: dict[str, FeatureSpec] = {
    "orders": _order("orders", "count", "orders", account_count="orders"),
    "order_notional": _order(_QUOTE, "amount", "notional of orders", account_count="orders"),
    "cancels": _cancels("cancels", "count", "cancels"),
    "cancel_notional": _cancels(_QUOTE, "amount", "cancelled notional"),
    "cancel_imbalance": _cancel(
        "(buy − sell) / cancelled notional", "signed", "imbalance of cancels"
    ),
    "cancels_to_orders": _execution(
        "cancels an order", "level", "cancels an order", records=("order", "cancel"),
        account_count="cancels",
    ),
    "cancels_100ms_share": _cancels(_AGED, "share", "cancels within 100 ms"),
    "cancels_1s_share": _cancels(_AGED, "share", "cancels within 1 s"),
    "cancels_near": _near("cancels", "count", "cancels near the touch"),
    "cancels_near_share": _near(_PRICED, "share", "cancels near the touch"),
    "cancels_near_notional": _near(_QUOTE, "amount", "notional cancelled near the touch"),
    "cancels_near_top_share": _near(_TOP, "share", "notional cancelled near the touch by one"),
    "layering": _execution(
        "times the usual depth within 25 bps", "level",
        "one side's cancels, unfilled, before the price moved through it,",
        records=("cancel", "fill", "book"), kind="layering", account_count="cancels",
        is_event=True,
    ),
    "trades": _fill("trades", "count", "trades", account_count="fills"),
    "trade_notional": _fill(_QUOTE, "amount", "traded notional"),
    "trade_imbalance": _fill("(bought − sold) / traded notional", "signed", "imbalance of trades"),
    "trades_10s": _rush("trades", noun="number of trades in 10 s"),
    "trades_10s_ratio": _rush("times the usual", noun="trades in 10 s beside the usual"),
    "trade_notional_10s": _rush(_QUOTE, noun="traded notional in 10 s"),
    "trade_notional_10s_ratio": _rush(
        "times the usual", noun="traded notional in 10 s beside the usual"
    ),
    "fills_per_taker": _fill("fills an order", "level", "fills that one taking order needs"),
    "sweep_bps": _fill(
        "bps of the price", "level", "prices swept by one side", kind="sweep",
        account_count="fills", is_event=True,
    ),
    "liquidations": _post_trade("liquidations", "count", "liquidations"),
    "liquidation_notional": _post_trade(_QUOTE, "amount", "liquidated notional"),
    "fees": _post_trade(_QUOTE, "amount", "fees"),
    "rebates": _post_trade(_QUOTE, "amount", "rebates"),
    "rebates_to_fees": _post_trade("share of the fees", "share", "rebates", kind="rebate_churn"),
    "leverage_changes": _leverage("leverage changes", "count", "leverage changes"),
    "leverage_raises": _leverage("leverage raises", "count", "leverage raises"),
    "leverage_raises_share": _leverage(
        "share of the changes that tell what was before", "share", "leverage raises"
    ),
    "leverage_doublings": _leverage("doublings", "count", "doublings of leverage"),
    "leverage_first_high": _leverage(
        f"accounts that begin at {HIGH_LEVERAGE}x or more", "count",
        "accounts beginning with high leverage",
    ),
    "mode_switches": _leverage(
        "switches", "count", "switches between cross and isolated", kind="mode_switches"
    ),
    "orders_accounts": _order("accounts", "count", "accounts with orders"),
    "cancels_accounts": _cancel("accounts", "count", "accounts with cancels"),
    **_per_account(_TOP, "share", "%s_top_share", "%s by one account"),
    **_per_account("sum of squared shares", "share", "%s_herfindahl", "concentration of %s"),
    "spread_bps": _book(_BPS, "level", "spread", kind="wide_spread"),
    "spread_lasting_bps": _book(_BPS, "level", "lasting spread", kind="wide_spread"),
    "spread_10s": _book(_BPS, "level", "spread over 10 s", kind="wide_spread"),
    "spread_10s_above": _book(
        _BPS, "level", "spread over 10 s beyond the usual", kind="wide_spread"
    ),
    **{
        f"depth_{b}bps_{side}": _thin(
            _QUOTE, "level", f"depth within {b} bps ({side})", fall_is_bad=True
        )
        for side in ("bid", "ask")
        for b in BAND_BPS
    },
    "depth_25bps": _near_depth(
        _QUOTE, "level", "depth of both sides within 25 bps", fall_is_bad=True
    ),
    "depth_25bps_least": _near_depth(
        _QUOTE, "level", "depth within 25 bps (thinner side)", fall_is_bad=True
    ),
    "depth_withdrawn_25bps": _near_depth(
        "share of the usual depth", "share", "depth gone within 25 bps"
    ),
    "depth_missing": _near_depth(
        _TIMES_LESS, "level", "lack of depth on both sides within 25 bps"
    ),
    **{
        f"reach_{side}_bps": _book(_BPS, "level", f"reach of the book ({side})")
        for side in ("bid", "ask")
    },
    "depth_lack_10s": _thin(
        _TIMES_LESS, "level", "lack of depth of both sides over 10 s"
    ),
    "levels_shrunk": _thin(
        "levels of the book", "level", "number of quotes cut at unchanged prices", is_event=True
    ),
    "levels_shrunk_nats": _thin(
        "nats", "level", "evidence of quotes cut at unchanged prices", is_event=True
    ),
    "step_back_bps": _book(
        _BPS, "level", "step back of both best prices", kind="wide_spread", is_event=True
    ),
    "refill_s": _execution(
        "s", "level", "time without the depth that a sweep took", records=("book", "fill"),
        kind="slow_refill", is_event=True,
    ),
    "imbalance_25bps": _book(
        "(bid − ask) / depth within 25 bps", "signed", "imbalance of the book"
    ),
    "cost_buy_bps": _book(_BPS, "level", "cost to buy", kind="costly_book"),
    "cost_sell_bps": _book(_BPS, "level", "cost to sell", kind="costly_book"),
    "cost_bps": _book(_BPS, "level", "cost to trade", kind="costly_book"),
    "book_age_s": _data("s", "level", "age of the book", records=("book",), kind="stale_book"),
    "volatility": _mark(
        "a year, annualised", "level", "realised volatility", records=("book",), kind="volatility"
    ),
    **{
        f"price_move_{seconds}s": _move("bps", noun=f"move of the price in {seconds} s")
        for seconds in (1, 10, 60)
    },
    **{
        f"price_move_{seconds}s_sd": _move(
            "standard deviations of such moves", noun=f"unusual move of the price in {seconds} s"
        )
        for seconds in (1, 10, 60)
    },
    "mark_to_index_bps": _mark("bps of the index", "signed", "mark over index", kind="mark_gap"),
    "mark_gap_bps": _mark("bps of the index", "level", "mark off the index", kind="mark_gap"),
    "mark_age_s": _data("s", "level", "age of the mark", records=("mark",), kind="stale_mark"),
    "index_age_s": _data("s", "level", "age of the index", records=("mark",), kind="stale_index"),
    "funding_rate": _mark("a funding interval", "signed", "funding rate", kind="funding"),
    "funding_apr": _mark("a year", "signed", "funding", kind="funding"),
    "crowding": _mark(
        "robust standard deviations", "level", "crowding", kind="crowding",
    ),
    "open_interest": _mark("base units", "level", "open interest"),
    "late": _data("records", "count", "late records", records=_ALL, kind="late_records"),
    "missing": _data("records", "count", "missing records", records=_ALL, kind="missing_records"),
    "lag_ms": _data("ms", "level", "lag of records", records=_ALL, kind="lag"),
}  # fmt: skip
"""Every feature of one window and symbol. Counts and amounts are those of the window."""

FEATURE_NAMES = tuple(FEATURES)

WHOLE_BOOK_FEATURES = ("depth_25bps", "depth_missing", "depth_lack_10s")
"""Depth of both sides together, or of the thicker one: where it is gone, the book is."""
STEP_BACK = "step_back_bps"
"""How far both best prices stepped back: so far the book is empty on both sides."""

VENUE_FEATURES: dict[str, FeatureSpec] = {
    "raised_notional": _margin(
        _QUOTE, "amount", "notional on which leverage was raised", account_count="notional"
    ),
    "raised_near_tier": _margin(
        _QUOTE, "amount", "notional just below a tier bound on which leverage was raised",
        account_count="notional",
    ),
    "opened_high_to_depth": _margin(
        "percent of the depth within 25 bps", "amount",
        "positions opened with high leverage, against the book,", records=("fill",),
        kind="leverage_into_thin_book", account_count="notional",
    ),
    "forced_to_depth": _margin(
        "times what the book takes up to there", "level",
        "notional that would be forced, against the book,", records=("book",),
        kind="forced_beyond_book",
    ),
    "churned_notional": _post_trade(
        _QUOTE, "amount", "churn that only rebates pay for", kind="rebate_churn",
        account_count="notional",
    ),
    "unexplained": _post_trade(
        _QUOTE, "amount",
        "money moved by adjustments, which no price, fee, funding or transfer explains,",
        records=("collateral",), kind="equity_unexplained", account_count="notional",
    ),
}  # fmt: skip
"""Features that need the accounts of a market, one number for each moment that has bands. Amounts
are those since the moment before. `unexplained` is of the whole venue: its symbol is empty."""
FEATURES |= VENUE_FEATURES

SILENCE_FEATURES = {f"{kind}_silence": kind for kind in _ALL}
"""The kind of records by feature. They belong to a topic partition and to no symbol: seconds
without a record."""
FEATURES |= {
    name: _data("s", "level", f"silence of {kind} records", records=(kind,), kind="feed_stopped")
    for name, kind in SILENCE_FEATURES.items()
}
MARKET_SILENCE = "market_silence"
"""Seconds without a record of a market whose topics go on
(`monitor/core/detection/market_silences.py`)."""
MARKET_SILENCE_KINDS = ("order", "cancel", "fill", "book", "mark")
"""The kinds of records whose absence says that a market is silent."""
FEATURES[MARKET_SILENCE] = _data(
    "s", "level", "silence of a market", records=MARKET_SILENCE_KINDS, kind="feed_stopped"
)
REPEATS = "repeats"
"""The rule on records that come again (`monitor/core/detection/repeated_records.py`)."""
REPEAT_FEATURES = {
    f"{kind}_{REPEATS}": kind for kind in ("fill", "leverage", "collateral", "reference")
}
"""The kind of records by feature. They too belong to a topic partition."""
FEATURES |= {
    name: _data(
        "records", "count", f"repeated {kind} records", records=(kind,), kind="repeated_records"
    )
    for name, kind in REPEAT_FEATURES.items()
}
QUALITY_FEATURES: dict[str, FeatureSpec] = {
    "unsound_book": _data(_BPS, "level", "bid over ask", records=("book",)),
    "stale_book": _data("s", "level", "age of the book", records=("book",)),
    "frozen_book": _data("s", "level", "age of what the book says", records=("book",)),
    "stale_mark": _data("s", "level", "age of the mark", records=("mark",)),
    "stale_index": _data("s", "level", "age of the index", records=("mark",)),
    "mark_off_market": _mark(
        "percent of the market's price", "signed", "mark over book and trades",
        records=("mark", "book", "fill"),
    ),
}  # fmt: skip
"""Conditions of a market's own data (`monitor/core/detection/market_quality.py`): rules judge them,
and no detector."""
FEATURES |= QUALITY_FEATURES
CRITICAL_FEATURES = ("critical_fall", "critical_rise")
"""Shocks that an hour may bring and that would carry a market on by themselves, by side: a rule
judges them (`monitor/core/venue/critical_shocks.py`), and no detector. The number is what would be
forced, beside what the book takes up to the shock."""
FEATURES |= {
    name: _margin(
        _QUOTE, "level", f"notional that a {name.removeprefix('critical_')} would force",
        records=("book",), kind="critical_shock",
    )
    for name in CRITICAL_FEATURES
}  # fmt: skip
TIME_RULES = ("time_jump", "late_share", "delay")
"""The rules about a topic partition's time, by number (`clock_state.TimeNotice.about`)."""
TIME_FEATURES = {f"{kind}_{rule}": (kind, rule) for kind in _LOGS for rule in TIME_RULES}
"""The kind of records and the rule by feature; a rule judges them, and no detector."""
for _name, (_kind, _rule) in TIME_FEATURES.items():
    FEATURES[_name] = {
        "time_jump": _data(
            "s", "level", f"time ahead of {_kind} records", records=(_kind,), kind="time_jump"
        ),
        "late_share": _data(
            "share of the records", "share", f"late {_kind} records", records=(_kind,),
            kind="late_records",
        ),
        "delay": _data(
            "ms", "level", f"delay of {_kind} records", records=(_kind,), kind="delay_shift"
        ),
    }[_rule]  # fmt: skip
LOG_FEATURES = {f"{kind}_log": kind for kind in _LOGS}
"""The kind of records by feature. They belong to a topic partition and to no symbol: records that
are missing because its log was made anew or cut."""
FEATURES |= {
    name: _data("records", "count", f"missing {kind} records", records=(kind,), kind="log_changed")
    for name, kind in LOG_FEATURES.items()
}
DOUBTED_PRICES = "marks"
"""The stream of prices in doubt (`monitor/core/marks/mark_filter.py`): a rule judges it, and no
detector."""
FEATURES[DOUBTED_PRICES] = _mark("records", "count", "prices in doubt")
DRIFT_FEATURES: dict[str, FeatureSpec] = {
    "depth_drift": FEATURES["depth_25bps"],
    "spread_drift": FEATURES["spread_bps"],
    "cancels_to_orders_drift": replace(
        FEATURES["cancels_to_orders"], noun="ratio of cancels to orders"
    ),
    "funding_drift": FEATURES["funding_apr"],
    "leverage_drift": _margin(
        "share of the leverage changes", "share", "share of leverage raises",
        account_count="leverage",
    ),
    "concentration_drift": _cancels(
        "chance that two cancels of one second are of one account", "share",
        "concentration of cancels",
    ),
}  # fmt: skip
"""What is compared hour by hour with its usual for the hour of the day
(`monitor/core/detection/drift`), in this order."""
DRIFT_FEATURES = {name: replace(spec, kind="drift") for name, spec in DRIFT_FEATURES.items()}
FEATURES |= DRIFT_FEATURES
STREAM_OUT = "stream_out"
"""The stream of streams that are taken out (`monitor/core/detection/streams_out.py`)."""
FEATURES[STREAM_OUT] = _data(
    "streams", "count", "streams taken out", records=_ALL, kind="stream_out"
)
