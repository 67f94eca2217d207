"""Scores by block of windows: of detectors on flows and on a recorded day, and drawn from laws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.detector import AccountBurstDetector
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import BLOCK_WINDOWS
from detectors.calibration.recorded_tails import RECORDED_TAILS
from detectors.calibration.tail_prior import TailPrior
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import DEFAULT_STREAMS
from monitor.plugins import detector_factories
from tests.bench.backgrounds import DAY, hawkes
from tests.bench.detect.ablation.flows import backgrounds
from tests.bench.detect.counts import DATA
from tests.bench.detect.priors import FEEDS, block_heights, recorded

SEEDS = range(811, 816)
DAYS = 2
BLOCKS = DAYS * DAY // BLOCK_WINDOWS
RECORDED = {
    "trades", "cancels", "levels_shrunk", "cancels_to_orders", "spread_lasting_bps", "sweep_bps",
    "refill_s", "depth_missing", "step_back_bps", "layering", "price_move_1s", "price_move_10s",
    "price_move_60s", "trades_10s", "trade_notional_10s", "depth_lack_10s", "spread_10s",
}  # fmt: skip
"""Features of default streams of every kind of detector."""
Heights = NDArray[np.float64]


class Series(NamedTuple):
    """The highest score of each block, (blocks,), and what the calibrator is told of such."""

    background: str
    seed: int
    heights: Heights
    log_likelihood: bool
    tail_slope_max: float = np.inf
    by_rank: bool = False
    prior: TailPrior | None = None


def block_tops(scores: Heights) -> Heights:
    """Of scores by window, NaN left out; the last block is left out where it is not full."""
    scores = scores[np.isfinite(scores)]
    return scores[: len(scores) // BLOCK_WINDOWS * BLOCK_WINDOWS].reshape(-1, BLOCK_WINDOWS).max(1)


def of_accounts(days: float, seed: int) -> Iterator[Series]:
    """The scores of `AccountBurstDetector`; nothing is reported."""
    from tests.bench.detect.ablation.accounts import Case

    for background in backgrounds(days, seed):
        if background.flow.windows < DAY:
            continue
        case, detector, parts, low = Case.build(background, seed), AccountBurstDetector(), [], 0
        while low < case.windows:
            scores = detector.learn_ordinary(low, case.ends[low:], case.acts, np.inf)
            parts.append(scores)
            low += len(scores)
            if low < case.windows:  # accounts had to leave
                detector.learn(low, case.window(low))
                low += 1
        slope = AccountBurstDetector.tail_slope_max
        yield Series("accounts", seed, block_tops(np.concatenate(parts)), True, slope)


def of_counts() -> Iterator[Series]:
    """The scores of `BurstDetector` on self-exciting counts."""
    counts = np.stack([hawkes(DAYS, 4.0, seed) for seed in SEEDS], axis=1)
    bank, rows = BurstDetector().bank(), np.arange(len(SEEDS))
    bank.grow(len(SEEDS))
    scores = np.empty(counts.shape)
    for window, row in enumerate(counts):
        scores[window] = bank.judge(rows, row[:, None])
        bank.learn(rows, row[:, None])
    for seed, column in zip(SEEDS, scores.T, strict=True):
        yield Series("counts", seed, block_tops(column), True)


def of_recording() -> Iterator[Series]:
    """The scores of default streams on a day of StandX; nothing where it is not here."""
    venue, pattern = next(iter(FEEDS.values()))
    if not (files := sorted(DATA.glob(pattern))):
        return
    (features,) = recorded(venue, files)
    streams = zip(DEFAULT_STREAMS, detector_factories(DEFAULT_STREAMS), strict=True)
    for number, (stream, factory) in enumerate(streams):
        if stream.feature not in RECORDED:
            continue
        detector = factory()
        columns = [FEATURE_COLUMN[name] for name in stream.input_features]
        heights = np.array(block_heights(detector, features[:, columns]))
        kind = "likelihoods" if detector.log_likelihood else "scores"
        name = f"StandX, {'moments' if detector.is_moment else kind}"
        prior = RECORDED_TAILS.get((stream.feature, stream.detector))
        law = detector.log_likelihood, np.inf, detector.is_moment
        if len(heights) >= DAY // BLOCK_WINDOWS // 2:
            yield Series(name, number, heights, *law, prior)


def top_chances(rng: np.random.Generator) -> Heights:
    """The chance that a score exceeds the highest of a block, (`BLOCKS`,)."""
    chances: Heights = -np.expm1(np.log(rng.random(BLOCKS)) / BLOCK_WINDOWS)
    return chances


def moods(rng: np.random.Generator) -> Heights:
    """A log-normal factor with a memory of six hours, (`BLOCKS`,)."""
    keep = np.exp(-BLOCK_WINDOWS / 21_600.0)
    path, mood = np.empty(BLOCKS), rng.normal()
    for block in range(BLOCKS):
        path[block] = mood
        mood = keep * mood + np.sqrt(1.0 - keep**2) * rng.normal()
    return np.exp(0.2 * path)


def exponential(scale: float) -> Callable[[np.random.Generator], Heights]:
    return lambda rng: -scale * np.log(top_chances(rng))


def few_and_zero(rng: np.random.Generator) -> Heights:
    """A dozen events a day, else 0."""
    tops = rng.exponential(20.0, BLOCKS)
    return np.where(rng.random(BLOCKS) < 12 * BLOCK_WINDOWS / DAY, tops, 0.0)


def livelier(rng: np.random.Generator) -> Heights:
    """A fifth higher from the middle on."""
    factor = 1.0 + 0.2 * (np.arange(BLOCKS) >= BLOCKS // 2)
    return factor * np.sqrt(-2.0 * np.log(top_chances(rng)))


LAWS: dict[str, tuple[Callable[[np.random.Generator], Heights], bool, bool]] = {
    "exponential, .7": (exponential(0.7), True, False),
    "exponential, 1.5": (exponential(1.5), True, False),
    "exponential with moods": (lambda rng: moods(rng) * exponential(1.0)(rng), True, False),
    "Rayleigh": (lambda rng: np.sqrt(-2.0 * np.log(top_chances(rng))), False, False),
    "Pareto 3": (lambda rng: top_chances(rng) ** (-1 / 3), False, False),
    "a dozen a day": (few_and_zero, False, False),
    "a fifth higher after half": (livelier, False, False),
    "moments, Pareto 1.5": (lambda rng: top_chances(rng) ** (-1 / 1.5), False, True),
    "moments, log-normal": (lambda rng: np.exp(exponential(1.0)(rng) ** 0.5), False, True),
}
"""What draws it, whether it has the theory of a log-likelihood, and whether ranks count."""


def of_laws() -> Iterator[Series]:
    """Drawn from `LAWS`, `DAYS` days of each seed."""
    for name, (draw, log_likelihood, by_rank) in LAWS.items():
        for seed in SEEDS:
            heights = draw(np.random.default_rng(seed))
            yield Series(name, seed, heights, log_likelihood, by_rank=by_rank)


def all_series() -> list[Series]:
    """All of them."""
    accounts = (series for seed in (301, 401) for series in of_accounts(1.5, seed))
    return [*accounts, *of_counts(), *of_recording(), *of_laws()]
