"""Tables of many simulated days: is the truth inside the range, and how soon is an alarm there?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.bench.cascades.days import CALM_S
from tests.bench.cascades.state import LEVEL_TICKS, START_TICKS
from tests.bench.cascades.trials import SURVIVES, Trial

GRAIN = LEVEL_TICKS / START_TICKS
"""A level of the book: as much as two prices may differ and be one."""
SHARES = (*(f"{share:g} of the book" for share in SURVIVES), "what it has shown")
Signal = Callable[[Trial], list[float]]


def range_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """`trials`: of days with a shock."""
    cascades = [trial for trial in trials if trial.is_cascade]
    yield (
        f"{len(trials)} days with a shock, {len(cascades)} with a cascade (a mark falls ≥ 0.5 % "
        "further than the outside price)"
    )
    for title, days in (("all days", trials), ("with a cascade", cascades)):
        head = f"{'largest market':^28}{'all markets':^28}{'extra fall, said / true':>25}"
        yield f"\n{title:44}{head}"
        yield f"{'the engine is asked':44}" + f"{'inside':>9}{'nearer':>9}{'further':>10}" * 2
        for asked in days[0].predicted if days else ():
            first = [verdict(trial, asked, 0) for trial in days]
            every = [verdict(trial, asked, m) for trial in days for m in range(len(trial.low))]
            counts = "".join(
                f"{some.count('inside'):>9}{some.count('nearer'):>9}{some.count('further'):>10}"
                for some in (first, every)
            )
            yield f"{asked:44}{counts}{_said_over_true(days, asked):>25}"


def verdict(trial: Trial, asked: str, market: int) -> str:
    """Where the true lowest mark lies: inside the range, nearer than it, or further away."""
    said, true = trial.predicted[asked][market], float(trial.low[market])
    if true < said.min() - GRAIN:
        return "nearer"
    return "further" if true > said.max() + GRAIN else "inside"


def _said_over_true(days: Sequence[Trial], asked: str) -> str:
    """Medians over markets with a cascade, for all of the book and for the least share."""
    pairs = []
    for trial in days:
        extra = trial.predicted[asked] - trial.outside_low[:, None]
        there = trial.beyond >= GRAIN
        pairs += list(
            zip(
                extra.min(axis=1)[there] / trial.beyond[there],
                extra.max(axis=1)[there] / trial.beyond[there],
                strict=True,
            )
        )
    if not pairs:
        return ""
    low, high = (statistics.median(column) for column in zip(*pairs, strict=True))
    return f"{low:.2f} to {high:.2f}"


def lead_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """`trials`: with and without a shock."""
    found = [t for t in trials if t.is_cascade and t.first_forced_s is not None]
    others = [trial for trial in trials if not trial.is_cascade]
    yield f"{len(found)} days with a cascade, {len(others)} without; false: days with an alarm"
    yield (
        f"{'alarm':52}{'found':>8}{'before the shock':>18}{'lead s: 25, 50, 75 %':>24}{'false':>8}"
    )
    signals: list[tuple[str, Signal]] = [
        (f"critical shock, {share}", _nearness(k)) for k, share in enumerate(SHARES)
    ]
    for name, signal in signals:
        false = _false(others, signal, 1.0)
        yield _lead_line(f"{name} ≤ an hour's move", found, others, signal, 1.0)
        same = _threshold(others, _volatility, false)
        yield _lead_line("  volatility alone, as many false", found, others, _volatility, same)
    for part in (0.05, 0.1, 0.2):
        allowed = round(part * len(others))
        yield f"both with {allowed} false alarms"
        for name, signal in (*signals, ("volatility alone", _volatility)):
            limit = _threshold(others, signal, allowed)
            yield _lead_line(f"  {name}", found, others, signal, limit)


def _nearness(share: int) -> Signal:
    return lambda trial: [row[share] for row in trial.nearness]


def _volatility(trial: Trial) -> list[float]:
    """An hour's move of the largest market."""
    return [row[0] for row in trial.hour_move]


def _false(others: Sequence[Trial], signal: Signal, limit: float) -> int:
    return sum(max(signal(trial)) >= limit for trial in others)


def _threshold(others: Sequence[Trial], signal: Signal, false: int) -> float:
    """The least limit that raises no more than so many false alarms."""
    highest = sorted((max(signal(trial)) for trial in others), reverse=True)
    return highest[-1] if false >= len(highest) else float(np.nextafter(highest[false], np.inf))


def _lead_line(
    name: str, cascades: Sequence[Trial], others: Sequence[Trial], signal: Signal, limit: float
) -> str:
    leads, before = [], 0
    for trial in cascades:
        end = trial.first_forced_s or 0
        at = next(
            (
                s for s, value in zip(trial.looks, signal(trial), strict=True)
                if value >= limit and s < end
            ),
            None,
        )  # fmt: skip
        if at is not None:
            leads.append(end - at)
            before += at <= CALM_S
    quartiles = " ".join(f"{q:.0f}" for q in np.percentile(leads, [25, 50, 75])) if leads else ""
    false = _false(others, signal, limit)
    return f"{name:52}{len(leads):>8}{before:>18}{quartiles:>24}{false:>8}"
