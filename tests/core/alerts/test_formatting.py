"""Numbers, times and phrases, as people write them."""

from __future__ import annotations

import doctest

import pytest

from monitor.core.alerts import formatting, wording
from monitor.core.alerts.formatting import format_number, join_list, rarity, short_name
from monitor.core.alerts.wording import accounts_phrase, change_phrase, ratio_phrase
from monitor.core.finding import JOINT, FindingPart


def test_examples_in_the_docstrings_hold() -> None:
    for module in (formatting, wording):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


def test_number_has_three_digits_or_grouped_thousands() -> None:
    assert [format_number(v) for v in (0, 0.1234, 4.1, 82, 999.6, 1_345_000)] == [
        "0", "0.123", "4.1", "82", "1000", "1,345,000",
    ]  # fmt: skip


def test_rarity_is_in_days_or_times_a_day() -> None:
    assert [rarity(d) for d in (0.0684, 0.1, 1.0, 40.2, 12_345.0)] == [
        "15 times a day",
        "10 times a day",
        "once a day",
        "once in 40 days",
        "once in 12,000 days",
    ]


def test_nothing_is_rarer_than_once_in_what_was_seen() -> None:
    day = 1 / 86_400
    spans = {
        754 * day: "12 min",
        45 * day: "45 s",
        119 * 60 * day: "119 min",
        1.5: "36 h",
        2.0: "2 days",
    }
    for seen, span in spans.items():
        for days in (seen, 420_000.0):
            assert rarity(days, seen) == f"rarer than anything in the {span} seen"
    assert rarity(1.5, 2.0) == "once in 2 days"
    assert rarity(0.5, 0.6) == "2 times a day"


def test_both_ends_of_a_long_name_are_in_a_sentence() -> None:
    assert short_name("a" * 24) == "a" * 24
    assert short_name("a" * 12 + "b" * 13) == "aaaaaaaa…bbbbbb"


def test_list_of_one_or_two_has_no_comma() -> None:
    assert join_list(["a"]) == "a"
    assert join_list(["a", "b"]) == "a and b"


@pytest.mark.parametrize(
    ("ratio", "phrase"),
    [
        (4.1, " ×4.1"),
        (1.0, " ×1"),
        (0.52, " at half of usual"),
        (0.17, " at a sixth of usual"),
        (0.1, " at a tenth of usual"),
        (0.7, " at 70 % of usual"),
        (0.04, " at 4 % of usual"),
        (0.0, " at 0 % of usual"),
        (-2.0, " ×-2"),
        (1000.0, ""),
        (None, ""),
    ],
)
def test_fall_is_a_fraction_alone_and_among_several_streams(
    ratio: float | None, phrase: str
) -> None:
    assert ratio_phrase(ratio) == phrase
    expected = 0.0 if ratio is None else 1.0
    part = FindingPart("X", "open_interest", JOINT, 0, ratio or 0.0, expected, 1e-6, 0.5)
    if phrase:
        assert change_phrase(part) == f"open interest{phrase}"
    else:
        assert change_phrase(part).startswith("open interest at ")


def test_accounts_are_all_named_where_none_have_half() -> None:
    five = [(f"a-{i}", 0.08) for i in range(5)]
    assert accounts_phrase(five).startswith("five accounts make 40 % of them (a-0 8 %, ")
