"""Numbers, times and phrases, as people write them."""

from __future__ import annotations

import doctest

from monitor.core.alerts import formatting, phrases
from monitor.core.alerts.formatting import format_number, join_list, rarity
from monitor.core.alerts.phrases import accounts_phrase


def test_examples_in_the_docstrings_hold() -> None:
    for module in (formatting, phrases):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


def test_number_has_three_digits_or_grouped_thousands() -> None:
    assert [format_number(v) for v in (0, 0.1234, 4.1, 82, 999.6, 1_345_000)] == [
        "0", "0.123", "4.1", "82", "1000", "1,345,000",
    ]  # fmt: skip


def test_rarity_is_in_days_or_times_a_day() -> None:
    assert [rarity(d) for d in (0.1, 1.0, 40.2, 12_345.0, 1e9)] == [
        "10 times a day",
        "once a day",
        "once in 40 days",
        "once in 12,000 days",
        "less than once in a million days",
    ]


def test_list_of_one_or_two_has_no_comma() -> None:
    assert join_list(["a"]) == "a"
    assert join_list(["a", "b"]) == "a and b"


def test_accounts_are_all_named_where_none_have_half() -> None:
    five = [(f"a-{i}", 0.08) for i in range(5)]
    assert accounts_phrase(five).startswith("five accounts make 40 % of them (a-0 8 %, ")
