"""The one pass over all shocks against iterating each of them to its fixed point."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pytest

from monitor.core.bands.kernels.books import IMPACT_EXPONENT
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps, Jump, ShockAnswers
from monitor.core.cascade.shock_kernels import FAR_MIN

CASES = int(os.environ.get("BRINKWATCH_TEST_CASES", "2000"))
Ladder = tuple[list[float], list[float]]


def displaced(quantity: float, ladder: Ladder) -> float:
    """Take a quantity out of a ladder (distances, quantities of levels), level by level."""
    if quantity <= 0:
        return 0.0
    total = 0.0
    for distance, size in zip(*ladder, strict=True):
        total += size
        if total >= quantity:
            return distance
    if not total:
        return np.inf
    return float(max(ladder[0][-1], FAR_MIN) * (quantity / total) ** IMPACT_EXPONENT)


def iterate(
    shock: float, positions: list[tuple[float, float]], ladder: Ladder, kappa: float,
    survives: float,
) -> float:  # fmt: skip
    """Force what lies within reach, move the mark, and again, until nothing more is forced."""
    y = shock
    while True:
        forced = sum(quantity for distance, quantity in positions if distance <= y)
        moved = kappa * displaced(forced / survives, ladder) if kappa else 0.0
        if shock + moved <= y:
            return y
        y = shock + moved


def one_bucket(
    positions: list[tuple[float, float]], ladder: Ladder
) -> tuple[ForcedSteps, BookLevels]:
    steps = [(0.0, 0.0), *sorted(positions)]
    distance, quantity = (np.array(column) for column in zip(*steps, strict=True))
    total = np.cumsum(quantity)
    levels = np.array(ladder[0], float), np.cumsum(np.array(ladder[1], float))
    return (
        ForcedSteps(np.array([0, len(steps)]), distance, total, total),
        BookLevels(np.array([0, len(ladder[0])]), *levels),
    )


def random_case(rng: np.random.Generator) -> tuple[list[tuple[float, float]], Ladder]:
    """Positions and a ladder in eighths and integers, so that both ways of adding give one sum."""
    count, levels = int(rng.integers(0, 30)), int(rng.integers(0, 12))
    distances = rng.integers(0, 64, count) / 256
    quantities = rng.integers(1, 40, count).astype(float)
    steps = np.sort(rng.integers(0, 128, levels)) / 1024
    sizes = rng.integers(1, 60, levels).astype(float)
    return list(zip(distances.tolist(), quantities.tolist(), strict=True)), (
        steps.tolist(), sizes.tolist(),
    )  # fmt: skip


def test_every_shock_rests_where_iteration_to_the_least_fixed_point_does() -> None:
    rng = np.random.default_rng(18)
    ran = moved = 0
    for _ in range(CASES):
        positions, ladder = random_case(rng)
        kappa, survives = float(rng.choice([0, 0.25, 1])), float(rng.choice([1, 0.5, 0.125]))
        steps, levels = one_bucket(positions, ladder)
        answers = ShockAnswers.find(steps, levels, np.array([kappa]), survives)
        edges = answers.edge[np.isfinite(answers.edge) & (answers.edge >= 0)].tolist()
        for shock in [*(rng.integers(0, 256, 3) / 512).tolist(), *edges[:2]]:
            expected = iterate(shock, positions, ladder, kappa, survives)
            step, y = answers.rest(0, shock)
            assert y == pytest.approx(expected, rel=1e-12, abs=1e-12), (positions, ladder, shock)
            forced = sum(q for distance, q in positions if distance <= expected)
            assert steps.total[step] == forced
            ran += 1
            moved += y > shock
    assert ran > 2 * CASES
    assert moved > CASES / 2


def test_the_rest_jumps_at_critical_shocks_and_nowhere_else() -> None:
    rng = np.random.default_rng(19)
    seen = 0
    for _ in range(CASES // 10):
        positions, ladder = random_case(rng)
        steps, levels = one_bucket(positions, ladder)
        answers = ShockAnswers.find(steps, levels, np.array([1.0]), 0.5)
        jumps = [j for j in answers.jumps(0, 0.3) if j.shock > 0 and np.isfinite(j.length)]
        for jump in jumps:
            before = answers.rest(0, np.nextafter(jump.shock, 0))
            after = answers.rest(0, jump.shock)
            assert after[1] - before[1] == pytest.approx(jump.length, abs=1e-9)
            assert after[0] - before[0] == jump.steps
        seen += len(jumps)
        if ladder[0]:
            # Between two of them the mark goes as far as the shock.
            for a, b in pairwise([0.0, *(jump.shock for jump in jumps), 0.3]):
                low, high = answers.rest(0, a)[1], answers.rest(0, np.nextafter(b, 0))[1]
                assert high - low == pytest.approx(b - a, abs=1e-9)
    assert seen > CASES / 10


@pytest.mark.parametrize("seed", range(20))
def test_more_depth_less_sent_and_a_mark_further_from_the_book_never_make_it_worse(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    positions, ladder = random_case(rng)
    steps, levels = one_bucket(positions, ladder)

    def rests(kappa: float, survives: float, share: float) -> list[float]:
        sent = steps._replace(sent=steps.total * share)
        answers = ShockAnswers.find(sent, levels, np.array([kappa]), survives)
        return [answers.rest(0, shock)[1] for shock in np.linspace(0, 0.4, 40)]

    base = rests(0.5, 0.5, 0.5)
    assert base == sorted(base)
    for better in (rests(0.5, 1.0, 0.5), rests(0.5, 0.5, 0.2), rests(0.1, 0.5, 0.5)):
        assert all(a <= b for a, b in zip(better, base, strict=True))
    assert rests(0.0, 0.01, 1.0) == pytest.approx(np.linspace(0, 0.4, 40).tolist())


def test_a_cascade_by_hand() -> None:
    """10 sold at −2 % move the mark by 1.5 % to −3.5 %, past the 20 at −3 %, which add 4 %."""
    ladder = [0.005, 0.015, 0.04], [4.0, 8.0, 100.0]
    steps, levels = one_bucket([(0.02, 10.0), (0.03, 20.0), (0.2, 5.0)], ladder)
    answers = ShockAnswers.find(steps, levels, np.array([1.0]), 1.0)
    assert answers.rest(0, 0.0199)[1] == 0.0199
    assert answers.rest(0, 0.02) == (2, pytest.approx(0.06))
    first, second = answers.jumps(0, 0.5)
    assert first == Jump(pytest.approx(0.02), pytest.approx(0.04), 2)
    assert second.shock == pytest.approx(0.16)
