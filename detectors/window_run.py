"""Windows of many streams, which a bank judges and learns in one compiled call.

Nearly all scores are ordinary. So a bank goes on from window to window by itself, up to the first
with a score that somebody has to look at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.types import BOOL, F1, F2, I1, INT, Float64, Int64

JUDGE, LEARN, BOTH = 1, 2, 3
"""What is done to each window."""
STATE_COLUMNS = 3
"""As many numbers of a row tell why it abstains."""


class WindowRun(NamedTuple):
    """Consecutive windows, and what is known of the scores of their streams.

    `ends` (windows + 1,): where the entries of each window begin and end. By entry: the bank's
    `rows`, the `values`, the `scores` (NaN: the row abstains) and, where it abstains, the `state`
    (`STATE_COLUMNS`) that tells why; the last two are filled in, and so is `judged` (windows,): how
    many scores there are. By row of the bank, as of `CalibratorBank`: the least score that may be
    rare (`score_min`), the most that one counts (`cap`), and of the open block the `highest` and
    its `windows`.
    """

    ends: Int64
    rows: Int64
    values: Float64
    scores: Float64
    state: Float64
    judged: Int64
    score_min: Float64
    cap: Float64
    highest: Float64
    windows: Int64


RUN = types.NamedTuple(  # type: ignore[no-untyped-call]
    (I1, I1, F2, F1, F2, I1, F1, F1, F1, I1), WindowRun
)
RUN_END = types.Tuple((INT, BOOL))  # type: ignore[no-untyped-call]
"""The window that comes next, and whether one before it filled a row's block."""


def window_run(
    ends: Int64, rows: Int64, values: Float64, calibration: tuple[Float64, Float64, Float64, Int64]
) -> WindowRun:
    """A run that has not been judged; `calibration`: the last four columns."""
    scores, state = np.empty(len(rows)), np.empty((len(rows), STATE_COLUMNS))
    judged = np.zeros(len(ends) - 1, np.int64)
    return WindowRun(ends, rows, values, scores, state, judged, *calibration)


_NONE = np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64)


def single_window(rows: Int64, values: Float64) -> WindowRun:
    """One window, to be judged or to be learnt, without a calibration."""
    ends = np.array([0, len(rows)])
    return window_run(ends, np.ascontiguousarray(rows), np.ascontiguousarray(values), _NONE)


@njit(inline="always")
def is_ordinary(run, i):  # type: ignore[no-untyped-def]
    """Whether the score of an entry cannot be rare; also where there is none."""
    return run.scores[i] != run.scores[i] or run.scores[i] < run.score_min[run.rows[i]]


@njit(inline="always")
def count_score(run, i, block):  # type: ignore[no-untyped-def]
    """Count an entry in its row's open block. Returns whether that is full."""
    score, row = run.scores[i], run.rows[i]
    if score != score:
        return False
    if score > run.highest[row]:
        run.highest[row] = min(score, run.cap[row])
    run.windows[row] += 1
    return run.windows[row] >= block
