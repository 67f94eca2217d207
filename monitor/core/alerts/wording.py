"""Evidence to words, and to the alert's JSON. Nowhere else are sentences about markets made."""

from __future__ import annotations

import json
import math
import shlex
from datetime import UTC, datetime
from typing import Any

import monitor
from monitor.core.alerts.incidents import Incident
from monitor.core.contract.feature_catalogue import FEATURES, SILENCE_FEATURES
from monitor.core.finding import ACCOUNT_BURST, Finding
from monitor.core.marks import mark_filter
from monitor.core.settings import EngineSettings

_SECOND_NS = 1_000_000_000

CRITICAL_RATIO, WARNING_RATIO = 5.0, 2.0
"""A desk acts on what is five times the usual, and looks at what is twice."""

DOUBT_SEVERITY = {
    "outlying_mark": "critical",
    "outlying_index": "critical",
    "outlying_source": "warning",
    "stale_source": "warning",
}
"""Severity of a price in doubt: without a mark that can be believed, all that hangs on it is as of
the last good one.
"""

DRIFT_DETECTORS = ("drift",)
"""Detectors whose evidence is a slow change, not a sudden one."""
CARRIER_NOUNS = {
    "orders": "orders", "cancels": "cancels", "fills": "fills", "leverage": "leverage changes",
    "notional": "amount",
}  # fmt: skip
"""What an account is counted by (`open_windows.ACCOUNT_COUNTS`), or by an amount, in words."""
TIMES_MAX = 1000.0
"""A larger ratio says that nothing was expected, and not how much that was."""
FRACTIONS = {
    2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 7: "a seventh",
    8: "an eighth", 9: "a ninth", 10: "a tenth",
}  # fmt: skip

_COUNT_NAMES = ("no", "one", "two", "three", "four", "five")


def format_number(value: float) -> str:
    """A number as people say it: three digits, thousands grouped.

    >>> format_number(4.1234), format_number(82), format_number(1_345_000)
    ('4.12', '82', '1,345,000')
    """
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_duration(seconds: float) -> str:
    """A length of time: 12 s, 3 min, 2 h.

    >>> format_duration(12), format_duration(185)
    ('12 s', '3 min 5 s')
    """
    if seconds < 120:
        return f"{format_number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def rarity(days: float) -> str:
    """How often chance alone makes as much: once in so many days, or so often a day."""
    if days >= 1e6:
        return "less than once in a million days"
    if days >= 1.5:
        return f"once in {format_number(round(days) if days < 100 else float(f'{days:.2g}'))} days"
    if days >= 0.67:
        return "once a day"
    return f"{format_number(1 / days)} times a day"


def clock(ns: int) -> str:
    """Time of day, UTC."""
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%H:%M:%S")


def format_iso(ns: int) -> str:
    """A moment as the command line takes it."""
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ratio_phrase(ratio: float | None) -> str:
    """A ratio as people say it, with a space before it.

    >>> ratio_phrase(4.1), ratio_phrase(0.2), ratio_phrase(0.04), ratio_phrase(None)
    (' ×4.1', ' at a fifth of usual', ' at 4 % of usual', '')
    """
    if ratio is None or ratio >= TIMES_MAX:
        return ""
    if ratio >= 1.0 or ratio < 0:
        return f" ×{format_number(ratio)}"
    part = FRACTIONS.get(round(1.0 / ratio)) if ratio > 0 else None
    if part is not None and abs(ratio * round(1.0 / ratio) - 1.0) < 0.1:
        return f" at {part} of usual"
    return f" at {format_number(100 * ratio)} % of usual"


def accounts_phrase(accounts: list[tuple[str, float]], what: str = "them") -> str:
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
        part = f"{accounts[0][1]:.0%}".replace("%", " %")
        return f"one account makes {part} of {what} ({accounts[0][0]})"
    part = f"{sum_of:.0%}".replace("%", " %")
    return f"{_COUNT_NAMES[len(named)]} accounts make {part} of {what} ({', '.join(named)})"


class AlertWriter:
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
        if f.stream == mark_filter.STREAM:
            return _price_doubt_sentence(incident, self._window_ns)
        if f.detector == ACCOUNT_BURST:
            return self._account_burst_sentence(incident)
        told = FEATURES[f.stream]
        if f.stream in SILENCE_FEATURES:
            return self._silence_sentence(incident)
        head, body = self._change_phrase(f)
        body = f"({body}, {rarity(self._once_per_days(f.p))})"
        if incident.status == "resolved":
            quiet = format_duration(
                (incident.window - incident.last_window) * self._window_ns / _SECOND_NS
            )
            return f"{head} {body} {'are' if told.is_plural else 'is'} over: quiet for {quiet}"
        said = f"{head} {body}, since {clock(f.since * self._window_ns)} UTC"
        if told.account_count is None:
            return said
        what = (
            "them" if told.account_count == f.stream else f"the {CARRIER_NOUNS[told.account_count]}"
        )
        return f"{said}; {accounts_phrase(f.accounts, what) if f.accounts else 'accounts are not known'}"

    def _change_phrase(self, f: Finding) -> tuple[str, str]:
        """What changed, by how much, for how long and where; and the two numbers behind it."""
        told = FEATURES[f.stream]
        noun = told.noun[0].upper() + told.noun[1:]
        seconds = f.windows * self._window_ns / _SECOND_NS
        place = f"for {format_duration(seconds)} on {f.symbol or 'the whole venue'}"
        unit = "in quote currency" if told.unit == "quote currency" else told.unit
        if f.detector in DRIFT_DETECTORS:
            way = "up" if f.observed >= f.expected else "down"
            have = "have" if told.is_plural else "has"
            body = f"{format_number(f.observed)} {unit} against {format_number(f.expected)}"
            return f"{noun} {have} drifted {way} {place}", body
        if told.form in ("count", "amount"):
            rate, usual = f.observed / seconds, f.expected / seconds
            body = f"{format_number(rate)} a second against {format_number(usual)} expected"
            if told.form == "amount":
                body = (
                    f"{format_number(rate)} a second {unit} against {format_number(usual)} expected"
                )
            return f"{noun}{ratio_phrase(f.ratio)} {place}", body
        if told.form == "share":
            usual_pct = f"{format_number(100 * f.expected)} % expected"
            return f"{noun} at {format_number(100 * f.observed)} % {place}", usual_pct
        if told.form == "signed":
            body = f"{format_number(f.expected)} expected, {unit}"
            return f"{noun} at {format_number(f.observed)} {place}", body
        body = f"{format_number(f.observed)} against {format_number(f.expected)} {unit}"
        return f"{noun}{ratio_phrase(f.ratio)} {place}", body

    def _silence_sentence(self, incident: Incident) -> str:
        f = incident.finding
        kind = SILENCE_FEATURES[f.stream]
        where = f"topic {self._settings.topics[kind]}, partition {f.partition}"
        if incident.status == "resolved":
            return f"Records again in {where}, after {format_duration(f.observed)} of silence"
        return (
            f"No record in {where} for {format_duration(f.observed)}, where the longest silence was "
            f"{format_duration(f.expected)}; the last came at {clock(f.since * self._window_ns)} UTC"
        )

    def _account_burst_sentence(self, incident: Incident) -> str:
        """A burst of few accounts, beside their own habits."""
        f = incident.finding
        seconds = f.windows * self._window_ns / _SECOND_NS
        few = (
            _COUNT_NAMES[len(f.accounts)]
            if len(f.accounts) < len(_COUNT_NAMES)
            else str(len(f.accounts))
        )
        several = len(f.accounts) != 1
        noun = FEATURES[f.stream].noun
        head = f"{noun[0].upper()}{noun[1:]} of {few} account{'s' if several else ''}"
        if f.ratio is not None and f.ratio < 1000:
            head += f" ×{format_number(f.ratio)}"
        head += f" for {format_duration(seconds)} on {f.symbol}"
        habit = (
            f"{format_number(f.expected / seconds)} by {'their' if several else 'its'} own habits"
        )
        often = rarity(self._once_per_days(f.p))
        body = f"({format_number(f.observed / seconds)} a second against {habit}, {often})"
        if incident.status == "resolved":
            quiet = format_duration(
                (incident.window - incident.last_window) * self._window_ns / _SECOND_NS
            )
            return f"{head} {body} are over: quiet for {quiet}"
        named = ", ".join(f"{name} {s:.0%}".replace("%", " %") for name, s in f.accounts)
        return f"{head} {body}, since {clock(f.since * self._window_ns)} UTC: {named}"

    def alert(self, incident: Incident) -> dict[str, Any]:
        """The alert as the contract has it."""
        f = incident.finding
        begin, end = f.since * self._window_ns, (incident.window + 1) * self._window_ns
        return {
            "id": f"{incident.fingerprint}-{incident.sequence}",
            "fingerprint": incident.fingerprint,
            "status": incident.status,
            "severity": DOUBT_SEVERITY[f.detector] if f.facts else severity(f.ratio),
            "layer": FEATURES[f.stream].layer,
            "kind": FEATURES[f.stream].kind or f.detector,
            "symbols": [f.symbol] if f.symbol else [],
            "ts": end,
            "since": begin,
            "summary": self.sentence(incident),
            "evidence": [
                {
                    "stream": f.stream,
                    "detector": f.detector,
                    "observed": round_digits(f.observed),
                    "expected": round_digits(f.expected),
                    "ratio": None if f.ratio is None else round_digits(f.ratio),
                    "unit": FEATURES[f.stream].unit,
                    # A rule decided where there are facts: no chance stands behind it.
                    "p": None if f.facts else round_digits(f.p),
                    "once_per_days": None if f.facts else round_digits(self._once_per_days(f.p)),
                    "share": 1.0,
                }
            ],
            "accounts": [{"account": name, "share": round_digits(s)} for name, s in f.accounts],
            "zones": [],
            "records": [
                {
                    "topic": self._settings.topics[r.kind],
                    "partition": f.partition if r.partition is None else r.partition,
                    "first_offset": r.first,
                    "last_offset": r.last,
                }
                for r in f.records
            ],
            "abstained": [{"detector": name, "why": why} for name, why in f.abstained],
            "reproduce": (
                f"brinkwatch replay DAY {f'--symbol {shlex.quote(f.symbol)} ' if f.symbol else ''}"
                f"--from {format_iso(begin)} --to {format_iso(end + self._window_ns)}"
            ),
            "versions": self._versions,
        }

    def _once_per_days(self, p: float) -> float:
        return 1.0 / (max(p, 1e-300) * self._settings.time.windows_per_day)


def _price_doubt_sentence(incident: Incident, window_ns: int) -> str:
    """A price that was not believed, in one sentence."""
    f = incident.finding
    offered, kept, limit = (float(f.facts[name] or 0) for name in ("offered", "kept", "limit"))
    source, agree, against = (f.facts[name] for name in ("source", "agree", "against"))
    if f.detector == "stale_source":
        head = f"Index source {source} of {f.symbol} is stale"
        body = f"{format_duration(offered)} old, limit {format_duration(limit)}; {agree} other sources are fresh"
    elif f.detector == "outlying_source":
        away = format_number(abs(offered / kept - 1) * 1e4)
        head = f"Index source {source} of {f.symbol} is off by {away} bps"
        body = f"{format_number(offered)} against {format_number(kept)}, the median of {agree} that agree"
    else:
        what = "Mark" if f.detector == "outlying_mark" else "Index"
        stays = f"stays at {format_number(kept)}" if kept else "is not known"
        away = f", {format_number(abs(offered / kept - 1) * 1e4)} bps away" if kept else ""
        head = f"{what} of {f.symbol} {stays}"
        body = f"{format_number(offered)} was offered{away}; {agree} other inputs agree, {against} do not"
    if incident.status == "resolved":
        quiet = format_duration((incident.window - incident.last_window) * window_ns / _SECOND_NS)
        return f"{head} ({body}): over, quiet for {quiet}"
    return f"{head} ({body}), since {clock(f.since * window_ns)} UTC"


def severity(ratio: float | None) -> str:
    """How much against how much was expected decides what the desk does first; a fall to a fifth
    counts as a rise to five times.
    """
    if ratio is not None and 0 <= ratio < 1:
        ratio = 1.0 / ratio if ratio > 0 else None
    if ratio is None or ratio >= CRITICAL_RATIO:
        return "critical"
    return "warning" if ratio >= WARNING_RATIO else "info"


def round_digits(value: float) -> float:
    """Six digits: what is published does not hang on the last bit of a logarithm."""
    return float(f"{value:.6g}")


def alert_json(alert: dict[str, Any]) -> bytes:
    """An alert as one line of JSON: keys sorted, no wall-clock time, the same in every run."""
    return json.dumps(alert, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
