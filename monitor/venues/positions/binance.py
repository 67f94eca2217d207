"""Binance USD-M account states: `positionRisk`, with `leverageBracket` for the tier tables.

A list of `positionRisk` is one account. An object may name it (`account`), hold its cross wallet
(`totalCrossWalletBalance`, as the account endpoint gives it), its time (`time`, ms) and the list
(`positionRisk` or `positions`). The liquidation price 0 means that there is none.

Source: developers.binance.com, USD-M futures, position information, notional and leverage brackets.
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
    number,
    number_or_none,
    read_number,
    text,
)

_LISTS = "positionRisk", "positions"


def is_shown(part: Any) -> bool:
    """Whether a JSON value is an account state or rules of this venue."""
    if isinstance(part, list):
        return bool(part) and _is_row(part[0])
    return _is_row(part) or (isinstance(part, dict) and bool(_position_lists(part)))


def _is_row(part: Any) -> bool:
    return isinstance(part, dict) and ("positionAmt" in part or "brackets" in part)


def _position_lists(part: dict[str, Any]) -> list[list[dict[str, Any]]]:
    lists = [part[name] for name in _LISTS if isinstance(part.get(name), list)]
    return [rows for rows in lists if all(map(_is_row, rows))]


def read(part: Any, raw: bytes, account: str) -> Reading:
    """Everything that a part of a dump says. `account`: its name where the part has none."""
    values = part if isinstance(part, dict) else {}
    rows = part if isinstance(part, list) else [part]
    brackets = values.get("leverageBracket") or [r for r in rows if "brackets" in r]
    out = Reading(markets=[_read_market(row, raw) for row in brackets])
    lists = _position_lists(values)
    positions = lists[0] if lists else [r for r in rows if "positionAmt" in r]
    if positions or lists:
        name = text(values, "account", "user") or account
        out.accounts.append(_read_account(values, positions, raw, name))
    return out


def _read_account(
    values: dict[str, Any], rows: list[dict[str, Any]], raw: bytes, account: str
) -> ShownAccount:
    positions = [p for p in map(_read_position, rows) if p is not None]
    symbols = [p.symbol for p in positions]
    if len(symbols) > len(set(symbols)):
        raise UnreadableError("bad_value", "positionSide: a market long and short (hedge mode)")
    wallet = number_or_none(values, "totalCrossWalletBalance", "crossWalletBalance")
    equity = None
    if wallet is not None:
        cross = (p for p in positions if not p.is_isolated)
        equity = wallet + sum(p.quantity * (p.mark - p.entry) for p in cross)
    time = values.get("time")
    if time is None:
        time = max((r["updateTime"] for r in rows if r.get("updateTime")), default=None)
    return ShownAccount(
        account, None if time is None else milliseconds(time), equity, tuple(positions), raw
    )


def _read_position(values: dict[str, Any]) -> ShownPosition | None:
    quantity = number(values, "positionAmt")
    if quantity == 0:
        return None
    symbol = text(values, "symbol")
    if symbol is None or "USD_" in symbol:
        raise UnreadableError("bad_value", "symbol: a market of USD-M futures, as BTCUSDT")
    entry, mark = number(values, "entryPrice"), number(values, "markPrice")
    wallet = number_or_none(values, "isolatedWallet")
    margin = number_or_none(values, "isolatedMargin")
    mode = text(values, "marginType")
    is_isolated = bool(wallet or margin) if mode is None else mode.lower() == "isolated"
    if not wallet and margin is not None:
        wallet = margin - quantity * (mark - entry)
    printed = number_or_none(values, "liquidationPrice")
    return ShownPosition(
        symbol, quantity, entry, mark, is_isolated, number_or_none(values, "leverage"),
        None if wallet is None or not is_isolated else wallet - quantity * entry, None,
        printed if printed else None, "liquidationPrice" in values,
    )  # fmt: skip


def _read_market(values: dict[str, Any], raw: bytes) -> ShownMarket:
    tiers = []
    for row in sorted(values["brackets"], key=lambda row: number(row, "notionalFloor")):
        leverage = number(row, "initialLeverage")
        rate = read_number(row["maintMarginRatio"], "maintMarginRatio")
        tiers.append((str(row["notionalFloor"]), str(rate), format(Decimal(1) / leverage, "f")))
    return ShownMarket(str(values["symbol"]), tuple(tiers), raw)
