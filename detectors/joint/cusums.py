"""Many weak signs at once: a CUSUM of the sum of -ln p over the streams of a symbol.

Each stream is whitened, its residual becomes a conformal p-value, and the evidence of a window is
the sum of (1-κ)·(-ln p) - ln(1/κ) over the streams: T ← max(0, T + Σ -ln p - d) with
d = ln(1/κ)/(1-κ) = 2.56 a stream, times 1-κ. So scaled, it is the log-likelihood ratio of
p-values with density κ·p^(κ-1) against uniform ones, and clean data lift it above h with a
probability of about exp(-h) a window: h = ln(windows/budget) is a threshold before anything is
calibrated. A stream that abstains adds nothing, its d included.

That asks for all streams to move. Where a symbol has twenty and three move, the others' d would
bury them; so beside it run CUSUMs in which each stream moves with a probability π only:
Σ ln(1-π + π·κ·p^(κ-1)).

And a CUSUM pays for not knowing how long a change lasts. Most are short, and whitening tells what
a step leaves in the second window: 1-w of the first, w being what the regression explains by the
stream's last value. So beside each CUSUM stands the same sum for this and the last window alone,
of p-values of (z' + ρz)/√(1+ρ²), z' and z the normal scores of both windows and ρ what is left:
the best linear filter for a step. The score is the highest of the bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from detectors.calibration.conformal import P_MIN, READY_WINDOWS, ConformalPValues
from detectors.joint.whitening import Flags, Floats, Whitener
from detectors.stats.normal_scores import fisher_p_value, normal_score

KAPPA = 0.1
"""Of the alternative: -ln p is 1/κ = 10 on the average in a stream that moved far."""
DRIFT = log(1.0 / KAPPA) / (1.0 - KAPPA)
"""d, a stream."""
MOVED_SHARES = (1.0, 0.3, 0.1)
"""π: all streams, a third, a tenth of them."""
SUM_MAX = 50.0
"""A CUSUM remembers no more, so that a change which nobody reports is over when it is over."""
PATIENCE_WINDOWS = 60
"""A reported episode that lasts longer is the new normal: 5 minutes of 5 s windows."""
BLOCK_WINDOWS = 60
"""For `Calibrator`: an excursion of this score is over within 5 minutes of 5 s windows."""
NAMED_CHANCE = 0.01
"""A stream is named when chance makes as much -ln p in the same windows less often."""
RATE_ALPHA, RATE_LEVEL_ALPHA = 0.2, 0.01
"""Of the forecast rate and of its level: 5 and 100 windows."""
RATE_MIN = 0.02
"""Events a window. A market that never spoke is not thought impossible to speak."""
LOG_RATE_MAX = 5.0
"""ln of the forecast rate over its level counts up to this."""

_F1, _F2, _F3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]


class StreamEvidence(NamedTuple):
    """One stream's part in joint evidence."""

    stream: int
    share: float
    """Its -ln p over that of all streams, since the last zero."""
    observed: float
    expected: float
    """Means over the windows since, in the stream's own unit."""
    p: float
    """The chance of as much -ln p in as many windows."""

    @property
    def is_named(self) -> bool:
        return self.p < NAMED_CHANCE


class JointCusums:
    """Joint evidence in every symbol of many, in arrays.

    Parameters
    ----------
    sides
        (streams,): 1 where high values speak of an attack, -1 where low ones do, 0 for both.
    windows_per_day
        The memory of the p-values.
    symbols
        How many; `grow` adds more.
    warm_up
        Windows that a stream's p-values need, ≥ 1.

    Each window: `judge`, then `learn` with the symbols that were reported. What is reported, and
    what follows until all CUSUMs are back at zero, is not learnt, for `PATIENCE_WINDOWS` at most.

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954). Sellke, Bayarri, Berger,
    "Calibration of p values for testing precise null hypotheses", The American Statistician 55
    (2001), for the density. Xie, Siegmund, "Sequential multi-sensor change-point detection",
    Ann. Stat. 41 (2013), for streams that move with a probability.
    """

    def __init__(
        self,
        sides: Sequence[int],
        windows_per_day: float,
        symbols: int = 0,
        warm_up: int = READY_WINDOWS,
    ) -> None:
        self.sides = np.array(sides, np.int64)
        self.streams = len(sides)
        self._whitener = Whitener()
        self._conformal = ConformalPValues(0, windows_per_day, warm_up)
        self._pace: Floats = np.zeros((0, 3))  # forecast rate, its level, windows seen
        self._total: Floats = np.zeros((0, len(MOVED_SHARES)))
        self._windows: Floats = np.zeros((0, len(MOVED_SHARES)))  # since the last zero
        # Of each stream since then: -ln p, observed, expected, windows with a value.
        self._since: Floats = np.zeros((0, len(MOVED_SHARES) * self.streams, 4))
        self._held: Floats = np.zeros(0)  # windows of the present episode, 0 outside one
        self._before: Floats = np.zeros((0, self.streams, 4))  # normal score, and what is in _since
        self.symbols = 0
        self.grow(symbols)

    def grow(self, symbols: int) -> None:
        """Have at least so many symbols; new ones have seen nothing."""
        more = symbols - self.symbols
        if more <= 0:
            return
        self.symbols = symbols
        self._whitener.grow(symbols * self.streams)
        self._conformal.grow(symbols * self.streams)
        self._pace = _append_rows(self._pace, more)
        self._total = _append_rows(self._total, more)
        self._windows = _append_rows(self._windows, more)
        self._since = _append_rows(self._since, more)
        self._held = _append_rows(self._held, more)
        self._before = _append_rows(self._before, more)

    def judge(self, value: Floats, activity: Floats) -> Floats:
        """The score of each symbol: the highest CUSUM of the bank after this window.

        Parameters
        ----------
        value
            (symbols, streams); NaN where a stream has none.
        activity
            (symbols,): the market's events in the window, whose forecast sets the pace.
        """
        self._activity = np.where(activity >= 0, activity, 0.0)
        self._has_values = ~np.isnan(value).all(axis=1)
        pace = np.log(np.maximum(self._pace[:, 0], RATE_MIN))
        pace = pace - np.log(np.maximum(self._pace[:, 1], RATE_MIN))
        pace = np.repeat(np.clip(pace, -LOG_RATE_MAX, LOG_RATE_MAX), self.streams)
        off, expected = self._whitener.judge(np.ascontiguousarray(value).ravel(), pace)
        side = np.tile(self.sides, self.symbols)
        self._deviation = np.where(side == 0, np.abs(off), side * off)
        self.expected = expected.reshape(value.shape)
        """(symbols, streams), NaN where a stream abstains."""
        self.p = self._conformal.p_values(self._deviation).reshape(value.shape)
        """(symbols, streams), NaN where a stream abstains."""
        self._after = np.empty_like(self._total)
        self._step = np.empty_like(self._total)
        self._score = np.empty(value.shape)
        self._pair = np.empty(value.shape)
        echo = self._whitener.echo().reshape(value.shape)
        before = np.ascontiguousarray(self._before[:, :, 0])
        scores = self._score, self._pair
        _update_cusums(
            self.p,
            before,
            echo,
            self._total,
            np.array(MOVED_SHARES),
            *scores,
            self._after,
            self._step,
        )
        score: Floats = np.maximum(self._after.max(axis=1), self._step.max(axis=1))
        return score

    @property
    def judging_streams(self) -> Floats:
        """(symbols,): how many streams had a p-value in the window judged last."""
        counted: Floats = (~np.isnan(self.p)).sum(axis=1).astype(np.float64)
        return counted

    def evidence(
        self, symbol: int, observed: Floats, expected: Floats
    ) -> tuple[int, list[StreamEvidence]]:
        """What a symbol's score rests on: windows since the last zero, and each stream's part.

        `observed` and `expected`: (symbols, streams) of the window judged last, in the streams'
        own units. Streams come by share, the highest first.
        """
        now = stream_evidence(self.p[symbol], observed[symbol], expected[symbol])
        branch = int(np.argmax(self._after[symbol]))
        if self._step[symbol].max() > self._after[symbol, branch]:
            windows = 2
            since = self._before[symbol] * [0, 1, 1, 1] + now
            since[:, 0] = self._pair[symbol]
            chances = np.exp(-self._pair[symbol]).tolist()
        else:
            windows = int(self._windows[symbol, branch]) + 1
            since = self._since[symbol, branch * self.streams : (branch + 1) * self.streams] + now
            chances = [fisher_p_value(nl, round(n)) for nl, n in since[:, [0, 3]].tolist()]
        heard = since[:, 3]
        total = float(since[:, 0].sum())
        parts = [
            StreamEvidence(
                i,
                float(since[i, 0]) / total if total > 0 else 0.0,
                float(since[i, 1] / heard[i]),
                float(since[i, 2] / heard[i]),
                chances[i],
            )
            for i in range(self.streams)
            if heard[i] > 0
        ]
        return windows, sorted(parts, key=lambda part: (-part.share, part.stream))

    def learn(self, reported: Flags, observed: Floats, expected: Floats) -> None:
        """Learn the window judged last in all symbols that are in no episode."""
        self.learnt_mask = taught = ~reported & (self._held == 0)
        """(symbols,): where the window was learnt."""
        rows = np.repeat(taught, self.streams)
        self._whitener.learn(rows)
        self._conformal.learn(self._deviation, rows)
        seen = self._pace[:, 2] + self._has_values
        for column, alpha in enumerate((RATE_ALPHA, RATE_LEVEL_ALPHA)):
            step = np.maximum(alpha, 1.0 / np.maximum(seen, 1.0)) * (
                self._activity - self._pace[:, column]
            )
            self._pace[:, column] += np.where(
                self._has_values & (taught | (column == 0)), step, 0.0
            )
        self._pace[:, 2] = seen
        zero = self._after <= 0.0
        zero[reported] = True
        self._total = np.where(zero, 0.0, np.minimum(self._after, SUM_MAX))
        self._windows = np.where(zero, 0.0, self._windows + 1)
        now = stream_evidence(self.p, observed, expected)
        self._since += np.tile(now, (1, len(MOVED_SHARES), 1))
        self._since[np.repeat(zero, self.streams, axis=1)] = 0.0
        self._before = now
        self._before[:, :, 0] = self._score
        self._before[reported] = 0.0
        held = np.where(reported | (self._held > 0), self._held + 1, 0.0)
        over = (held > PATIENCE_WINDOWS) | (~reported & ~self._total.any(axis=1))
        self._held = np.where(over, 0.0, held)

    def snapshot(self) -> dict[str, Any]:
        return {
            "whitener": self._whitener.snapshot(),
            "conformal": self._conformal.snapshot(),
            "pace": self._pace,
            "total": self._total,
            "windows": self._windows,
            "since": self._since,
            "held": self._held,
            "before": self._before,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, where the one that gave `snapshot` stood."""
        self._whitener.restore(state["whitener"])
        self._conformal.restore(state["conformal"])
        for name in ("pace", "total", "windows", "since", "held", "before"):
            setattr(self, f"_{name}", np.array(state[name]))
        self.symbols = len(self._total)


def _append_rows(rows: Floats, more: int) -> Floats:
    return np.concatenate((rows, np.zeros((more, *rows.shape[1:]))))


def stream_evidence(p: Floats, observed: Floats, expected: Floats) -> Floats:
    """What a window adds to each stream's evidence; nothing where it abstains."""
    known = ~np.isnan(p)
    entries = np.stack((-np.log(np.where(known, p, 1.0)), observed, expected, known), axis=-1)
    entries[~known] = 0.0
    return entries


@njit(types.float64(types.float64, types.float64), cache=True, nogil=True)
def _log_likelihood_ratio(evidence, moved):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of -ln p for a stream that moves with probability `moved`."""
    ratio = log(KAPPA) + (1.0 - KAPPA) * evidence
    return ratio if moved == 1.0 else log(1.0 - moved + moved * exp(ratio))


@njit(types.void(_F2, _F2, _F2, _F2, _F1, _F2, _F2, _F2, _F2), cache=True, nogil=True)
def _update_cusums(p, before, echo, total, moved, score, pair, after, step):  # type: ignore[no-untyped-def]
    """The CUSUMs of the bank after the window of these p-values (`after`), and the sums for a step
    in the last window or this one (`step`); each stream's normal score and -ln p of both."""
    for s in range(p.shape[0]):
        after[s] = total[s]
        step[s] = 0.0
        for k in range(p.shape[1]):
            score[s, k] = pair[s, k] = 0.0
            if p[s, k] != p[s, k]:
                continue
            z = normal_score(p[s, k])
            both = (before[s, k] + echo[s, k] * z) / sqrt(1.0 + echo[s, k] ** 2)
            score[s, k] = z
            pair[s, k] = -log(max(0.5 * erfc(both * sqrt(0.5)), P_MIN))
            for b in range(moved.size):
                after[s, b] += _log_likelihood_ratio(-log(p[s, k]), moved[b])
                step[s, b] += _log_likelihood_ratio(pair[s, k], moved[b])
        for b in range(moved.size):
            after[s, b] = max(after[s, b], 0.0)
