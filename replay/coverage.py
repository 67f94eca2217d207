"""What a replay had to go by and what it had not: for the end of `brinkwatch replay`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.core.alerts.formatting import join_list, shorten_list
from monitor.core.bands.market_bands import VenueBands

RESTS_ON = {
    "order": "new orders and how they compare with cancels",
    "cancel": "cancels, their ages, and cancels near the touch",
    "fill": "trades, liquidations, and positions",
    "leverage": "changes of leverage, and the leverage of isolated positions",
    "book": "depth, spread, and whether the book takes what is forced",
    "mark": "marks, funding, and the prices at which positions are liquidated",
    "collateral": "equity, and with it cross margin",
    "reference": "tiers and contract sizes, and with them liquidation bands",
}
"""By kind of record: what is watched by it, and by nothing else."""
_DROPPED = {
    "symbols": "windows of markets, for there are more than limits.symbols",
    "accounts": "accounts in windows, for there are more than limits.accounts",
    "habits": "habits of accounts, for their table is full",
}


def kinds_not_seen(events: Mapping[str, int]) -> dict[str, str]:
    """The kinds of which no record was accepted, and what is therefore not watched."""
    return {kind: what for kind, what in RESTS_ON.items() if not events.get(kind)}


def count_dropped(evicted: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """What all shards left out because a table was full, by table."""
    dropped: Counter[str] = Counter()
    for of_shard in evicted:
        dropped.update(of_shard)
    return {name: n for name, n in sorted(dropped.items()) if n}


def describe_bands(bands: VenueBands | None) -> dict[str, Any]:
    """Of the last bands: markets, those left out with the type of their contract, margin pools, and
    those that are not known because a mark, tiers or collateral are missing."""
    if bands is None:
        return {"markets": 0, "left_out": {}, "pools": 0, "unknown_pools": 0}
    return {
        "markets": len(bands.markets),
        "left_out": dict(bands.left_out),
        "pools": bands.pools,
        "unknown_pools": bands.unknown,
    }


def describe_coverage(
    not_seen: Mapping[str, str], dropped: Mapping[str, int], bands: Mapping[str, Any]
) -> list[str]:
    """The same in lines for people."""
    lines = [f"no {kind} records came, so not watched: {what}" for kind, what in not_seen.items()]
    lines += [f"left out {n:,} {_DROPPED[name]}" for name, n in dropped.items()]
    if not bands["markets"]:
        lines.append("no liquidation bands: no position with a mark and rules came")
    elif unknown := bands["unknown_pools"]:
        lines.append(
            f"liquidation bands of {bands['markets']:,} markets; {unknown:,} of "
            f"{bands['pools']:,} margin pools are not in them, for their mark, tiers or collateral "
            "is not known"
        )
    if left_out := bands["left_out"]:
        names = shorten_list([f"{symbol} ({kind})" for symbol, kind in left_out.items()])
        lines.append(f"markets without bands, for their contract: {join_list(names)}")
    return lines
