"""Numbers of a source: from their text to what the contract reads, never through a float."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from monitor.core.contract.fixed_point import EXACT, NUMBER_CHARS_MAX
from monitor.core.decode.validate import preview
from monitor.errors import ConfigError
from monitor.sources.field_map.times import NUMBER
from monitor.sources.field_map.values import OTHER, Vocabulary, text_of
from monitor.venues.parse import UnreadableError

PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII).fullmatch
"""Matches a number that the contract reads as it stands."""
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:[,' _][0-9]{3})+(?:\.[0-9]+)?", re.ASCII).fullmatch
_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+", re.ASCII).fullmatch
_QUOTIENT = Context(prec=18)


def number_text(value: Any) -> str:
    """A number as the contract reads it; raises `UnreadableError`.

    Beyond the contract's own form it may have a plus sign, leading zeros, and nothing on one side
    of its point.
    """
    if type(value) is int:
        return str(value)
    text = text_of(value)
    if PLAIN(text):
        return text
    if isinstance(value, bool) or not NUMBER.fullmatch(text):
        raise UnreadableError("wrong_type", f"is {preview(text)}, {_mend(text)}")
    return format_number(Decimal(text, EXACT)) if len(text) <= NUMBER_CHARS_MAX else text


def _mend(text: str) -> str:
    if _GROUPED(text):
        return "a number with separators of thousands: write it without them"
    if _COMMA(text):
        return "a number with a decimal comma: write it with a point"
    return "no number (a text that means absent belongs into null)"


def format_number(value: Decimal) -> str:
    """Decimal text without an exponent, unless that would be long."""
    exponent = value.as_tuple().exponent
    plain = isinstance(exponent, int) and -40 < exponent <= 0
    return format(value, "f") if plain or -1 < value.adjusted() < 30 else str(value)


def decimal_setting(text: str, where: str) -> Decimal:
    """A factor that a map gives; raises `ConfigError`."""
    if not NUMBER.fullmatch(text) or len(text) > NUMBER_CHARS_MAX or not Decimal(text):
        raise ConfigError(f"{where}: {text!r} is no number other than 0: write it as '0.001'")
    return Decimal(text, EXACT)


@dataclass(slots=True)
class NumberChange:
    """What a rule does to a number: factor, sign, divisor. Takes (number, symbol, sign's word,
    divisor) as they stand in a row."""

    factors: Mapping[str, Decimal]
    """By symbol; under `OTHER` that of all others. Empty: 1."""
    absolute: bool
    signs: Vocabulary | None
    """The meanings `+` and `-`."""
    names: tuple[str, str]
    """The paths of the sign's word and of the divisor, for sentences."""
    is_absent: Callable[[Any], bool]

    @property
    def is_factor(self) -> bool:
        """Whether it is one factor, the same for all, and nothing else."""
        return [*self.factors] == [OTHER] and not (self.absolute or self.signs or self.names[1])

    def multiply(self, number: Any, symbol: str | None) -> str:
        """The text of the number times its factor; raises `UnreadableError`."""
        return self.apply((number, symbol, None, None))

    def apply(self, parts: tuple[Any, Any, Any, Any]) -> str:
        """The text of the changed number; raises `UnreadableError`."""
        number, symbol, sign, over = parts
        value = Decimal(number_text(number), EXACT)
        if self.factors:
            factor = self.factors.get(symbol) or self.factors.get(OTHER)
            if factor is None:
                raise UnreadableError(
                    "bad_value", f"has no factor for the symbol {preview(symbol)}"
                )
            value = EXACT.multiply(value, factor)
        if self.absolute:
            value = abs(value)
        if self.signs is not None:
            value = value.copy_negate() if self._sign(sign) == "-" else value
        if self.names[1]:
            value = self._quotient(value, over)
        return format_number(value)

    def _sign(self, written: Any) -> str:
        if self.is_absent(written):
            raise UnreadableError("missing_field", f"its sign, {self.names[0]!r}, is absent")
        assert self.signs is not None
        meaning = self.signs.translate(text_of(written))
        if not meaning:
            raise UnreadableError(
                "bad_value",
                f"its sign, {self.names[0]!r}, is {preview(written)}, none of its words "
                f"({self.signs.listing()})",
            )
        return meaning

    def _quotient(self, value: Decimal, over: Any) -> Decimal:
        if self.is_absent(over):
            raise UnreadableError("missing_field", f"its divisor, {self.names[1]!r}, is absent")
        divisor = Decimal(number_text(over), EXACT)
        if not divisor:
            raise UnreadableError("out_of_range", f"its divisor, {self.names[1]!r}, is 0")
        return _QUOTIENT.divide(value, divisor)
