"""Evidence to words, and to the alert's JSON. Nowhere else are sentences about markets made."""

from __future__ import annotations

import json
import math
import shlex
from datetime import UTC, datetime
from typing import Any

import monitor
from monitor.core import pricing
from monitor.core.incidents import Incident
from monitor.core.settings import EngineSettings
from monitor.core.streams import TABLE

_SECOND_NS = 1_000_000_000

NOUNS = {
    "cancels": "cancels",
    "orders": "orders",
    "trades": "trades",
    "leverage_raises": "leverage raises",
    "leverage_changes": "leverage changes",
    "liquidations": "liquidations",
}
LAYERS = {
    "leverage_raises": "margin",
    "leverage_changes": "margin",
    "liquidations": "post_trade",
}
"""The layer of a stream; what is not named is execution."""
KINDS = {"leverage_raises": "leverage_surge", "leverage_changes": "leverage_surge"}
"""The kind of alert of a stream, where it has a name of its own beside its detector's."""
CRITICAL_RATIO, WARNING_RATIO = 5.0, 2.0
"""A desk acts on what is five times the usual, and looks at what is twice."""

DOUBTS = {
    "outlying_mark": "critical",
    "outlying_index": "critical",
    "outlying_source": "warning",
    "stale_source": "warning",
}
"""Severity of a price in doubt: without a mark that can be believed, all that hangs on it is as of
the last good one.
"""

_WORDS = ("no", "one", "two", "three", "four", "five")


def number(value: float) -> str:
    """A number as people say it: three digits, thousands grouped.

    >>> number(4.1234), number(82), number(1_345_000)
    ('4.12', '82', '1,345,000')
    """
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """A length of time: 12 s, 3 min, 2 h.

    >>> duration(12), duration(185)
    ('12 s', '3 min 5 s')
    """
    if seconds < 120:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def rarity(days: float) -> str:
    """How often chance alone makes as much: once in so many days, or so often a day."""
    if days >= 1e6:
        return "less than once in a million days"
    if days >= 1.5:
        return f"once in {number(round(days) if days < 100 else float(f'{days:.2g}'))} days"
    if days >= 0.67:
        return "once a day"
    return f"{number(1 / days)} times a day"


def clock(ns: int) -> str:
    """Time of day, UTC."""
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%H:%M:%S")


def iso(ns: int) -> str:
    """A moment as the command line takes it."""
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def who(accounts: list[tuple[str, float]]) -> str:
    """Who carries it: as few accounts as make half of it, or the top one with its share."""
    named, sum_of = [], 0.0
    for name, share in accounts:
        named.append(f"{name} {share:.0%}".replace("%", " %"))
        sum_of += share
        if sum_of >= 0.5:
            break
    if not named or accounts[0][1] < 0.05:
        return "spread over many accounts"
    if len(named) == 1:
        return f"one account makes {accounts[0][1]:.0%} of them ({accounts[0][0]})".replace(
            "%", " %"
        )
    part = f"{sum_of:.0%}".replace("%", " %")
    return f"{_WORDS[len(named)]} accounts make {part} of them ({', '.join(named)})"


class Explain:
    """Renders incidents under one configuration."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._window_ns = settings.time.window_ns
        self._versions = {
            "engine": monitor.__version__,
            "config": settings.fingerprint(),
            "detectors": {s.feature: s.detector for s in settings.streams},
        }

    def sentence(self, incident: Incident) -> str:
        """The alert in one sentence."""
        f = incident.finding
        if f.stream == pricing.STREAM:
            return _doubted(incident, self._window_ns)
        seconds = f.windows * self._window_ns / _SECOND_NS
        noun = NOUNS.get(f.stream, f.stream.replace("_", " "))
        rate, usual = f.observed / seconds, f.expected / seconds
        ratio = f.ratio
        times = f" ×{number(ratio)}" if ratio is not None and ratio < 1000 else ""
        days = rarity(self._once_per_days(f.p))
        head = f"{noun.capitalize()}{times} for {duration(seconds)} on {f.symbol}"
        body = f"({number(rate)} a second against {number(usual)} expected, {days})"
        if incident.status == "resolved":
            quiet = duration((incident.window - incident.last) * self._window_ns / _SECOND_NS)
            return f"{head} {body} are over: quiet for {quiet}"
        carried = f"; {who(f.accounts)}" if f.accounts else "; accounts are not known"
        return f"{head} {body}, since {clock(f.since * self._window_ns)} UTC{carried}"

    def alert(self, incident: Incident) -> dict[str, Any]:
        """The alert as the contract has it."""
        f = incident.finding
        begin, end = f.since * self._window_ns, (incident.window + 1) * self._window_ns
        return {
            "id": f"{incident.fingerprint}-{incident.sequence}",
            "fingerprint": incident.fingerprint,
            "status": incident.status,
            "severity": DOUBTS[f.detector] if f.facts else severity(f.ratio),
            "layer": "pricing" if f.facts else LAYERS.get(f.stream, "execution"),
            "kind": KINDS.get(f.stream, f.detector),
            "symbols": [f.symbol],
            "ts": end,
            "since": begin,
            "summary": self.sentence(incident),
            "evidence": [
                {
                    "stream": f.stream,
                    "detector": f.detector,
                    "observed": rounded(f.observed),
                    "expected": rounded(f.expected),
                    "ratio": None if f.ratio is None else rounded(f.ratio),
                    "unit": "records" if f.facts else TABLE[f.stream].unit,
                    # A rule decided where there are facts: no chance stands behind it.
                    "p": None if f.facts else rounded(f.p),
                    "once_per_days": None if f.facts else rounded(self._once_per_days(f.p)),
                    "share": 1.0,
                }
            ],
            "accounts": [{"account": name, "share": rounded(s)} for name, s in f.accounts],
            "zones": [],
            "records": [
                {
                    "topic": self._settings.topics[r.kind],
                    "partition": f.partition,
                    "first_offset": r.first,
                    "last_offset": r.last,
                }
                for r in f.records
            ],
            "abstained": [{"detector": name, "why": why} for name, why in f.abstained],
            "reproduce": (
                f"brinkwatch replay DAY --symbol {shlex.quote(f.symbol)} --from {iso(begin)} "
                f"--to {iso(end + self._window_ns)}"
            ),
            "versions": self._versions,
        }

    def _once_per_days(self, p: float) -> float:
        return 1.0 / (max(p, 1e-300) * self._settings.time.windows_per_day)


def _doubted(incident: Incident, window_ns: int) -> str:
    """A price that was not believed, in one sentence."""
    f = incident.finding
    offered, kept, limit = (float(f.facts[name] or 0) for name in ("offered", "kept", "limit"))
    source, agree, against = (f.facts[name] for name in ("source", "agree", "against"))
    if f.detector == "stale_source":
        head = f"Index source {source} of {f.symbol} is stale"
        body = f"{duration(offered)} old, limit {duration(limit)}; {agree} other sources are fresh"
    elif f.detector == "outlying_source":
        away = number(abs(offered / kept - 1) * 1e4)
        head = f"Index source {source} of {f.symbol} is off by {away} bps"
        body = f"{number(offered)} against {number(kept)}, the median of {agree} that agree"
    else:
        what = "Mark" if f.detector == "outlying_mark" else "Index"
        stays = f"stays at {number(kept)}" if kept else "is not known"
        away = f", {number(abs(offered / kept - 1) * 1e4)} bps away" if kept else ""
        head = f"{what} of {f.symbol} {stays}"
        body = f"{number(offered)} was offered{away}; {agree} other inputs agree, {against} do not"
    if incident.status == "resolved":
        quiet = duration((incident.window - incident.last) * window_ns / _SECOND_NS)
        return f"{head} ({body}): over, quiet for {quiet}"
    return f"{head} ({body}), since {clock(f.since * window_ns)} UTC"


def severity(ratio: float | None) -> str:
    """How much against how much was expected decides what the desk does first."""
    if ratio is None or ratio >= CRITICAL_RATIO:
        return "critical"
    return "warning" if ratio >= WARNING_RATIO else "info"


def rounded(value: float) -> float:
    """Six digits: what is published does not hang on the last bit of a logarithm."""
    return float(f"{value:.6g}")


def line(alert: dict[str, Any]) -> bytes:
    """An alert as one line of JSON: keys sorted, no wall-clock time, the same in every run."""
    return json.dumps(alert, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
