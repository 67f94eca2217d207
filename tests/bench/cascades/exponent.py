"""How displacement grows with forced flow over many simulated events, as a power law.

log displacement = a + γ·log(net forced volume / depth within 1 % before), by least squares. Over
639 real events γ was .875 ± .078.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tests.bench.cascades.days import CALM_S, draw_day
from tests.bench.cascades.state import Rules

REAL_GAMMA, REAL_ERROR = 0.875, 0.078
VOLUME_MIN = 0.02
"""Events of less net forced volume over depth are no events."""
DISPLACEMENT_MIN = 0.0005
"""And of less displacement: a level of the book."""


class Event(NamedTuple):
    """`volume`: net forced volume up to the lowest price, over depth; `fall`: log distance of the
    lowest price from the one before; `beyond`: how much further that is than the outside price
    fell."""

    volume: float
    fall: float
    beyond: float


def draw_events(seeds: range, traders: int, **rules: float) -> list[Event]:
    """One for each market and day. `rules`: those of `Rules` that are the same in all days."""
    events = []
    for seed in seeds:
        day = draw_day(seed, True, traders)
        fixed = {name: np.full(len(day.outside[0]), value) for name, value in rules.items()}
        day.venue.rules = Rules(**{**day.venue.rules._asdict(), **fixed})
        calm = day.venue.advance(day.outside[:CALM_S])
        history = day.venue.advance(day.outside[CALM_S:])
        before = calm.low[-1].astype(float)
        depth = calm.depth_bid[-60:].mean(axis=0) * before
        net = np.cumsum(history.sold - history.bought, axis=0) / depth
        lowest = history.low.argmin(axis=0)
        fall = np.log(before / history.low.min(axis=0))
        beyond = fall - np.log(before / history.outside.min(axis=0))
        for m in range(len(depth)):
            volume = float(net[lowest[m], m])
            if volume >= VOLUME_MIN:
                events.append(Event(volume, float(fall[m]), float(beyond[m])))
    return events


def fit_exponent(volume: list[float], displacement: list[float]) -> tuple[float, float, float]:
    """γ, its standard error, and R² of the regression of logs."""
    x, y = np.log(volume), np.log(displacement)
    slope, intercept = np.polyfit(x, y, 1)
    rest = y - slope * x - intercept
    spread = float(np.sum((x - x.mean()) ** 2))
    error = float(np.sqrt(np.sum(rest**2) / (len(x) - 2) / spread))
    return float(slope), error, float(1.0 - np.var(rest) / np.var(y))


VARIANTS: dict[str, tuple[int, dict[str, float]]] = {
    "400 accounts": (400, {}),
    "800 accounts": (800, {}),
    "1,600 accounts": (1_600, {}),
    "  of 800: all of the depth survives": (800, {"survives": 1.0}),
    "  of 800: 1/17 of it survives": (800, {"survives": 1 / 17}),
    "  of 800: refill 1 % a second": (800, {"resilience": 0.01}),
    "  of 800: refill 10 % a second": (800, {"resilience": 0.1}),
}
"""Accounts that share the same open interest, and what all days have in common."""


def exponent_lines(seeds: range) -> Iterator[str]:
    """A line for each variant."""
    yield f"{'simulated events':40}{'events':>8}{'γ of the whole fall':>26}{'γ beyond outside':>26}"
    for name, (traders, rules) in VARIANTS.items():
        events = draw_events(seeds, traders, **rules)
        own = [event for event in events if event.beyond >= DISPLACEMENT_MIN]
        fits = (
            fit_exponent([e.volume for e in events], [e.fall for e in events]),
            fit_exponent([e.volume for e in own], [e.beyond for e in own]),
        )
        shown = "".join(f"{f'{g:.2f} ± {e:.2f} (R² {r:.2f})':>26}" for g, e, r in fits)
        yield f"{name:40}{len(events):>8}{shown}"
    yield f"{'639 real events':40}{639:>8}{f'{REAL_GAMMA} ± {REAL_ERROR}':>26}"
