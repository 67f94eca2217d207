"""Streams whose detectors are alike, on all symbols: judged, calibrated and learnt in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from detectors.base import Detector, Evidence
from detectors.calibration.calibrator import AlertBudget
from detectors.calibration.calibrator_bank import CalibratorBank
from monitor.core.settings import StreamSettings

Factory = Callable[[], Detector]
"""Makes a detector as it stands before it has seen anything."""


@dataclass(slots=True)
class RareScore:
    """A score that is rare enough, with the evidence for it."""

    symbol: int
    """Place of the symbol among those judged."""
    stream: int
    """Place of the stream in the settings."""
    p: float
    evidence: Evidence
    index: int
    """Place among what was asked."""


@dataclass(slots=True)
class WindowScores:
    """What a group made of one window."""

    present: NDArray[np.bool_]
    """(symbols, streams): whether the stream's numbers are in this window."""
    row: Int64
    """(symbols, streams): -1 where a stream has not begun."""
    rows: Int64
    """Of what was asked, symbol by symbol and stream by stream."""
    values: Float64
    """(asked, inputs)."""
    scores: Float64
    rare: list[RareScore] = field(default_factory=list)


def group_streams(streams: Iterable[int], factories: Sequence[Factory]) -> list[list[int]]:
    """Streams whose detectors may share a bank, together."""
    members: dict[Any, list[int]] = {}
    for i in streams:
        detector = factories[i]()
        key = i if detector.bank_key is None else (type(detector), detector.bank_key)
        members.setdefault(key, []).append(i)
    return list(members.values())


class DetectorGroup:
    """One bank of detectors, and the calibrator of each of its rows.

    `streams`: places in `settings`. `column`: where each number is in what `values` is given.
    """

    def __init__(
        self,
        settings: Sequence[StreamSettings],
        streams: list[int],
        factory: Factory,
        column: Mapping[str, int],
        windows_per_day: float,
        budget: AlertBudget,
    ) -> None:
        self._streams = np.array(streams)
        self._columns = np.array(
            [[column[name] for name in settings[i].input_features] for i in streams]
        )
        self._bank = factory().bank()
        self._calibrators = CalibratorBank(windows_per_day, budget.p_limit)
        self._row = np.full((0, len(streams)), -1, np.int64)
        """For each symbol's number and stream its row in the bank; -1: it has not begun."""
        self._row_keys: list[tuple[int, int]] = []
        """Of each row, the symbol's number and the stream's place in the group."""

    def grow(self, symbols: int) -> None:
        """Make room for symbols with numbers below `symbols`."""
        have = len(self._row)
        if symbols > have:
            more = np.full((max(symbols, 2 * have) - have, self._row.shape[1]), -1, np.int64)
            self._row = np.concatenate((self._row, more))

    def values(self, features: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        """Of all windows' features what this group reads, and where all of it is there."""
        values = features[:, self._columns]
        there: NDArray[np.bool_] = np.logical_not(np.any(np.isnan(values), axis=2))
        return values, there

    def judge(
        self, symbols: Int64, values: Float64, there: NDArray[np.bool_], limit: float
    ) -> WindowScores:
        """Judge one window; a stream begins with the first number that is not 0."""
        row = self._row[symbols]
        new = there & (row < 0)
        if new.any():
            new &= (values != 0).any(axis=2)
            if new.any():
                self._begin(symbols, new)
                row = self._row[symbols]
        asked = there & (row >= 0)
        rows, values = row[asked], values[asked]
        scores = self._bank.judge(rows, values)
        judged = WindowScores(there, row, rows, values, scores)
        rare = self._calibrators.rare_scores(rows, scores, limit)
        if rare:
            place, stream = (a.tolist() for a in np.nonzero(asked))
            for at, p in rare:
                evidence = self._bank.evidence(int(rows[at]), values[at])
                if evidence is not None:
                    i = int(self._streams[stream[at]])
                    judged.rare.append(RareScore(place[at], i, p, evidence, at))
        return judged

    def _begin(self, symbols: Int64, new: NDArray[np.bool_]) -> None:
        for place, stream in np.argwhere(new).tolist():
            symbol = int(symbols[place])
            self._row[symbol, stream] = self._calibrators.add(self._bank.log_likelihood)
            self._row_keys.append((symbol, stream))
        self._bank.grow(len(self._row_keys))

    def count_ready(self, judged: WindowScores) -> int:
        """How many streams could have been reported."""
        scored = ~np.isnan(judged.scores)
        return int(np.count_nonzero(scored & self._calibrators.ready[judged.rows]))

    def abstentions(self, judged: WindowScores, place: int) -> list[tuple[int, str]]:
        """The streams of a symbol that could not judge, and why. To be asked before `learn`."""
        out = []
        scores = dict(zip(judged.rows.tolist(), range(len(judged.rows)), strict=True))
        for k, row in enumerate(judged.row[place].tolist()):
            why: str | None = None
            if not judged.present[place, k]:
                why = "not in this window" if row >= 0 else None
            elif row < 0:
                why = "none seen so far"
            elif np.isnan(judged.scores[scores[row]]):
                why = self._bank.why(row, judged.values[scores[row]])
            else:
                why = self._calibrators.why(row)
            if why is not None:
                out.append((int(self._streams[k]), why))
        return out

    def learn(self, judged: WindowScores) -> None:
        """Learn a judged window: what was reported is not normal."""
        rows, values = judged.rows, judged.values
        if judged.rare:
            learnt = np.ones(len(rows), np.bool_)
            for rare in judged.rare:
                learnt[rare.index] = False
                self._bank.report(int(rows[rare.index]), values[rare.index])
            rows, values = rows[learnt], values[learnt]
        self._bank.learn(rows, values)
        self._calibrators.learn(judged.rows, judged.scores)

    def snapshot(self) -> dict[str, Any]:
        return {
            "begun": [list(pair) for pair in self._row_keys],
            "bank": self._bank.snapshot(len(self._row_keys)),
            "calibrators": self._calibrators.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._row_keys = [(symbol, stream) for symbol, stream in state["begun"]]
        self._row[:] = -1
        self.grow(max((symbol + 1 for symbol, _ in self._row_keys), default=0))
        for row, (symbol, stream) in enumerate(self._row_keys):
            self._row[symbol, stream] = row
        self._bank.restore(state["bank"])
        self._calibrators.restore(state["calibrators"], self._bank.log_likelihood)
