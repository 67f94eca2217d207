"""One simulated day: what the engine says while it goes on, and what then happens."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detectors.arrays.types import Float64
from tests.bench.cascades.days import CALM_S, NAMES, SHOCK_S, SimulatedDay, draw_day
from tests.bench.cascades.engine_view import LOOK_S, EngineView
from tests.bench.cascades.state import History

FIRST_LOOK_S, CALM_LOOK_S = 450, 30
SURVIVES = (1.0, 0.3, 0.1)
"""Beside them stands what the markets have shown: the least depth within 1 % over its median."""
ASKED: dict[str, dict[str, str]] = {
    "as the venue's rules say": {},
    "all of it sent at once": {"path": "market"},
    "and the mark follows the book": {"path": "market", "mark_rule": "last"},
}
"""How the engine is asked, beside the venue's own rules to find out which of them matters."""
CASCADE = 0.005
"""A day has a cascade where a mark falls so much further (log) than the outside price."""
HOUR_S = 3_600.0


@dataclass(slots=True)
class Trial:
    """`looks`: second of each. By look: `nearness` (shares), hour's move of the mark over the
    critical shock down, the largest of the markets, 0: there is none (the share of the book that
    the markets have shown comes last); `hour_move` (markets), log.

    `low`, `outside_low`: by market, log distance of the lowest mark and outside price from the mark
    at the last look before the shock; `predicted` (by `ASKED`; markets, shares): that of the mark
    as the engine says. `first_forced_s`: second of the first forced fill after the shock's begin,
    None: there is none.
    """

    seed: int
    shock: float
    looks: list[int] = field(default_factory=list)
    nearness: list[list[float]] = field(default_factory=list)
    hour_move: list[list[float]] = field(default_factory=list)
    first_forced_s: int | None = None
    low: Float64 = field(default_factory=lambda: np.empty(0))
    outside_low: Float64 = field(default_factory=lambda: np.empty(0))
    predicted: dict[str, Float64] = field(default_factory=dict)

    @property
    def beyond(self) -> Float64:
        """By market, how much further than the outside price the mark fell."""
        return self.low - self.outside_low

    @property
    def is_cascade(self) -> bool:
        return bool(self.beyond.max() >= CASCADE)


def run_trial(seed: int, shocked: bool) -> Trial:
    """Play a day; the engine is asked every `CALM_LOOK_S`, and from the shock on every `LOOK_S`,
    until the first fill that the shock forces."""
    day = draw_day(seed, shocked)
    venue, trial = day.venue, Trial(seed, day.shock)
    past = venue.advance(day.outside[:FIRST_LOOK_S])
    view = EngineView(venue, day.isolated, NAMES, {})
    last_look_s = CALM_S + SHOCK_S if shocked else CALM_S
    for second in range(FIRST_LOOK_S, len(day.outside), LOOK_S):
        if trial.first_forced_s is None and second <= last_look_s:
            view.read(venue, second - FIRST_LOOK_S + LOOK_S)
            if second % CALM_LOOK_S == 0 or second > CALM_S:
                _look(view, second, past, trial)
        if second == CALM_S:
            lowest = day.outside[CALM_S:].min(axis=0)
            trial.outside_low = np.log(past.mark[-1] / lowest)
        if second == CALM_S and shocked:
            _predict(day, past, trial)
        past = past.joined(venue.advance(day.outside[second : second + LOOK_S]))
        if second >= CALM_S and trial.first_forced_s is None:
            forced = np.flatnonzero(past.total()[CALM_S:].any(axis=1))
            trial.first_forced_s = CALM_S + int(forced[0]) if len(forced) else None
    trial.low = np.log(past.mark[CALM_S - 1] / past.mark[CALM_S:].min(axis=0))
    return trial


def _shown(past: History) -> float:
    """Of all markets, the least share of its usual depth that any has shown."""
    depth = past.depth_bid[60:]
    return float(np.min(depth.min(axis=0) / np.median(depth, axis=0)))


def _look(view: EngineView, second: int, past: History, trial: Trial) -> None:
    hour = _hour_moves(past)
    shares = (*SURVIVES, _shown(past))
    stress = view.stress_test().shock([-0.01], shares)
    nearness = [0.0] * len(shares)
    for name, move in zip(NAMES, hour.tolist(), strict=True):
        side = next((s for s in stress.markets if s.symbol == name), None)
        for k, (_, jump) in enumerate(() if side is None else side.critical):
            if jump is not None:
                nearness[k] = max(nearness[k], move / max(jump.shock, 1e-6))
    trial.looks.append(second)
    trial.nearness.append(nearness)
    trial.hour_move.append(hour.tolist())


def _hour_moves(past: History) -> Float64:
    """One deviation of an hour's move of each mark, from its returns so far, the latest counting
    most (half as much after 5 minutes)."""
    marks = np.log(past.mark[::LOOK_S].astype(float))
    returns = np.diff(marks, axis=0)
    weight = 0.5 ** (np.arange(len(returns))[::-1] * LOOK_S / 300.0)
    moves: Float64 = np.sqrt(np.average(returns**2, axis=0, weights=weight) * HOUR_S / LOOK_S)
    return moves


def _predict(day: SimulatedDay, past: History, trial: Trial) -> None:
    """Ask for the shock that the outside price then makes: each market alone, and all together."""
    shares = (*SURVIVES, _shown(past))
    shocks = np.expm1(-np.maximum(trial.outside_low, 1e-5)).tolist()
    for asked, terms in ASKED.items():
        view = EngineView(day.venue, day.isolated, NAMES, terms)
        for turn in range(1, 3):
            view.read(day.venue, turn * LOOK_S)
        test = view.stress_test()
        stress = test.shock(shocks, shares, (), shocks)
        alone, together = np.zeros((2, len(NAMES), len(shares)))
        for side in stress.markets:
            k = NAMES.index(side.symbol)
            own = [row for row in side.rows if row.shock == shocks[k]]
            alone[k] = [_distance(side.mark, row.price_after) for row in own]
            factor = [row for row in stress.system.factor if row.shock == shocks[k]]
            together[k] = [_distance(side.mark, row.price_after[side.symbol]) for row in factor]
        trial.predicted[f"{asked}, alone"] = alone
        trial.predicted[f"{asked}, together"] = together


def _distance(mark: float, after: float | None) -> float:
    return math.inf if not after else math.log(mark / after)
