"""Joint evidence in a shard: windows to longer ones, all streams of all symbols to findings.

Weak signs need time to add up: windows are taken together to `JointSettings.window_s`, counts and
amounts as sums, the rest as means. Blocks begin at multiples of their length since 1970, so they
do not hang on how windows came.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64
from detectors.calibration.calibrator import AlertBudget
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.joint.cusums import BLOCK_WINDOWS, JointCusums, stream_evidence
from detectors.joint.fisher import FisherCombination
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.decode.batch import Int64
from monitor.core.detection.cross_market_evidence import BlockPValues
from monitor.core.features.compute import FEATURE_COLUMN, Features
from monitor.core.finding import JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings
from monitor.core.windows.recent_windows import RecentWindows


class JointEvidence:
    """The joint streams of all symbols of a shard."""

    def __init__(
        self, settings: EngineSettings, partition: int, partitions: int, history: RecentWindows
    ) -> None:
        self._settings = settings
        self._partition, self._partitions = partition, partitions
        self._history = history
        self._streams = settings.joint.streams if settings.joint_per_day > 0 else ()
        self._columns = [FEATURE_COLUMN[name] for name in self._streams]
        forms = [FEATURES[name].form for name in self._streams]
        self._additive = np.array([form in ("count", "amount") for form in forms], np.bool_)
        self._is_level = np.array([form == "level" for form in forms], np.bool_)
        window_s = settings.time.window_ms / 1000
        self._block = settings.joint_block
        """Windows of a block."""
        self._block_s = self._block * window_s
        per_day = 86_400 / self._block_s
        sides = [
            -1 if FEATURES[n].fall_is_bad else 0 if FEATURES[n].form == "signed" else 1
            for n in self._streams
        ]
        self._joint = JointCusums(sides, per_day, warm_up=settings.joint.warm_up)
        self._calibrators = CalibratorBank(per_day, self._limit(1), BLOCK_WINDOWS)
        self._fisher = FisherCombination(per_day, warm_up=settings.joint.warm_up)
        self.block_p_values: list[BlockPValues] = []
        """For the venue stage, in order: what is to be told of the blocks since it was emptied."""
        # Of the open block, by symbol and stream: sums, and windows with a value.
        self._sum: Float64 = np.zeros((0, len(self._streams)))
        self._count: Float64 = np.zeros((0, len(self._streams)))
        self._begun: NDArray[np.bool_] = np.zeros((0, len(self._streams)), np.bool_)
        self._ready = 0

    def _limit(self, ready: int) -> float:
        """The p-value below which a block is reported: its part of the venue's budget, shared
        alike by the symbols that could judge in the block before."""
        per_day = self._settings.joint_per_day
        if not self._streams:
            return 0.0
        return AlertBudget(per_day, self._block_s, max(1, ready) * self._partitions).p_limit

    def judge(self, features: Features, names: dict[int, str]) -> list[Finding]:
        """Take windows in, in order; judge each block that is over, then learn it."""
        if not self._streams or not len(features.window):
            return []
        self._grow(int(features.symbol.max()) + 1)
        values = features.values[:, self._columns]
        begin = np.flatnonzero(np.diff(features.window, prepend=-1)).tolist()
        findings: list[Finding] = []
        for a, b in zip(begin, [*begin[1:], len(features.window)], strict=True):
            symbol, value = features.symbol[a:b], values[a:b]
            there = ~np.isnan(value)
            self._sum[symbol] += np.where(there, value, 0.0)
            self._count[symbol] += there
            window = int(features.window[a])
            if (window + 1) % self._block == 0:
                findings += self._close_block(window, symbol, names)
        return findings

    def _grow(self, symbols: int) -> None:
        more = symbols - len(self._sum)
        if more <= 0:
            return
        for name in ("_sum", "_count", "_begun"):
            held = getattr(self, name)
            room = np.zeros((more, len(self._streams)), held.dtype)
            setattr(self, name, np.concatenate((held, room)))
        self._joint.grow(symbols)
        self._fisher.grow(symbols)
        for _ in range(more):
            self._calibrators.add(log_likelihood=True)

    def _close_block(self, window: int, symbols: Int64, names: dict[int, str]) -> list[Finding]:
        """Judge and learn the block that ends with `window`."""
        heard = self._count > 0
        level = self._sum / np.maximum(self._count, 1.0)
        self._begun |= heard & (self._sum != 0)
        value = np.where(self._begun & heard, np.where(self._additive, self._sum, level), np.nan)
        score = self._joint.judge(self._transform(value), np.nan_to_num(value[:, 0]))
        expected = self._inverse_transform(self._joint.expected)
        judging = self._joint.judging_streams >= 2
        score = np.where(judging, score, np.nan)
        reported = np.zeros(len(score), np.bool_)
        findings = []
        rows = np.arange(len(score))
        limit = self._limit(self._ready)
        rare = dict(self._calibrators.rare_scores(rows, score, limit))
        for symbol in symbols.tolist():
            if symbol in rare:
                reported[symbol] = True
                p = rare[symbol]
                findings.append(self._finding(window, symbol, p, value, expected, names))
        self._ready = int(judging.sum())
        if self._settings.cross_market_per_day > 0:
            self._emit_p_values(window, symbols, value, expected, names)
        self._joint.learn(reported, value, expected)
        self._fisher.learn(self._joint.learnt_mask)
        self._calibrators.learn(rows, score)
        self._sum[:] = 0.0
        self._count[:] = 0.0
        return findings

    def _emit_p_values(
        self, window: int, symbols: Int64, value: Float64, expected: Float64, names: dict[int, str]
    ) -> None:
        """Note what each market says of the block, for the venue stage to put together."""
        p = self._fisher.judge(self._joint.p)
        here = symbols[~np.isnan(p[symbols])]
        if len(here):
            streams = stream_evidence(self._joint.p[here], value[here], expected[here])
            told = [names[symbol] for symbol in here.tolist()]
            self.block_p_values.append(
                BlockPValues(window, self._partition, told, p[here], streams)
            )

    def _transform(self, value: Float64) -> Float64:
        """As the regressions see it: on scales on which the variance hangs little on the mean."""
        root = np.sqrt(np.maximum(value, 0.0))
        logs = np.log1p(np.maximum(value, 0.0))
        return np.where(self._additive, root, np.where(self._is_level, logs, value))

    def _inverse_transform(self, seen: Float64) -> Float64:
        """The inverse of `_transform`."""
        back = np.expm1(np.minimum(seen, 700.0))
        # Squares of streams that are not sums are not used; they may not overflow all the same.
        least = np.clip(seen, 0.0, 1e150) ** 2
        return np.where(
            self._additive, least, np.where(self._is_level, np.maximum(back, 0.0), seen)
        )

    def _finding(
        self, window: int, symbol: int, p: float, value: Float64, expected: Float64,
        names: dict[int, str],
    ) -> Finding:  # fmt: skip
        blocks, found = self._joint.evidence(symbol, value, expected)
        since = window - blocks * self._block + 1
        named = [part for part in found if part.is_named] or found[:1]
        parts = []
        for part in named:
            times = blocks if self._additive[part.stream] else 1
            stream = self._streams[part.stream]
            numbers = part.observed * times, part.expected * times
            parts.append(
                FindingPart(names[symbol], stream, JOINT, since, *numbers, part.p, part.share)
            )
        lead = parts[0]
        carriers = (q for q in parts if FEATURES[q.stream].account_count)
        carried = next((q for q in carriers if FEATURES[q.stream].form == "count"), None)
        carrier = FEATURES[carried.stream].account_count if carried else None
        total = carried.observed if carried else 0.0
        kinds = sorted({kind for part in parts for kind in FEATURES[part.stream].records})
        return Finding(
            window=window,
            since=since,
            partition=self._partition,
            symbol=names[symbol],
            stream=lead.stream,
            detector=JOINT,
            observed=lead.observed,
            expected=lead.expected,
            p=p,
            accounts=self._history.account_shares(symbol, since, window, carrier, total)
            if carrier
            else [],
            accounts_of=carried.stream if carried else "",
            records=self._history.record_ranges(symbol, since, window, tuple(kinds)),
            abstained=self._abstentions(symbol),
            parts=parts if len(parts) > 1 else [],
        )

    def _abstentions(self, symbol: int) -> list[tuple[str, str]]:
        """Of the joint streams: those without a p-value in the block judged last."""
        said = []
        for i, name in enumerate(self._streams):
            if not np.isnan(self._joint.p[symbol, i]):
                continue
            if not self._begun[symbol, i]:
                said.append((name, "none seen so far"))
            elif not self._count[symbol, i]:
                said.append((name, "not in this window"))
            else:
                blocks = self._settings.joint.warm_up
                said.append((name, f"learning: its first {blocks} windows of joint evidence"))
        return said

    def snapshot(self) -> dict[str, Any]:
        return {
            "joint": self._joint.snapshot(),
            "alone": self._fisher.snapshot(),
            "calibrators": self._calibrators.snapshot(),
            "sum": self._sum,
            "count": self._count,
            "begun": self._begun,
            "ready": self._ready,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._joint.restore(state["joint"])
        self._fisher.restore(state["alone"])
        self._calibrators.restore(state["calibrators"], log_likelihood=True)
        self._sum, self._count = np.array(state["sum"]), np.array(state["count"])
        self._begun = np.array(state["begun"])
        self._ready = state["ready"]
