"""What to look at next, by what an alert is about: for whoever has just read its sentence."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.core.contract.feature_catalogue import FEATURES, Layer

HINTS_MAX = 3
"""Places that an alert sends its reader to at most."""

BY_STREAM = {
    "cancels": "cancels by account",
    "orders": "orders by account",
    "cancels_near": "quotes pulled near the touch",
    "cancels_to_orders": "cancels to orders by account",
    "trades": "takers, and the price since",
    "trade_notional": "takers, and the price since",
    "liquidations": "forced notional below and above the mark",
    "depth_25bps_least": "which side is thin, and whose quotes left",
    "sweep_bps": "who took, and whether the book refills",
}
"""What one stream of a kind asks for, and the others do not."""
BY_KIND = {
    "thin_book": "makers' connections, and cancels by account",
    "wide_spread": "makers' connections, and the mark's inputs",
    "costly_book": "makers' connections, and the size of open orders",
    "slow_refill": "makers that do not come back",
    "layering": "the account's fills on the other side",
    "price_move": "open positions near the price, and other venues",
    "volatility": "other venues, and the mark's inputs",
    "mark_gap": "index sources, and other venues",
    "funding": "open interest, and who pays",
    "crowding": "open interest, and who pays",
    "leverage_surge": "accounts that raise, and zones near the mark",
    "leverage_into_thin_book": "accounts that open, and zones near the mark",
    "mode_switches": "accounts that switch, and their margin",
    "forced_beyond_book": "zones near the mark, and the book there",
    "critical_shock": "the largest holders on that side, and the book there",
    "rebate_churn": "accounts on both sides of the fills",
    "equity_unexplained": "the adjustments, and who made them",
    "mark_off_market": "the mark's publisher, and index sources",
    "outlying_mark": "the mark's publisher, and other venues",
    "outlying_index": "index sources, and other venues",
    "outlying_source": "that index source",
    "stale_source": "that index source",
    "frozen_source": "that index source",
    "unsound_book": "the book's connector: it missed updates, or the venue has stopped",
    "stale_book": "the book's connector",
    "stale_mark": "the mark's publisher",
    "stale_index": "the index's publisher",
    "feed_stopped": "the connector, and the venue's status page",
    "repeated_records": "the producer of that topic: it sends again",
    "time_jump": "the producer's clock",
    "late_records": "the producer's delay, and `time.lateness_ms`",
    "delay_shift": "the producer's delay",
    "lag": "the producer's delay",
    "missing_records": "the connector: sequence numbers are missing",
    "log_changed": "who made the topic anew, and what was missed",
    "stream_out": "the detector's error; mend it, or take the stream out of the configuration",
    "drift": "what has changed since: makers, fees, funding",
}
BY_LAYER: dict[Layer, str] = {
    "data": "the feed",
    "pricing": "the mark's inputs",
    "margin": "zones near the mark",
    "execution": "the accounts named, and the book",
    "post_trade": "fills by account",
}


def look_at(streams: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """The places for an alert about these streams, each of the kind beside it, in their order."""
    places = []
    for stream, kind in zip(streams, kinds, strict=True):
        hint = BY_STREAM.get(stream) or BY_KIND.get(kind) or BY_LAYER[FEATURES[stream].layer]
        places.append(hint)
    return tuple(dict.fromkeys(places))[:HINTS_MAX]
