"""Markets that fall silent at the same time are one incident, which counts them.

The shards find the silence of each market (`monitor/core/detection/market_silences.py`); here those
with a common beginning are put together: half a venue that stops is one message and not hundreds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from monitor.core.contract.feature_catalogue import MARKET_SILENCE
from monitor.core.finding import Finding
from monitor.core.snapshot import from_state, to_state

TOGETHER_S = 10.0
"""Silences whose last records lie so near to each other have begun together."""
MARKETS_NAMED = 20
"""An incident names so many of its markets and counts the others."""


@dataclass(slots=True)
class _Group:
    """Markets that fell silent together; the incident has the name of the first."""

    since: int
    """The window of the last record before it."""
    partition: int
    markets: list[str] = field(default_factory=list)
    """All that have belonged to it."""
    silent: list[str] = field(default_factory=list)
    """Those that are silent now."""
    reported: int = 0
    """How many belonged to it when it was last reported."""

    def finding(self, one: Finding) -> Finding:
        """The finding of the group, made of that of one of its markets."""
        markets = self.markets
        named = markets
        if len(markets) > MARKETS_NAMED:
            # The newest is among them: an incident is published again for a part that is new.
            named = [*markets[: MARKETS_NAMED - 1], markets[-1]]
        part = dataclasses.replace(one.own_part, share=1.0 / len(named))
        parts = [dataclasses.replace(part, symbol=symbol) for symbol in named]
        return dataclasses.replace(
            one, symbol=markets[0], since=self.since, partition=self.partition,
            facts={**one.facts, "markets": len(markets)}, parts=parts if len(parts) > 1 else [],
        )  # fmt: skip


class SilentMarkets:
    """The silences that last. `together_windows`: see `TOGETHER_S`."""

    def __init__(self, together_windows: int) -> None:
        self._together = together_windows
        self._groups: list[_Group] = []

    def group(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings, those on silent markets put together. They come by window."""
        grouped = []
        for _, here in groupby(findings, key=lambda finding: finding.window):
            of_window = list(here)
            silences = [f for f in of_window if f.stream == MARKET_SILENCE]
            grouped += [f for f in of_window if f.stream != MARKET_SILENCE]
            # By name: the order in which shards report does not count.
            for finding in sorted(silences, key=lambda f: (f.symbol, f.partition)):
                (self._leave if finding.is_end else self._join)(finding)
            grouped += self._report(silences)
        return grouped

    def _join(self, finding: Finding) -> None:
        symbol = finding.symbol
        # One whose incident lasts, for others are silent still, belongs to that one again.
        own = [group for group in self._groups if group.markets[0] == symbol]
        near = (g for g in self._groups if abs(g.since - finding.since) <= self._together)
        group = next(iter(own), None) or next(near, None)
        if group is None:
            group = _Group(finding.since, finding.partition)
            self._groups.append(group)
        for names in (group.markets, group.silent):
            if symbol not in names:
                names.append(symbol)

    def _leave(self, finding: Finding) -> None:
        for group in self._groups:
            if finding.symbol in group.silent:
                group.silent.remove(finding.symbol)
                return

    def _report(self, silences: list[Finding]) -> list[Finding]:
        """What there is to say after the silences of one window: which groups have begun, are twice
        as many, or have ended."""
        findings = []
        one = {finding.symbol: finding for finding in silences}
        for group in self._groups:
            here = [one[symbol] for symbol in group.markets if symbol in one]
            begins = [finding for finding in here if not finding.is_end]
            if begins and len(group.markets) >= 2 * group.reported:
                group.reported = len(group.markets)
                findings.append(group.finding(begins[0]))
            if here and not group.silent:
                findings.append(group.finding(next(f for f in here if f.is_end)))
        self._groups = [group for group in self._groups if group.silent]
        return findings

    def snapshot(self) -> list[Any]:
        """The silences that last."""
        state: list[Any] = to_state(self._groups)
        return state

    def restore(self, state: list[Any]) -> None:
        """Continue from a snapshot."""
        self._groups = from_state(list[_Group], state)
