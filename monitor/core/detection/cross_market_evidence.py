"""Joint evidence across markets, at the venue stage: one block of all shards, judged together.

Each shard reports how rare each block of `JointSettings.window_s` is in each of its markets
(`BlockPValues`). Once all shards have passed the block, its markets are judged together, in the
order of their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64
from detectors.base import DetectorError
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.interrupts import reraise_interrupts
from detectors.joint import cross_market, cusums
from detectors.joint.cross_market import STATISTICS, CrossMarketStatistics
from detectors.stats.normal_scores import fisher_p_value
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.contract.units import DAY_S
from monitor.core.detection.judge import BlockPValues, PassedTime
from monitor.core.detection.streams_out import fault_reason, stream_out_finding
from monitor.core.finding import JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings
from monitor.core.snapshot import from_state, to_state

BLOCKS_KEPT = 24
"""A finding gives the evidence of at most so many of the last blocks: two minutes."""
MARKETS_SHOWN = 64
"""A finding names at most so many markets: those with the rarest scores."""

MarketKey = tuple[str, int]
"""A market: its symbol and its partition."""


@dataclass(slots=True)
class _Block:
    window: int
    rows: list[int]
    streams: Float64


class CrossMarketEvidence(Stateful):
    """All markets of the venue.

    A market keeps its row for good: there are as many as have ever judged, which the shards'
    limits on symbols bound.
    """

    STATE = "_detector", "_is_out"

    def __init__(self, settings: EngineSettings) -> None:
        self._streams = settings.joint.streams
        self._additive = np.array([FEATURES[name].is_additive for name in self._streams], np.bool_)
        self._block = settings.joint_block
        block_s = self._block * settings.time.window_ms / 1000
        budget = settings.budget.cross_market
        self._enabled = budget.per_day > 0
        # The statistics share the budget alike.
        self._limit = budget.p_limit(block_s, len(STATISTICS))
        self._detector = CrossMarketStatistics(DAY_S / block_s, warm_up=settings.joint.warm_up)
        self._calibrators = CalibratorBank(DAY_S / block_s, self._limit, cusums.BLOCK_WINDOWS)
        for _ in STATISTICS:
            self._calibrators.add(log_likelihood=True)
        self._is_out = False
        """Whether it was taken out: it is not judged any more."""
        self._waiting: list[BlockPValues] = []
        self._markets: dict[MarketKey, int] = {}
        """The row of each market."""
        self._recent_blocks: list[_Block] = []

    def add(self, blocks: list[BlockPValues]) -> None:
        """Take in what a shard reports; each of its blocks once."""
        if self._enabled and not self._is_out:
            self._waiting += blocks

    def judge(self, closed: PassedTime) -> list[Finding]:
        """Judge, in order, all blocks that have closed: every shard has reported them."""
        due = [block for block in self._waiting if block.window < closed.until]
        if not due:
            return []
        self._waiting = [block for block in self._waiting if block.window >= closed.until]
        findings = []
        for window in sorted({block.window for block in due}):
            try:
                findings += self._judge_block([block for block in due if block.window == window])
            except Exception as error:
                reraise_interrupts(error)
                self._is_out, self._waiting = True, []
                what = "", "evidence across markets", JOINT, fault_reason(error)
                return [*findings, stream_out_finding(window, 0, *what)]
        return findings

    def _judge_block(self, per_shard: list[BlockPValues]) -> list[Finding]:
        order = sorted(
            (name, block.partition, n, i)
            for n, block in enumerate(per_shard)
            for i, name in enumerate(block.symbols)
        )
        rows = [self._markets.setdefault(entry[:2], len(self._markets)) for entry in order]
        self._detector.grow(len(self._markets))
        p = np.full(len(self._markets), np.nan)
        p[rows] = [per_shard[n].p[i] for _, _, n, i in order]
        streams = np.array([per_shard[n].streams[i] for _, _, n, i in order])
        older = min(self._detector.lookback_windows, BLOCKS_KEPT - 1)
        self._recent_blocks = self._recent_blocks[-older:]
        self._recent_blocks.append(_Block(per_shard[0].window, rows, streams))
        scores = self._detector.judge(p)
        if np.isinf(scores).any():
            raise DetectorError("its score is infinite")
        every = np.arange(len(STATISTICS))
        rare = self._calibrators.rare_scores(every, scores, self._limit)
        finding = None
        for statistic, chance in sorted(rare, key=lambda pair: (pair[1], pair[0])):
            finding = finding or self._finding(statistic, min(1.0, chance * len(STATISTICS)))
        self._detector.learn(finding is not None)
        for _, error in self._calibrators.learn(every, scores):
            raise error
        return [finding] if finding else []

    def _finding(self, statistic: int, p: float) -> Finding | None:
        """The finding of a rare score; None where fewer than two markets carry it."""
        count, named = self._detector.contributing_markets(statistic)
        keys = list(self._markets)
        symbols = list(dict.fromkeys(keys[market.market][0] for market in named))[:MARKETS_SHOWN]
        if len(symbols) < cross_market.NAMED_LEAST:
            return None
        blocks = self._recent_blocks[-count:]
        sums = np.zeros((len(keys), len(self._streams), cusums.EVIDENCE_COLUMNS))
        for block in blocks:
            sums[block.rows] += block.streams
        # A symbol whose records a venue spreads over partitions is named once.
        rows = {name: [m.market for m in named if keys[m.market][0] == name] for name in symbols}
        every = {symbol: sums[at].sum(axis=0) for symbol, at in rows.items()}
        seen = self._block * self._calibrators.windows_seen(statistic)
        length = len(blocks) * self._block, seen
        parts = self._parts(every, blocks[0].window - self._block + 1, length)
        lead = parts[0]
        where = blocks[-1].window, lead.since, keys[rows[lead.symbol][0]][1], lead.symbol
        numbers = lead.observed, lead.expected, p
        return Finding(*where, lead.stream, JOINT, *numbers, parts=parts, seen=seen)

    def _parts(
        self, sums: dict[str, Float64], since: int, length: tuple[int, int]
    ) -> list[FindingPart]:
        """The streams that carry the evidence over all markets, in each market.

        Where no stream does for certain, the one that does most. `length`: `FindingPart.windows`
        and `FindingPart.seen` of all of them.
        """
        total = sum(sums.values(), np.zeros((len(self._streams), cusums.EVIDENCE_COLUMNS)))
        chances = [_chance(stream) for stream in total]
        carry = [k for k, chance in enumerate(chances) if chance < cross_market.NAMED_CHANCE]
        carry = carry or [min(range(len(chances)), key=lambda k: (chances[k], k))]
        carried = float(total[carry, cusums.NEG_LOG_P].sum())
        parts = []
        for symbol, streams in sums.items():
            for k in carry:
                stream = streams[k]
                if stream[cusums.JUDGED]:
                    mean = 1.0 if self._additive[k] else float(stream[cusums.JUDGED])
                    observed, expected = (
                        stream[[cusums.OBSERVED, cusums.EXPECTED]] / mean
                    ).tolist()
                    share = float(stream[cusums.NEG_LOG_P]) / carried if carried > 0 else 0.0
                    place = symbol, self._streams[k], JOINT, since
                    numbers = observed, expected, _chance(stream), share
                    parts.append(FindingPart(*place, *numbers, *length))
        return sorted(parts, key=lambda part: (-part.share, part.symbol, part.stream))

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {
            "calibrators": self._calibrators.snapshot(),
            "waiting": to_state(self._waiting),
            "markets": list(self._markets),
            "recent_blocks": to_state(self._recent_blocks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._calibrators.restore(state["calibrators"], log_likelihood=True)
        self._waiting = from_state(list[BlockPValues], state["waiting"])
        keys = from_state(list[MarketKey], state["markets"])
        self._markets = {key: row for row, key in enumerate(keys)}
        self._recent_blocks = from_state(list[_Block], state["recent_blocks"])


def _chance(stream: Float64) -> float:
    """Of as much evidence in as many ordinary blocks."""
    judged = round(float(stream[cusums.JUDGED]))
    return fisher_p_value(float(stream[cusums.NEG_LOG_P]), judged) if judged else 1.0
