"""How rare a symbol's window is: Fisher's sum of its streams' -ln p, by its own ranks.

Fisher's p-value supposes that streams are independent. Even whitened ones are not quite, so here it
is a score only, and the p-value is the score's rank among those of the symbol's own last day.
"""

from __future__ import annotations

from math import log
from typing import ClassVar

import numpy as np
from numba import njit, types

from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, Bool, Float64
from detectors.calibration.conformal import P_MIN, READY_WINDOWS, ConformalPValues
from detectors.stats.normal_scores import fisher_p_value

STREAMS_LEAST = 2
"""A single stream has its own detector."""


class FisherCombination(Stateful):
    """The p-value of each symbol's window, all its streams taken together.

    A window counts 1/e in the ranks after a day, of `per_day` windows. A symbol has p-values after
    `warm_up` windows.

    References
    ----------
    Fisher, "Statistical Methods for Research Workers", 4th edition (1932), section 21.1.
    """

    STATE: ClassVar = ("_ranks",)

    def __init__(self, per_day: float, symbols: int = 0, warm_up: int = READY_WINDOWS) -> None:
        self._ranks = ConformalPValues(symbols, per_day, warm_up)
        self._rarity: Float64 = np.full(symbols, np.nan)  # of the window judged last

    def grow(self, symbols: int) -> None:
        """Have at least so many symbols; new ones have seen nothing."""
        self._ranks.grow(symbols)

    def judge(self, p: Float64) -> Float64:
        """(symbols,) within (0, 1]; NaN where fewer than two streams judge or too little is learnt.

        `p`: (symbols, streams), of whitened streams; NaN where a stream abstains.
        """
        self._rarity = np.full(len(p), np.nan)
        _negative_log_p(np.ascontiguousarray(p), self._rarity)
        return self._ranks.p_values(self._rarity)

    def learn(self, taught: Bool) -> None:
        """Learn the window judged last, where `taught`."""
        self._ranks.learn(self._rarity, taught)


@njit(types.void(F2, F1), cache=True, nogil=True)
def _negative_log_p(p, rarity):  # type: ignore[no-untyped-def]
    """-ln of Fisher's p-value: its tail is exponential, which `ConformalPValues` fits."""
    for s in range(p.shape[0]):
        total, streams = 0.0, 0
        for k in range(p.shape[1]):
            if p[s, k] == p[s, k]:
                total -= log(max(p[s, k], P_MIN))
                streams += 1
        if streams >= STREAMS_LEAST:
            rarity[s] = -log(max(fisher_p_value(total, streams), P_MIN))
