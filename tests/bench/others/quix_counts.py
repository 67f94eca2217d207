"""Quix Streams: decode, count each symbol's records in windows of a second, score each count by
river's HalfSpaceTrees, send the scores on; exactly once.

python quix_counts.py ADDRESS RECORDS STATE_FOLDER TOPIC...
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from quixstreams import Application
from river import anomaly, compose, preprocessing

WINDOW_MS = 1_000
LATENESS_MS = 50


def event_time_ms(value: Any, headers: Any, timestamp: float, kind: Any) -> int:
    """Of a record of the contract."""
    return int(value["ts"] // 1_000_000)


class Scores:
    """A model a symbol and topic."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def __call__(self, value: Any, key: Any, timestamp: int, headers: Any) -> dict[str, Any]:
        model = self._models.get(key)
        if model is None:
            model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=1))
            self._models[key] = model
        count = {"count": float(value["value"])}
        score = model.score_one(count)
        model.learn_one(count)
        return {"end": value["end"], "count": value["value"], "score": score}


class Clock:
    """From the first record to the last."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._read = wanted, 0
        self._began_s = self._spent_s = 0.0
        self.app: Any = None

    def __call__(self, topic: str, partition: int, offset: int) -> None:
        if not self._read:
            self._began_s, self._spent_s = time.monotonic(), time.process_time()
        self._read += 1
        if self._read == self._wanted:
            wall_s, cpu_s = time.monotonic() - self._began_s, time.process_time() - self._spent_s
            print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}), flush=True)
            self.app.stop()


def main() -> None:
    """See the module's words."""
    address, wanted, folder, *topics = sys.argv[1:]
    clock = Clock(int(wanted))
    clock.app = app = Application(
        broker_address=address,
        consumer_group=f"bench-quix-{os.getpid()}",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=folder,
        on_message_processed=clock,
        loglevel="ERROR",
    )
    out = app.topic("bench-quix-scores", key_serializer="str")
    for name in topics:
        topic = app.topic(name, key_deserializer="str", timestamp_extractor=event_time_ms)
        counts = app.dataframe(topic).tumbling_window(WINDOW_MS, grace_ms=LATENESS_MS).count()
        counts.final().apply(Scores(), metadata=True).to_topic(out)
    app.run()


if __name__ == "__main__":
    main()
