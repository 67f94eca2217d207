"""What flow looks like, by numbers that do not ask for a model: arrivals, sizes, clustering, books.

Every function takes arrays of one market. Where there is too little to say, it returns NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.contract.units import SECOND_NS

EVENTS_LEAST = 50
"""Fewer events, sizes or seconds say nothing: a quantile's error is then more than a tenth."""
COUNT_S = 10
"""Counts of so many seconds give the branching ratio."""
TAIL_SHARE = 0.05
"""The largest sizes from which the tail index is estimated."""


class Arrivals(NamedTuple):
    """When events come."""

    rate: float
    """A second."""
    variation: float
    """Standard deviation of the gaps over their mean: 1 for a Poisson process."""
    bunched: float
    """Share of gaps below a tenth of their mean: 0.095 for a Poisson process."""
    branching: float
    """Events that an event sets off: 1 − √(mean/variance) of counts over 10 s. A daily cycle adds
    to it. (Hardiman and Bouchaud, 2014.)"""


def arrivals(ts: Int64) -> Arrivals:
    """Of events at `ts` (ns, sorted). What has one time is one event."""
    at = np.unique(ts)
    if len(at) < EVENTS_LEAST:
        return Arrivals(*[np.nan] * 4)
    gaps = np.diff(at).astype(float)
    mean = gaps.mean()
    cells = (ts - ts[0]) // (COUNT_S * SECOND_NS)
    counts = np.bincount(cells)[:-1]
    ratio = counts.mean() / counts.var() if len(counts) >= COUNT_S and counts.var() else np.nan
    return Arrivals(
        len(ts) * SECOND_NS / float(ts[-1] - ts[0]),
        float(gaps.std() / mean),
        float((gaps < mean / 10).mean()),
        float(1 - np.sqrt(ratio)) if ratio < 1 else 0.0 if ratio >= 1 else np.nan,
    )


def quantile(values: Float64, share: float) -> float:
    """The value that `share` of the finite ones do not exceed."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if len(finite) >= EVENTS_LEAST else np.nan


def tail_index(sizes: Float64) -> float:
    """Hill's estimate from the largest 5 percent: the share of sizes beyond x falls as x to minus
    this. Below 2 their variance does not exist."""
    largest = np.sort(sizes[sizes > 0])[::-1]
    count = int(len(largest) * TAIL_SHARE)
    if count < EVENTS_LEAST / 2:
        return np.nan
    excess = np.log(largest[:count] / largest[count]).mean()
    return float(1 / excess) if excess > 0 else np.nan


def autocorrelation(values: Float64, lag: int) -> float:
    """Of a series with itself `lag` steps later."""
    one, two = values[:-lag], values[lag:]
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < EVENTS_LEAST or not (one[both].std() and two[both].std()):
        return np.nan
    return float(np.corrcoef(one[both], two[both])[0, 1])


def counts_by_second(ts: Int64) -> Float64:
    """Events in each whole second from the first to the last."""
    if not len(ts):
        return np.zeros(0)
    return np.bincount((ts - ts[0]) // SECOND_NS).astype(float)


def last_by_second(ts: Int64, values: Float64) -> Float64:
    """The last value in or before each whole second; `ts` (ns) sorted."""
    if not len(ts):
        return np.zeros(0)
    ends = np.arange(ts[0] // SECOND_NS + 1, ts[-1] // SECOND_NS + 2) * SECOND_NS
    return values[np.searchsorted(ts, ends, side="left") - 1]


def lifetimes_s(placed: dict[str, int], orders: list[str], ended: Int64) -> Float64:
    """Seconds from placing to cancelling, of the cancelled orders whose placing was seen."""
    pairs = zip(orders, ended.tolist(), strict=True)
    lives = [(at - placed[order]) / SECOND_NS for order, at in pairs if order in placed]
    return np.array([life for life in lives if life >= 0])


class TopBook(NamedTuple):
    """Books of one market: arrays (book, level), the best level first; NaN where there is none."""

    ts: Int64
    bid: Float64
    bid_size: Float64
    ask: Float64
    ask_size: Float64

    @property
    def sound(self) -> Bool:
        """Which books have both sides, and do not cross."""
        return self.bid[:, 0] < self.ask[:, 0]

    @property
    def mid(self) -> Float64:
        middle: Float64 = (self.bid[:, 0] + self.ask[:, 0]) / 2
        return middle

    def tick(self) -> float:
        """The price step: the smallest distance that is usual between neighbouring levels."""
        gaps = np.concatenate([-np.diff(self.bid, axis=1), np.diff(self.ask, axis=1)]).ravel()
        gaps = gaps[np.isfinite(gaps) & (gaps > 0)]
        return float(np.quantile(gaps, 0.001)) if len(gaps) else np.nan


def depth_shares(book: TopBook, levels: int) -> tuple[float, float, float]:
    """Mean share of the first `levels` levels' size that lies in their first and second fifth, and
    how far the last of them is from the mid, bps (median)."""
    whole = np.isfinite(book.bid_size[:, :levels]).all(axis=1) & book.sound
    whole &= np.isfinite(book.ask_size[:, :levels]).all(axis=1)
    if book.bid.shape[1] < levels or whole.sum() < EVENTS_LEAST:
        return np.nan, np.nan, np.nan
    fifth = levels // 5
    sizes = np.concatenate([book.bid_size[whole, :levels], book.ask_size[whole, :levels]])
    shares = sizes / sizes.sum(axis=1, keepdims=True)
    reach = 1e4 * (book.ask[whole, levels - 1] / book.mid[whole] - 1)
    return (
        float(shares[:, :fifth].sum(axis=1).mean()),
        float(shares[:, fifth : 2 * fifth].sum(axis=1).mean()),
        float(np.median(reach)),
    )


LARGE_SHARE = 0.1
"""Trades of this share, the largest by size, may have taken a visible part of the book."""
TAKEN_LEAST = 0.1
"""So much of the depth must be gone after it."""
NEAR_LEVELS = 5
RECOVERY_MAX_S = 60


def recovery_s(book: TopBook, ts: Int64, is_buy: Bool, size: Float64) -> Float64:
    """Seconds until half of the depth that a large trade took is back; infinite where it is not
    within a minute.

    Depth is the size within the distance that the first five levels had before the trade. Trades
    are sorted by `ts`; of those within a minute the first counts.
    """
    out: list[float] = []
    if not len(ts) or len(book.ts) < EVENTS_LEAST:
        return np.array(out)
    free_from = 0
    for row in np.flatnonzero(size >= np.quantile(size, 1 - LARGE_SHARE)).tolist():
        at = int(ts[row])
        before = int(np.searchsorted(book.ts, at, side="left")) - 1
        if at < free_from or before < 0 or not book.sound[before]:
            continue
        last = int(np.searchsorted(book.ts, at + RECOVERY_MAX_S * SECOND_NS, side="right"))
        depth = _near_depth(book, bool(is_buy[row]), before, last)
        if len(depth) < 3:
            continue
        # The first book after the trade may have been taken before it: two are looked at.
        trough = int(np.argmin(depth[1:3])) + 1
        taken = depth[0] - depth[trough]
        if taken < TAKEN_LEAST * depth[0]:
            continue
        free_from = at + RECOVERY_MAX_S * SECOND_NS
        back = np.flatnonzero(depth[trough:] >= depth[trough] + taken / 2)
        found_at = book.ts[before + trough + back[0]] if len(back) else 0
        out.append((int(found_at) - at) / SECOND_NS if len(back) else np.inf)
    return np.array(out)


def _near_depth(book: TopBook, is_buy: bool, before: int, last: int) -> Float64:
    """Sizes of the side that a trade takes, in the books from `before` to `last`, up to the price
    of the fifth level before the trade."""
    price, size = (book.ask, book.ask_size) if is_buy else (book.bid, book.bid_size)
    levels = min(NEAR_LEVELS, price.shape[1])
    bound = price[before, levels - 1]
    rows = slice(before, last)
    near = price[rows] <= bound if is_buy else price[rows] >= bound
    total: Float64 = np.where(near, np.nan_to_num(size[rows]), 0.0).sum(axis=1)
    return total
