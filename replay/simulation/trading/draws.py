"""Draws of the simulated venue: the same on every machine.

Each market has a stream of its own: a counter that rises by a fixed step and is mixed (splitmix64),
in 64-bit integers. What is not uniform comes from a table of quantiles with a straight line between
its entries. The entries are computed once and rounded to 2^-24, so that the last bit of a machine's
logarithm cannot matter; after that there are only sums, products and quotients of doubles, which
IEEE 754 fixes to the last bit.

References: Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import UNCALLED, Float64

_U = np.uint64
_STEP, _MIX_1, _MIX_2 = (
    _U(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_11, _20, _27, _30, _31, _32, _52 = (_U(bits) for bits in (11, 20, 27, 30, 31, 32, 52))
_FRACTION = _U((1 << 20) - 1)
CELLS = 1 << 12
"""Of a table of quantiles: it has one entry more."""
GRID = float(1 << 24)
"""Entries are multiples of 1 over this."""
EXPONENTIAL, NORMAL, SIZE, LIFETIME, DISTANCE = range(5)
"""Rows of the tables: an exponential of mean 1, a standard normal, and the agents' own: the factor
of an order's size, its lifetime in s, its distance from the touch in steps."""
SIZE_SPREAD = 1.0
"""Standard deviation of the logarithm of an order's size for an account of given wealth."""
LIFE_S, LIFE_SPREAD, LIFE_MAX_S = 1.0, 2.2, 600.0
"""Lifetimes of limit orders are log-normal: median, spread of the logarithm, largest."""
DISTANCE_TAIL, DISTANCE_STEPS = 1.2, 2.0
"""Limit orders lie behind the touch by a Pareto (Lomax) distance: exponent and scale."""


def _shares() -> Float64:
    """The shares of which a table has the quantiles."""
    share: Float64 = np.arange(CELLS + 1) / CELLS
    share[0], share[-1] = 0.25 / CELLS, 1 - 0.25 / CELLS
    return share


def _on_grid(values: Float64) -> Float64:
    rounded: Float64 = np.rint(values * GRID) / GRID
    return rounded


def normal_quantiles() -> Float64:
    """The table of a standard normal."""
    return _on_grid(np.array([NormalDist().inv_cdf(p) for p in _shares().tolist()]))


def exponential_quantiles() -> Float64:
    """The table of an exponential of mean 1."""
    return _on_grid(-np.log1p(-_shares()))


def log_normal_quantiles(spread: float) -> Float64:
    """The table of a log-normal of median 1."""
    return _on_grid(np.exp(spread * normal_quantiles()))


def make_tables() -> Float64:
    """The tables of quantiles, one row each, `CELLS` + 1 entries."""
    share, normal = _shares(), normal_quantiles()
    life = np.minimum(LIFE_S * np.exp(LIFE_SPREAD * normal), LIFE_MAX_S)
    distance = DISTANCE_STEPS * ((1 - share) ** (-1 / DISTANCE_TAIL) - 1)
    rows = (exponential_quantiles(), normal, np.exp(SIZE_SPREAD * normal), life, distance)
    return _on_grid(np.stack(rows))


def draw_array(rng: np.random.Generator, table: Float64, shape: tuple[int, ...]) -> Float64:
    """Doubles of the distribution of a table, from numpy's generator."""
    at = rng.random(shape) * CELLS
    cell = at.astype(np.int64)
    drawn: Float64 = table[cell] + (table[cell + 1] - table[cell]) * (at - cell)
    return drawn


@njit(nogil=True, **UNCALLED)
def mix(counter: Any) -> Any:
    """64 bits that look random, of a counter."""
    z = (counter ^ (counter >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@njit(nogil=True, **UNCALLED)
def draw_bits(streams: Any, row: Any) -> Any:
    """The next 64 bits of the stream `row`."""
    streams[row] += _STEP
    return mix(streams[row])


@njit(nogil=True, **UNCALLED)
def draw_uniform(streams: Any, row: Any) -> Any:
    """A double from 0 to 1, 1 excluded."""
    return (draw_bits(streams, row) >> _11) * (1.0 / (1 << 53))


@njit(nogil=True, **UNCALLED)
def draw_below(streams: Any, row: Any, count: Any) -> Any:
    """An integer from 0 to `count` - 1; `count` < 2^31."""
    return np.int64(((draw_bits(streams, row) >> _32) * np.uint64(count)) >> _32)


@njit(nogil=True, **UNCALLED)
def draw_from(tables: Any, table: Any, streams: Any, row: Any) -> Any:
    """A double of the distribution of a table."""
    bits = draw_bits(streams, row)
    cell = np.int64(bits >> _52)
    between = ((bits >> _32) & _FRACTION) * (1.0 / (1 << 20))
    low = tables[table, cell]
    return low + (tables[table, cell + 1] - low) * between
