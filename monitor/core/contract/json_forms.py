"""Numbers and text of the contract as JSON Schema.

A number is a JSON number or its decimal text. The bounds of JSON numbers are exact: a number is
bounded after it was rounded to its grid, so what is not over half a step is 0, and 0 is what is
less than half a step below it. Text is bounded by its form: its sign and, for a fraction between 0
and 1, the digits before its point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import WithJsonSchema

from monitor.core.contract import fixed_point

Sign = Literal["positive", "not negative", "share", "any"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Decimal places of the smallest numbers, in words those of all, and the largest number."""

    places: int
    places_text: str
    size_max: float


PRICE_GRID = Grid(18, "18 (from 1 on 8, from 1e10 on 2)", 1e16)
QUANTITY_GRID = Grid(8, "8 (from 1e10 on 2)", 1e16)
RATE_GRID = Grid(8, "8", fixed_point.INT64_MAX / fixed_point.SCALE)
MONEY_GRID = Grid(6, "6", fixed_point.INT64_MAX / fixed_point.MONEY_SCALE)

_SIZE, _DECIMALS, _EXPONENT = "(?:0|[1-9][0-9]*)", r"(?:\.[0-9]+)?", "[eE][+-]?[0-9]{1,4}"


def number_schema(meaning: str, grid: Grid, sign: Sign = "any") -> WithJsonSchema:
    """The schema of a number; meaning: unit and bound in words."""
    half_step = float(f"5e-{grid.places + 1}")
    low: dict[str, float] = {"minimum": -half_step}
    if sign == "positive":
        low = {"exclusiveMinimum": half_step}
    elif sign == "any":
        low = {"minimum": -grid.size_max}
    high = {"maximum": 1 + half_step if sign == "share" else grid.size_max}
    text = {
        "type": "string",
        "pattern": f"^(?:{_number_pattern(sign, grid.places)})$",
        "maxLength": fixed_point.NUMBER_CHARS_MAX,
    }
    return WithJsonSchema(
        {
            "anyOf": [{"type": "number", **low, **high}, text],
            "description": f"{meaning}, rounded to {grid.places_text} decimal places",
        }
    )


def _number_pattern(sign: Sign, places: int) -> str:
    if sign == "any":
        return f"-?{_SIZE}{_DECIMALS}(?:{_EXPONENT})?"
    if sign == "positive":
        return rf"(?:[1-9][0-9]*{_DECIMALS}|0\.0*[1-9][0-9]*)(?:{_EXPONENT})?"
    zero = rf"-0(?:\.0+|\.0{{{places}}}[0-9]*)?(?:{_EXPONENT})?"
    small = f"-{_SIZE}{_DECIMALS}[eE]-[0-9]{{1,4}}"
    if sign == "not negative":
        return f"{_SIZE}{_DECIMALS}(?:{_EXPONENT})?|{zero}|{small}"
    one = rf"1(?:\.0+|\.0{{{places}}}[0-9]*)?"
    return f"0{_DECIMALS}|{one}|{_SIZE}{_DECIMALS}{_EXPONENT}|{zero}|{small}"


_HIDDEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680"
    r"\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufdd0-\ufdef\ufeff"
    r"\ufff0-\ufffb\ufffe\uffff"
)
"""White space, control, format (bidi) and private characters of 16 bits. Dialects of patterns
differ in how they write those beyond, and versions of Unicode in what is not assigned."""


def text_schema(length_max: int) -> WithJsonSchema:
    """The schema of a text that can be shown, in characters."""
    pattern = f"^[^{_HIDDEN}]+$"
    return WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": length_max, "pattern": pattern}
    )
