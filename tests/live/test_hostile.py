"""Hostile records by the thousand between good ones: each is a dead letter, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monitor.config import Config
from monitor.core.decode.batch import Batch, RefusedRecord
from monitor.core.decode.codec import REASONS
from replay.day import Day, DayWriter
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.live.helpers import configuration, read_records, replay_to_file, send
from tests.live.hostile import LARGE, refused
from tests.live.test_run import published, watched

HOSTILE = int(os.environ.get("BRINKWATCH_TEST_HOSTILE", "16000"))
"""`make soak` asks for 100,000."""
KINDS = 8


def hostile_day(path: Path, config: Config, count: int) -> Day:
    """A minute of a venue, with `count` refused records strewn among the good ones."""
    good = path / "good"
    simulate(good, SimulationSettings(1, 1, symbols=4, accounts=50, rate=60.0, incidents="none"))
    with DayWriter(path / "day", venue="test") as day:
        for seed, (kind, topic) in enumerate(config.topics.items()):
            batches = [b for b in Day(good).batches(1_000_000) if b.kind == kind]
            for batch in strewn(topic, batches, refused(kind, count // KINDS, seed), seed):
                day.write(batch)
    return Day(path / "day")


def strewn(
    topic: str, batches: list[Batch], bad: list[tuple[bytes, str, str]], seed: int
) -> Iterator[Batch]:
    """The same records with others between them, before them and behind them."""
    count = sum(map(len, batches)) + len(bad)
    places = np.sort(np.random.default_rng(seed).permutation(count)[len(bad) :])
    free = np.setdiff1d(np.arange(count), places).tolist()
    letters = [
        RefusedRecord(topic, 0, at, *why, raw) for at, (raw, *why) in zip(free, bad, strict=True)
    ]
    for batch in batches:
        batch.topic, batch.offset = topic, places[: len(batch)].astype(np.int64)
        places = places[len(batch) :]
        before = sum(letter.offset < batch.offset[-1] for letter in letters)
        batch.refused, letters = letters[:before], letters[before:]
        yield batch
    behind = Batch(batches[0].kind, topic, 0, np.empty(0, np.int64))
    behind.refused = letters
    yield behind


def said(alert: bytes) -> dict[str, Any]:
    """An alert without its offsets, which what lies between moves."""
    return {name: value for name, value in json.loads(alert).items() if name != "records"}


def test_hostile_records_are_dead_letters_and_change_nothing_for_the_good_ones(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = hostile_day(tmp_path, config, HOSTILE)
    assert set(day.meta.refused) == set(REASONS)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    alone = replay_to_file(hostile_day(tmp_path / "0", config, 0), config, tmp_path / "alone")[1]
    assert [said(line) for line in alerts] == [said(line) for line in alone] != []
    send(day, config)
    asyncio.run(watched(config, digest))
    assert published(kafka, config) == alerts
    found = Counter[tuple[str, ...]]()
    for record in asyncio.run(read_records(kafka, config.kafka.dlq_topic)):
        headers = {name.removeprefix("brinkwatch_"): v.decode() for name, v in record.headers}
        assert headers["detail"] or headers["reason"] in REASONS
        found[headers["topic"], headers["offset"], headers["reason"], record.value] += 1
    wanted = Counter((r.topic, str(r.offset), r.reason, r.raw) for r in day.refused_records())
    assert found == wanted
    assert found.total() == HOSTILE
    assert sum(len(letter[3]) >= 900_000 for letter in found) == KINDS * len(LARGE)
