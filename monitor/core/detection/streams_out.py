"""Streams that are taken out: what judges one raised, or came to no number, and the rest goes on.

A stream that is out is not judged any more, also after a restart; only a start without the snapshot
brings it back. So what broke it cannot break it again and again, and a monitor is never stopped by
one of its streams. It is reported once, by a finding of the data layer that does not end.
"""

from __future__ import annotations

from detectors.base import DetectorError
from monitor.core.contract.feature_catalogue import STREAM_OUT
from monitor.core.finding import Finding


def fault_reason(error: BaseException) -> str:
    """Why a stream is out, in words that are the same in every run: no message that may hold an
    address or a path."""
    return str(error) if isinstance(error, DetectorError) else f"raised {type(error).__name__}"


def stream_out_finding(
    window: int, partition: int, symbol: str, stream: str, detector: str, why: str
) -> Finding:
    """That `stream` was taken out in `window`; `symbol` is empty where it was out in all."""
    facts: dict[str, float | int | str | None] = {"stream": stream, "why": why}
    where = window, window, partition, symbol
    return Finding(*where, STREAM_OUT, detector, 1.0, 0.0, 1.0, facts=facts, is_end=False)
