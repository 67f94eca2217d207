"""How thin a market's book has been: the samples of ten seconds, and what counts of a book."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from detectors.arrays.types import Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.stepped_kernels import from_e8
from monitor.core.marks.market_rows import (
    BEST_ASK,
    BEST_BID,
    BOOK_WIDTH,
    LEVELS,
    OFFSET,
    SYMBOL,
    TS,
)
from monitor.core.marks.shown_depth import (
    BINS_PER_OCTAVE,
    READY_SAMPLES,
    SAMPLE_S,
    USUAL_MIN,
    ShownDepth,
)

FIRST = USUAL_MIN + READY_SAMPLES
"""Samples until a share is known."""
BIN = 2.0 ** (1 / BINS_PER_OCTAVE)


def book(second: float, bid: float, ask: float = 1e6, symbol: int = 0, far: float = 0.0) -> Int64:
    """One bid and one ask near 100, of these notionals, and a level 2 % away."""
    row = np.zeros(BOOK_WIDTH, np.int64)
    row[TS], row[SYMBOL], row[OFFSET] = second * SECOND_NS, symbol, int(second * 10)
    for best, near, away, size in ((BEST_BID, 99.9, 98, bid), (BEST_ASK, 100.1, 102, ask)):
        for level, (price, notional) in enumerate(((near, size), (away, far))):
            if size and notional:
                row[best + level] = from_e8(np.array([round(price * 1e8)]))[0]
                quantity = round(notional / price * 1e8)
                row[best + level + LEVELS] = from_e8(np.array([quantity]))[0]
    return row


def after(books: Iterable[Int64], symbols: int = 1) -> ShownDepth:
    """Every book in an interval of its own."""
    shown = ShownDepth()
    shown.grow(symbols)
    for row in books:
        take(shown, [row])
    return shown


def take(shown: ShownDepth, rows: list[Int64]) -> None:
    last = np.zeros((len(shown.share), BOOK_WIDTH), np.int64)
    for row in rows:
        last[row[SYMBOL]] = row
    shown.update(np.array(rows), last)


def test_shown_is_the_share_that_one_sample_in_a_hundred_was_below() -> None:
    rng = np.random.default_rng(3)
    depths = np.exp(rng.normal(0, 0.5, 700)) * 1e5
    depths[::30] /= 8
    shown = after(book(SAMPLE_S * i, depth) for i, depth in enumerate(depths))
    usual = float(np.exp(np.mean(np.log(depths))))
    lowest = float(np.quantile(depths[USUAL_MIN:-1], 0.01)) / usual
    assert lowest / BIN**0.75 < shown.share[0] < lowest * BIN**0.75
    assert shown.today[0] == pytest.approx(min(1, shown.share[0] * usual / depths[-1]), rel=0.02)


def test_a_book_that_is_as_thin_already_keeps_all_of_it() -> None:
    depths = [1e5] * FIRST + [1e4] * 10
    shown = after(book(SAMPLE_S * i, depth) for i, depth in enumerate(depths))
    assert 0.1 / BIN <= shown.share[0] <= 0.1 * BIN
    assert shown.today[0] == pytest.approx(1.0, abs=1 - 1 / BIN)
    take(shown, [book(SAMPLE_S * len(depths), 1e5)])
    assert shown.today[0] == pytest.approx(0.1, rel=0.2)


def test_nothing_is_known_before_there_are_samples_for_it() -> None:
    def books(count: int) -> list[Int64]:
        return [book(SAMPLE_S * i, 1e5) for i in range(count)]

    assert np.isnan(after(books(FIRST)).share[0])
    shown = after([*books(FIRST + 1), book(0, 1e5, symbol=1)], symbols=2)
    assert shown.share.tolist() == [1.0, pytest.approx(np.nan, nan_ok=True)]


def test_the_thinner_side_within_one_percent_counts_and_a_book_without_a_side_does_not() -> None:
    def last(**sides: float) -> float:
        depths = [book(SAMPLE_S * i, 1e5) for i in range(FIRST + 1)]
        return float(after([*depths, book(SAMPLE_S * FIRST + 1, **sides)]).today[0])

    assert last(bid=1e6, ask=2e5) == pytest.approx(0.5, rel=1e-3)
    assert last(bid=2e5, far=1e6) == pytest.approx(0.5, rel=1e-3)
    assert last(bid=0.0) == last(bid=1e5) == pytest.approx(1.0)


def test_how_records_were_sliced_changes_no_bit_and_a_restart_does_not_either() -> None:
    rng = np.random.default_rng(4)
    whole, sliced = ShownDepth(), ShownDepth()
    for shown in (whole, sliced):
        shown.grow(2)
    for second in range(FIRST * SAMPLE_S + 500):
        rows = [
            book(second + part / 4, float(rng.choice([0.0, 1e4, 1e5])), symbol=part % 2)
            for part in range(4)
        ]
        take(whole, rows[-2:])
        take(sliced, rows)
        if second == FIRST * SAMPLE_S:
            state = sliced.snapshot()
            sliced = ShownDepth()
            sliced.restore(state)
    assert np.isfinite(whole.today).all()
    for name, value in whole.snapshot().items():
        assert value.tobytes() == sliced.snapshot()[name].tobytes(), name
