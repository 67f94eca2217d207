"""Many weak signs at once: a CUSUM of the sum of -ln p over the streams of a symbol.

Each stream is whitened, its residual becomes a conformal p-value, and the evidence of a window is
the sum of (1-κ)·(-ln p) - ln(1/κ) over the streams: T ← max(0, T + Σ -ln p - d) with
d = ln(1/κ)/(1-κ) = 2.56 for each stream, times 1-κ. So scaled, it is the log-likelihood ratio of
p-values with density κ·p^(κ-1) against uniform ones, and clean data lift it above h with a
probability of about exp(-h) a window: h = ln(windows/budget) is a threshold before anything is
calibrated. A stream that abstains adds nothing, not even its d.

That CUSUM looks for a move of all streams. Where a symbol has twenty and three move, the d of the
others would outweigh them; so beside it run CUSUMs in which each stream moves with a probability π
only: Σ ln(1-π + π·κ·p^(κ-1)).

And a CUSUM pays for not knowing how long a change lasts. Most are short, and the whitener knows
what a step leaves in the second window: ρ = 1-w of the first, w being what the regression explains
by the stream's last value. So beside each CUSUM stands the same sum for this and the last window
alone, of p-values of (z' + ρz)/√(1+ρ²), where z' and z are the normal scores of the last window and
of this one: the best linear filter for a step. The score is the highest of all these sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, Bool, Float64
from detectors.calibration.conformal import P_MIN, READY_WINDOWS, ConformalPValues
from detectors.joint.whitening import PATIENCE_WINDOWS, Whitener
from detectors.stats.limits import SUM_MAX
from detectors.stats.normal_scores import fisher_p_value, normal_score, normal_tail

KAPPA = 0.1
"""κ, of the alternative: in a stream that moved far, -ln p is 1/κ = 10 on the average."""
MOVED_SHARES = (1.0, 0.3, 0.1)
"""π: all streams, a third, a tenth of them."""
BLOCK_WINDOWS = 60
"""For `Calibrator`: an excursion of this score is over within 5 minutes of 5 s windows."""
NAMED_CHANCE = 0.01
"""A stream is named when as much -ln p in the same windows has at most this chance."""
RATE_ALPHA, RATE_LEVEL_ALPHA = 0.2, 0.01
"""Of the forecast rate and of its level: 5 and 100 windows."""
RATE_MIN = 0.02
"""Events a window: the least rate, for a silent market may begin to act."""
LOG_RATE_MAX = 5.0
"""ln of the forecast rate over its level counts up to this."""

RATE, RATE_LEVEL, RATE_WINDOWS, RATE_COLUMNS = range(4)
"""Of a market's events: the forecast rate, its level, and the windows learnt."""
NEG_LOG_P, OBSERVED, EXPECTED, JUDGED, EVIDENCE_COLUMNS = range(5)
"""What windows add to a stream's evidence: sums of -ln p, of the values observed and expected, and
the number of windows in which it had a p-value."""


class StreamEvidence(NamedTuple):
    """One stream's part in joint evidence, over the windows since the last zero.

    `share`: its -ln p over that of all streams. `observed`, `expected`: means, in the stream's own
    unit. `p`: the chance of as much -ln p in as many windows.
    """

    stream: int
    share: float
    observed: float
    expected: float
    p: float

    @property
    def is_named(self) -> bool:
        """Whether the stream belongs to the finding."""
        return self.p < NAMED_CHANCE


class JointCusums(Stateful):
    """Joint evidence in every symbol of many, in arrays.

    Parameters
    ----------
    sides
        (streams,): 1 where high values are signs of an attack, -1 where low ones are, 0 for both.
    per_day
        Windows a day: the memory of the p-values.
    symbols
        How many; `grow` adds more.
    warm_up
        Windows that a stream's p-values need, ≥ 1.
    least
        (streams,): a smaller distance from the expected value, ≥ 0 and in the values' unit, is
        none. Levels that hardly vary would else alarm at their last digit.

    Each window: `judge`, then `learn` with the symbols that were reported. What is reported, and
    what follows until all CUSUMs are back at zero, is not learnt, for `PATIENCE_WINDOWS` at most.

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954). Sellke, Bayarri, Berger,
    "Calibration of p values for testing precise null hypotheses", The American Statistician 55
    (2001), for the density. Xie, Siegmund, "Sequential multi-sensor change-point detection",
    Ann. Stat. 41 (2013), for streams that move with a probability.
    """

    STATE: ClassVar = (
        "_whitener", "_conformal", "_rates", "_total", "_windows", "_since", "_episode_windows",
        "_before", "_score_before",
    )  # fmt: skip

    def __init__(
        self, sides: Sequence[int], per_day: float, symbols: int = 0, warm_up: int = READY_WINDOWS,
        least: Float64 | None = None,
    ) -> None:  # fmt: skip
        self._sides = np.array(sides, np.int64)
        self.streams = len(sides)
        self._least = np.zeros(self.streams) if least is None else least
        self._whitener = Whitener()
        self._conformal = ConformalPValues(0, per_day, warm_up)
        branches, streams = len(MOVED_SHARES), self.streams
        self._rates: Float64 = np.zeros((0, RATE_COLUMNS))
        # The CUSUM of each branch, one for each of `MOVED_SHARES`; windows and evidence since its
        # last zero.
        self._total: Float64 = np.zeros((0, branches))
        self._windows: Float64 = np.zeros((0, branches))
        self._since: Float64 = np.zeros((0, branches, streams, EVIDENCE_COLUMNS))
        # Evidence and normal scores of the last window; zeros where it was reported.
        self._before: Float64 = np.zeros((0, streams, EVIDENCE_COLUMNS))
        self._score_before: Float64 = np.zeros((0, streams))
        self._episode_windows: Float64 = np.zeros(0)  # of the present episode; 0 outside one
        # Of the window judged last, for `evidence` and `learn`:
        self.p: Float64 = np.zeros((0, streams))
        self.expected: Float64 = np.zeros((0, streams))
        """Both (symbols, streams), NaN where a stream abstains."""
        self.learnt_mask: Bool = np.zeros(0, np.bool_)
        """(symbols,): where the window learnt last was learnt."""
        self._activity: Float64 = np.zeros(0)
        self._has_values: Bool = np.zeros(0, np.bool_)
        self._deviation: Float64 = np.zeros(0)
        self._score, self._pair = self._score_before, self._score_before
        self._after, self._step = self._total, self._total
        self.grow(symbols)

    @property
    def symbols(self) -> int:
        return len(self._total)

    def grow(self, symbols: int) -> None:
        """Have at least so many symbols; new ones have seen nothing."""
        self._whitener.grow(symbols * self.streams)
        self._conformal.grow(symbols * self.streams)
        for name in self.STATE[2:]:  # the arrays by symbol
            setattr(self, name, grow_rows(getattr(self, name), symbols, growth=1.0))

    def judge(self, value: Float64, activity: Float64) -> Float64:
        """The score of each symbol: the highest CUSUM of the bank after this window.

        Parameters
        ----------
        value
            (symbols, streams); NaN where a stream has none.
        activity
            (symbols,): the market's events in the window; their forecast is its pace.
        """
        self._activity = np.where(activity >= 0, activity, 0.0)
        self._has_values = np.logical_not(np.all(np.isnan(value), axis=1))
        pace = np.log(np.maximum(self._rates[:, RATE], RATE_MIN))
        pace = pace - np.log(np.maximum(self._rates[:, RATE_LEVEL], RATE_MIN))
        pace = np.repeat(np.clip(pace, -LOG_RATE_MAX, LOG_RATE_MAX), self.streams)
        off, expected = self._whitener.judge(np.ascontiguousarray(value).ravel(), pace)
        side = np.tile(self._sides, self.symbols)
        self._deviation = np.where(side == 0, np.abs(off), side * off)
        self.expected = expected.reshape(value.shape)
        # What is too near to matter is judged as no deviation, and learnt as it is.
        near = (np.abs(value - self.expected) < self._least).ravel()
        judged = np.where(near, np.minimum(self._deviation, 0.0), self._deviation)
        self.p = self._conformal.p_values(judged).reshape(value.shape)
        self._after, self._step = np.empty_like(self._total), np.empty_like(self._total)
        self._score, self._pair = np.empty(value.shape), np.empty(value.shape)
        echo = self._whitener.echo().reshape(value.shape)
        given = self.p, self._score_before, echo, self._total, np.array(MOVED_SHARES)
        _update_cusums(*given, self._score, self._pair, self._after, self._step)
        score: Float64 = np.maximum(self._after.max(axis=1), self._step.max(axis=1))
        return score

    @property
    def judging_streams(self) -> Float64:
        """(symbols,): how many streams had a p-value in the window judged last."""
        counted: Float64 = (~np.isnan(self.p)).sum(axis=1).astype(np.float64)
        return counted

    def evidence(
        self, symbol: int, observed: Float64, expected: Float64
    ) -> tuple[int, list[StreamEvidence]]:
        """What a symbol's score rests on: windows since the last zero, and each stream's part.

        `observed` and `expected`: (symbols, streams) of the window judged last, in the streams'
        own units. Streams come by share, the highest first.
        """
        now = stream_evidence(self.p[symbol], observed[symbol], expected[symbol])
        branch = int(np.argmax(self._after[symbol]))
        if self._step[symbol].max() > self._after[symbol, branch]:
            windows = 2
            since = self._before[symbol] + now
            since[:, NEG_LOG_P] = self._pair[symbol]
            chances = np.exp(-self._pair[symbol]).tolist()
        else:
            windows = int(self._windows[symbol, branch]) + 1
            since = self._since[symbol, branch] + now
            sums = since[:, [NEG_LOG_P, JUDGED]].tolist()
            chances = [fisher_p_value(total, round(judged)) for total, judged in sums]
        total = float(since[:, NEG_LOG_P].sum())
        parts = []
        for i, (evidence, seen, usual, judged) in enumerate(since.tolist()):
            if judged > 0:
                share = evidence / total if total > 0 else 0.0
                parts.append(StreamEvidence(i, share, seen / judged, usual / judged, chances[i]))
        return windows, sorted(parts, key=lambda part: (-part.share, part.stream))

    def learn(self, reported: Bool, observed: Float64, expected: Float64) -> None:
        """Learn the window judged last in all symbols that are in no episode."""
        self.learnt_mask = taught = learns(self._episode_windows, reported)
        rows = np.repeat(taught, self.streams)
        self._whitener.learn(rows)
        self._conformal.learn(self._deviation, rows)
        self._learn_rates(taught)
        zero = (self._after <= 0.0) | reported[:, None]
        self._total = np.where(zero, 0.0, np.minimum(self._after, SUM_MAX))
        self._windows = np.where(zero, 0.0, self._windows + 1)
        now = stream_evidence(self.p, observed, expected)
        self._since += now[:, None]
        self._since[zero] = 0.0
        self._before, self._score_before = now, self._score
        self._before[reported] = self._score_before[reported] = 0.0
        self._episode_windows = extend_episodes(self._episode_windows, reported, self._total)

    def _learn_rates(self, taught: Bool) -> None:
        """Learn the pace of the markets that have values; its level only where `taught`."""
        there = self._has_values
        seen = self._rates[:, RATE_WINDOWS] + there
        young = 1.0 / np.maximum(seen, 1.0)
        for column, alpha, learns in (
            (RATE, RATE_ALPHA, there),
            (RATE_LEVEL, RATE_LEVEL_ALPHA, there & taught),
        ):
            off = self._activity - self._rates[:, column]
            self._rates[:, column] += np.where(learns, np.maximum(alpha, young) * off, 0.0)
        self._rates[:, RATE_WINDOWS] = seen


def learns(windows: Float64, reported: Bool) -> Bool:
    """Whether a window is learnt, (n,): outside episodes, and in those that last too long.

    `windows`: of each episode, see `extend_episodes`. A change that is reported for ever would else
    never be learnt.
    """
    is_taught: Bool = (~reported & (windows == 0)) | (windows >= PATIENCE_WINDOWS)
    return is_taught


def extend_episodes(windows: Float64, reported: Bool, total: Float64) -> Float64:
    """The windows of each episode after one more window, (n,); 0 where none is open.

    An episode begins with a report, and is over when a window is not reported and all CUSUMs,
    `total` (n, branches), are at zero or `PATIENCE_WINDOWS` have passed.
    """
    longer = np.where(reported | (windows > 0), windows + 1, 0.0)
    is_over = ~reported & ((longer > PATIENCE_WINDOWS) | ~total.any(axis=1))
    return np.where(is_over, 0.0, longer)


def stream_evidence(p: Float64, observed: Float64, expected: Float64) -> Float64:
    """What a window adds to each stream's evidence, (…, `EVIDENCE_COLUMNS`); zeros where a stream
    abstains. `p`, `observed` and `expected`: (…, streams)."""
    judged = ~np.isnan(p)
    rows = np.stack((-np.log(np.where(judged, p, 1.0)), observed, expected, judged), axis=-1)
    rows[~judged] = 0.0
    return rows


@njit(FLOAT(FLOAT, FLOAT), cache=True, nogil=True)
def _log_likelihood_ratio(evidence, moved):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of -ln p for a stream that moves with probability `moved`."""
    ratio = log(KAPPA) + (1.0 - KAPPA) * evidence
    return ratio if moved == 1.0 else log(1.0 - moved + moved * exp(ratio))


@njit(types.void(F2, F2, F2, F2, F1, F2, F2, F2, F2), cache=True, nogil=True)
def _update_cusums(p, before, echo, total, moved, score, pair, after, step):  # type: ignore[no-untyped-def]
    """Fill in what a window with p-values `p` comes to.

    Into `after` the CUSUM of each branch, into `step` its sum for a step in the last window or this
    one, (symbols, branches); into `score` each stream's normal score, and into `pair` -ln p of the
    last window and this one together, (symbols, streams).
    """
    for s in range(p.shape[0]):
        for b in range(moved.size):
            after[s, b], step[s, b] = total[s, b], 0.0
        for k in range(p.shape[1]):
            score[s, k] = pair[s, k] = 0.0
            if p[s, k] != p[s, k]:
                continue
            z = normal_score(p[s, k])
            both = (before[s, k] + echo[s, k] * z) / sqrt(1.0 + echo[s, k] ** 2)
            score[s, k] = z
            pair[s, k] = -log(max(normal_tail(both), P_MIN))
            for b in range(moved.size):
                after[s, b] += _log_likelihood_ratio(-log(p[s, k]), moved[b])
                step[s, b] += _log_likelihood_ratio(pair[s, k], moved[b])
        for b in range(moved.size):
            after[s, b] = max(after[s, b], 0.0)
