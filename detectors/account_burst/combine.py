"""What the accounts of one market come to together, and who of them is named."""

from __future__ import annotations

from typing import NamedTuple

COMBINED_ACCOUNTS_MAX = 3
"""Accounts whose evidence is added. A crowd that acts at once is not a burst by account."""
SAME_START_WINDOWS = 4
"""Bursts that began no further apart than that, in windows, began together."""
COST_SAME_START, COST_OTHER_START = 8.0, 9.0
"""Of a further account's evidence only what lies above counts: the choice of one more among a
thousand (ln 1000 = 6.9), and that accounts excite each other. Who began at another time costs one
more. At 7 pairs in the market's own flurries raised the threshold for single accounts (seed 21)."""
EVENTS_MIN = 2.0
"""A further account has at least so many events: one act of each of a crowd is no burst."""
NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4
"""A further account that began together with the highest is named when it has at least so much of
its evidence, and did at least so much of what it did: who does it by habit has less evidence for
the same, and who is only excited does less."""


class Actor(NamedTuple):
    """An account that carries a burst."""

    key: int
    level: float
    """Its evidence, as a log-likelihood ratio."""
    since: int
    """The window in which its burst began."""
    observed: float
    """Its events since then."""
    expected: float
    """What its slow rate makes of the same windows."""


def combine_actors(actors: list[Actor]) -> tuple[float, tuple[Actor, ...]]:
    """The evidence of a market's accounts (highest first, at least one) and who is behind it."""
    first = actors[0]
    value, named, counted = first.level, [first], 1
    for actor in actors[1:]:
        begun_together = abs(actor.since - first.since) <= SAME_START_WINDOWS
        price = COST_SAME_START if begun_together else COST_OTHER_START
        if actor.observed < EVENTS_MIN or counted == COMBINED_ACCOUNTS_MAX:
            continue
        if actor.level > price:
            value += actor.level - price
            counted += 1
        alike = actor.observed >= NAMED_EVENTS_SHARE * first.observed
        if begun_together and alike and actor.level >= NAMED_EVIDENCE_SHARE * first.level:
            named.append(actor)
    return value, tuple(named)
