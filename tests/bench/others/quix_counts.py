"""Quix Streams: counts each symbol's orders, cancels and fills in windows of a second, scores each
window and sends it on, exactly once.

python quix_counts.py ADDRESS RECORDS STATE_FOLDER OUTPUT_TOPIC TOPIC...
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

from progress import Progress
from quixstreams import Application

WINDOW_MS = 1_000
LATENESS_MS = 2_500
"""It reads its topics in the order in which records came to Kafka. They came a second of one topic
after the other, so that with the 50 ms of the others it would drop most of them."""
COMMIT_S = 5.0
WEIGHT = 0.05


def event_time_ms(value: Any, headers: Any, timestamp: float, kind: Any) -> int:
    """Of a record of the contract."""
    return int(value["ts"] // 1_000_000)


class Scores:
    """How far a symbol's count lies from those before it, in standard deviations, old ones weighing
    less."""

    def __init__(self) -> None:
        self._moments: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))

    def __call__(self, value: Any, key: Any, timestamp: int, headers: Any) -> dict[str, Any]:
        """The window as the record that is sent on; the count is scored, then learnt."""
        mean, variance = self._moments[key]
        counts = value["value"]
        off = counts["cancel"] - mean
        moments = mean + WEIGHT * off, (1 - WEIGHT) * (variance + WEIGHT * off * off)
        self._moments[key] = moments
        score = off / (variance + 1) ** 0.5
        named = {f"{kind}s": count for kind, count in counts.items()}
        return {"symbol": key, "end_ms": value["end"], **named, "score": score}


def count(counts: dict[str, int], value: Any) -> dict[str, int]:
    """The counts with one more record."""
    counts[value["kind"]] += 1
    return counts


def first(value: Any) -> dict[str, int]:
    """The counts of a window's first record."""
    return count({"order": 0, "cancel": 0, "fill": 0}, value)


def main() -> None:
    address, wanted, folder, output, *topics = sys.argv[1:]
    progress = Progress(int(wanted))

    def processed(topic: str, partition: int, offset: int) -> None:
        progress.add(1)
        if progress.is_complete:
            app.stop()

    app = Application(
        broker_address=address,
        consumer_group=output,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_S,
        state_dir=folder,
        on_message_processed=processed,
        loglevel="ERROR",
    )
    inputs = [
        app.topic(name, key_deserializer="str", timestamp_extractor=event_time_ms)
        for name in topics
    ]
    frames = [app.dataframe(each) for each in inputs]
    events = frames[0]
    for other in frames[1:]:
        events = events.concat(other)
    windows = events.tumbling_window(WINDOW_MS, grace_ms=LATENESS_MS).reduce(count, first)
    scores = windows.final().apply(Scores(), metadata=True)
    scores.to_topic(app.topic(output, key_serializer="str"))
    app.run()


if __name__ == "__main__":
    main()
