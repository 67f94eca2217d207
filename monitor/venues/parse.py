"""What several venues share: JSON lines, times, sides, canonical records."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Never

import msgspec

from monitor.core.contract.fixed_point import INT64_MAX, read_decimal
from monitor.core.contract.units import MILLISECOND_NS

Record = dict[str, Any]
"""A canonical record with its `kind`; numbers as text or integers, absent fields None."""

OPPOSITE_SIDE = {"buy": "sell", "sell": "buy"}


class UnreadableError(Exception):
    """A line that is not in the venue's format: a reason of `codec.REASONS`, and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def _reject_constant(constant: str) -> Never:
    raise UnreadableError("not_json", f"{constant} is no JSON number")


_JSON = json.JSONDecoder(parse_float=str, parse_constant=_reject_constant)


def read_json(raw: bytes) -> dict[str, Any]:
    """One JSON object. Numbers with a point or an exponent stay text, exactly as written."""
    try:
        value = _JSON.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError("not_json", f"at character {error.pos}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not_json", type(error).__name__) from None
    if not isinstance(value, dict):
        raise UnreadableError("not_object", "the JSON value is no object")
    return value


def canonical_json(record: Record) -> bytes:
    """The record as JSON, without its absent fields."""
    return msgspec.json.encode({name: v for name, v in record.items() if v is not None})


def decimal(value: Any) -> Decimal:
    """A number to compute with, from JSON or from text, as the contract reads it; raises
    `UnreadableError`, and `PydanticCustomError` as `read_decimal` does."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnreadableError("wrong_type", "not a number or a decimal string")
    return read_decimal(str(value))


def integer(value: Any, name: str) -> int:
    """A JSON integer of 64 bits, to compute with; `name`: for the error."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INT64_MAX:
        raise UnreadableError("wrong_type", f"{name}: no integer of 64 bits")
    return value


def milliseconds(value: Any) -> int:
    """A time in ms since 1970, a JSON integer, in ns."""
    if integer(value, "time") >= 10**15 or value < 0:
        raise UnreadableError("wrong_type", "no time in ms since 1970")
    return int(value) * MILLISECOND_NS


def leading_time(raw: bytes) -> int | None:
    """The time at the beginning of a line `<time> …`, ns; None: there is none."""
    try:
        return epoch_ns(raw[:20].partition(b" ")[0].decode())
    except (UnreadableError, UnicodeDecodeError):
        return None


def epoch_ns(digits: str) -> int:
    """A time since 1970 in s, ms, µs or ns, in ns; its number of digits shows the unit.

    Unambiguous for the years 2001 to 2286.

    >>> epoch_ns("1680652700423575")
    1680652700423575000
    """
    if len(digits) not in (10, 13, 16, 19) or not (digits.isascii() and digits.isdecimal()):
        raise UnreadableError("wrong_type", "no time in s, ms, µs or ns since 1970")
    return int(digits.ljust(19, "0"))
