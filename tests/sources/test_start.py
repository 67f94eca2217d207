"""Where reading begins."""

from __future__ import annotations

import pytest

from monitor.sources.start import start_time_ms


def test_a_time_is_utc_unless_it_says_otherwise() -> None:
    assert start_time_ms("2025-11-24T14:03:07") == start_time_ms("2025-11-24T15:03:07+01:00")
    assert start_time_ms("2025-11-24T14:03:07.5Z") == 1_763_992_987_500


def test_what_is_no_time_is_told_with_what_may_stand_there() -> None:
    with pytest.raises(ValueError, match=r"start = 'newest' is none of earliest, latest"):
        start_time_ms("newest")
