"""What the shards find wrong with the data of each market, as far as time has passed."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.arrays.state import Stateful
from monitor.core.contract.feature_catalogue import QUALITY_FEATURES
from monitor.core.finding import Finding


class MarketDoubts(Stateful):
    """The conditions that hold, by market: names of `feature_catalogue.QUALITY_FEATURES`."""

    STATE = ("by_market",)

    def __init__(self) -> None:
        self.by_market: dict[str, list[str]] = {}

    def apply(self, findings: Iterable[Finding]) -> None:
        """Take in findings of any kind; those of one condition must be in the order of time."""
        for finding in findings:
            if finding.stream not in QUALITY_FEATURES:
                continue
            doubts = set(self.by_market.pop(finding.symbol, ()))
            (doubts.discard if finding.is_end else doubts.add)(finding.stream)
            if doubts:
                self.by_market[finding.symbol] = sorted(doubts)
