"""The scanner: one flat JSON record after another, straight into columns.

Every loop over bytes ends on `END`, which stands after each record and is part of no JSON token,
so that no loop needs to compare with the record's end. A function that reads a value returns the
index of the byte after it, or -1 where it is not certain: the record stays undecided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import B1, I1, I2, INT, RBYTES
from monitor.core.contract import events, fixed_point, stepped
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_float

# The columns of a field's row in the table: where its name stands, what type it is, which row of
# the numbers, texts or ladders it fills, its bounds, its range of values, its decimal places.
NAME, LENGTH, TYPE, SLOT, LOW, HIGH, VALUES_BEGIN, VALUES_END, DIGITS = range(9)
VALUE_START, VALUE_LENGTH, VALUE_CODE = range(3)
INTEGER, DECIMAL, TEXT, ENUM, LADDER, JSON = range(6)
PRICE_DIGITS, QUANTITY_DIGITS = -stepped.FINE, -stepped.PLAIN
"""Decimal places of numbers below 1, with the sign turned: a stepped decimal, read to its code."""

_DIGITS_MAX = 18
"""Digits before the point that surely fit 64 bits; a number with more stays undecided."""
_SURE_NOTIONAL = events.NOTIONAL_MAX * 0.999
"""Below this the product in floating point is certain to be within the bound."""
_UNKNOWN_MAX = 16
"""Unknown fields a record may have on the fast path."""

END = b"\0"
"""Stands after each record: no token of JSON holds it, so every loop ends on it."""

_POW10 = 10 ** np.arange(19, dtype=np.int64)
_LARGEST = np.iinfo(np.int64).max // _POW10 - 1
_IS_TEXT_BYTE = np.zeros(256, np.bool_)
_IS_TEXT_BYTE[0x21:0x7F] = True
_IS_TEXT_BYTE[[0x22, 0x5C]] = False  # the quotation mark ends it, the backslash escapes
_IS_TEXT_OR_SPACE = _IS_TEXT_BYTE.copy()
_IS_TEXT_OR_SPACE[0x20] = True
_DIGIT = np.zeros(256, np.bool_)
_DIGIT[0x30:0x3A] = True
_SPACE = np.zeros(256, np.bool_)
_SPACE[[0x09, 0x0A, 0x0D, 0x20]] = True


@njit(forceinline=True)
def _skip_space(buf: Any, i: int) -> int:
    """The next byte that is no white space; `END` at the latest."""
    while buf[i] <= 0x20 and _SPACE[buf[i]]:
        i += 1
    return i


@njit(forceinline=True)
def _equal_bytes(buf: Any, i: int, names: Any, start: int, length: int) -> bool:
    for k in range(length):  # noqa: SIM110 - plain loops are what compiles well
        if buf[i + k] != names[start + k]:
            return False
    return True


@njit(forceinline=True)
def _read_integer(buf: Any, i: int) -> tuple[int, int]:
    """Read a JSON integer: the byte after it (-1: undecided) and its value."""
    negative = buf[i] == 0x2D
    i += negative
    first = i
    value = 0
    while _DIGIT[buf[i]]:
        value = value * 10 + (buf[i] - 0x30)
        i += 1
    count = i - first
    # 19 digits overflow to a negative value, never to a positive one: 10**19 < 2**64.
    if count == 0 or count > 19 or value < 0 or (count > 1 and buf[first] == 0x30):
        return -1, 0
    return i, -value if negative else value


@njit(forceinline=True)
def _read_decimal(buf: Any, i: int, digits: int) -> tuple[int, int]:
    """Read a decimal number to `digits` places, half to even: the byte after it, its units.

    `PRICE_DIGITS`, `QUANTITY_DIGITS`: the code of a stepped decimal.
    """
    begin = i
    negative = buf[i] == 0x2D
    i += negative
    first = i
    value = 0
    while _DIGIT[buf[i]]:
        value = value * 10 + (buf[i] - 0x30)
        i += 1
    count = i - first
    if count == 0 or count > _DIGITS_MAX or (count > 1 and buf[first] == 0x30):
        return -1, 0
    shift, step = 0, 1
    if digits < 0:
        if value >= 10_000_000_000:
            if value >= 10**16:
                return -1, 0
            digits, shift = stepped.COARSE, stepped.COARSE_SHIFT
        elif value > 0:
            digits, shift = stepped.PLAIN, stepped.PLAIN_SHIFT
        else:
            digits = -digits
            step = _POW10[stepped.FINE - digits]
    if value > _LARGEST[digits]:
        return -1, 0
    if buf[i] != 0x2E:
        value = value * _POW10[digits] + shift
        return i, -value if negative else value
    i += 1
    first = i
    while i - first < digits and _DIGIT[buf[i]]:
        value = value * 10 + (buf[i] - 0x30)
        i += 1
    if i == first:
        return -1, 0
    value *= _POW10[digits - (i - first)]
    if _DIGIT[buf[i]]:
        half = buf[i] - 0x30
        i += 1
        rest = False
        while _DIGIT[buf[i]]:
            rest |= buf[i] != 0x30
            i += 1
        if half > 5 or (half == 5 and (rest or value & 1)):
            value += 1
        if i - begin > fixed_point.NUMBER_CHARS_MAX:
            return -1, 0
    value = value * step + shift
    return i, -value if negative else value


@njit(forceinline=True)
def _read_number(buf: Any, i: int, digits: int) -> tuple[int, int]:
    """A decimal, bare or as a string of its own."""
    if buf[i] != 0x22:
        return _read_decimal(buf, i, digits)
    i, value = _read_decimal(buf, i + 1, digits)
    if i < 0 or buf[i] != 0x22:
        return -1, 0
    return i + 1, value


@njit(forceinline=True)
def _read_ladder(
    buf: Any, i: int, rising: bool, price: Any, quantity: Any, at: int
) -> tuple[int, int]:
    """Read a ladder into `price` and `quantity` from `at`: the byte after it, the level after."""
    if buf[i] != 0x5B:
        return -1, at
    i = _skip_space(buf, i + 1)
    if buf[i] == 0x5D:
        return i + 1, at
    first = at
    while True:
        if buf[i] != 0x5B or at - first == events.LEVELS_MAX:
            return -1, first
        i, p = _read_number(buf, _skip_space(buf, i + 1), PRICE_DIGITS)
        if i < 0:
            return -1, first
        i = _skip_space(buf, i)
        if buf[i] != 0x2C:
            return -1, first
        i, q = _read_number(buf, _skip_space(buf, i + 1), QUANTITY_DIGITS)
        if i < 0:
            return -1, first
        i = _skip_space(buf, i)
        if buf[i] != 0x5D or p <= 0 or q <= 0:
            return -1, first
        if at > first and (p <= price[at - 1] if rising else p >= price[at - 1]):
            return -1, first
        price[at] = p
        quantity[at] = q
        at += 1
        i = _skip_space(buf, i + 1)
        if buf[i] == 0x5D:
            return i + 1, at
        if buf[i] != 0x2C:
            return -1, first
        i = _skip_space(buf, i + 1)


@njit(forceinline=True)
def _skip_unknown_value(buf: Any, i: int) -> int:
    """Step over a plain scalar of a field that the contract does not know."""
    if buf[i] == 0x22:
        i += 1
        while _IS_TEXT_OR_SPACE[buf[i]]:
            i += 1
        return i + 1 if buf[i] == 0x22 else -1
    if buf[i] == 0x6E:
        return i + 4 if buf[i + 1] == 0x75 and buf[i + 2] == 0x6C and buf[i + 3] == 0x6C else -1
    if buf[i] == 0x74:
        return i + 4 if buf[i + 1] == 0x72 and buf[i + 2] == 0x75 and buf[i + 3] == 0x65 else -1
    if buf[i] == 0x66 and buf[i + 1] == 0x61:
        return i + 5 if buf[i + 2] == 0x6C and buf[i + 3] == 0x73 and buf[i + 4] == 0x65 else -1
    return _read_decimal(buf, i, 8)[0]


@njit(forceinline=True)
def _find_field(buf: Any, i: int, fields: Any, names: Any, expected: int) -> int:
    """Which field's name begins at `i`; -1: none of the contract's."""
    count = len(fields)
    for k in range(count):
        f = expected + k
        f -= count if f >= count else 0
        length = fields[f, LENGTH]
        if _equal_bytes(buf, i, names, fields[f, NAME], length) and buf[i + length] == 0x22:
            return f
    return -1


@njit(forceinline=True)
def _read_record(
    buf: Any, i: int, end: int, row: int, fields: Any, values: Any, names: Any, required: int,
    numbers: Any, start: Any, length: Any, first: Any, levels: Any, price: Any, quantity: Any,
    used: Any, following: Any, unknown: Any,
) -> bool:  # fmt: skip
    """Read one record into row `row` of the columns; False: undecided."""
    i = _skip_space(buf, i)
    if buf[i] != 0x7B:
        return False
    i = _skip_space(buf, i + 1)
    seen = 0
    strange = 0
    last = 0
    while True:
        if buf[i] != 0x22:
            return False
        i += 1
        f = _find_field(buf, i, fields, names, following[last])
        if f >= 0:
            if seen >> f & 1:
                return False
            seen |= 1 << f
            following[last] = f
            last = f
            i += fields[f, LENGTH] + 1
        else:
            begin = i
            while _IS_TEXT_OR_SPACE[buf[i]]:
                i += 1
            if buf[i] != 0x22 or strange == _UNKNOWN_MAX:
                return False
            for k in range(strange):
                if unknown[k, 1] == i - begin and _equal_bytes(
                    buf, begin, buf, unknown[k, 0], i - begin
                ):
                    return False
            unknown[strange, 0] = begin
            unknown[strange, 1] = i - begin
            strange += 1
            i += 1
        i = _skip_space(buf, i)
        if buf[i] != 0x3A:
            return False
        i = _skip_space(buf, i + 1)
        if f < 0:
            i = _skip_unknown_value(buf, i)
        elif buf[i] == 0x6E:  # null: absent, if it may be
            if required >> f & 1:
                return False
            i = _skip_unknown_value(buf, i)
        else:
            slot = fields[f, SLOT]
            form = fields[f, TYPE]
            if form == TEXT:
                begin = i + 1
                if buf[i] != 0x22:
                    return False
                i = begin
                while _IS_TEXT_BYTE[buf[i]]:
                    i += 1
                if buf[i] != 0x22 or not 0 < i - begin <= events.TEXT_MAX:
                    return False
                start[slot, row] = begin
                length[slot, row] = i - begin
                i += 1
            elif form == ENUM:
                for v in range(fields[f, VALUES_BEGIN], fields[f, VALUES_END]):
                    size = values[v, VALUE_LENGTH]
                    if _equal_bytes(buf, i, names, values[v, VALUE_START], size):
                        i += size
                        if slot >= 0:
                            numbers[slot, row] = values[v, VALUE_CODE]
                        break
                else:
                    return False
            elif form == LADDER:
                first[slot, row] = used[slot]
                i, at = _read_ladder(buf, i, slot == 1, price[slot], quantity[slot], used[slot])
                levels[slot, row] = at - used[slot]
                used[slot] = at
            elif form == JSON:
                return False
            else:
                if form == DECIMAL:
                    i, value = _read_number(buf, i, fields[f, DIGITS])
                else:
                    i, value = _read_integer(buf, i)
                if i < 0 or value < fields[f, LOW] or value > fields[f, HIGH]:
                    return False
                numbers[slot, row] = value
        if i < 0:
            return False
        i = _skip_space(buf, i)
        if buf[i] == 0x7D:
            return _skip_space(buf, i + 1) == end and seen & required == required
        if buf[i] != 0x2C:
            return False
        i = _skip_space(buf, i + 1)


@njit(
    (RBYTES, I1, I1, I2, I2, RBYTES, INT, INT, INT, I2, I2, I2, I2, I2, I2, I2, I1, B1),
    cache=True,
    nogil=True,
)
def scan_records(
    buf: Any, begin: Any, size: Any, fields: Any, values: Any, names: Any, required: int, p: int,
    q: int, numbers: Any, start: Any, length: Any, first: Any, levels: Any, price: Any,
    quantity: Any, used: Any, undecided: Any,
) -> None:  # fmt: skip
    """Read every record it is certain about; mark the others in `undecided`.

    `p`, `q`: the rows of price and quantity in `numbers`, or -1 where their product has no bound.
    """
    count = len(fields)
    following = (np.arange(count) + 1) % count
    unknown = np.empty((_UNKNOWN_MAX, 2), np.int64)
    for row in range(len(begin)):
        bids, asks = used[0], used[1]
        sure = size[row] <= events.RECORD_BYTES_MAX and _read_record(
            buf, begin[row], begin[row] + size[row], row, fields, values, names, required,
            numbers, start, length, first, levels, price, quantity, used, following, unknown,
        )  # fmt: skip
        if sure and p >= 0 and numbers[p, row] != ABSENT and numbers[q, row] != ABSENT:
            sure = to_float(numbers[p, row]) * to_float(numbers[q, row]) < _SURE_NOTIONAL
        if not sure:
            undecided[row] = True
            used[0], used[1] = bids, asks
