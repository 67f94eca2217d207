"""Times as sources write them, to ns since 1970-01-01 UTC, exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.core.contract.fixed_point import EXACT, NUMBER_CHARS_MAX
from monitor.core.contract.units import DAY_S, MILLISECOND_NS, SECOND_NS
from monitor.errors import ConfigError

UNIT_NS = {"s": SECOND_NS, "ms": MILLISECOND_NS, "us": 1_000, "ns": 1}
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
"""A decimal number as programs write it; the contract's own pattern is stricter."""
_ISO = re.compile(
    r"([0-9]{4})([-/]?)([0-9]{2})\2([0-9]{2})"
    r"(?:[Tt _-]([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]{1,18}))?)?"
    r" ?(Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?",
    re.ASCII,
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def find_zone(name: str) -> tzinfo:
    """The zone called `name`: UTC, an offset such as +08:00, or a name of the time zone database.

    Raises `ConfigError`.
    """
    if name in ("UTC", "Z"):
        return UTC
    if re.fullmatch(r"[+-][0-9]{2}:?[0-9]{2}", name, re.ASCII):
        return timezone(timedelta(seconds=_offset_s(name)))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"zone: there is no time zone {name!r}: write UTC, an offset as +08:00, or a name as "
            "Asia/Singapore"
        ) from None


def iso_reader(zone: tzinfo) -> Callable[[str], int]:
    """A function that reads ISO 8601 text to ns; `zone`: of texts that name none.

    Date and time may be joined by T, a space, _ or -, and both may lack their separators. Raises
    `ValueError`, whose text says what is wrong.

    >>> iso_reader(timezone.utc)("2025-11-24T16:00:00.000000001+00:00")
    1764000000000000001
    """
    fixed = zone is UTC

    def read(text: str) -> int:
        match = _ISO.fullmatch(text)
        if match is None:
            raise ValueError("no ISO 8601 time")
        year, _, month, day, hour, minute, second, fraction, offset = match.groups()
        h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
        if h > 23 or m > 59 or s > 59:
            raise ValueError("no time of a day")
        seconds = _days(year, month, day) * DAY_S + h * 3_600 + m * 60 + s
        if offset is not None:
            seconds -= _offset_s(offset)
        elif not fixed:
            local = datetime(int(year), int(month), int(day), h, m, s, tzinfo=zone)
            seconds -= int((local.utcoffset() or timedelta()).total_seconds())
        if fraction is None:
            return seconds * SECOND_NS
        if len(fraction) <= 9:
            return seconds * SECOND_NS + int(fraction.ljust(9, "0"))
        return round_units(f"{seconds}.{fraction}", SECOND_NS)

    return read


@lru_cache(maxsize=1_024)
def _days(year: str, month: str, day: str) -> int:
    return date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY


def _offset_s(text: str) -> int:
    if text in ("Z", "z", "UTC", "GMT"):
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3_600 + int(digits[2:]) * 60
    if seconds >= DAY_S:
        raise ValueError("no offset of a zone")
    return -seconds if text[0] == "-" else seconds


def round_units(text: str, unit: int) -> int:
    """A decimal number of `unit` as an integer, half to even; raises `ValueError`."""
    if len(text) > NUMBER_CHARS_MAX or not NUMBER.fullmatch(text):
        raise ValueError("no number")
    value = Decimal(text, EXACT)
    if value and value.adjusted() > 30:
        raise ValueError("beyond any time")
    exact = EXACT.multiply(value, Decimal(unit))
    return int(exact.to_integral_value(ROUND_HALF_EVEN, EXACT))
