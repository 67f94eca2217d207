"""What a young stream borrows: how high the scores of its kind go, as recordings of venues show.

    python -m tests.bench.detect.priors

Writes `detectors/calibration/recorded_tails.py` anew, from recordings and a simulated day, and
prints how it differs. Of each recording the features are computed as a shard does; then detectors
of the default streams go through them from nothing, anew every six hours (`CUT_S`), for what is
borrowed is to speak of young streams. They learn every window, and nothing is reported. The highest
score of each block of windows counts. A stream whose score is a log-likelihood has a theory,
against which one recording is no evidence: it needs `RECORDINGS_MIN`. No number of a recording is
kept but the fitted heights, in three digits.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from detectors.arrays.types import Float64
from detectors.base import Detector
from detectors.calibration import recorded_tails
from detectors.calibration.calibrator import BLOCK_WINDOWS
from detectors.calibration.tail_prior import TailPrior
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import DEFAULT_STREAMS, EngineSettings
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.plugins import detector_factories
from replay.day import Day
from replay.day.importer import ingest
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.detect.counts import DATA

FEEDS = {
    "StandX BTC-USD, 24 h of January 2026": ("standx", "standx-btc-perp-2026-01/*.parquet"),
    "Bitstamp BTC/USD, 5 h of May 2015": ("bitstamp", "bitstamp-l3-2015-05-01/feed.log.xz"),
    "Nasdaq AAPL, an hour of June 2012": ("lobster", "lobster-aapl-2012-06-21/message.csv.gz"),
}
"""Recordings with at least ten blocks of one market."""
SIMULATION = SimulationSettings(7_000, 360, 4, 300, 40.0, "none")
SIMULATED = "a simulated day, 6 h of four markets, whose books are less steady than those recorded"
CUT_S = 21_600
RECORDINGS_MIN = 2
BLOCKS_MIN = 10
"""Fewer blocks of a recording are left out."""
NOT_BORROWED = {"late", "missing", "liquidations"}
"""How recordings were made is no habit of markets, and none of these has a forced fill."""
Tails = dict[tuple[str, str], TailPrior]


def read_features(day: Day) -> list[Float64]:
    """Of each market of a day, (windows, features) from its first window on."""
    shard = Shard(0, 1, EngineSettings(streams=()), [])
    shard.control(day.controls())
    closed = [
        span for batch in day.batches() if batch.kind in SHARD_KINDS for span in shard.step(batch)
    ]
    closed += shard.finish()
    features: Float64 = np.concatenate([span.features.values for span in closed])
    symbol = np.concatenate([span.features.symbol for span in closed])
    return [features[symbol == one] for one in np.unique(symbol)]


def recorded(venue: str, files: Sequence[Path]) -> list[Float64]:
    """The markets of a venue's recording."""
    with tempfile.TemporaryDirectory() as folder:
        ingest(venue, files, Path(folder) / "day")
        return read_features(Day(Path(folder) / "day"))


def simulated() -> list[Float64]:
    """The markets of a simulated day without incidents."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "day", SIMULATION)
        return read_features(Day(Path(folder) / "day"))


def block_heights(detector: Detector, values: Float64) -> list[float]:
    """The highest score of each full block of a stream that begins with `values` (windows, inputs);
    NaN: not in the window."""
    bank = detector.bank()
    bank.grow(1)
    row, heights, scores = np.zeros(1, np.int64), [], []
    for value in values[~np.isnan(values).any(axis=1)]:
        score = float(bank.judge(row, value[None])[0])
        bank.learn(row, value[None])
        if np.isfinite(score):
            scores.append(score)
        if len(scores) == BLOCK_WINDOWS:
            heights.append(max(scores))
            scores = []
    return heights


def fit_tails(recordings: Sequence[list[Float64]]) -> Tails:
    """Of every default stream that enough recordings show; each has one market or several."""
    heights: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    theory: dict[tuple[str, str], bool] = {}
    streams = zip(DEFAULT_STREAMS, detector_factories(DEFAULT_STREAMS), strict=True)
    for stream, factory in streams:
        if stream.feature in NOT_BORROWED or stream.feature not in FEATURE_COLUMN:
            continue
        key, has_theory = (stream.feature, stream.detector), factory().log_likelihood
        if FEATURES[stream.input_features[-1]].form == "amount" and not has_theory:
            continue  # money: a score in it says nothing of another market
        columns = [FEATURE_COLUMN[name] for name in stream.input_features]
        theory[key] = has_theory
        for markets in recordings:
            cuts = [
                features[a : a + CUT_S, columns]
                for features in markets
                for a in range(0, len(features), CUT_S)
            ]
            blocks = list(chain.from_iterable(block_heights(factory(), cut) for cut in cuts))
            if len(blocks) >= BLOCKS_MIN:
                heights[key].append(blocks)
    return {
        key: TailPrior.fit(blocks)
        for key, blocks in heights.items()
        if len(blocks) >= (RECORDINGS_MIN if theory[key] else 1)
    }


def render(tails: Tails, sources: Sequence[str]) -> str:
    """The module with the table."""
    rows = "".join(
        f'    ("{feature}", "{detector}"): TailPrior(\n'
        f"        {prior.middle},\n        {prior.top},\n    ),\n"
        for (feature, detector), prior in tails.items()
    )
    return HEAD.format(sources="\n".join(f"- {one}" for one in sources)) + rows + "}\n"


HEAD = '''"""How high the scores of default streams go, by feature and detector, in windows of 1 s.

Written by `python -m tests.bench.detect.priors`: fitted figures of
{sources}
A stream that is not here borrows nothing. Version 1; a change of the table is one of the engine.
"""

from __future__ import annotations

from detectors.calibration.tail_prior import TailPrior

RECORDED_TAILS: dict[tuple[str, str], TailPrior] = {{
'''


def main() -> None:
    present = {
        name: (venue, sorted(DATA.glob(pattern))) for name, (venue, pattern) in FEEDS.items()
    }
    if missing := [name for name, (_, files) in present.items() if not files]:
        raise SystemExit(f"the table needs all recordings; {', '.join(missing)} is not here")
    tails = fit_tails([*(recorded(*feed) for feed in present.values()), simulated()])
    before = recorded_tails.RECORDED_TAILS
    for key in sorted(tails.keys() | before.keys()):
        old, new = before.get(key), tails.get(key)
        if old != new:
            print(*key, "was", old and old.top, "is", new and new.top)
    Path(recorded_tails.__file__).write_text(render(tails, [*present, SIMULATED]))


if __name__ == "__main__":
    main()
