"""How busy each market is beside its usual rate: what all accounts of a market have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from detectors.account_burst.likelihood import RECENT_KEEP, SLOW_WINDOWS

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

BUSY_MAX = 5.0
"""A market busier than this excuses no more, for a burst makes its market busy, too. A window is
learnt as at most this many times what was expected of it."""
FREE_EVENTS = 100.0
"""Plus this many."""
RATE_READY_WINDOWS = 300.0
"""Before that a market's usual rate is not known, and it counts as usual."""
ACTING_WINDOWS = 600.0
"""Memory of how many accounts act, windows: it follows the hours of the day, and not one flurry."""
RATE_MIN = 1.0
"""Events a window: a market with less counts as one with so many, for a burst is no less there."""
ACTING_MIN = 0.1
"""Fewer accounts a window count as this many: one every ten seconds."""
_NOW, _SUM, _FIRST, _LAST, _TOTAL, _ACTING, _ACTS = range(7)
_COLUMNS = 7

_M = types.float64[:, ::1]
_I = types.Array(types.int64, 1, "C", readonly=True)
_F = types.Array(types.float64, 1, "C", readonly=True)


@njit(types.float64(types.int64, types.float64[::1]), cache=True, nogil=True)
def usual_rate(window, m):  # type: ignore[no-untyped-def]
    """Events a window, over about the last hour."""
    age = window - m[_FIRST]
    if m[_FIRST] < 0.0 or age <= 0.0:
        return 0.0
    kept = m[_SUM] * math.exp(-(window - m[_LAST] - 1.0) / SLOW_WINDOWS)
    return kept / (SLOW_WINDOWS * (1.0 - math.exp(-age / SLOW_WINDOWS)))


@njit(types.void(types.int64, _I, _M, _M), cache=True, nogil=True)
def read_markets(window, market, held, out):  # type: ignore[no-untyped-def]
    """For the market of each act: see `MarketRates.read`."""
    for i in range(market.size):
        m = held[market[i]]
        age = window - m[_FIRST]
        mean = usual_rate(window, m)
        out[0, i] = 1.0
        if mean > 0.0 and age >= RATE_READY_WINDOWS:
            now = m[_NOW] * RECENT_KEEP ** (window - m[_LAST] - 1.0)
            out[0, i] = min(BUSY_MAX, now / mean)
        out[1, i] = max(RATE_MIN, mean)
        out[2, i] = 1.0
        if m[_FIRST] >= 0.0 and age > 0.0:
            kept = m[_ACTING] * math.exp(-(window - m[_LAST] - 1.0) / ACTING_WINDOWS)
            seen = ACTING_WINDOWS * (1.0 - math.exp(-age / ACTING_WINDOWS))
            out[2, i] = max(ACTING_MIN, (kept + 1.0) / (seen + 1.0))


@njit(types.void(types.int64, _I, _F, _M), cache=True, nogil=True)
def learn_market_counts(window, market, count, held):  # type: ignore[no-untyped-def]
    """Learn the counts of a window by market."""
    for i in range(market.size):
        held[market[i], _TOTAL] += count[i]
        held[market[i], _ACTS] += 1.0
    for i in range(market.size):
        m = held[market[i]]
        if m[_TOTAL] == 0.0:
            continue  # this market had its turn
        total, m[_TOTAL] = m[_TOTAL], 0.0
        if m[_FIRST] < 0.0:
            m[_FIRST], m[_LAST] = window, window - 1.0
        gap = window - m[_LAST] - 1.0
        now = m[_NOW] * RECENT_KEEP**gap
        total = min(total, BUSY_MAX * (now + usual_rate(window, m)) + FREE_EVENTS)
        m[_NOW] = now * RECENT_KEEP + (1.0 - RECENT_KEEP) * total
        m[_SUM] = m[_SUM] * math.exp(-(gap + 1.0) / SLOW_WINDOWS) + total
        m[_ACTING] = m[_ACTING] * math.exp(-(gap + 1.0) / ACTING_WINDOWS) + m[_ACTS]
        m[_ACTS] = 0.0
        m[_LAST] = window


class MarketRates:
    """The rates of markets, numbered from 0."""

    def __init__(self) -> None:
        self._rows: Float64 = np.zeros((0, _COLUMNS))

    def read(self, window: int, market: Int64) -> Float64:
        """For each market (3, markets): how busy it is (1 is as usual); its usual rate, events a
        window, at least `RATE_MIN`; how many of its accounts act a window, of late."""
        self._grow(market)
        out = np.empty((3, len(market)))
        read_markets(window, market, self._rows, out)
        return out

    def learn(self, window: int, market: Int64, count: Float64) -> None:
        self._grow(market)
        learn_market_counts(window, market, count, self._rows)

    def _grow(self, market: Int64) -> None:
        wanted = int(market.max(initial=-1)) + 1
        if wanted > len(self._rows):
            more = np.zeros((max(wanted, 2 * len(self._rows)) - len(self._rows), _COLUMNS))
            more[:, _FIRST] = -1.0
            self._rows = np.concatenate((self._rows, more))

    def snapshot(self) -> dict[str, Any]:
        return {"markets": self._rows.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        self._rows = np.frombuffer(state["markets"]).reshape(-1, _COLUMNS).copy()
