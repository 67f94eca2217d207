"""What a venue says of accounts and markets at a moment, whichever venue it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError

from monitor.venues.parse import UnreadableError, decimal

SIGNIFICANT = 12
"""Digits of a mark that is a value over a quantity: venues round values to 1e-6."""


@dataclass(frozen=True, slots=True)
class ShownPosition:
    """One open position.

    `quantity`: signed, base units. `cash`: of an isolated position, its margin less the value at
    which it was entered, so that its equity is cash + quantity · mark; None: not said.
    `max_leverage`: as the venue shows it for this position. `printed`: the liquidation price as the
    venue prints it; None: none. `says_price`: whether it would print one.
    """

    symbol: str
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    is_isolated: bool
    leverage: Decimal | None = None
    cash: Decimal | None = None
    max_leverage: Decimal | None = None
    printed: Decimal | None = None
    says_price: bool = True

    @property
    def value(self) -> Decimal:
        return abs(self.quantity) * self.mark


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """An account at `ts` (ns; None: not said). `equity`: of its cross positions, unrealised profit
    included; None: not said. `raw`: the venue's own bytes."""

    account: str
    ts: int | None
    equity: Decimal | None
    positions: tuple[ShownPosition, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class ShownMarket:
    """A market's rules. `tiers`: from which notional which maintenance and initial rate hold, as
    texts. `mark`: None: not said."""

    symbol: str
    tiers: tuple[tuple[str, str, str], ...]
    raw: bytes
    isolated_only: bool = False
    mark: Decimal | None = None


@dataclass(slots=True)
class Reading:
    """What one part of a dump says."""

    accounts: list[ShownAccount] = field(default_factory=list)
    markets: list[ShownMarket] = field(default_factory=list)


def number(values: dict[str, Any], name: str) -> Decimal:
    """The number `values[name]`; raises `UnreadableError` that names it."""
    if name not in values or values[name] is None:
        raise UnreadableError("missing_field", f"{name}: Field required")
    return read_number(values[name], name)


def read_number(value: Any, name: str) -> Decimal:
    try:
        return decimal(value)
    except PydanticCustomError as error:
        raise UnreadableError(error.type, f"{name}: {error.message()}") from None
    except UnreadableError as error:
        raise UnreadableError(error.reason, f"{name}: {error.detail}") from None


def number_or_none(values: dict[str, Any], *names: str) -> Decimal | None:
    """The first of these numbers that is there."""
    for name in names:
        if values.get(name) not in (None, ""):
            return read_number(values[name], name)
    return None


def text(values: dict[str, Any], *names: str) -> str | None:
    """The first of these texts that is there."""
    for name in names:
        if isinstance(values.get(name), str) and values[name]:
            return str(values[name])
    return None


def mark_of(value: Decimal, quantity: Decimal) -> Decimal:
    """The mark at which a quantity has this value."""
    price = abs(value / quantity)
    return price.quantize(Decimal(1).scaleb(price.adjusted() - SIGNIFICANT + 1)).normalize()
