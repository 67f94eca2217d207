"""Joint evidence across markets, at the venue stage: every shard's signs of a block, together.

A shard tells of each block of `JointSettings.window_s` how rare each of its markets is (`BlockPValues`).
Once all shards have passed the block, its markets are judged together, in the order of their names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.arrays.types import Float64
from detectors.calibration.calibrator import AlertBudget
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.joint.cross_market import (
    NAMED_CHANCE,
    NAMED_LEAST,
    STATISTICS,
    CrossMarketStatistics,
)
from detectors.joint.cusums import BLOCK_WINDOWS
from detectors.stats.normal_scores import fisher_p_value
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings

BLOCKS_KEPT = 24
"""How far back the evidence is told in full, in blocks: two minutes."""
MARKETS_SHOWN = 64
"""Of a finding: those with the rarest scores."""

MarketKey = tuple[str, int]
"""A market: its symbol and its partition."""


@dataclass(slots=True)
class BlockPValues:
    """What the markets of a shard say of one block."""

    window: int
    """Index of the block's last window."""
    partition: int
    symbols: list[str]
    p: Float64
    """(symbols,): how rare the block is alone, uniform in ordinary blocks."""
    streams: Float64
    """(symbols, streams, 4): -ln p, observed, expected, and 1 where the stream judged, else 0s."""


@dataclass(slots=True)
class _Block:
    window: int
    rows: list[int]
    streams: Float64


class CrossMarketEvidence:
    """All markets of the venue.

    Markets are held for good: as many as have ever judged, which the shards' bounds hold down.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._streams = settings.joint.streams
        forms = [FEATURES[name].form for name in self._streams]
        self._additive = np.array([form in ("count", "amount") for form in forms], np.bool_)
        self._block = settings.joint_block
        block_s = self._block * settings.time.window_ms / 1000
        self._enabled = settings.cross_market_per_day > 0
        # The voices share the budget alike.
        self._limit = (
            AlertBudget(settings.cross_market_per_day, block_s, len(STATISTICS)).p_limit
            if self._enabled
            else 0.0
        )
        self._detector = CrossMarketStatistics(86_400 / block_s, warm_up=settings.joint.warm_up)
        self._calibrators = CalibratorBank(86_400 / block_s, self._limit, BLOCK_WINDOWS)
        for _ in STATISTICS:
            self._calibrators.add(log_likelihood=True)
        self._waiting: list[BlockPValues] = []
        self._markets: dict[MarketKey, int] = {}
        self._recent_blocks: list[_Block] = []

    def add(self, signs: list[BlockPValues]) -> None:
        """Take signs in; each of a shard's blocks once."""
        if self._enabled:
            self._waiting += signs

    def judge(self, until: int) -> list[Finding]:
        """Judge, in order, all blocks that end before window `until`: every shard has told them."""
        due = [signs for signs in self._waiting if signs.window < until]
        if not due:
            return []
        self._waiting = [signs for signs in self._waiting if signs.window >= until]
        findings = []
        for window in sorted({signs.window for signs in due}):
            findings += self._judge_block([signs for signs in due if signs.window == window])
        return findings

    def _judge_block(self, per_shard: list[BlockPValues]) -> list[Finding]:
        places = sorted(
            (name, signs.partition, n, i)
            for n, signs in enumerate(per_shard)
            for i, name in enumerate(signs.symbols)
        )
        rows = [self._markets.setdefault(at[:2], len(self._markets)) for at in places]
        self._detector.grow(len(self._markets))
        p = np.full(len(self._markets), np.nan)
        p[rows] = [per_shard[n].p[i] for _, _, n, i in places]
        streams = np.array([per_shard[n].streams[i] for _, _, n, i in places])
        self._recent_blocks = self._recent_blocks[
            -min(self._detector.lookback_windows, BLOCKS_KEPT - 1) :
        ]
        self._recent_blocks.append(_Block(per_shard[0].window, rows, streams))
        scores = self._detector.judge(p)
        every = np.arange(len(STATISTICS))
        rare = sorted(
            self._calibrators.rare_scores(every, scores, self._limit), key=lambda r: (r[1], r[0])
        )
        finding = None
        for voice, chance_of in rare:
            finding = finding or self._finding(voice, min(1.0, chance_of * len(STATISTICS)))
        self._detector.learn(finding is not None)
        self._calibrators.learn(every, scores)
        return [finding] if finding else []

    def _finding(self, voice: int, p: float) -> Finding | None:
        """What is told of a rare score; None where fewer than two markets carry it."""
        blocks, named = self._detector.contributing_markets(voice)
        keys = list(self._markets)
        symbols = list(dict.fromkeys(keys[market.market][0] for market in named))[:MARKETS_SHOWN]
        if len(symbols) < NAMED_LEAST:
            return None
        kept = self._recent_blocks[-blocks:]
        sums = np.zeros((len(keys), len(self._streams), 4))
        for block in kept:
            sums[block.rows] += block.streams
        # A symbol that a venue's keys spread over partitions is told as one.
        rows = {
            symbol: [m.market for m in named if keys[m.market][0] == symbol] for symbol in symbols
        }
        every = {symbol: sums[at].sum(axis=0) for symbol, at in rows.items()}
        parts = self._parts(every, kept[0].window - self._block + 1)
        lead = parts[0]
        return Finding(
            window=kept[-1].window,
            since=lead.since,
            partition=keys[rows[lead.symbol][0]][1],
            symbol=lead.symbol,
            stream=lead.stream,
            detector=JOINT,
            observed=lead.observed,
            expected=lead.expected,
            p=p,
            parts=parts,
        )

    def _parts(self, sums: dict[str, Float64], since: int) -> list[FindingPart]:
        """Of each market the streams that carry the evidence over all of them; where none does for
        certain, the one that does most."""
        over = sum(sums.values(), np.zeros((len(self._streams), 4)))
        chances = [fisher_p_value(nl, round(n)) if n else 1.0 for nl, n in over[:, [0, 3]].tolist()]
        carry = [k for k, q in enumerate(chances) if q < NAMED_CHANCE]
        carry = carry or [min(range(len(chances)), key=lambda k: (chances[k], k))]
        total = float(over[carry, 0].sum())
        parts = []
        for symbol, here in sums.items():
            for k in carry:
                nl, observed, expected, n = here[k].tolist()
                if n:
                    mean = 1.0 if self._additive[k] else n
                    numbers = observed / mean, expected / mean, fisher_p_value(nl, round(n))
                    share = nl / total if total > 0 else 0.0
                    parts.append(
                        FindingPart(symbol, self._streams[k], JOINT, since, *numbers, share)
                    )
        return sorted(parts, key=lambda part: (-part.share, part.symbol, part.stream))

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays."""
        return {
            "across": self._detector.snapshot(),
            "calibrators": self._calibrators.snapshot(),
            "waiting": [dataclasses.asdict(signs) for signs in self._waiting],
            "markets": [list(key) for key in self._markets],
            "kept": [[block.window, block.rows, block.streams] for block in self._recent_blocks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._detector.restore(state["across"])
        self._calibrators.restore(state["calibrators"], log_likelihood=True)
        self._waiting = [BlockPValues(**signs) for signs in state["waiting"]]
        self._markets = {
            (name, partition): i for i, (name, partition) in enumerate(state["markets"])
        }
        self._recent_blocks = [_Block(*block) for block in state["kept"]]
