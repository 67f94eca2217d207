"""Parsing helpers of the venues."""

from __future__ import annotations

import doctest

import pytest
from pydantic_core import PydanticCustomError

from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.venues import parse
from monitor.venues.parse import UnreadableError, decimal, epoch_ns, integer, milliseconds


def test_the_number_of_digits_of_a_time_shows_its_unit() -> None:
    assert epoch_ns("1680652700") == 1_680_652_700 * SECOND_NS
    assert epoch_ns("1680652700423") == 1_680_652_700_423 * MILLISECOND_NS
    assert epoch_ns("1680652700423575") == 1_680_652_700_423_575_000
    assert epoch_ns("1680652700423575123") == 1_680_652_700_423_575_123
    for wrong in ("", "12", "168065270042357x", "١٦٨٠٦٥٢٧٠٠"):
        with pytest.raises(UnreadableError):
            epoch_ns(wrong)


@pytest.mark.parametrize("wrong", [True, None, 1.5, [], "x", "1_0", "9" * 65, " 1", "NaN"])
def test_what_is_no_number_is_never_computed_with(wrong: object) -> None:
    with pytest.raises((UnreadableError, PydanticCustomError)):
        decimal(wrong)


@pytest.mark.parametrize("wrong", [True, None, "9" * 10_000, "5", 2**64, -(2**64)])
def test_a_time_or_a_number_of_an_update_is_a_json_integer_of_64_bits(wrong: object) -> None:
    for read in (lambda value: integer(value, "u"), milliseconds):
        with pytest.raises(UnreadableError, match="wrong_type"):
            read(wrong)


def test_the_examples_of_the_docstrings_hold() -> None:
    result = doctest.testmod(parse)
    assert (result.failed, result.attempted > 0) == (0, True)
