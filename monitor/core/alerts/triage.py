"""Incidents in words: several streams in one sentence, and the walk through the layers."""

from __future__ import annotations

import shlex
from typing import Any

from monitor.core.alerts.incidents import Incident
from monitor.core.alerts.merge import parts_of
from monitor.core.alerts.wording import (
    CARRIER_NOUNS,
    AlertWriter,
    accounts_phrase,
    clock,
    format_duration,
    format_number,
    rarity,
    round_digits,
    severity,
)
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import ACCOUNT_BURST, JOINT, FindingPart

LAYERS = ("data", "pricing", "margin", "execution", "post_trade")
"""In the order in which an incident is walked through: what is broken below explains what is odd
above."""
SEVERITIES = ("info", "warning", "critical")
PHRASES_MAX = 4
"""Streams told in the sentence; the evidence holds all."""
MARKETS_MANY = 3
"""From here on joint evidence is told stream by stream, over all its markets."""
FRACTIONS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 10: "a tenth"}
"""Of the usual, by its inverse."""
RATIO_MAX = 1000.0
"""A larger ratio says that next to nothing was expected."""


def phrase(part: FindingPart) -> str:
    """What a stream did, without its numbers a second.

    >>> phrase(Part("X", "cancels", "burst", 0, 984.0, 240.0, 1e-6, 0.5))
    'cancels ×4.1'
    >>> phrase(Part("X", "depth_25bps", "joint", 0, 2e4, 1e5, 1e-6, 0.5))
    'depth within 25 bps at a fifth of usual'
    """
    told = FEATURES[part.stream]
    if part.by_account:
        often = (
            ""
            if part.ratio is None or part.ratio >= RATIO_MAX
            else f" ×{format_number(part.ratio)}"
        )
        return f"{told.noun} of few accounts{often} beside their own habits"
    if told.form == "signed":
        return f"{told.noun} at {format_number(part.observed)} where {format_number(part.expected)} is usual"
    if told.form == "share":
        return (
            f"{told.noun} at {format_number(100 * part.observed)} % "
            f"where {format_number(100 * part.expected)} % is usual"
        )
    ratio = part.ratio
    if ratio is None or ratio >= RATIO_MAX:
        return f"{told.noun} at {format_number(part.observed)} where none is usual"
    if ratio >= 1:
        return f"{told.noun} ×{format_number(ratio)}"
    nearest = round(1 / ratio) if ratio > 0 else 0
    if nearest in FRACTIONS and abs(ratio * nearest - 1) < 0.1:
        return f"{told.noun} at {FRACTIONS[nearest]} of usual"
    return f"{told.noun} at {format_number(100 * ratio)} % of usual"


def merge_markets(parts: list[FindingPart]) -> list[FindingPart]:
    """One part a stream, of all its markets: sums of what adds up, means of the rest; by share."""
    by_stream: dict[str, list[FindingPart]] = {}
    for part in parts:
        by_stream.setdefault(part.stream, []).append(part)
    made = []
    for stream, here in by_stream.items():
        mean = 1 if FEATURES[stream].form in ("count", "amount") else len(here)
        observed = sum(part.observed for part in here) / mean
        expected = sum(part.expected for part in here) / mean
        since, share = min(part.since for part in here), sum(part.share for part in here)
        least = min(part.p for part in here)
        made.append(FindingPart("", stream, JOINT, since, observed, expected, least, share))
    return sorted(made, key=lambda part: (-part.share, part.stream))


def join_list(phrases: list[str]) -> str:
    """One after the other, as people list things.

    >>> join_list(["a", "b", "c"])
    'a, b, and c'
    """
    if len(phrases) < 3:
        return " and ".join(phrases)
    return ", ".join(phrases[:-1]) + f", and {phrases[-1]}"


def shorten_list(phrases: list[str]) -> list[str]:
    """At most `PHRASES_MAX` of them, the last one saying how many are left out.

    >>> shorten_list(["a", "b", "c", "d", "e"])
    ['a', 'b', 'c', '2 more']
    """
    if len(phrases) <= PHRASES_MAX:
        return phrases
    return [*phrases[: PHRASES_MAX - 1], f"{len(phrases) - PHRASES_MAX + 1} more"]


def escalate(level: str) -> str:
    """A severity one step higher."""
    return SEVERITIES[min(SEVERITIES.index(level) + 1, len(SEVERITIES) - 1)]


class IncidentAlertWriter(AlertWriter):
    """Renders evidence of one stream as `AlertWriter` does, of several as one incident."""

    def sentence(self, incident: Incident) -> str:
        parts = parts_of(incident.finding)
        if len(parts) == 1:
            return super().sentence(incident)
        symbols = incident.symbols
        if len(symbols) >= MARKETS_MANY and all(part.detector == JOINT for part in parts):
            return self._cross_market_sentence(incident, parts)
        several = len(symbols) > 1
        end = incident.last_window + 1
        told = [phrase(part) for part in parts]
        told[0] += self._numbers(parts[0], (end - parts[0].since) * self._window_ns / 1e9)
        if several:
            told = [f"{say} in {part.symbol}" for say, part in zip(told, parts, strict=True)]
        said = join_list(shorten_list(told))
        said = said[0].upper() + said[1:]
        f = incident.finding
        where = f"on {join_list(symbols)}"
        if incident.status == "resolved":
            quiet = format_duration(
                (incident.window - incident.last_window) * self._window_ns / 1e9
            )
            return f"{said}, together {where}, are over: quiet for {quiet}"
        since = f"since {clock(f.since * self._window_ns)} UTC"
        said = f"{said}, together {where} {since}"
        carrier = FEATURES[f.accounts_of or f.stream].account_count
        if carrier is None or not f.accounts:
            return said
        if (f.accounts_by or f.detector) == ACCOUNT_BURST:
            named = ", ".join(f"{name} {s:.0%}".replace("%", " %") for name, s in f.accounts)
            return f"{said}; beside their own habits stand out {named}"
        return f"{said}; {accounts_phrase(f.accounts, f'the {CARRIER_NOUNS[carrier]}')}"

    def _cross_market_sentence(self, incident: Incident, parts: list[FindingPart]) -> str:
        """Weak signs in many markets: what each stream did over all of them."""
        symbols = incident.symbols
        told = []
        for one in merge_markets(parts):
            markets = sum(part.stream == one.stream for part in parts)
            told.append(phrase(one) + (f" in {markets}" if markets < len(symbols) else ""))
        did, names = join_list(shorten_list(told)), join_list(shorten_list(symbols))
        said = f"Weak signs together in {len(symbols)} markets"
        if incident.status == "resolved":
            quiet = format_duration(
                (incident.window - incident.last_window) * self._window_ns / 1e9
            )
            return f"{said} ({names}): {did}, are over: quiet for {quiet}"
        f = incident.finding
        since = f"since {clock(f.since * self._window_ns)} UTC"
        often = rarity(self._once_per_days(f.p))
        return f"{said} {since} ({often}): {did}, on {names}"

    def _numbers(self, part: FindingPart, seconds: float) -> str:
        """How long, how much against how much, how rare: for the leading stream."""
        days = rarity(self._once_per_days(part.p))
        if FEATURES[part.stream].form not in ("count", "amount"):
            return f" for {format_duration(seconds)} ({days})"
        rates = f"{format_number(part.observed / seconds)} a second against "
        rates += f"{format_number(part.expected / seconds)}"
        return f" for {format_duration(seconds)} ({rates}, {days})"

    def alert(self, incident: Incident) -> dict[str, Any]:
        alert = super().alert(incident)
        parts = parts_of(incident.finding)
        if len(parts) == 1:
            return alert
        symbols = incident.symbols
        alert["kind"] = "incident"
        alert["symbols"] = symbols
        alert["layer"] = FEATURES[parts[0].stream].layer
        alert["severity"] = max((severity(p.ratio) for p in parts), key=SEVERITIES.index)
        alert["evidence"] = [self._evidence(part, len(symbols) > 1) for part in parts]
        alert["triage"] = self._triage(incident, parts)
        for symbol in symbols[1:]:
            first, second = alert["reproduce"].split(" --from ")
            alert["reproduce"] = f"{first} --symbol {shlex.quote(symbol)} --from {second}"
        return alert

    def _evidence(self, part: FindingPart, several: bool) -> dict[str, Any]:
        told = {
            "stream": part.stream,
            "detector": part.detector,
            "observed": round_digits(part.observed),
            "expected": round_digits(part.expected),
            "ratio": None if part.ratio is None else round_digits(part.ratio),
            "unit": FEATURES[part.stream].unit,
            "p": round_digits(part.p),
            "once_per_days": round_digits(self._once_per_days(part.p)),
            "share": round_digits(part.share),
        }
        return told | {"symbol": part.symbol} if several else told

    def _triage(self, incident: Incident, parts: list[FindingPart]) -> list[dict[str, str]]:
        """Each layer in order: what is out of the ordinary there, what is not, what cannot be
        told."""
        watched = {s.feature for s in self._settings.streams} | set(self._settings.joint.streams)
        dumb = dict(incident.finding.abstained)
        several = len(incident.symbols) > 1
        steps = []
        for layer in LAYERS:
            here = [n for n in FEATURES if n in watched and FEATURES[n].layer == layer]
            odd = [p for p in parts if FEATURES[p.stream].layer == layer]
            silent = [f"{n} ({dumb[n]})" for n in here if n in dumb]
            if odd:
                says = join_list([phrase(p) + (f" in {p.symbol}" if several else "") for p in odd])
            elif not here:
                says = "not watched"
            elif len(silent) == len(here):
                says = "cannot tell"
            else:
                says = "nothing out of the ordinary"
            if silent:
                says += f"; abstained: {', '.join(silent)}"
            steps.append({"layer": layer, "says": says})
        return steps
