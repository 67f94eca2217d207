"""Stepped decimals: exact from text to code and back, in the order of the numbers."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from monitor.core.contract import stepped

CODES = st.one_of(
    st.integers(-stepped.CODE_MAX, stepped.CODE_MAX),
    *(
        st.integers(seam - 1000, min(seam + 1000, stepped.CODE_MAX))
        for seam in (0, stepped.PLAIN_FROM, stepped.COARSE_FROM, stepped.CODE_MAX)
    ),
)


@st.composite
def numbers(draw: st.DrawFn, low: int, high: int, below_one: int) -> str:
    """A number from 10^low up to 10^high with as many digits as its grid has, 17 at most."""
    power = draw(st.integers(low, high - 1))
    places = below_one if power < 0 else stepped.PLAIN if power < 10 else stepped.COARSE
    count = draw(st.integers(1, min(17, power + places + 1)))
    mantissa = draw(st.integers(10 ** (count - 1), 10**count - 1))
    with localcontext(prec=60):
        return f"{Decimal(mantissa).scaleb(power - count + 1):f}"


@given(CODES)
def test_every_code_is_a_number_and_comes_back_from_its_text(code: int) -> None:
    assert stepped.quantise(stepped.format_code(code)) == code


@given(CODES, CODES)
def test_codes_are_in_the_order_of_their_numbers(a: int, b: int) -> None:
    assert (a < b) == (stepped.exact(a) < stepped.exact(b))
    assert (a == b) == (stepped.exact(a) == stepped.exact(b))


@given(numbers(-12, 10, stepped.FINE))
def test_prices_from_1e_12_to_1e9_are_exact(text: str) -> None:
    assert stepped.exact(stepped.quantise(text)) == Fraction(text)


@given(numbers(-8, 16, stepped.PLAIN))
def test_quantities_from_1e_8_to_1e15_are_exact(text: str) -> None:
    assert stepped.exact(stepped.quantise(text, stepped.PLAIN)) == Fraction(text)


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("0.0000000000000000005", "0"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("0.9999999999999999999", "1"),
        ("1.000000005", "1"),
        ("1.000000015", "1.00000002"),
        ("9999999999.999999999", "10000000000"),
        ("10000000000.005", "10000000000"),
        ("10000000000.015", "10000000000.02"),
        ("1e16", "10000000000000000"),
        ("-0.25", "-0.25"),
    ],
)
def test_digits_beyond_the_grid_are_rounded_half_to_even(text: str, rounded: str) -> None:
    assert stepped.format_code(stepped.quantise(text)) == rounded


@pytest.mark.parametrize("text", ["10000000000000000.01", "1e17", "-1e30"])
def test_a_number_beyond_1e16_is_out_of_range(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="1e16"):
        stepped.quantise(text)


def test_the_noise_of_doubles_is_no_quantity() -> None:
    noise = str(0.1 + 0.2 - 0.3)
    assert stepped.quantise(noise) > 0
    assert stepped.quantise(noise, stepped.PLAIN) == 0
