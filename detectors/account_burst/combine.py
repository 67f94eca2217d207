"""What the evidence of a market's accounts comes to, and which of them a finding names."""

from __future__ import annotations

from typing import NamedTuple

COMBINED_ACCOUNTS_MAX = 3
"""Accounts whose evidence is added. A crowd that acts at once is not a burst by account."""
SAME_START_WINDOWS = 4
"""Bursts that began at most so many windows apart began together."""
COST_SAME_START, COST_OTHER_START = 8.0, 9.0
"""Of a further account's evidence only what exceeds this is added. The choice of one more among a
thousand costs ln 1000 = 6.9, the rest is for accounts that excite each other. An account that began
at another time costs one more. At a cost of 7, pairs of accounts in a market's ordinary flurries
raised the threshold for single accounts."""
EVENTS_MIN = 2.0
"""A further account has at least so many events: one act of each of a crowd is no burst."""
NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4
"""A further account that began together with the highest is named when it has at least this share
of its evidence, and of its events. An account with a habit of such bursts has less evidence for as
many events, and one that is only excited by others has fewer events."""


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
    """Events that its slow rate makes of the same windows."""


def combine_actors(actors: list[Actor]) -> tuple[float, tuple[Actor, ...]]:
    """The evidence of a market's accounts (highest first, at least one) and those to name."""
    first = actors[0]
    value, named, counted = first.level, [first], 1
    for actor in actors[1:]:
        begun_together = abs(actor.since - first.since) <= SAME_START_WINDOWS
        cost = COST_SAME_START if begun_together else COST_OTHER_START
        if actor.observed < EVENTS_MIN or counted == COMBINED_ACCOUNTS_MAX:
            continue
        if actor.level > cost:
            value += actor.level - cost
            counted += 1
        alike = actor.observed >= NAMED_EVENTS_SHARE * first.observed
        if begun_together and alike and actor.level >= NAMED_EVIDENCE_SHARE * first.level:
            named.append(actor)
    return value, tuple(named)
