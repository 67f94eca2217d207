"""Numbers of binary forms as the text that a row has."""

from __future__ import annotations

import numpy as np

from monitor.venues.parse import UnreadableError

UNSCALED_BYTES_MAX = 64
"""More digits than any number of the contract may have."""
SCALE_MAX = 100


def float_text(value: float) -> str:
    """The shortest text that gives this float of 32 bits back.

    >>> float_text(0.10000000149011612)
    '0.1'
    """
    return str(np.float32(value))


def decimal_text(units: int, scale: int) -> str:
    """The decimal of `units` counted in places of 10 to the power of -`scale`.

    >>> decimal_text(-1000, 2)
    '-10.00'
    """
    if scale <= 0:
        return str(units * 10**-scale)
    digits = str(abs(units)).zfill(scale + 1)
    return f"{'-' if units < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def unscaled_text(unscaled: bytes, scale: int) -> str:
    """The decimal that `unscaled` (two's complement, highest byte first) and `scale` write; raises
    `UnreadableError` (out_of_range).

    >>> unscaled_text(bytes([0x03, 0xE8]), 2)
    '10.00'
    """
    if len(unscaled) > UNSCALED_BYTES_MAX or not -SCALE_MAX <= scale <= SCALE_MAX:
        detail = f"a decimal of {len(unscaled)} bytes and scale {scale}"
        raise UnreadableError("out_of_range", detail)
    return decimal_text(int.from_bytes(unscaled, signed=True), scale)
