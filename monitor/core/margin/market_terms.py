"""What a market's reference says of its mark and of its liquidations, by name.

Where it says nothing, its regime's own names count. A rule that nobody has said counts as the one
that carries a cascade furthest: a mark that follows its book at once, and sales of everything at
once.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.core.contract.events import MarketReference
from monitor.core.margin.mark_response import MARK_RESPONSES

LATENCY_S = 30.0
"""How long forced flow stands against the venue's own book before outside prices answer, s."""
MARKET_PATH = "market"
"""The path that sells everything at once."""


class MarketTerms(NamedTuple):
    """The names of a market's mark rule and path; None: nobody has said."""

    mark_rule: str | None = None
    path: str | None = None

    @classmethod
    def from_reference(cls, event: MarketReference) -> MarketTerms:
        """What `event` says."""
        return cls(event.mark_rule or event.regime, event.path or event.regime)

    @property
    def kappa(self) -> float:
        """The part of a move of the book that is in the mark after `LATENCY_S`, 0 to 1."""
        response = MARK_RESPONSES.get(self.mark_rule or "")
        return 1.0 if response is None else response.kappa(LATENCY_S)

    @property
    def sends_all(self) -> bool:
        """Whether all that is forced goes to the book at once, and not its regime's share."""
        return self.path in (MARKET_PATH, None)
