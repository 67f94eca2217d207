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
from numba.extending import register_jitable

from detectors.arrays.types import Float64

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
LIFE_S, LIFE_SPREAD, LIFE_MAX_S = 2.0, 1.6, 600.0
"""Lifetimes of limit orders are log-normal: median, standard deviation of the logarithm, largest."""
DISTANCE_TAIL, DISTANCE_STEPS = 1.2, 2.0
"""Limit orders lie behind the touch by a Pareto (Lomax) distance: exponent and scale."""


def make_tables() -> Float64:
    """The tables of quantiles, one row each, `CELLS` + 1 entries."""
    share = np.arange(CELLS + 1) / CELLS
    share[0], share[-1] = 0.25 / CELLS, 1 - 0.25 / CELLS
    normal = np.array([NormalDist().inv_cdf(p) for p in share.tolist()])
    life = np.minimum(LIFE_S * np.exp(LIFE_SPREAD * normal), LIFE_MAX_S)
    distance = DISTANCE_STEPS * ((1 - share) ** (-1 / DISTANCE_TAIL) - 1)
    rows = (-np.log1p(-share), normal, np.exp(SIZE_SPREAD * normal), life, distance)
    tables: Float64 = np.rint(np.stack(rows) * GRID) / GRID
    return tables


@register_jitable
def mix(counter: Any) -> Any:
    """64 bits that look random, of a counter."""
    z = (counter ^ (counter >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@register_jitable
def draw_bits(streams: Any, row: Any) -> Any:
    """The next 64 bits of the stream `row`."""
    streams[row] += _STEP
    return mix(streams[row])


@register_jitable
def draw_uniform(streams: Any, row: Any) -> Any:
    """A double from 0 to 1, 1 excluded."""
    return (draw_bits(streams, row) >> _11) * (1.0 / (1 << 53))


@register_jitable
def draw_below(streams: Any, row: Any, count: Any) -> Any:
    """An integer from 0 to `count` - 1; `count` < 2^31."""
    return np.int64(((draw_bits(streams, row) >> _32) * np.uint64(count)) >> _32)


@register_jitable
def draw_from(tables: Any, table: Any, streams: Any, row: Any) -> Any:
    """A double of the distribution of a table."""
    bits = draw_bits(streams, row)
    cell = np.int64(bits >> _52)
    between = ((bits >> _32) & _FRACTION) * (1.0 / (1 << 20))
    low = tables[table, cell]
    return low + (tables[table, cell + 1] - low) * between


@register_jitable
def chance_of(numbers: Any) -> Any:
    """A double from 0 to 1 that a number has for good: a draw without a stream."""
    return (mix(np.uint64(numbers) * _STEP) >> _11) * (1.0 / (1 << 53))
