"""Reading what is given to `brinkwatch margin`: JSON values to exact rationals, by name.

Numbers may be JSON numbers or decimal strings. Every refusal is a `MarginInputError` that names the
place (`pools[0].positions[1].quantity`) and says how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction

ZERO = Fraction(0)
EXPONENT_MAX = 40
"""Powers of ten beyond which a number is a typing error, not a price."""
TEXT_MAX = 80
"""Longest number that is read, in characters."""
FIELD_ALIASES = {
    "symbol": ("instId", "instrument_name", "coin"),
    "quantity": ("positionAmt", "size", "pos", "szi", "currentQty"),
    "entry": (
        "entry_price", "entryPrice", "avgPrice", "avgPx", "avgEntryPrice", "average_price",
        "entryPx",
    ),
    "mark": ("mark_price", "markPrice", "markPx"),
    "margin": ("collateral", "isolated_margin", "isolated_wallet", "isolatedWallet"),
    "balance": ("wallet_balance", "walletBalance", "crossWalletBalance", "margin", "collateral"),
    "mode": ("margin_mode", "marginMode", "mgnMode", "marginType"),
    "leverage": ("lever",),
    "side": ("positionSide", "posSide", "position_side", "direction"),
    "fee": ("taker_fee", "takerFee", "taker_fee_rate", "takerFeeRate", "closing_fee"),
    "extra_margin": ("extra_margin_added",),
    "as_of": ("asOf",),
    "contract_type": ("ctType", "category"),
    "contract_size": ("contractSize", "ctVal", "face_value"),
    "settles_in": ("settleCcy", "settleCoin", "settlCurrency", "marginAsset"),
    "tier_law": ("law",),
    "lower_bound": ("notionalFloor", "bracketNotionalFloor", "qtylFloor", "minSz", "minNotional"),
    "upper_bound": (
        "notionalCap", "bracketNotionalCap", "qtyCap", "maxSz", "maxNotional", "riskLimitValue",
    ),
    "maintenance_rate": (
        "maintMarginRatio", "maintenance_margin_rate", "maintenanceMarginRate", "maintenanceMargin",
        "mmr",
    ),
    "initial_rate": ("initial_margin_rate", "initialMargin", "imr"),
    "cum": ("deduction", "maintenance_amount", "maint_amount", "maintAmount", "mmDeduction"),
}  # fmt: skip
"""Other names of the same field, in the contract and at venues."""


class MarginInputError(ValueError):
    """The document cannot be solved as it stands."""


def number(value: object, where: str) -> Fraction:
    """An exact rational from a JSON number or decimal string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise MarginInputError(f"{where}: {shorten(value)} is not a number: give 0.01 or '0.01'")
    text = str(value) if not isinstance(value, int) or abs(value) < 10**TEXT_MAX else "too long"
    try:
        exact = Decimal(text) if len(text) <= TEXT_MAX and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or abs(exact.adjusted()) > EXPONENT_MAX:
        raise MarginInputError(f"{where}: {shorten(value)} is not a finite decimal number")
    return Fraction(exact)


@dataclass
class Fields:
    """One JSON object, and the objects around it that give defaults, nearest first.

    `names_read` collects the names that were looked up, so that the rest can be reported.
    """

    where: str
    own: Mapping[str, object]
    outer: tuple[Mapping[str, object], ...] = ()
    names_read: set[str] = field(default_factory=set)

    def find(self, name: str, inherit: bool = False) -> object | None:
        """The value under `name` or one of its aliases; None when absent or null."""
        names = (name, *FIELD_ALIASES.get(name, ()))
        self.names_read.update(names)
        for source in (self.own, *(self.outer if inherit else ())):
            for key in names:
                if source.get(key) is not None:
                    return source[key]
        return None

    def number(self, name: str, inherit: bool = False) -> Fraction | None:
        value = self.find(name, inherit)
        return None if value is None else number(value, f"{self.where}.{name}")

    def positive(self, name: str, inherit: bool = False) -> Fraction | None:
        value = self.number(name, inherit)
        if value is not None and value <= 0:
            raise MarginInputError(f"{self.where}.{name} must be above 0")
        return value

    def fraction(self, name: str, inherit: bool = False) -> Fraction | None:
        """A rate between 0 (inclusive) and 1."""
        value = self.number(name, inherit)
        if value is not None and not 0 <= value < 1:
            raise MarginInputError(f"{self.where}.{name} must be a fraction: 5 bp is 0.0005")
        return value


def mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MarginInputError(f"{where}: {shorten(value)} is not an object in braces")
    return value


def non_empty_list(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list) or not value:
        raise MarginInputError(f"{where} must be a list with at least one entry")
    return value


def shorten(value: object) -> str:
    """The value as text, cut short; a number of thousands of digits is not written out at all."""
    if isinstance(value, int) and abs(value) >= 10**TEXT_MAX:
        return "a number that long"
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "…"
