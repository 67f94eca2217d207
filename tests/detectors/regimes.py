"""Series that change their law without warning: levels and scales from 1e-3 to 1e6, constant,
alternating, jumping, growing."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from detectors.arrays.types import Float64

KINDS = ("constant", "normal", "alternating", "walk", "ramp", "pulses", "growing", "heavy tails")


def regime(kind: str, level: float, scale: float, windows: int, seed: int) -> Float64:
    """One stretch of such a series, (windows,)."""
    rng, t = np.random.default_rng(seed), np.arange(windows)
    if kind == "constant":
        return np.full(windows, level)
    if kind == "growing":
        return level * 1.05 ** np.minimum(t, 200)
    shape = {
        "normal": lambda: rng.standard_normal(windows),
        "alternating": lambda: (-1.0) ** t,
        "walk": lambda: np.cumsum(rng.standard_normal(windows)),
        "ramp": lambda: t.astype(float),
        "pulses": lambda: (rng.random(windows) < 0.05).astype(float),
        "heavy tails": lambda: rng.standard_t(1.5, windows),
    }[kind]()
    return level + scale * shape


def series(negative: bool = True) -> SearchStrategy[Float64]:
    """Up to eight regimes, one after the other; of absolute values where not `negative`."""
    powers = st.floats(-3, 6)
    stretch = st.builds(
        lambda kind, sign, level, scale, windows, seed: regime(
            kind, sign * 10.0**level, 10.0**scale, windows, seed
        ),
        st.sampled_from(KINDS),
        st.sampled_from((-1.0, 1.0) if negative else (1.0,)),
        powers,
        powers,
        st.sampled_from((1, 3, 30, 100, 400)),
        st.integers(0, 2**32 - 1),
    )
    joined = st.lists(stretch, min_size=2, max_size=8).map(np.concatenate)
    return joined if negative else joined.map(np.abs)
