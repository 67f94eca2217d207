"""Batches as what a snapshot can hold, and back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.core.decode.batch import Batch, Ladder, TextColumn


def batch_to_state(batch: Batch, unused_texts: Collection[str] = ()) -> dict[str, Any]:
    """All but the refused records and the texts named; of the buffers only the bytes in use."""
    texts = {k: text.compact() for k, text in batch.texts.items() if k not in unused_texts}
    return {
        "source": [batch.kind, batch.topic, batch.partition],
        "offset": batch.offset,
        "append_ts": batch.append_ts,
        "numbers": batch.numbers,
        "texts": {name: [text.buffer, text.length] for name, text in texts.items()},
        "ladders": {name: list(ladder) for name, ladder in batch.ladders.items()},
    }


def batch_from_state(state: dict[str, Any]) -> Batch:
    """The inverse."""
    texts = {name: TextColumn.end_to_end(*text) for name, text in state["texts"].items()}
    ladders = {name: Ladder(*columns) for name, columns in state["ladders"].items()}
    kind, topic, partition = state["source"]
    offset, numbers, times = state["offset"], state["numbers"], state["append_ts"]
    return Batch(kind, topic, partition, offset, numbers, texts, ladders, append_ts=times)
