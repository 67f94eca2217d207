"""The soak's own parts: it sends what the contract takes, and tells growth from wavering."""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree

import numpy as np

from monitor.config import Config
from monitor.core.decode.codec import decode
from tests.live.soak.feed import START_TS, Feed, FeedSettings
from tests.live.soak.picture import draw
from tests.live.soak.samples import fit_slope

SETTINGS = FeedSettings(hours=1, speed=60, symbols=12, accounts=500, rate=200, quote_s=5)


def test_every_record_of_the_feed_is_accepted_and_each_topic_partition_is_in_order() -> None:
    config = Config()
    feed = Feed(SETTINGS, config)
    kinds = {topic: kind for kind, topic in config.topics.items()}
    accepted: Counter[str] = Counter()
    high: dict[tuple[str, int], int] = {}
    for records in (feed._accounts(range(500), START_TS), feed._slice(0, 3), feed._slice(3, 6)):
        for (topic, partition), mine in records.items():
            values = [value for _, value in mine]
            batch = decode(kinds[topic], topic, partition, np.arange(len(values)), values)
            assert not batch.refused
            ts = batch.numbers["ts"]
            assert (np.diff(ts) >= 0).all()
            assert ts[0] >= high.get((topic, partition), 0)
            high[topic, partition] = int(ts[-1])
            accepted[kinds[topic]] += len(batch)
    assert set(accepted) == set(config.topics)


def test_a_line_that_rises_is_told_from_one_that_wavers() -> None:
    at = np.arange(300.0)
    rng = np.random.default_rng(1)
    wave = 1000 + 100 * np.sin(at / 5) + rng.normal(0, 20, 300)
    assert fit_slope(at, wave).is_flat
    rising = fit_slope(at, wave + at)
    assert not rising.is_flat
    assert math.isclose(rising.growth, 299, abs_tol=4 * rising.error)


def test_the_picture_is_a_picture_also_of_nothing() -> None:
    curves = {"memory, MB": [(0.0, 1.0), (1.0, 3.0), (2.0, math.nan)], "alerts <late>": []}
    root = ElementTree.fromstring(draw("a day", curves, 0.5, 2.0))
    lines = [one for one in root.iter() if one.tag.endswith("polyline")]
    assert [len((one.get("points") or "").split()) for one in lines] == [2, 0]
