"""Which conditions hold, by market."""

from __future__ import annotations

from monitor.core.finding import Finding
from monitor.core.venue.market_doubts import MarketDoubts


def finding(symbol: str, stream: str, is_end: bool) -> Finding:
    return Finding(1, 1, 0, symbol, stream, stream, 1.0, 0.0, 0.0, is_end=is_end)


def test_conditions_begin_and_end_by_market() -> None:
    doubts = MarketDoubts()
    doubts.apply([finding("A", "stale_mark", False), finding("A", "unsound_book", False)])
    doubts.apply([finding("B", "stale_book", False), finding("A", "cancels", False)])
    assert doubts.by_market == {"A": ["stale_mark", "unsound_book"], "B": ["stale_book"]}
    doubts.apply([finding("A", "stale_mark", True), finding("B", "stale_book", True)])
    assert doubts.by_market == {"A": ["unsound_book"]}
    other = MarketDoubts()
    other.restore(doubts.snapshot())
    assert other.by_market == doubts.by_market
