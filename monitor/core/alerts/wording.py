"""One sentence for an incident of any kind; its parts come from `phrases.py`."""

from __future__ import annotations

from monitor.core.alerts.formatting import (
    capitalize,
    clock,
    format_duration,
    format_number,
    join_list,
    rarity,
    shorten_list,
)
from monitor.core.alerts.incidents import Incident
from monitor.core.alerts.phrases import (
    ACCOUNT_NOUNS,
    accounts_list,
    accounts_phrase,
    change_phrase,
    count_name,
    merge_markets,
    ratio_phrase,
)
from monitor.core.contract.feature_catalogue import DOUBTED_PRICES, FEATURES, SILENCE_FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.finding import ACCOUNT_BURST, JOINT, P_MIN, Finding, FindingPart
from monitor.core.settings import EngineSettings

DRIFT_DETECTORS = ("drift",)
"""Detectors whose evidence is a slow change, not a sudden one."""
MANY_MARKETS = 3
"""From so many markets on, a sentence about joint evidence sums each stream over the markets."""


class Wording:
    """The sentences of one configuration: of its windows, and of its topics' names."""

    def __init__(self, settings: EngineSettings) -> None:
        self._window_ns = settings.time.window_ns
        self._windows_per_day = settings.time.windows_per_day
        self._topics = settings.topics

    def days_between(self, p: float) -> float:
        """Once in how many days chance alone makes a window with this p-value."""
        return 1.0 / (max(p, P_MIN) * self._windows_per_day)

    def sentence(self, incident: Incident) -> str:
        """What happened, by how much, how rarely, since when, and through whom."""
        f = incident.finding
        if f.stream == DOUBTED_PRICES:
            return self._price_doubt(incident)
        if f.stream in SILENCE_FEATURES:
            return self._silence(incident)
        parts = f.all_parts
        if len(parts) == 1:
            return self._one_stream(incident)
        joint = all(part.detector == JOINT for part in parts)
        if joint and len(incident.symbols) >= MANY_MARKETS:
            return self._many_markets(incident, parts)
        return self._several_streams(incident, parts)

    def _one_stream(self, incident: Incident) -> str:
        f = incident.finding
        by_account = f.detector == ACCOUNT_BURST
        head, numbers = self._account_burst(f) if by_account else self._change(f)
        said = f"{head} ({numbers}, {self._rarity(f.p)})"
        if incident.status == "resolved":
            plural = by_account or FEATURES[f.stream].is_plural
            return f"{said} {'are' if plural else 'is'} {self._over(incident)}"
        said = f"{said}, {self._since(f)}"
        if by_account:
            return f"{said}: {accounts_list(f.accounts)}"
        count = FEATURES[f.stream].account_count
        if count is None:
            return said
        what = "them" if count == f.stream else f"the {ACCOUNT_NOUNS[count]}"
        who = accounts_phrase(f.accounts, what) if f.accounts else "accounts are not known"
        return f"{said}; {who}"

    def _change(self, f: Finding) -> tuple[str, str]:
        """What changed, by how much, for how long and where; and the two numbers behind it."""
        spec = FEATURES[f.stream]
        noun = capitalize(spec.noun)
        seconds = self._seconds(f.windows)
        place = f"for {format_duration(seconds)} on {f.symbol or 'the whole venue'}"
        unit = "in quote currency" if spec.unit == "quote currency" else spec.unit
        observed, expected = format_number(f.observed), format_number(f.expected)
        if f.detector in DRIFT_DETECTORS:
            way = "up" if f.observed >= f.expected else "down"
            verb = "have" if spec.is_plural else "has"
            return f"{noun} {verb} drifted {way} {place}", f"{observed} {unit} against {expected}"
        if spec.is_additive:
            numbers = _rates(f, seconds, unit if spec.form == "amount" else "")
            return f"{noun}{ratio_phrase(f.ratio)} {place}", f"{numbers} expected"
        if spec.form == "share":
            observed, expected = format_number(100 * f.observed), format_number(100 * f.expected)
            return f"{noun} at {observed} % {place}", f"{expected} % expected"
        if spec.form == "signed":
            return f"{noun} at {observed} {place}", f"{expected} expected, {unit}"
        return f"{noun}{ratio_phrase(f.ratio)} {place}", f"{observed} against {expected} {unit}"

    def _account_burst(self, f: Finding) -> tuple[str, str]:
        """As `_change`, for a few accounts beside their own habits."""
        seconds, several = self._seconds(f.windows), len(f.accounts) != 1
        what = f"{capitalize(FEATURES[f.stream].noun)} of {count_name(len(f.accounts))} account"
        head = f"{what}{'s' if several else ''}{ratio_phrase(f.ratio)}"
        numbers = f"{_rates(f, seconds)} by {'their' if several else 'its'} own habits"
        return f"{head} for {format_duration(seconds)} on {f.symbol}", numbers

    def _several_streams(self, incident: Incident, parts: list[FindingPart]) -> str:
        """The leading stream with its numbers, then what the others did, and where together."""
        f, symbols, first = incident.finding, incident.symbols, parts[0]
        changes = [change_phrase(part) for part in parts]
        seconds = self._seconds(incident.last_window + 1 - first.since)
        rates = f"{_rates(first, seconds)}, " if FEATURES[first.stream].is_additive else ""
        changes[0] += f" for {format_duration(seconds)} ({rates}{self._rarity(first.p)})"
        if len(symbols) > 1:
            changes = [f"{c} in {p.symbol}" for c, p in zip(changes, parts, strict=True)]
        said = f"{capitalize(join_list(shorten_list(changes)))}, together on {join_list(symbols)}"
        if incident.status == "resolved":
            return f"{said}, are {self._over(incident)}"
        said = f"{said} {self._since(f)}"
        count = FEATURES[f.accounts_of or f.stream].account_count
        if count is None or not f.accounts:
            return said
        if (f.accounts_by or f.detector) == ACCOUNT_BURST:
            return f"{said}; beside their own habits stand out {accounts_list(f.accounts)}"
        return f"{said}; {accounts_phrase(f.accounts, f'the {ACCOUNT_NOUNS[count]}')}"

    def _many_markets(self, incident: Incident, parts: list[FindingPart]) -> str:
        """Weak evidence in many markets: what each stream did over all of them."""
        f, symbols = incident.finding, incident.symbols
        changes = []
        for total in merge_markets(parts):
            markets = sum(part.stream == total.stream for part in parts)
            place = f" in {markets}" if markets < len(symbols) else ""
            changes.append(change_phrase(total) + place)
        did, names = join_list(shorten_list(changes)), join_list(shorten_list(symbols))
        said = f"Weak signs together in {len(symbols)} markets"
        if incident.status == "resolved":
            return f"{said} ({names}): {did}, are {self._over(incident)}"
        return f"{said} {self._since(f)} ({self._rarity(f.p)}): {did}, on {names}"

    def _silence(self, incident: Incident) -> str:
        """A topic partition without records; `observed` and `expected` are seconds."""
        f = incident.finding
        where = f"{self._topics[SILENCE_FEATURES[f.stream]]}, partition {f.partition}"
        lasted = format_duration(f.observed)
        if incident.status == "resolved":
            return f"Records again in topic {where}, after {lasted} of silence"
        return (
            f"No record in topic {where} for {lasted}, where the longest silence was "
            f"{format_duration(f.expected)}; the last came at {self._clock(f.since)} UTC"
        )

    def _price_doubt(self, incident: Incident) -> str:
        """A price that a rule did not believe, and what is used in its place."""
        f = incident.finding
        offered, kept, limit = (float(f.facts[name] or 0) for name in ("offered", "kept", "limit"))
        source, agree, against = (f.facts[name] for name in ("source", "agree", "against"))
        away = f"{format_number(abs(offered / kept - 1) * 1e4)} bps" if kept else ""
        price, usual = format_number(offered), format_number(kept)
        if f.detector == "stale_source":
            head = f"Index source {source} of {f.symbol} is stale"
            old, most = format_duration(offered), format_duration(limit)
            numbers = f"{old} old, limit {most}; {agree} other sources are fresh"
        elif f.detector == "outlying_source":
            head = f"Index source {source} of {f.symbol} is off by {away}"
            numbers = f"{price} against {usual}, the median of {agree} that agree"
        else:
            stays = f"stays at {usual}" if kept else "is not known"
            head = f"{'Mark' if f.detector == 'outlying_mark' else 'Index'} of {f.symbol} {stays}"
            numbers = f"{price} was offered{f', {away} away' if kept else ''}; "
            numbers += f"{agree} other inputs agree, {against} do not"
        if incident.status == "resolved":
            return f"{head} ({numbers}): over, quiet for {self._quiet(incident)}"
        return f"{head} ({numbers}), {self._since(f)}"

    def _seconds(self, windows: int) -> float:
        return windows * self._window_ns / SECOND_NS

    def _clock(self, window: int) -> str:
        return clock(window * self._window_ns)

    def _since(self, f: Finding) -> str:
        return f"since {self._clock(f.since)} UTC"

    def _quiet(self, incident: Incident) -> str:
        return format_duration(self._seconds(incident.window - incident.last_window))

    def _over(self, incident: Incident) -> str:
        return f"over: quiet for {self._quiet(incident)}"

    def _rarity(self, p: float) -> str:
        return rarity(self.days_between(p))


def _rates(evidence: Finding | FindingPart, seconds: float, unit: str = "") -> str:
    """Observed against expected, a second."""
    observed, expected = evidence.observed / seconds, evidence.expected / seconds
    per_second = f"a second {unit}" if unit else "a second"
    return f"{format_number(observed)} {per_second} against {format_number(expected)}"
