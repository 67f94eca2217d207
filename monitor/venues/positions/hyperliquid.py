"""Hyperliquid's account states: `clearinghouseState`, with `meta` for the tier tables.

A state stands alone, or in an object that names its account (`user`, `address` or `account`), as
the stream webData2 does; spot balances beside it are no part of the equity, for what of them counts
follows from the liquidation prices. `maxLeverage` of a position is that of the tier that it is in,
under the table that it was opened with. `rawUsd` of an isolated position is its cash.

Source: hyperliquid.gitbook.io, API, info endpoint (perpetuals), margin tiers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from monitor.venues.parse import UnreadableError, milliseconds
from monitor.venues.positions.shown import (
    Reading,
    ShownAccount,
    ShownMarket,
    ShownPosition,
    mark_of,
    number,
    number_or_none,
    text,
)

_ACCOUNT_NAMES = "user", "address", "account"


def is_shown(part: Any) -> bool:
    """Whether a JSON value is an account state or rules of this venue."""
    if isinstance(part, list):  # metaAndAssetCtxs
        return [type(member) for member in part] == [dict, list] and "universe" in part[0]
    return isinstance(part, dict) and any(
        name in part for name in ("assetPositions", "clearinghouseState", "universe", "meta")
    )


def read(part: Any, raw: bytes, account: str) -> Reading:
    """Everything that a part of a dump says. `account`: its name where the part has none."""
    if isinstance(part, list):
        return Reading(markets=_read_markets(part[0], part[1], raw))
    out = Reading()
    if isinstance(part.get("meta"), dict):
        out.markets = _read_markets(part["meta"], part.get("assetCtxs") or [], raw)
    if "universe" in part:
        out.markets = _read_markets(part, [], raw)
    state = part.get("clearinghouseState", part)
    if isinstance(state, dict) and "assetPositions" in state:
        time = state.get("time", part.get("serverTime", part.get("time")))
        out.accounts.append(_read_account(state, raw, text(part, *_ACCOUNT_NAMES) or account, time))
    return out


def _read_account(state: dict[str, Any], raw: bytes, account: str, time: Any) -> ShownAccount:
    positions = []
    for entry in state["assetPositions"]:
        position = _read_position(entry.get("position", entry))
        if position is not None:
            positions.append(position)
    cross, whole = state.get("crossMarginSummary"), state.get("marginSummary")
    equity = number_or_none(cross or {}, "accountValue")
    if equity is None and (total := number_or_none(whole or {}, "accountValue")) is not None:
        isolated = [p for p in positions if p.is_isolated]
        if any(p.cash is None for p in isolated):
            raise UnreadableError("missing_field", "crossMarginSummary.accountValue")
        equity = total - sum((p.cash or 0) + p.quantity * p.mark for p in isolated)
    ts = None if time is None else milliseconds(time)
    return ShownAccount(account, ts, equity, tuple(positions), raw)


def _read_position(values: dict[str, Any]) -> ShownPosition | None:
    quantity = number(values, "szi")
    if quantity == 0:
        return None
    mark = mark_of(number(values, "positionValue"), quantity)
    entry = number_or_none(values, "entryPx")
    leverage = values.get("leverage") or {}
    is_isolated = leverage.get("type") == "isolated"
    cash = None
    if is_isolated:
        cash = number_or_none(leverage, "rawUsd")
        margin = number_or_none(values, "marginUsed")
        if cash is None and margin is not None:
            cash = margin - quantity * mark
    symbol = text(values, "coin")
    if symbol is None:
        raise UnreadableError("missing_field", "coin: Field required")
    return ShownPosition(
        symbol, quantity, mark if entry is None else entry, mark, is_isolated,
        number_or_none(leverage, "value"), cash, number_or_none(values, "maxLeverage"),
        number_or_none(values, "liquidationPx"), "liquidationPx" in values,
    )  # fmt: skip


def _read_markets(meta: dict[str, Any], contexts: list[Any], raw: bytes) -> list[ShownMarket]:
    tables = {str(key): table["marginTiers"] for key, table in meta.get("marginTables", ())}
    out = []
    for place, coin in enumerate(meta["universe"]):
        tiers = tables.get(str(coin.get("marginTableId")))
        tiers = tiers or [{"lowerBound": "0", "maxLeverage": coin["maxLeverage"]}]
        rows = [(str(t["lowerBound"]), *rates(number(t, "maxLeverage"))) for t in tiers]
        context = contexts[place] if place < len(contexts) else {}
        out.append(
            ShownMarket(
                str(coin["name"]), tuple(rows), raw, bool(coin.get("onlyIsolated")),
                number_or_none(context, "markPx"),
            )
        )  # fmt: skip
    return out


def rates(max_leverage: Decimal) -> tuple[str, str]:
    """Maintenance and initial rate of a tier, as texts."""
    if max_leverage <= 0:
        raise UnreadableError("out_of_range", "maxLeverage is above 0")
    return format(1 / (2 * max_leverage), "f"), format(1 / max_leverage, "f")
