"""How far a venue's own book moves its own mark, if outside prices hold still.

κ(t): the part of a move of the book's middle that is in the mark after t seconds, 0 to 1. It
follows from the mark's formula (`regimes.MARK_RULES`): an average of the premium over a time T
takes in t/T of it, an exponential one 1 − e^(−t/T), a mark that is the oracle's price none.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class MarkResponse(NamedTuple):
    """`seconds`: over which the mark averages its book; 0: it follows at once; None: never.
    `exponential`: whether the average is exponential, or else equally weighted."""

    seconds: float | None
    exponential: bool = False

    def kappa(self, seconds: float) -> float:
        """The part of the book's move that is in the mark after so many seconds."""
        if self.seconds is None:
            return 0.0
        if self.seconds == 0.0:
            return 1.0
        share = seconds / self.seconds
        return 1.0 - math.exp(-share) if self.exponential else min(1.0, share)


_NEVER, _FIVE_MINUTES = MarkResponse(None), MarkResponse(300.0)
MARK_RESPONSES: dict[str, MarkResponse] = {
    "last": MarkResponse(0.0),
    "oracle": _NEVER,
    "hyperliquid": MarkResponse(150.0, exponential=True),
    "dydx": _NEVER,
    "binance": MarkResponse(30.0),
    "bybit": _FIVE_MINUTES,
    "okx": _FIVE_MINUTES,
    "gate": _FIVE_MINUTES,
    "drift": _NEVER,
    "bitmex": _NEVER,
    "deribit": MarkResponse(30.0, exponential=True),
}
"""By the `mark_rule` of a market's reference, or else the name of its regime."""

LIQUIDATION_TRIGGERS = {"last": "last", "oracle": "index", "dydx": "index", "drift": "index"}
"""Which price sets off a liquidation, by the same names; the mark itself at all other venues."""

LATENCY_S = 30.0
"""How long forced flow stands against the venue's own book before outside prices answer, s."""


def kappa_of(mark_rule: str | None) -> float:
    """κ after `LATENCY_S`; of a rule that nobody has said it is that of a mark which follows its
    book at once, as that carries a cascade furthest."""
    response = MARK_RESPONSES.get(mark_rule or "")
    return 1.0 if response is None else response.kappa(LATENCY_S)
