"""Parsing helpers of the venues."""

from __future__ import annotations

import doctest

import pytest

from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.venues import parse
from monitor.venues.parse import UnreadableError, epoch_ns


def test_the_number_of_digits_of_a_time_shows_its_unit() -> None:
    assert epoch_ns("1680652700") == 1_680_652_700 * SECOND_NS
    assert epoch_ns("1680652700423") == 1_680_652_700_423 * MILLISECOND_NS
    assert epoch_ns("1680652700423575") == 1_680_652_700_423_575_000
    assert epoch_ns("1680652700423575123") == 1_680_652_700_423_575_123
    for wrong in ("", "12", "168065270042357x", "١٦٨٠٦٥٢٧٠٠"):
        with pytest.raises(UnreadableError):
            epoch_ns(wrong)


def test_the_examples_of_the_docstrings_hold() -> None:
    result = doctest.testmod(parse)
    assert (result.failed, result.attempted > 0) == (0, True)
