"""How rare a symbol's window is alone: Fisher's sum of its streams' -ln p, by its own ranks.

Fisher's chance supposes that streams are independent. They are not quite, however well they were
whitened; so the chance is a score only, and the p-value is its rank among those of the symbol's
own last day.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
from numba import njit, types

from detectors.calibration.conformal import P_MIN, READY_WINDOWS, ConformalPValues
from detectors.joint.whitening import Flags, Floats
from detectors.stats.normal_scores import fisher_p_value

STREAMS_LEAST = 2
"""A single stream has its own detector."""

_F1, _F2 = types.float64[::1], types.float64[:, ::1]


class FisherCombination:
    """The p-value of each symbol's window, all its streams taken together.

    Parameters
    ----------
    memory_windows
        What is this old weighs 1/e in the ranks: a day of windows.
    symbols
        How many; `grow` adds more.
    warm_up
        Windows of a symbol without which its ranks say nothing.

    References
    ----------
    Fisher, "Statistical Methods for Research Workers", 4th edition (1932), section 21.1.
    """

    def __init__(
        self, memory_windows: float, symbols: int = 0, warm_up: int = READY_WINDOWS
    ) -> None:
        self._ranks = ConformalPValues(symbols, memory_windows, warm_up)
        self._rarity: Floats = np.zeros(0)

    def grow(self, symbols: int) -> None:
        """Have at least so many symbols; new ones have seen nothing."""
        self._ranks.grow(symbols)

    def judge(self, p: Floats) -> Floats:
        """(symbols,) within (0, 1]; NaN where fewer than two streams judge, or too little is known.

        `p`: (symbols, streams), of whitened streams; NaN where a stream abstains.
        """
        self._rarity = np.full(len(p), np.nan)
        _negative_log_p(np.ascontiguousarray(p), self._rarity)
        return self._ranks.p_values(self._rarity)

    def learn(self, taught: Flags) -> None:
        """Learn the window judged last, where `taught`."""
        self._ranks.learn(self._rarity, taught)

    def snapshot(self) -> dict[str, Any]:
        return self._ranks.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, where the one that gave `snapshot` stood."""
        self._ranks.restore(state)


@njit(types.void(_F2, _F1), cache=True, nogil=True)
def _negative_log_p(p, rarity):  # type: ignore[no-untyped-def]
    """-ln of Fisher's chance: it has the tail of an exponential, which `ConformalPValues` fits."""
    for s in range(p.shape[0]):
        total, streams = 0.0, 0
        for k in range(p.shape[1]):
            if p[s, k] == p[s, k]:
                total -= log(max(p[s, k], P_MIN))
                streams += 1
        if streams >= STREAMS_LEAST:
            rarity[s] = -log(max(fisher_p_value(total, streams), P_MIN))
