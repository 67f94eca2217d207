"""Streams whose detectors are alike, on all symbols: judged, calibrated and learnt in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from detectors.base import Detector, Evidence, RowFaults
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.calibration.recorded_tails import RECORDED_TAILS
from detectors.calibration.tail_prior import TailPrior
from detectors.interrupts import reraise_interrupts
from detectors.row_detector import RunBank
from detectors.stats.limits import DAY_WINDOWS
from detectors.window_run import BOTH, WindowRun, window_run
from monitor.core.budget import NO_SHARE, BudgetShare
from monitor.core.contract.units import DAY_NS, SECOND_NS
from monitor.core.detection.streams_out import fault_reason
from monitor.core.settings import DEFAULT_STREAMS, StreamSettings

DetectorFactory = Callable[[], Detector]
"""Makes a detector that has seen nothing."""


@dataclass(slots=True)
class RareScore:
    """A score that is rare enough to report, with the evidence for it.

    `symbol`: index among the symbols that were judged. `stream`: index in the settings. `index`:
    that among the scores. `seen`: how many windows the chance `p` was learnt from.
    """

    symbol: int
    stream: int
    p: float
    evidence: Evidence
    index: int
    seen: int


class StreamOut(NamedTuple):
    """A stream that was taken out: a symbol's number, its index in the settings, and the reason."""

    symbol: int
    stream: int
    why: str


@dataclass(slots=True)
class StreamProgress:
    """How far one stream has come, counted in symbols: its index in the settings, those of drift
    after the others."""

    stream: int
    symbols: int
    """Those in which it has begun."""
    judging: int
    out: int
    """Those in which it was taken out. The rest learns."""
    windows_left: int
    """Until the last of them judges; 0 where none learns."""


class WindowScores(NamedTuple):
    """A group's scores of one window: of every symbol and stream with numbers in it."""

    rows: Int64
    """(scores,): rows of the bank, symbol by symbol and stream by stream."""
    values: Float64
    """(scores, inputs): what the detectors were given."""
    scores: Float64
    """(scores,); NaN where a detector abstained."""
    rare: list[RareScore]


def tail_prior(stream: StreamSettings, windows_per_day: float) -> TailPrior | None:
    """What a stream borrows while it is young.

    The recordings show default streams in windows of 1 s. How high the scores of others go they do
    not say; `least` changes no score.
    """
    if windows_per_day != DAY_WINDOWS or _scored_alike(stream) not in _DEFAULT_SCORES:
        return None
    return RECORDED_TAILS.get((stream.feature, stream.detector))


def _scored_alike(stream: StreamSettings) -> tuple[Any, ...]:
    """What two streams with the same scores have in common."""
    parameters = {name: value for name, value in stream.parameters.items() if name != "least"}
    return *stream.key, tuple(sorted(parameters.items()))


_DEFAULT_SCORES = frozenset(map(_scored_alike, DEFAULT_STREAMS))


class DetectorGroup:
    """One bank of detectors, and the calibrator of each of its rows.

    For each span of windows `begin`; then for each window of it, numbered from 0, `judge`, then
    what is asked about it, then `learn`. `streams`: indices in `settings`. `p_most`: the highest
    limit that `judge` will be given.

    A bank that can goes through ordinary windows by itself: those are judged and learnt before they
    are asked for, and what may be asked about them is kept.

    A row that raises, or whose score is infinite, is taken out: it is not asked again, and
    `drain_out` tells of it. Where a call for many rows raises, they are asked one by one.
    """

    def __init__(
        self, settings: Sequence[StreamSettings], streams: list[int], detectors: list[Detector],
        column: Mapping[str, int], windows_per_day: float, p_most: float,
    ) -> None:  # fmt: skip
        self._streams = np.array(streams)
        inputs = (settings[i].input_features for i in streams)
        self._columns = np.array([[column[name] for name in names] for names in inputs])
        self._detectors = detectors
        self._bank = detectors[0].bank()
        self._runner = self._bank if isinstance(self._bank, RunBank) else None
        self._calibrators = CalibratorBank(windows_per_day, p_most, by_rank=detectors[0].is_moment)
        self._priors = [tail_prior(settings[i], windows_per_day) for i in streams]
        self._row = np.full((0, len(streams)), -1, np.int64)
        """(symbols, streams): the row in the bank; -1 where a stream has not begun."""
        self._row_keys: list[tuple[int, int]] = []
        """Of each row, the symbol's number and the stream's index in the group."""
        self._is_out: Bool = np.zeros(0, np.bool_)
        self._why_out: dict[int, str] = {}
        """By row that is out: why."""
        self._new_out: list[StreamOut] = []
        self._window: WindowScores
        # Of the span:
        self._symbols: Int64 = np.zeros(0, np.int64)
        self._values: Float64
        """(windows, symbols, streams, inputs)"""
        self._present: Bool
        """(windows, symbols, streams): whether the stream's numbers are in the window."""
        self._begun: Int64
        """(windows,): how many rows have begun by then."""
        self._next = 0
        """The first window that is not learnt."""
        self._is_full = False
        """Whether the window before it has filled blocks, which are still to be closed."""
        self._run: WindowRun
        self._asked: Bool
        """The windows from `_low` on, as the bank goes through them, and which streams it asks."""
        self._low = 0

    def grow(self, symbols: int) -> None:
        """Make room for symbols with numbers below `symbols`."""
        self._row = grow_rows(self._row, symbols, fill=-1)

    def begin(self, symbols: Int64, features: Float64) -> None:
        """Take a span of windows: `features` has a row for each window and each of `symbols`.

        A stream begins with its first number.
        """
        shape = -1, len(symbols), *self._columns.shape
        self._symbols, self._values = symbols, features.take(self._columns, axis=1).reshape(shape)
        self._present = np.logical_not(np.isnan(self._values).any(axis=3))
        self._begun = np.full(len(self._values), len(self._row_keys))
        new = self._present.any(axis=0) & (self._row[symbols] < 0)
        if new.any():
            first = np.sort(self._present.argmax(axis=0)[new])
            self._begun += np.searchsorted(first, np.arange(len(self._values)), "right")
            self._begin_rows(new)
        self._next, self._is_full = 0, False
        self._plan_run()

    def _plan_run(self) -> None:
        """Line up for the bank what is left of the span."""
        self._low = self._next
        if self._runner is None or self._low == len(self._values):
            return
        row, present = self._row[self._symbols], self._present[self._low :]
        self._asked = present & ~self._is_out[row] if self._why_out else present
        places = np.flatnonzero(self._asked)
        values = self._values[self._low :].reshape(-1, self._values.shape[3])[places]
        ends = np.searchsorted(places, row.size * np.arange(len(self._asked) + 1))
        rows = row.ravel()[places % row.size if len(self._asked) > 1 else places]
        self._run = window_run(ends, rows, values, self._calibrators.columns)

    def _run_ahead(self, runner: RunBank) -> None:
        """Judge and learn ordinary windows, up to one that is none, or that fills a block."""
        block = self._calibrators.block_windows
        after, self._is_full = runner.run(BOTH, self._next - self._low, block, self._run)
        self._next = self._low + after

    def judge(self, window: int, limit: float) -> list[RareScore]:
        """The scores of one window with a p-value not above `limit`."""
        if window == self._next and self._runner is not None:
            self._run_ahead(self._runner)
        if window < self._next:
            return []
        values, present = self._values[window], self._present[window]
        row = self._row[self._symbols]
        asked = present & (row >= 0)
        if self._why_out:
            asked[asked] = ~self._is_out[row[asked]]
        rows, values = row[asked], values[asked]
        scores = self._scores(rows, values)
        self._window = WindowScores(rows, values, scores, [])
        rare = self._rare_scores(rows, scores, limit)
        if rare:
            symbol_of, stream_of = np.nonzero(asked)
            for i, p in rare:
                one = int(rows[i]), values[i]
                place = int(stream_of[i])
                evidence = self._attempt(one[0], None, self._bank.evidence, *one)
                matters = self._detectors[place].matters
                if evidence is not None and self._attempt(one[0], False, matters, values[i]):
                    stream = int(self._streams[place])
                    seen = self._calibrators.windows_seen(one[0])
                    self._window.rare.append(
                        RareScore(int(symbol_of[i]), stream, p, evidence, i, seen)
                    )
        return self._window.rare

    def _scores(self, rows: Int64, values: Float64) -> Float64:
        """The bank's scores; NaN where a row abstains, or is taken out."""
        try:
            scores = self._bank.judge(rows, values)
        except BaseException as error:
            reraise_interrupts(error)
            scores = np.full(len(rows), np.nan)
            for i, row in enumerate(rows.tolist()):
                one = slice(i, i + 1)
                scores[one] = self._attempt(row, np.nan, self._bank.judge, rows[one], values[one])
        for i in np.isinf(scores).nonzero()[0].tolist():
            self._take_out(int(rows[i]), "its score is infinite")
            scores[i] = np.nan
        return scores

    def _rare_scores(self, rows: Int64, scores: Float64, limit: float) -> list[tuple[int, float]]:
        ask = self._calibrators.rare_scores
        try:
            return ask(rows, scores, limit)
        except BaseException as error:
            reraise_interrupts(error)
            rare = []
            for i, row in enumerate(rows.tolist()):
                one = slice(i, i + 1)
                rare += [
                    (i, p) for _, p in self._attempt(row, [], ask, rows[one], scores[one], limit)
                ]
            return rare

    def _attempt(self, row: int, otherwise: Any, call: Callable[..., Any], *given: Any) -> Any:
        """What a call about one row returns; where it raises, the row is taken out."""
        try:
            return call(*given)
        except BaseException as error:
            reraise_interrupts(error)
            self._take_out(row, fault_reason(error))
            return otherwise

    def _take_out(self, row: int, why: str) -> None:
        symbol, stream = self._row_keys[row]
        self._is_out[row] = True
        self._why_out[row] = why
        self._new_out.append(StreamOut(symbol, int(self._streams[stream]), why))
        self._bank.renew(row)
        self._calibrators.renew(row)

    def drain_out(self) -> list[StreamOut]:
        """The streams that were taken out since this was asked last."""
        new, self._new_out = self._new_out, []
        return new

    def _begin_rows(self, new: Bool) -> None:
        """Begin the streams that are `new` (symbols, streams), in the order of their first windows
        in the span."""
        places = np.argwhere(new)
        order = np.argsort(self._present.argmax(axis=0)[new], kind="stable")
        for i, stream in places[order].tolist():
            symbol = int(self._symbols[i])
            prior = self._priors[stream]
            self._row[symbol, stream] = self._calibrators.add(self._bank.log_likelihood, prior)
            self._row_keys.append((symbol, stream))
        have = len(self._is_out)
        self._bank.grow(len(self._row_keys))
        self._adopt_rows(have)
        self._is_out = grow_rows(self._is_out, len(self._row_keys))

    def _adopt_rows(self, first: int) -> None:
        """Give the rows from `first` on what they have of their detectors' parameters."""
        for row, (_, stream) in enumerate(self._row_keys[first:], first):
            self._bank.adopt(row, self._detectors[stream])

    def count_ready(self, window: int) -> int:
        """How many streams have a score and a p-value: they could have been reported."""
        if window < self._next:
            return int(self._run.judged[window - self._low])
        rows = self._window.rows
        ready = self._calibrators.ready[rows] & ~self._is_out[rows]
        return int(np.count_nonzero(ready & ~np.isnan(self._window.scores)))

    def progress(self) -> list[StreamProgress]:
        """How far each of its streams has come."""
        progress = []
        for k, stream in enumerate(self._streams.tolist()):
            rows = self._row[:, k]
            rows = rows[rows >= 0]
            inside = rows[~self._is_out[rows]]
            left = self._bank.windows_left(inside) + self._calibrators.windows_left(inside)
            judging = int(np.count_nonzero(left == 0))
            out = len(rows) - len(inside)
            most = int(left.max(initial=0))
            progress.append(StreamProgress(stream, len(rows), judging, out, most))
        return progress

    def abstentions(self, window: int, symbol: int) -> list[tuple[int, str]]:
        """The streams (indices in the settings) that could not judge a symbol, and why.

        `symbol`: index among those judged.
        """
        reasons = []
        for k, row in enumerate(self._row[self._symbols[symbol]].tolist()):
            why: str | None
            if row in self._why_out:
                why = f"taken out: {self._why_out[row]}"
            elif not 0 <= row < self._begun[window]:
                why = None
            elif not self._present[window, symbol, k]:
                why = "not in this window"
            else:
                why = self._abstention(window, symbol, k, row) or self._calibrators.why(row)
            if why is not None:
                reasons.append((int(self._streams[k]), why))
        return reasons

    def _abstention(self, window: int, symbol: int, k: int, row: int) -> str | None:
        """Why the detector of a stream that was asked abstains; None where it does not."""
        value = self._values[window, symbol, k]
        if self._runner is not None and window < self._next:
            run, asked = self._run, self._asked[window - self._low].ravel()
            place = symbol * len(self._streams) + k
            i = int(run.ends[window - self._low]) + int(np.count_nonzero(asked[:place]))
            if not np.isnan(run.scores[i]):
                return None
            return self._runner.why_of(run.state[i], value)
        scores = self._window.scores[self._window.rows == row]
        if not np.isnan(scores).any():
            return None
        why: str = self._attempt(row, "no reason given", self._bank.why, row, value)
        return why

    def learn(self, window: int) -> None:
        """Learn the window that was judged; what was reported is not learnt as ordinary."""
        out = len(self._why_out)
        if window == self._next:
            self._learn_judged()
            self._next += 1
        elif self._is_full and window == self._next - 1:
            self._is_full = False
            rows = self._run.rows[slice(*self._run.ends[window - self._low :][:2])]
            for row, error in self._calibrators.close_blocks(rows):
                self._take_out(row, fault_reason(error))
        if len(self._why_out) > out:
            self._plan_run()

    def _learn_judged(self) -> None:
        """Learn the window that the bank did not go through by itself."""
        judged = self._window
        rows, values = judged.rows, judged.values
        for rare in judged.rare:
            one = int(rows[rare.index]), values[rare.index]
            self._attempt(one[0], None, self._bank.report, *one)
        scores = judged.scores
        if judged.rare or self._why_out:
            ordinary = ~self._is_out[rows]
            ordinary[[rare.index for rare in judged.rare]] = False
            self._learn(rows[ordinary], values[ordinary])
        else:
            self._learn(rows, values)
        if self._why_out:
            inside = ~self._is_out[rows]
            rows, scores = rows[inside], scores[inside]
        for row, error in self._calibrators.learn(rows, scores):
            self._take_out(row, fault_reason(error))

    def _learn(self, rows: Int64, values: Float64) -> None:
        try:
            self._bank.learn(rows, values)
        except RowFaults as raised:
            self._take_out_rows(raised)
        except BaseException as error:
            reraise_interrupts(error)
            # What this bank had learnt before it raised is not known: some rows may learn the
            # window twice, the same ones in every run.
            for i, row in enumerate(rows.tolist()):
                one = slice(i, i + 1)
                self._attempt(row, None, self._bank.learn, rows[one], values[one])

    def _take_out_rows(self, raised: RowFaults) -> None:
        for row, error in raised.faults:
            self._take_out(row, fault_reason(error))

    def snapshot(self) -> dict[str, Any]:
        return {
            "begun": [list(pair) for pair in self._row_keys],
            "bank": self._bank.snapshot(len(self._row_keys)),
            "calibrators": self._calibrators.snapshot(),
            "out": [list(pair) for pair in self._why_out.items()],
            "new_out": [list(one) for one in self._new_out],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._row_keys = [(symbol, stream) for symbol, stream in state["begun"]]
        self._row[:] = -1
        self.grow(max((symbol + 1 for symbol, _ in self._row_keys), default=0))
        for row, key in enumerate(self._row_keys):
            self._row[key] = row
        priors = [self._priors[stream] for _, stream in self._row_keys]
        self._calibrators.restore(state["calibrators"], self._bank.log_likelihood, priors)
        self._why_out = dict(state["out"])
        self._new_out = [StreamOut(*one) for one in state["new_out"]]
        self._is_out = np.zeros(len(self._row_keys), np.bool_)
        self._is_out[list(self._why_out)] = True
        self._adopt_rows(0)
        try:
            self._bank.restore(state["bank"])
        except RowFaults as raised:
            self._take_out_rows(raised)


class DetectorGroups(Stateful):
    """All streams of one kind of evidence, which have one `share` of the budget in all partitions.

    Of `settings` and `factories`, the streams whose feature has a `column` in what `inputs` is
    given. Those of moments (`Detector.is_moment`) are beside the budget: each of them reports so
    many a day as `moments` says, over all its symbols. For each span of windows `begin`; for each
    window of it, numbered from 0, `judge`, then `abstentions` where they are wanted, then `learn`.
    """

    STATE = "_ready", "_groups"

    def __init__(
        self, settings: Sequence[StreamSettings], factories: Sequence[DetectorFactory],
        column: Mapping[str, int], share: BudgetShare, window_ns: int, partitions: int = 1,
        moments: BudgetShare = NO_SHARE,
    ) -> None:  # fmt: skip
        members: dict[Any, list[int]] = {}
        detectors: dict[int, Detector] = {}
        for i, stream in enumerate(settings):
            if stream.feature in column:
                detectors[i] = detector = factories[i]()
                key = i if detector.bank_key is None else (type(detector), detector.bank_key)
                members.setdefault(key, []).append(i)
        window_s, per_day = window_ns / SECOND_NS, DAY_NS / window_ns
        self._p_limits = [
            partial(spent.p_limit, window_s, partitions=partitions) for spent in (share, moments)
        ]
        self._moments = max(1, sum(detector.is_moment for detector in detectors.values()))
        """Streams of moments in a symbol."""
        self._is_moment = [detectors[streams[0]].is_moment for streams in members.values()]
        self._groups = [
            DetectorGroup(
                settings, streams, [detectors[i] for i in streams], column, per_day,
                self._p_limits[is_moment](1),
            )
            for streams, is_moment in zip(members.values(), self._is_moment, strict=True)
        ]  # fmt: skip
        self._ready = [0, 0]
        """Streams that could judge in the last window, and those of moments."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def grow(self, symbols: int) -> None:
        """Make room for symbols with numbers below `symbols`."""
        for group in self._groups:
            group.grow(symbols)

    def begin(self, symbols: Int64, features: Float64) -> None:
        """Take a span of windows: `features` has a row for each window and each of `symbols`."""
        for group in self._groups:
            group.begin(symbols, features)

    def judge(self, window: int = 0) -> list[RareScore]:
        """Judge one window: the scores to report, by symbol and stream."""
        streams, moments = self._ready
        symbols = -(-moments // self._moments)
        limits = self._p_limits[0](streams), self._p_limits[1](symbols)
        rare = []
        self._ready = [0, 0]
        for group, is_moment in zip(self._groups, self._is_moment, strict=True):
            rare += group.judge(window, limits[is_moment])
            self._ready[is_moment] += group.count_ready(window)
        return sorted(rare, key=lambda one: (one.symbol, one.stream))

    def drain_out(self) -> list[StreamOut]:
        """The streams that were taken out since this was asked last, by symbol and stream."""
        return sorted(one for group in self._groups for one in group.drain_out())

    def progress(self) -> list[StreamProgress]:
        """How far each stream has come, in the order of the settings."""
        every = [one for group in self._groups for one in group.progress()]
        return sorted(every, key=lambda one: one.stream)

    def abstentions(self, symbol: int, window: int = 0) -> list[tuple[int, str]]:
        """As of `DetectorGroup`, of all streams."""
        return sorted(one for group in self._groups for one in group.abstentions(window, symbol))

    def learn(self, window: int = 0) -> None:
        """Learn the window that was judged."""
        for group in self._groups:
            group.learn(window)
