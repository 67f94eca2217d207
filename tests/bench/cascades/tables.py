"""Tables of many simulated days: is the truth inside the range, and how soon is an alarm there?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.bench.cascades.days import CALM_S
from tests.bench.cascades.state import LEVEL_TICKS, START_TICKS
from tests.bench.cascades.trials import ASKED, SURVIVES, Trial

GRAIN = LEVEL_TICKS / START_TICKS
"""A level of the book: as much as two prices may differ and be one."""
SHARES = (*(f"{share:g} of the book" for share in SURVIVES), "what it has shown")
OWN_TOGETHER, SENT_TOGETHER = (f"{asked}, together" for asked in list(ASKED)[:2])
Signal = Callable[[Trial], list[float]]
Edges = Callable[[Trial, int], tuple[float, float]]
"""The log distances between which the mark of a day's market is said to come to rest."""


def range_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """`trials`: of days with a shock."""
    cascades = [trial for trial in trials if trial.is_cascade]
    yield (
        f"{len(trials)} days with a shock, {len(cascades)} with a cascade (a mark falls ≥ 0.5 % "
        "further than the outside price)"
    )
    ranges: list[tuple[str, Edges]] = [(asked, _said(asked)) for asked in trials[0].predicted]
    ranges += [
        ("from the shock itself: by the venue's rules", _from_shock(OWN_TOGETHER, len(SURVIVES))),
        ("from the shock itself: all sent, .3 survives", _from_shock(SENT_TOGETHER, 2)),
    ]
    for title, days in (("all days", trials), ("with a cascade", cascades)):
        yield f"\n{title:46}{'largest market':^28}{'all markets':^28}{'width %':>16}"
        columns = f"{'inside':>9}{'nearer':>9}{'further':>10}"
        yield f"{'range':46}{columns * 2}{'median':>9}{'90 %':>7}"
        for name, edges in ranges if days else ():
            first = [verdict(trial, edges, 0) for trial in days]
            every = [verdict(trial, edges, m) for trial in days for m in range(len(trial.low))]
            counts = "".join(
                f"{some.count('inside'):>9}{some.count('nearer'):>9}{some.count('further'):>10}"
                for some in (first, every)
            )
            widths = [100.0 * (high - low) for low, high in (edges(t, 0) for t in days)]
            middle, wide = np.percentile(widths, [50, 90])
            yield f"{name:46}{counts}{middle:>9.2f}{wide:>7.1f}"


def verdict(trial: Trial, edges: Edges, market: int) -> str:
    """Where the true lowest mark lies: inside the range, nearer than it, or further away."""
    (low, high), true = edges(trial, market), float(trial.low[market])
    if true < low - GRAIN:
        return "nearer"
    return "further" if true > high + GRAIN else "inside"


def _said(asked: str) -> Edges:
    def edges(trial: Trial, market: int) -> tuple[float, float]:
        said = trial.predicted[asked][market]
        return float(said.min()), float(said.max())

    return edges


def _from_shock(asked: str, shares: int) -> Edges:
    """From where forced flow adds nothing, up to the furthest of the first so many shares."""

    def edges(trial: Trial, market: int) -> tuple[float, float]:
        furthest = trial.predicted[asked][market, :shares].max()
        return float(trial.outside_low[market]), float(furthest)

    return edges


def lead_lines(trials: Sequence[Trial]) -> Iterator[str]:
    """`trials`: with and without a shock. *In calm*: the first alarm is before the shock begins; it
    says something where its part of the days with a cascade is larger than of those without."""
    found = [t for t in trials if t.is_cascade and t.first_forced_s is not None]
    others = [trial for trial in trials if not trial.is_cascade]
    yield f"{len(found)} days with a cascade, {len(others)} without; false: days with an alarm"
    yield (
        f"{'alarm':52}{'found':>8}{'in calm':>12}{'lead s: 25, 50, 75 %':>22}{'false':>8}"
        f"{'in calm':>12}"
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
    if not others:
        return math.inf
    highest = sorted((max(signal(trial)) for trial in others), reverse=True)
    return highest[-1] if false >= len(highest) else float(np.nextafter(highest[false], np.inf))


def _lead_line(
    name: str, cascades: Sequence[Trial], others: Sequence[Trial], signal: Signal, limit: float
) -> str:
    leads, before = [], 0
    for trial in cascades:
        end = trial.first_forced_s or 0
        at = _first_alarm(trial, signal, limit)
        if at is not None and at < end:
            leads.append(end - at)
            before += at <= CALM_S
    quartiles = " ".join(f"{q:.0f}" for q in np.percentile(leads, [25, 50, 75])) if leads else ""
    alarms = [at for at in (_first_alarm(t, signal, limit) for t in others) if at is not None]
    calm = sum(at <= CALM_S for at in alarms)
    return f"{name:52}{len(leads):>8}{before:>12}{quartiles:>22}{len(alarms):>8}{calm:>12}"


def _first_alarm(trial: Trial, signal: Signal, limit: float) -> int | None:
    pairs = zip(trial.looks, signal(trial), strict=True)
    return next((second for second, value in pairs if value >= limit), None)
