"""What the columns of the account arrays mean, and the arrays that the kernels pass around."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from detectors.arrays.types import F1, FLOAT32_2, I2, Float64, Int64

BURST_SIZES = 4
"""Each account has as many CUSUMs."""

(
    RATE, RECENT, OWN, SHARED, EVENTS, SQUARES, FORECASTS, BATCHES, BATCH_EVENTS, ACT_COUNT,
    EXCESS, PEAKS, PEAK, SEEN, MINUTES, CUSUM,
) = range(16)  # fmt: skip
"""An account's profile. Decayed sums of events: `RATE` over the last hour, `MINUTES` over the last
ten minutes; `RECENT`, a mean over the last seconds. For the fit of the forecast: events that the
account's own last seconds explain (`OWN`), those that its market explains (`SHARED`), all `EVENTS`,
`SQUARES` of residuals and the `FORECASTS` of the same windows. Of batches: how many acts were one
(`BATCHES`), their `BATCH_EVENTS`, and the `ACT_COUNT` of all acts. Of the peaks of its evidence:
`EXCESS` over the least that counts, and the number of `PEAKS`. Of the open excursion: its highest
evidence so far (`PEAK`) and its events (`SEEN`). `CUSUM` is the first of `BURST_SIZES` columns."""
PROFILE_COLUMNS = CUSUM + BURST_SIZES

LAST, FIRST, BEGIN, TIME_COLUMNS = range(4)
"""Windows of an account: of its last act, of its first, and the start of its open excursion."""

(
    P_OWN, P_SHARED, P_EVENTS, P_SQUARES, P_FORECASTS, P_EXCESS, P_PEAKS, P_RATE,
    POPULATION_COLUMNS,
) = range(9)  # fmt: skip
"""The population, all accounts together: sums as in a profile. `P_RATE` is events a window and
account."""

(
    FORECAST, SLOW, W_OWN, W_SHARED, DISPERSION, FLOW_SHARE, IDLE, IN_EXCURSION, LEVEL, RECENT_NOW,
    CUSUM_AFTER,
) = range(11)  # fmt: skip
"""The score of one act. What was expected: `FORECAST`, the `SLOW` rate, the weights of the
account's own last seconds and of its market in the forecast, the `DISPERSION`, the `RECENT_NOW`
mean of the last seconds, and the sum of the forecasts of the windows since its last act (`IDLE`).
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

    `busy`: the rate of the last seconds over the usual rate; 1 is as usual. `usual_rate`: events a
    window, > 0. `acting`: accounts that act in a window, of late, > 0.
    """

    busy: Float64
    usual_rate: Float64
    acting: Float64


STATE = types.NamedTuple((FLOAT32_2, I2, F1), AccountState)  # type: ignore[no-untyped-call]
READING = types.NamedUniTuple(F1, 3, MarketReading)  # type: ignore[no-untyped-call]
"""The two as compiled kernels see them."""
