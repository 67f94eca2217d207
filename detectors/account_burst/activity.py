"""Who acted in a window, and how the counts of one market become that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.table import Keys
from detectors.base import read_number


class WindowActivity(NamedTuple):
    """Who acted in a window: one entry for each account and market.

    Parameters
    ----------
    key
        Hash of market and account, distinct, rising.
    market
        Number of the market, ≥ 0, small.
    events
        Events, > 0.
    """

    key: Keys
    market: NDArray[np.int64]
    events: NDArray[np.float64]


NO_ACTIVITY = WindowActivity(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0))


def activity_from_counts(x: Mapping[Any, Any]) -> WindowActivity | str:
    """The acts of a window of one market from counts by account, or why they cannot be read.

    >>> activity_from_counts({"a": 2, "b": 0}).events.tolist()
    [2.0]
    >>> activity_from_counts({"a": -2})
    'a is below zero, and a count is not'
    """
    counts = {}
    for name in x:
        number = read_number(x, name)
        if isinstance(number, str):
            return number
        if number < 0:
            return f"{name} is below zero, and a count is not"
        if number > 0:
            counts[account_key(name)] = number
    keys = sorted(counts)
    return WindowActivity(
        np.array(keys, np.uint64),
        np.zeros(len(keys), np.int64),
        np.array([counts[key] for key in keys], np.float64),
    )


def account_key(name: Any) -> int:
    """A key of 64 bits for an account's name."""
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest(), "big")
