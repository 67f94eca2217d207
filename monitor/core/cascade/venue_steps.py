"""From a venue's positions and books to what is forced how far away, and what it meets.

Bucket k is the longs of market k, bucket markets + k its shorts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.kernels.arrays import (
    PRICE_BACKSTOP,
    PRICE_BANKRUPTCY,
    PRICE_LIQUIDATION,
    STRESS,
    PositionArrays,
)
from monitor.core.bands.kernels.position_prices import price_positions
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS


class StepPrices(NamedTuple):
    """Behind each step, the price where its account's equity is used up, and the one where its
    venue's backstop takes over; NaN: there is none."""

    bankrupt: Float64
    backstop: Float64


def sent_at_once(positions: PositionArrays, rules: RuleArrays, mark: Float64) -> Float64:
    """By slot, the quantity of a forced position that goes to the book at once: its path's first
    share."""
    market, size = positions.market, np.abs(positions.quantity)
    share = rules.first_share[market]
    return np.where(size * mark[market] >= rules.partial_above[market], size * share, size)


def forced_steps(
    positions: PositionArrays, rules: RuleArrays, mark: Float64, books: BookImpact, sent: Float64
) -> tuple[ForcedSteps, StepPrices]:
    """What is forced in each bucket, and the prices behind each step.

    `mark`: by market; NaN: not known. `sent`: see `sent_at_once`.
    """
    prices = np.empty((STRESS, len(positions.quantity)))
    price_positions(positions, rules.at_marks(mark), np.ravel(books.slip), prices)
    quantity, market = positions.quantity, positions.market
    with np.errstate(invalid="ignore", divide="ignore"):
        sign = np.sign(quantity)
        away = sign * np.log(mark[market] / prices[PRICE_LIQUIDATION])
    away[~(prices[PRICE_LIQUIDATION] > 0.0)] = np.nan
    slots = np.flatnonzero(np.isfinite(away) & (quantity != 0.0))
    bucket = market[slots] + np.where(quantity[slots] > 0.0, 0, len(mark))
    distance, size = np.maximum(away[slots], 0.0), np.abs(quantity[slots])
    # One empty step at distance 0 leads each bucket.
    buckets = np.arange(2 * len(mark))
    lead, none = np.zeros(len(buckets)), np.full(len(buckets), np.nan)
    behind = prices[PRICE_BANKRUPTCY][slots], prices[PRICE_BACKSTOP][slots]
    columns = distance, size, sent[slots], *behind
    bucket = np.concatenate((buckets, bucket))
    distance, size, at_once, bankrupt, backstop = (
        np.concatenate((first, column))
        for first, column in zip((lead, lead, lead, none, none), columns, strict=True)
    )
    order = np.lexsort((size, distance, bucket))
    first = np.searchsorted(bucket[order], np.arange(2 * len(mark) + 1))
    totals = (_sum_within(column[order], first) for column in (size, at_once))
    steps = ForcedSteps(first.astype(np.int64), distance[order], *totals)
    return steps, StepPrices(bankrupt[order], backstop[order])


def book_levels(mark: Float64, symbols: Int64, books: Int64) -> BookLevels:
    """The bids of each market, then the asks. `symbols`: the rows of `books` (`BOOK_WIDTH`, codes);
    a side without a book has no levels.
    """
    none = np.empty(0)
    distances, totals, counts = [none], [none], [0]
    for sign, best in ((1.0, BEST_BID), (-1.0, BEST_ASK)):
        for price_at, row in zip(mark.tolist(), books[symbols], strict=True):
            price, size = row[best : best + LEVELS], row[best + LEVELS : best + 2 * LEVELS]
            count = int(np.argmax(np.append(size, 0) <= 0)) if price_at == price_at else 0
            away = sign * np.log(price_at / to_floats(price[:count]))
            distances.append(np.maximum.accumulate(np.maximum(away, 0.0)))
            totals.append(np.cumsum(to_floats(size[:count])))
            counts.append(count)
    first = np.cumsum(counts).astype(np.int64)
    return BookLevels(first, np.concatenate(distances), np.concatenate(totals))


def _sum_within(column: Float64, first: Int64) -> Float64:
    """Cumulative sums that begin anew with each bucket."""
    sums = [np.cumsum(column[a:b]) for a, b in pairwise(first)]
    return np.concatenate(sums) if sums else column
