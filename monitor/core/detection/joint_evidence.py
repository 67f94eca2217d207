"""Joint evidence in a shard: small changes in several streams of a symbol at once.

Small changes need time to add up, so windows are joined to blocks of `JointSettings.window_s`:
counts and amounts as sums, the rest as means. Blocks begin at multiples of their length since 1970,
so they are the same however windows arrive.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.interrupts import reraise_interrupts
from detectors.joint.cusums import BLOCK_WINDOWS, JointCusums, StreamEvidence, stream_evidence
from detectors.joint.fisher import FisherCombination
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.contract.units import DAY_S
from monitor.core.detection.judge import BlockPValues, ClosedSpan
from monitor.core.detection.streams_out import fault_reason, stream_out_finding
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.finding import JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings
from monitor.core.windows.contributors import RecentWindows
from monitor.core.windows.rests import Rests

LEAST_MOVE = 1.1
"""A level within this ratio of the expected one is as expected: no desk acts on less."""


class JointEvidence(Stateful):
    """The joint streams of all symbols of a shard.

    A market whose score is no number, or whose calibration raises, is taken out; what is computed
    for all markets together is out in all of them once it raises.
    """

    STATE = (
        "_joint", "_fisher", "_sum", "_count", "_windows", "_begun", "_ready", "_is_out",
        "_all_out",
    )  # fmt: skip

    def __init__(
        self, settings: EngineSettings, partition: int, partitions: int, history: RecentWindows,
        rests: Rests,
    ) -> None:  # fmt: skip
        self._partition = partition
        self._history, self._rests = history, rests
        self._warm_up = settings.joint.warm_up
        budget = settings.budget.joint
        self._across = settings.budget.cross_market.per_day > 0
        self._streams = settings.joint.streams if budget.per_day > 0 else ()
        self._columns = [FEATURE_COLUMN[name] for name in self._streams]
        specs = [FEATURES[name] for name in self._streams]
        self._additive = np.array([spec.is_additive for spec in specs], np.bool_)
        self._is_level = np.array([spec.form == "level" for spec in specs], np.bool_)
        self._block = settings.joint_block
        """Windows of a block."""
        block_s = self._block * settings.time.window_s
        self._p_limit = partial(budget.p_limit, block_s, partitions=partitions)
        per_day = DAY_S / block_s
        sides = [-1 if s.fall_is_bad else 0 if s.form == "signed" else 1 for s in specs]
        # In the units of `_transform`.
        least = np.where(self._is_level, np.log(LEAST_MOVE), 0.0)
        self._joint = JointCusums(sides, per_day, warm_up=self._warm_up, least=least)
        self._calibrators = CalibratorBank(per_day, self._p_limit(1), BLOCK_WINDOWS)
        self._fisher = FisherCombination(per_day, warm_up=self._warm_up)
        self.block_p_values: list[BlockPValues] = []
        """For evidence across markets: of each block that has closed since this was emptied."""
        # Of the open block: its windows, and by symbol and stream: sums, windows with a value, and
        # whether a value other than 0 has ever been seen. Weak evidence is not that something
        # happened for the first time: beside zeros alone, one event has the least of all p-values.
        self._windows = 0
        self._sum: Float64 = np.zeros((0, len(self._streams)))
        self._count: Float64 = np.zeros((0, len(self._streams)))
        self._begun: Bool = np.zeros((0, len(self._streams)), np.bool_)
        self._ready = 0
        self._is_out: Bool = np.zeros(0, np.bool_)
        """By symbol: whether it was taken out."""
        self._all_out = False

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """Take windows in, in order; judge each block that ends among them, then learn it."""
        features = closed.features
        if self._all_out or not self._streams or not len(features.window):
            return []
        self._grow(int(features.symbol.max()) + 1)
        values = features.values[:, self._columns]
        findings: list[Finding] = []
        for a, b in equal_runs(features.window):
            symbol, value = features.symbol[a:b], values[a:b]
            present = ~np.isnan(value)
            self._sum[symbol] += np.where(present, value, 0.0)
            self._count[symbol] += present
            self._windows += 1
            window = int(features.window[a])
            if (window + 1) % self._block == 0:
                # A block that began before the first record, or in a rest, says nothing.
                if self._windows == self._block:
                    try:
                        findings += self._close_block(window, symbol, closed.names)
                    except Exception as error:
                        reraise_interrupts(error)
                        self._all_out = True
                        return [*findings, self._out_finding(window, "", fault_reason(error))]
                self._windows = 0
                self._sum[:] = 0.0
                self._count[:] = 0.0
        return findings

    def _out_finding(self, window: int, symbol: str, why: str) -> Finding:
        what = symbol, "joint evidence", JOINT, why
        return stream_out_finding(window, self._partition, *what)

    def _grow(self, symbols: int) -> None:
        if symbols <= len(self._sum):
            return
        for _ in range(len(self._sum), symbols):
            self._calibrators.add(log_likelihood=True)
        # To the symbol: all rows are judged.
        self._sum = grow_rows(self._sum, symbols, growth=1.0)
        self._count = grow_rows(self._count, symbols, growth=1.0)
        self._is_out = grow_rows(self._is_out, symbols, growth=1.0)
        self._begun = grow_rows(self._begun, symbols, growth=1.0)
        self._joint.grow(symbols)
        self._fisher.grow(symbols)

    def _close_block(self, window: int, symbols: Int64, names: dict[int, str]) -> list[Finding]:
        """Judge and learn the block that ends with `window`."""
        present = self._count > 0
        level = self._sum / np.maximum(self._count, 1.0)
        self._begun |= present & (self._sum != 0)
        value = np.where(self._begun & present, np.where(self._additive, self._sum, level), np.nan)
        value[self._is_out] = np.nan
        score = self._joint.judge(self._transform(value), np.nan_to_num(value[:, 0]))
        expected = self._inverse_transform(self._joint.expected)
        judging = self._joint.judging_streams >= 2
        broken = np.flatnonzero(judging & ~np.isfinite(score))
        out = [(symbol, "its score is not finite") for symbol in broken.tolist()]
        score = np.where(judging & np.isfinite(score), score, np.nan)
        rows = np.arange(len(score))
        rare = dict(self._calibrators.rare_scores(rows, score, self._p_limit(self._ready)))
        here = [symbol for symbol in symbols.tolist() if symbol in rare]
        reported = np.isin(rows, here)
        findings = [self._finding(window, n, rare[n], value, expected, names) for n in here]
        self._ready = int(judging.sum())
        if self._across:
            self._add_p_values(window, symbols, value, expected, names)
        self._joint.learn(reported, value, expected)
        self._fisher.learn(self._joint.learnt_mask)
        failed = self._calibrators.learn(rows, score)
        out += [(symbol, fault_reason(error)) for symbol, error in failed]
        for symbol, why in out:
            self._is_out[symbol] = True
            findings.append(self._out_finding(window, names[symbol], why))
        return findings

    def _add_p_values(
        self, window: int, symbols: Int64, value: Float64, expected: Float64, names: dict[int, str]
    ) -> None:
        """Keep how rare the block is in each market, for the venue stage to judge together."""
        p = self._fisher.judge(self._joint.p)
        judged = symbols[~np.isnan(p[symbols])]
        if len(judged):
            streams = stream_evidence(self._joint.p[judged], value[judged], expected[judged])
            markets = [names[symbol] for symbol in judged.tolist()]
            block = BlockPValues(window, self._partition, markets, p[judged], streams)
            self.block_p_values.append(block)

    def _transform(self, value: Float64) -> Float64:
        """As the regressions see it: on scales on which the variance depends little on the mean."""
        root = np.sqrt(np.maximum(value, 0.0))
        logs = np.log1p(np.maximum(value, 0.0))
        return np.where(self._additive, root, np.where(self._is_level, logs, value))

    def _inverse_transform(self, seen: Float64) -> Float64:
        """The inverse of `_transform`."""
        level = np.expm1(np.minimum(seen, 700.0))
        # All streams are squared, and only sums use it; the others must not overflow.
        square = np.clip(seen, 0.0, 1e150) ** 2
        rest = np.where(self._is_level, np.maximum(level, 0.0), seen)
        return np.where(self._additive, square, rest)

    def _finding(
        self, window: int, symbol: int, p: float, value: Float64, expected: Float64,
        names: dict[int, str],
    ) -> Finding:  # fmt: skip
        blocks, evidence = self._joint.evidence(symbol, value, expected)
        since = self._rests.begin_of(window, blocks * self._block)
        named = [stream for stream in evidence if stream.is_named] or evidence[:1]
        seen = self._block * self._calibrators.windows_seen(symbol)
        parts = [self._part(names[symbol], since, blocks, stream, seen) for stream in named]
        lead = parts[0]
        # Who carries it: the accounts of the first stream that counts their records.
        accounts, accounts_of = [], ""
        for part in parts:
            spec = FEATURES[part.stream]
            if spec.account_count and spec.form == "count" and not accounts_of:
                who = symbol, since, window, spec.account_count, part.observed
                accounts, accounts_of = self._history.account_shares(*who), part.stream
        kinds = sorted({kind for part in parts for kind in FEATURES[part.stream].records})
        where = window, since, self._partition, names[symbol]
        numbers = lead.observed, lead.expected, p
        return Finding(
            *where, lead.stream, JOINT, *numbers, accounts, accounts_of,
            records=self._history.record_ranges(symbol, since, window, tuple(kinds)),
            abstained=self._abstentions(symbol), parts=parts if len(parts) > 1 else [], seen=seen,
        )  # fmt: skip

    def _part(
        self, symbol: str, since: int, blocks: int, evidence: StreamEvidence, seen: int
    ) -> FindingPart:
        """What a stream brings: sums over all blocks, or means where it does not add up."""
        times = blocks if self._additive[evidence.stream] else 1
        numbers = evidence.observed * times, evidence.expected * times, evidence.p, evidence.share
        length = blocks * self._block, seen
        return FindingPart(symbol, self._streams[evidence.stream], JOINT, since, *numbers, *length)

    def _abstentions(self, symbol: int) -> list[tuple[str, str]]:
        """The joint streams without a p-value in the last block, and why."""
        reasons = []
        for i in np.flatnonzero(np.isnan(self._joint.p[symbol])):
            why = f"learning: its first {self._warm_up} windows of joint evidence"
            if not self._begun[symbol, i]:
                why = "none seen so far"
            elif not self._count[symbol, i]:
                why = "not in this window"
            reasons.append((self._streams[i], why))
        return reasons

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"calibrators": self._calibrators.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._calibrators.restore(state["calibrators"], log_likelihood=True)
