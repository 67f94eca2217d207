"""The records that bring a recorded account to a state that its venue shows."""

from __future__ import annotations

from decimal import Decimal

from monitor.venues.parse import Record
from monitor.venues.positions.shown import ShownAccount, ShownPosition

_MONEY_PLACES = 6


class RecordedAccount:
    """What the records so far say of an account; `follow` makes those that are missing.

    The first state gives positions at their entry prices. Later ones change them at the mark, and a
    move of collateral brings the equity to what the venue shows.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._positions: dict[str, ShownPosition] = {}
        self._traded: dict[str, Decimal] = {}
        """By market, cash from trading of its open position."""
        self._margins: dict[str, Decimal] = {}
        """By market, isolated margin."""
        self._cash = Decimal(0)
        """What the account has without `_traded`, isolated margins included."""

    def follow(self, state: ShownAccount, ts: int) -> list[Record]:
        """A record for each position of this state or the one before, then the collateral that is
        missing. `ts`: of the state, ns."""
        now = {position.symbol: position for position in state.positions}
        symbols = sorted(now.keys() | self._positions.keys())
        records = [self._move(symbol, now.get(symbol), ts) for symbol in symbols]
        self._positions = now
        if state.equity is not None:
            cross = [p for p in now.values() if not p.is_isolated]
            recorded = self._cash - sum(self._margins.values())
            recorded += sum(p.quantity * p.mark + self._traded[p.symbol] for p in cross)
            missing = round(state.equity - recorded, _MONEY_PLACES)
            if missing:
                self._cash += missing
                records.append(self._collateral(missing, ts))
        return records

    def _collateral(self, amount: Decimal, ts: int) -> Record:
        return {
            "kind": "collateral",
            "ts": ts,
            "account": self._account,
            "amount": format(amount, "f"),
            "cause": "deposit" if amount > 0 else "withdrawal",
        }

    def _move(self, symbol: str, now: ShownPosition | None, ts: int) -> Record:
        """What is new of a position (None: it is closed), and what the venue shows of it."""
        before = self._positions.get(symbol)
        shown = now or self._positions[symbol]
        quantity = now.quantity if now else Decimal(0)
        more = quantity - (before.quantity if before else 0)
        price = _entry_price(shown) if before is None else shown.mark
        self._traded[symbol] = self._traded.get(symbol, Decimal(0)) - more * price
        margin = self._move_margin(symbol, now)
        if now is None:
            self._cash += self._traded.pop(symbol)
        says_price = now is not None and now.says_price
        return {
            "kind": "reference",
            "ts": ts,
            "about": "position",
            "symbol": symbol,
            "account": self._account,
            "quantity": format(more, "f"),
            "entry_price": format(price, "f"),
            "margin_mode": "isolated" if shown.is_isolated else "cross",
            "leverage": _text(shown.leverage),
            "isolated_margin": _text(margin),
            "max_leverage": _text(now.max_leverage if now else None),
            "liquidation_price": _text(now.printed if now else None),
            "mark": _text(shown.mark if says_price else None),
        }

    def _move_margin(self, symbol: str, now: ShownPosition | None) -> Decimal | None:
        """What a position's isolated margin gains; a closed one gives it back by itself."""
        before = self._margins.pop(symbol, None)
        if now is None:
            return None
        margin = Decimal(0)
        if now.is_isolated and now.cash is not None:
            margin = self._margins[symbol] = round(now.cash - self._traded[symbol], _MONEY_PLACES)
        elif before is None:
            return None
        self._cash += margin - (before or 0)
        return margin - (before or 0)


def _entry_price(position: ShownPosition) -> Decimal:
    """Where profit was taken out of an isolated position, only its equity at the mark is a margin:
    then the mark stands for the entry price."""
    cash = position.cash if position.is_isolated else None
    has_none = cash is not None and cash + position.quantity * position.entry <= 0
    return position.mark if has_none else position.entry


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
