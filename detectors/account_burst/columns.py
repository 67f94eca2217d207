"""What the columns of the account arrays mean, and the arrays that the kernels pass around."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from detectors.arrays.types import (
    B1,
    F1,
    F2,
    FLOAT32_2,
    I1,
    I2,
    INT32_1,
    U1,
    Bool,
    Float64,
    Int64,
    UInt64,
)

BURST_SIZES = 3
"""Each account has as many CUSUMs."""

(
    RATE, RECENT, OWN, EVENTS, SQUARES, FORECASTS, BATCHES, BATCH_EVENTS, ACT_COUNT, EXCESS, PEAKS,
    PEAK, SEEN, MINUTES, CUSUM,
) = range(15)  # fmt: skip
"""An account's profile. Decayed sums of events: `RATE` over the last hour, `MINUTES` over the last
ten minutes; `RECENT`, a mean over the last seconds. For the fit of the forecast: events that the
account's own last seconds explain (`OWN`), all `EVENTS`, `SQUARES` of residuals and the `FORECASTS`
of the same windows. Of batches: how many acts were one (`BATCHES`), their `BATCH_EVENTS`, and the
`ACT_COUNT` of all acts. Of the peaks of its evidence: `EXCESS` over the least that counts, and the
number of `PEAKS`. Of the open excursion: its highest evidence so far (`PEAK`) and its events
(`SEEN`). `CUSUM` is the first of `BURST_SIZES` columns."""
PROFILE_COLUMNS = CUSUM + BURST_SIZES

LAST, FIRST, BEGIN, TIME_COLUMNS = range(4)
"""Windows of an account: of its last act, of its first, and the start of its open excursion."""

P_OWN, P_EVENTS, P_SQUARES, P_FORECASTS, P_RATE, POPULATION_COLUMNS = range(6)
"""The population, all accounts together: sums as in a profile. `P_RATE` is events a window and
account."""

(
    FORECAST, SLOW, W_OWN, DISPERSION, FLOW_SHARE, IDLE, IN_EXCURSION, LEVEL, RECENT_NOW,
    CUSUM_AFTER,
) = range(10)  # fmt: skip
"""The score of one act. What was expected: `FORECAST`, the `SLOW` rate, the weight of the account's
own last seconds in the forecast (`W_OWN`), the `DISPERSION`, the `RECENT_NOW` mean of the last
seconds, and the sum of the forecasts of the windows since its last act (`IDLE`).
What came of it: the chance that the act is ordinary flow and no batch (`FLOW_SHARE`), 1 where an
excursion is open (`IN_EXCURSION`), the account's evidence (`LEVEL`), and from `CUSUM_AFTER` on the
CUSUMs after the act."""
SCORE_COLUMNS = CUSUM_AFTER + BURST_SIZES


class AccountState(NamedTuple):
    """What is learnt of accounts: `profiles` (rows, `PROFILE_COLUMNS`), `times` (rows,
    `TIME_COLUMNS`) in windows, and `population` (`POPULATION_COLUMNS`,)."""

    profiles: NDArray[np.float32]
    times: Int64
    population: Float64


class MarketReading(NamedTuple):
    """How it stands in the market of each act, (acts,) each.

    `usual_rate`: events a window, > 0. `cost`: the logarithm of how many accounts act in a window,
    of late.
    """

    usual_rate: Float64
    cost: Float64


HOT_LEVEL, HOT_SINCE, HOT_OBSERVED, HOT_EXPECTED, HOT_COST, HOT_COLUMNS = range(6)
"""Of an account with evidence: what `verdict.Actor` says, and the cost of its market."""
N_ACCOUNTS, FIRST_WINDOW, COUNTS = range(3)
"""Of the detector: accounts in the table, and the first window (-1: none)."""
FLOW_EVENTS_SUM, FLOW_WINDOW, FLOW_COLUMNS = range(3)
"""Of all accounts: the decayed sum of events, and the last window in it."""


class WindowActivity(NamedTuple):
    """Who acted in a window: one entry for each account and market.

    `key`: hash of market and account, distinct, rising. `market`: its number, ≥ 0, small. `events`:
    how many, > 0.
    """

    key: UInt64
    market: Int64
    events: Float64


class LearntArrays(NamedTuple):
    """All that the detector has learnt.

    `keys` (rows,) and `table` (slots,): where each account's row in `accounts` is. `markets`
    (markets, columns): see `market_rates`. `counts` (`COUNTS`,) and `flow` (`FLOW_COLUMNS`,).
    """

    accounts: AccountState
    keys: UInt64
    table: NDArray[np.int32]
    markets: Float64
    counts: Int64
    flow: Float64


class WindowArrays(NamedTuple):
    """What one window comes to, in arrays that the next one uses again.

    By act: `row` in the table (-1: never seen), `scores` (acts, `SCORE_COLUMNS`), the `reading` of
    its market, and False (`nobody`). By market: `place`, an act of it. By account with evidence
    (`HOT_MAX`), the highest first: `hot_keys`, `hot_markets` and `hot` (`HOT_COLUMNS`); `n_hot`
    (1,): how many.
    """

    row: Int64
    scores: Float64
    reading: MarketReading
    nobody: Bool
    place: Int64
    hot_keys: UInt64
    hot_markets: Int64
    hot: Float64
    n_hot: Int64


STATE = types.NamedTuple((FLOAT32_2, I2, F1), AccountState)  # type: ignore[no-untyped-call]
READING = types.NamedUniTuple(F1, 2, MarketReading)  # type: ignore[no-untyped-call]
ACTS = types.NamedTuple((U1, I1, F1), WindowActivity)  # type: ignore[no-untyped-call]
LEARNT = types.NamedTuple(  # type: ignore[no-untyped-call]
    (STATE, U1, INT32_1, F2, I1, F1), LearntArrays
)
WINDOW = types.NamedTuple(  # type: ignore[no-untyped-call]
    (I1, F2, READING, B1, I1, U1, I1, F2, I1), WindowArrays
)
"""The five as compiled kernels see them."""
