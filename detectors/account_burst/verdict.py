"""What a window's acts come to beside what was learnt before it: who has evidence, and where."""

from __future__ import annotations

from typing import NamedTuple

from detectors.account_burst.kernel import (
    COMBINED_ACCOUNTS_MAX,
    COST_OTHER_START,
    COST_SAME_START,
    EVENTS_MIN,
    SAME_START_WINDOWS,
)

NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4
"""A further account that began together with the highest is named when it has at least this share
of its evidence, and of its events. An account with a habit of such bursts has less evidence for as
many events, and one that is only excited by others has fewer events."""


class Actor(NamedTuple):
    """An account that carries a burst: the key and the number of the market, the evidence as a
    log-likelihood ratio (`level`), the window in which the burst began (`since`), the account's
    events since then, and those that its slow rate makes of the same windows (`expected`)."""

    key: int
    market: int
    level: float
    since: int
    observed: float
    expected: float


class AccountVerdict(NamedTuple):
    """What a window comes to.

    The score is None where the detector abstains, for the reason `why`. `market` has the highest
    score; -1 where no account has evidence to speak of. `actors` are the accounts behind the score,
    by evidence: see `combine_actors`.
    """

    value: float | None
    why: str | None = None
    market: int = -1
    actors: tuple[Actor, ...] = ()


def judge_actors(score: float, hot: list[Actor], cost: list[float]) -> AccountVerdict:
    """The market in which the highest accounts come to most.

    `hot`: the accounts with evidence, the highest first; `cost`: of the market of each.
    """
    by_market: dict[int, list[Actor]] = {}
    for actor in hot:
        by_market.setdefault(actor.market, []).append(actor)
    costs = {actor.market: one for actor, one in zip(hot, cost, strict=True)}
    best, highest = -1, -1.0
    actors: tuple[Actor, ...] = ()
    for market in sorted(by_market, key=lambda m: by_market[m][0].key):
        value, named = combine_actors(by_market[market])
        if value - costs[market] > highest:
            best, highest, actors = market, value - costs[market], named
    return AccountVerdict(score, None, best, actors)


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
