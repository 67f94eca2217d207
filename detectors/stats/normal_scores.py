"""p-values to normal scores and back, and the chance of several of them together."""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt

from numba import njit

from detectors.arrays.types import FLOAT, INT

CALM_P = 0.01
"""A count that is mostly 0 mostly has p = 1, which is no unusual calm."""
NEWTON_STEPS = 6
"""Their convergence is quadratic: for p between 1e-12 and .5 the last digits are right."""


@njit(FLOAT(FLOAT), cache=True, nogil=True)
def normal_tail(z):  # type: ignore[no-untyped-def]
    """The chance of a normal score above `z`."""
    return 0.5 * erfc(z * sqrt(0.5))


@njit(FLOAT(FLOAT), cache=True, nogil=True)
def _upper_normal_score(p):  # type: ignore[no-untyped-def]
    """The normal score that is exceeded with probability `p` < .5, by Newton on ln of the tail."""
    z = sqrt(max(-2.0 * log(2.0 * p), 0.0))
    for _ in range(NEWTON_STEPS):
        tail = normal_tail(z)
        density = exp(-0.5 * z * z) / sqrt(2.0 * pi)
        z += (log(tail) - log(p)) * tail / density
    return z


@njit(FLOAT(FLOAT), cache=True, nogil=True)
def normal_score(p):  # type: ignore[no-untyped-def]
    """The normal score that is exceeded with probability `p`, not below that of 1 - `CALM_P`."""
    return _upper_normal_score(p) if p < 0.5 else -_upper_normal_score(max(1.0 - p, CALM_P))


@njit(FLOAT(FLOAT, INT), cache=True, nogil=True)
def fisher_p_value(total, windows):  # type: ignore[no-untyped-def]
    """The chance of a sum of -ln p of `windows` uniform p-values so high (Fisher's method)."""
    term = p = exp(-total)
    for i in range(1, windows):
        term *= total / i
        p += term
    return min(p, 1.0)
