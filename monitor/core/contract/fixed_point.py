"""Fixed point: decimal text to 64-bit integers and back, exactly.

Rates and leverage are counted in 1e-8, money in 1e-6; prices and quantities in the steps of
`stepped.py`.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from pydantic_core import PydanticCustomError

SCALE = 100_000_000
"""Grid of rates and leverage: 1e-8."""
MONEY_SCALE = 1_000_000
"""Grid of money: 1e-6."""
INT64_MAX = 2**63 - 1
NUMBER_CHARS_MAX = 64

NUMBER_PATTERN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
EXACT = Context(prec=100)
"""Arithmetic that does not depend on the thread's own context."""


class NumberText(str):
    """The text of a JSON number, as it stood in the record."""

    __slots__ = ()


def read_decimal(text: str) -> Decimal:
    """The number in `text`; raises `PydanticCustomError` (`out_of_range`, `wrong_type`)."""
    if len(text) > NUMBER_CHARS_MAX:
        raise PydanticCustomError("out_of_range", "a number of over 64 characters")
    if not NUMBER_PATTERN.fullmatch(text):
        raise PydanticCustomError("wrong_type", "not a decimal number")
    return Decimal(text, EXACT)


def quantise(text: str, scale: int) -> int:
    """Read decimal `text` to an integer count of 1/`scale`, half to even.

    Raises `PydanticCustomError` (`out_of_range`) beyond 64 bits, (`wrong_type`) when it is no
    JSON number.

    >>> quantise("151.25", SCALE)
    15125000000
    """
    value = read_decimal(text)
    if value and value.adjusted() > 18:
        raise PydanticCustomError("out_of_range", "beyond 64 bits on the grid")
    if value and value.adjusted() < -18:
        return 0
    exact = EXACT.multiply(value, Decimal(scale))  # not `*`: that rounds in the thread's context
    units = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=EXACT))
    if not -INT64_MAX <= units <= INT64_MAX:
        raise PydanticCustomError("out_of_range", "beyond 64 bits on the grid")
    return units


def format_decimal(units: int, scale: int) -> str:
    """The shortest decimal text of `units`/`scale`: the inverse of `quantise`.

    >>> format_decimal(15125000000, SCALE)
    '151.25'
    """
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, rest = divmod(units, scale)
    digits = str(rest).zfill(len(str(scale)) - 1).rstrip("0") if rest else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
