"""Stepped decimals: a price or quantity of any market as one 64-bit integer, its code.

Below 1 a number is counted in 1e-18, from 1 on in 1e-8, from 1e10 on in 1e-2, up to 1e16. The three
counts are laid end to end, so each integer up to `CODE_MAX` stands for one number, a larger code
for a larger number, and 0 for 0; a code below 0 stands for a number below 0. Quantities are rounded
to 1e-8 below 1 too, so that the noise of somebody's doubles is no position. Codes compare and sort
as they are. All other arithmetic goes through `monitor/core/decode/stepped_kernels.py`.

A record is decoded without knowing others, so the grid cannot be its market's own tick: the rules
of a market may come later or never. Between 1 and 1e10 the grid is that of rates and leverage.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from pydantic_core import PydanticCustomError

from monitor.core.contract import fixed_point

FINE, PLAIN, COARSE = 18, 8, 2
"""Decimal places of the three counts."""
PLAIN_FROM: int = 10**FINE
"""The code of 1."""
COARSE_FROM: int = 2 * 10**18 - 10**PLAIN
"""The code of 1e10."""
PLAIN_SHIFT = PLAIN_FROM - 10**PLAIN
COARSE_SHIFT = COARSE_FROM - 10 ** (10 + COARSE)
"""What a code has above the count of its grid."""
CODE_MAX: int = COARSE_SHIFT + 10 ** (16 + COARSE)
"""The code of 1e16. No count exceeds 10^18, so that the sum of two fits 64 bits."""
ONE: int = 10**FINE
"""1 in 1e-18, in which `count` counts."""
_SHIFTS = {FINE: 0, PLAIN: PLAIN_SHIFT, COARSE: COARSE_SHIFT}


def quantise(text: str, below_one: int = FINE) -> int:
    """Read decimal `text` to its code; digits beyond the grid are rounded half to even.

    `below_one`: decimal places of numbers below 1: `FINE`, of quantities `PLAIN`.

    Raises `PydanticCustomError` (`out_of_range`) beyond 1e16, (`wrong_type`) when it is no JSON
    number.

    >>> quantise("0.0000004244"), quantise("1"), quantise("151.25")
    (424400000000, 1000000000000000000, 1000000015025000000)
    """
    value = fixed_point.read_decimal(text)
    size = abs(value)
    if size > 10**16:
        raise PydanticCustomError("out_of_range", "beyond 1e16")
    places = below_one if size < 1 else PLAIN if size < 10**10 else COARSE
    if size and size.adjusted() < -FINE - 1:
        return 0
    exact = fixed_point.EXACT
    scaled = exact.multiply(size, Decimal(10**places))
    units = int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=exact))
    code: int = units * 10 ** (FINE - places) if size < 1 else units + _SHIFTS[places]
    return -code if value < 0 else code


def split(code: int) -> tuple[int, int]:
    """The count of a code, and the decimal places that it counts in."""
    size = abs(code)
    places = FINE if size < PLAIN_FROM else PLAIN if size < COARSE_FROM else COARSE
    units = size - _SHIFTS[places]
    return -units if code < 0 else units, places


def exact(code: int) -> Fraction:
    """The number that a code stands for.

    >>> exact(quantise("0.75"))
    Fraction(3, 4)
    """
    units, places = split(code)
    return Fraction(units, 10**places)


def format_code(code: int) -> str:
    """The shortest decimal text of a code: the inverse of `quantise`.

    >>> format_code(quantise("0.0000004244"))
    '0.0000004244'
    """
    units, places = split(code)
    return fixed_point.format_decimal(units, 10**places)


def count(text: str, below_one: int = FINE) -> int:
    """Read decimal `text` as `quantise` does, to a count of 1e-18 of any size: sums are exact."""
    return int(exact(quantise(text, below_one)) * ONE)


def add(a: int, b: int) -> int:
    """The code of the sum of two numbers, rounded to the grid; `PydanticCustomError` beyond it."""
    return quantise(fixed_point.format_decimal(int((exact(a) + exact(b)) * ONE), ONE))
