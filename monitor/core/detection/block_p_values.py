"""What a shard tells the venue stage of each block of windows, for evidence across markets."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.arrays.types import Float64


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
    """(symbols, streams, `EVIDENCE_COLUMNS`), as from `stream_evidence`."""
