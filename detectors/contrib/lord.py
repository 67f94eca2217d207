"""LORD++: online control of the false discovery rate over a stream of p-values.

Where many symbols are tested all the time, a budget of false alerts treats each test alike. An
attack on many symbols at once is another matter: once a few are found, more may be claimed at
the same *share* of false ones. Each discovery earns wealth for the tests after it.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any

DISCOVERIES_MAX = 1_000
"""Discoveries that are remembered: the latest. Those before add next to nothing to a level."""
GAMMA_SUM = 12.7
"""What ln(max(j, 2)) / (j·exp(√ln j)) comes to over all j, rounded up: 6.76 up to a million, and
the integral beyond."""


def spending_share(age: int) -> float:
    """The share of its wealth that a discovery spends on the test `age` ≥ 1 after it, over which
    they sum to at most 1; the sequence of the paper, which never ends: attacks may be a million
    tests apart."""
    return log(max(age, 2)) / (GAMMA_SUM * age * exp(sqrt(log(age))))


class LordPlusPlus:
    """The levels at which one p-value after the other is tested.

    Parameters
    ----------
    rate
        Share of false ones among the discoveries, on the average, in (0, 1).
    wealth
        What there is to spend before the first discovery, in (0, rate]; half of it by default.

    Examples
    --------
    >>> lord = LordPlusPlus(0.1)
    >>> before = lord.level
    >>> lord.test(1e-9)
    True
    >>> lord.level > before
    True

    References
    ----------
    Ramdas, Yang, Wainwright, Jordan, "Online control of the false discovery rate with decaying
    memory", NeurIPS (2017), section 4 (LORD++).
    """

    def __init__(self, rate: float, wealth: float | None = None) -> None:
        wealth = rate / 2 if wealth is None else wealth
        if not 0.0 < rate < 1.0 or not 0.0 < wealth <= rate:
            raise ValueError("a false discovery rate lies in (0, 1), its first wealth in (0, rate]")
        self.rate = rate
        self.wealth = wealth
        self._tests = 0
        self._discoveries: list[int] = []
        """The latest tests that were discoveries."""
        self._first: int | None = None

    @property
    def level(self) -> float:
        """The next p-value is a discovery when it is not above this."""
        t = self._tests
        level = spending_share(t + 1) * self.wealth
        for at in self._discoveries:
            earned = self.rate - self.wealth if at == self._first else self.rate
            level += earned * spending_share(t - at)
        return level

    def test(self, p: float) -> bool:
        """Whether this p-value is a discovery. What is not a number never is."""
        found = p <= self.level
        if found:
            self._first = self._tests if self._first is None else self._first
            self._discoveries.append(self._tests)
        self._tests += 1
        del self._discoveries[:-DISCOVERIES_MAX]
        return found

    def snapshot(self) -> dict[str, Any]:
        return {"tests": self._tests, "found": list(self._discoveries), "first": self._first}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the one that gave `snapshot` stood."""
        self._tests, self._first = state["tests"], state["first"]
        self._discoveries = list(state["found"])
