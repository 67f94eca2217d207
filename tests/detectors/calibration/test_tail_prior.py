"""A young stream borrows the blocks of other markets until it has its own."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration.calibrator import OWN_BLOCKS, Calibrator
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.calibration.recorded_tails import RECORDED_TAILS
from detectors.calibration.tail_prior import READY_BLOCKS, TOP, TailPrior

DAY = 86_400.0
BLOCKS_A_DAY = 288


def pareto(blocks: int, seed: int) -> list[float]:
    """Heights of blocks with a heavy tail."""
    heights: list[float] = (2.0 + np.random.default_rng(seed).pareto(4.0, blocks)).tolist()
    return heights


PRIOR = TailPrior.fit([pareto(BLOCKS_A_DAY, 1), pareto(BLOCKS_A_DAY, 2)])


def taught(heights: list[float], prior: TailPrior | None, log_likelihood: bool) -> Calibrator:
    calibrator = Calibrator(log_likelihood, DAY, prior=prior)
    for height in heights:
        calibrator.close_block(min(height, calibrator.cap))
    return calibrator


def test_what_is_borrowed_has_the_law_that_was_fitted() -> None:
    again = TailPrior.fit([PRIOR.blocks()])
    np.testing.assert_allclose(again.top, PRIOR.top, rtol=0.02)
    np.testing.assert_allclose(again.middle, PRIOR.middle, rtol=0.02)


def test_a_long_recording_counts_no_more_than_one_of_six_hours() -> None:
    low, high = [1.0] * READY_BLOCKS, [2.0] * READY_BLOCKS * 10
    _, below, _, above = TailPrior.fit([low, high]).middle
    assert (below, above) == (1.0, 2.0)


@pytest.mark.parametrize("stay", [18, 36, 54])
def test_the_borrowed_blocks_that_stay_are_of_all_heights(stay: int) -> None:
    kept, every = PRIOR.blocks()[:stay], PRIOR.blocks()
    for share in (0.25, 0.5, 0.75):
        below = sum(one <= np.quantile(every, share) for one in kept) / stay
        assert abs(below - share) < 0.06


def test_a_stream_without_a_theory_judges_after_its_first_block() -> None:
    calibrator = Calibrator(False, DAY, prior=PRIOR)
    assert calibrator.why == "calibrating: 0 of the first 0.083 h of its scores seen"
    assert calibrator.windows_left == calibrator.block_windows * OWN_BLOCKS
    assert calibrator.p_value(1e9) == 1.0
    calibrator.close_block(2.0)
    assert (calibrator.why, calibrator.windows_left) == (None, 0)
    assert calibrator.p_value(1e9) < 1e-6 < calibrator.p_value(2.0)


@pytest.mark.parametrize("log_likelihood", [False, True])
def test_what_was_borrowed_is_forgotten_after_six_hours(log_likelihood: bool) -> None:
    heights = pareto(READY_BLOCKS, 3)
    scores = np.linspace(0.5, 30.0, 60)
    before, after = heights[:-1], heights
    for seen, same in ((before, False), (after, True)):
        with_others = taught(seen, PRIOR, log_likelihood)
        alone = Calibrator(log_likelihood, DAY)
        for height in with_others._blocks:
            alone.close_block(height)
        p = [[one.p_value(s) for s in scores] for one in (with_others, alone)]
        assert (p[0] == p[1]) == same


def test_young_streams_spend_what_they_are_given() -> None:
    """Of 600 streams in their first hour, each allowed one false alarm a day."""
    limit, false, blocks = 1 / DAY, 0, 0
    for stream in range(600):
        heights = pareto(13, 100 + stream)
        calibrator = taught(heights[:OWN_BLOCKS], PRIOR, False)
        for height in heights[OWN_BLOCKS:]:
            false += calibrator.p_value(height) <= limit
            blocks += 1
            calibrator.close_block(min(height, calibrator.cap))
    assert 0.5 < false / (blocks / BLOCKS_A_DAY) < 2.0


def test_a_market_twice_as_lively_as_others_spends_no_more_than_twice_as_much() -> None:
    limit, false, blocks = 1 / DAY, 0, 0
    for stream in range(600):
        heights = [2.0 * height for height in pareto(13, 1000 + stream)]
        calibrator = taught(heights[:OWN_BLOCKS], PRIOR, False)
        for height in heights[OWN_BLOCKS:]:
            false += calibrator.p_value(height) <= limit
            blocks += 1
            calibrator.close_block(min(height, calibrator.cap))
    assert false / (blocks / BLOCKS_A_DAY) < 2.0


def test_other_markets_never_make_a_theory_more_certain() -> None:
    quiet = TailPrior((0.1, 0.2, 0.3, 0.4), (0.5,) * TOP)
    few = [5.0, 6.0, 7.0]
    borrowing, alone = taught(few, quiet, True), taught(few, None, True)
    assert borrowing._slope_certainty == alone._slope_certainty


def test_a_bank_goes_on_from_a_snapshot_with_what_it_borrowed() -> None:
    bank, again = CalibratorBank(DAY, 1e-3), CalibratorBank(DAY, 1e-3)
    bank.add(False, PRIOR)
    bank.add(False)
    rows = np.arange(2)
    rng = np.random.default_rng(4)
    for _ in range(700):
        bank.learn(rows, rng.exponential(1.0, 2))
    again.restore(bank.snapshot(), False, [PRIOR, None])
    assert bank.ready.tolist() == again.ready[:2].tolist() == [True, False]
    for column, same in zip(bank.columns, again.columns, strict=True):
        np.testing.assert_allclose(column[:2], same[:2], atol=0.5)
    scores = np.array([30.0, 30.0])
    assert bank.rare_scores(rows, scores, 1e-3) == again.rare_scores(rows, scores, 1e-3) != []


def test_recorded_tails_rise() -> None:
    for key, prior in RECORDED_TAILS.items():
        heights = [*prior.middle, *prior.top]
        assert heights == sorted(heights), key
        assert len(prior.top) == TOP, key
        assert heights[0] >= 0.0, key
        assert 0.0 < heights[-1] < 1e6, key
