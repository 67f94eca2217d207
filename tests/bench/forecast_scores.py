"""Scores of probability forecasts: the Brier score and the reliability table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One line of a reliability table: forecasts in [low, high) beside the share that came true."""

    low: float
    high: float
    count: int
    forecast: float
    true_share: float


def brier(forecasts: NDArray[np.float64], outcomes: NDArray[np.bool_]) -> float:
    """Mean squared error of the forecasts: 0 is perfect, 0.25 is a coin (Brier 1950)."""
    return float(np.mean((forecasts - outcomes) ** 2))


def reliability(
    forecasts: NDArray[np.float64], outcomes: NDArray[np.bool_], bins: int = 10
) -> list[ReliabilityBin]:
    """Forecasts in equal bins from 0 to 1 beside the share that came true, without empty bins."""
    place = np.minimum((forecasts * bins).astype(np.int64), bins - 1)
    table = []
    for row in range(bins):
        inside = place == row
        if inside.any():
            table.append(
                ReliabilityBin(row / bins, (row + 1) / bins, int(inside.sum()),
                         float(forecasts[inside].mean()), float(outcomes[inside].mean()))
            )  # fmt: skip
    return table
