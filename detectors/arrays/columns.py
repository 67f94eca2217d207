"""Columns of a matrix by name, in Python and in compiled code."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any


def column_numbers(names: Sequence[str]) -> Any:
    """The index of each column under its name. numba takes a global one for constants.

    >>> book = column_numbers(("ts", "bid", "ask"))
    >>> book.ask
    2
    """
    return namedtuple("Columns", names)(*range(len(names)))
