"""Times in every form that sources write, to the nanosecond."""

from __future__ import annotations

from datetime import UTC

import pytest

from monitor.errors import ConfigError
from monitor.sources.field_map.times import find_zone, iso_reader, round_units

AT = 1_764_000_000_000_000_000
"""2025-11-24T16:00:00Z"""


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2025-11-24T16:00:00Z", AT),
        ("2025-11-24 16:00:00", AT),
        ("2025-11-24 16:00:00 UTC", AT),
        ("2025-11-24 16:00", AT),
        ("2025-11-24T16:00:00.000000001Z", AT + 1),
        ("2025-11-24T16:00:00.5+00:00", AT + 500_000_000),
        ("2025-11-25T00:00:00+08:00", AT),
        ("2025-11-25T00:00:00+0800", AT),
        ("2025-11-24T10:30:00-05:30", AT),
        ("20251124T160000Z", AT),
        ("20251124-16:00:00.123", AT + 123_000_000),
        ("2025/11/24 16:00:00,123", AT + 123_000_000),
        ("2025-11-24", AT - 16 * 3_600_000_000_000),
        ("2025-11-24T16:00:00.0000000015Z", AT + 2),
    ],
)
def test_iso_text_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert iso_reader(UTC)(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "", "16:00:00", "2025-13-24T00:00:00Z", "2025-02-30", "2025-11-24T24:00:00Z",
        "2025-11-24T16:60:00Z", "24/11/2025", "1764000000", "2025-11-24T16:00:00+25:00",
        "2025-11-24T16:00:00Z ", "2025-1124", "２025-11-24",
    ],
)  # fmt: skip
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        iso_reader(UTC)(text)


def test_a_time_without_a_zone_is_in_the_maps_zone() -> None:
    assert iso_reader(find_zone("Asia/Singapore"))("2025-11-25T00:00:00") == AT
    assert iso_reader(find_zone("+08:00"))("2025-11-25T00:00:00") == AT
    assert iso_reader(find_zone("America/New_York"))("2025-11-24T11:00:00") == AT
    assert iso_reader(find_zone("America/New_York"))("2025-11-24T16:00:00Z") == AT


def test_a_zone_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no time zone 'Mars/Base'"):
        find_zone("Mars/Base")


@pytest.mark.parametrize(
    ("text", "unit", "units"),
    [
        ("1.5", 1_000, 1_500), ("1e3", 1, 1_000), ("0.0005", 1_000, 0), ("0.0015", 1_000, 2),
        ("1764000000.123456789", 10**9, AT + 123_456_789), ("+1", 1, 1),
    ],
)  # fmt: skip
def test_a_fraction_of_a_unit_is_rounded_half_to_even(text: str, unit: int, units: int) -> None:
    assert round_units(text, unit) == units


@pytest.mark.parametrize("text", ["", "a", "1_0", "1,0", "nan", "1e9999", "1" * 65])
def test_what_is_no_number_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        round_units(text, 1)
