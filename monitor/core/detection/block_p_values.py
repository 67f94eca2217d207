"""What a shard tells the venue stage of each block of windows, for evidence across markets."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.arrays.types import Float64

NEG_LOG_P, OBSERVED, EXPECTED, JUDGED = range(4)
"""Columns of a stream's evidence, as `stream_evidence` makes them."""
EVIDENCE_COLUMNS = 4


@dataclass(slots=True)
class BlockPValues:
    """How rare one block is in each market of a shard."""

    window: int
    """Index of the block's last window."""
    partition: int
    symbols: list[str]
    p: Float64
    """(symbols,): how rare the block is in this market alone; uniform in ordinary blocks."""
    streams: Float64
    """(symbols, streams, `EVIDENCE_COLUMNS`): -ln p, observed, expected, and 1 where the stream
    judged; 0 in all four where it did not."""
