"""One sentence for an incident of any kind, and the phrases of which it is made."""

from __future__ import annotations

from monitor.core.alerts import formatting as fmt
from monitor.core.alerts.incidents import Incident
from monitor.core.contract.feature_catalogue import (
    CRITICAL_FEATURES,
    DOUBTED_PRICES,
    FEATURES,
    LOG_FEATURES,
    MARKET_SILENCE,
    QUALITY_FEATURES,
    REPEAT_FEATURES,
    SILENCE_FEATURES,
    STREAM_OUT,
    TIME_FEATURES,
)
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.finding import ACCOUNT_BURST, JOINT, P_MIN, Finding, FindingPart
from monitor.core.settings import EngineSettings

DRIFT_DETECTORS = ("drift",)
"""Detectors whose evidence is a slow change, not a sudden one."""
MANY_MARKETS = 3
"""From so many markets on, a sentence about joint evidence sums each stream over the markets."""

RATIO_MAX = 1000.0
"""A larger ratio only says that next to nothing was expected, so no sentence gives it."""
NEAR_USUAL = 0.05
"""So near to 1 a ratio says nothing of what is out of the ordinary."""
FRACTIONS = {
    2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 7: "a seventh",
    8: "an eighth", 9: "a ninth", 10: "a tenth",
}  # fmt: skip
"""Fractions in words, by denominator."""
FULL_BOOK = 0.995
"""A larger share of a book counts as all of it in a sentence."""
COUNT_NAMES = ("no", "one", "two", "three", "four", "five")
ACCOUNT_NOUNS = {
    "orders": "orders", "cancels": "cancels", "fills": "fills", "leverage": "leverage changes",
    "notional": "amount",
}  # fmt: skip
"""The noun for what an account is counted by (`FeatureSpec.account_count`)."""


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
        if f.stream == STREAM_OUT:
            return self._stream_out(f)
        if f.stream in SILENCE_FEATURES:
            return self._silence(incident)
        if f.stream == MARKET_SILENCE:
            return self._market_silence(incident)
        if f.stream in REPEAT_FEATURES:
            return self._repeats(incident)
        if f.stream in QUALITY_FEATURES:
            return self._market_quality(incident)
        if f.stream in CRITICAL_FEATURES:
            return self._critical_shock(incident)
        if f.stream in TIME_FEATURES:
            return self._time_rule(incident)
        if f.stream in LOG_FEATURES:
            return self._log_change(incident)
        if len(f.all_parts) == 1:
            return self._one_stream(incident)
        joint = all(part.detector == JOINT for part in f.parts)
        if joint and len(incident.symbols) >= MANY_MARKETS:
            return self._many_markets(incident)
        return self._several_streams(incident)

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
        noun = fmt.capitalize(noun_phrase(f))
        seconds = self._seconds(f.windows)
        place = f"for {fmt.format_duration(seconds)} on {f.symbol or 'the whole venue'}"
        unit = "in quote currency" if spec.unit == "quote currency" else spec.unit
        observed, expected = fmt.format_number(f.observed), fmt.format_number(f.expected)
        if f.detector in DRIFT_DETECTORS:
            way = "up" if f.observed >= f.expected else "down"
            verb = "have" if spec.is_plural else "has"
            return f"{noun} {verb} drifted {way} {place}", f"{observed} {unit} against {expected}"
        if spec.is_additive:
            numbers = _rates(f, seconds, unit if spec.form == "amount" else "")
            return f"{noun}{_size_phrase(f)} {place}", f"{numbers} expected"
        if spec.form == "share":
            observed, expected = (fmt.format_number(100 * n) for n in (f.observed, f.expected))
            return f"{noun} at {observed} % {place}", f"{expected} % expected"
        if spec.form == "signed":
            return f"{noun} at {observed} {place}", f"{expected} expected, {unit}"
        return f"{noun}{_size_phrase(f)} {place}", f"{observed} against {expected} {unit}"

    def _account_burst(self, f: Finding) -> tuple[str, str]:
        """As `_change`, for a few accounts beside their own habits."""
        seconds, several = self._seconds(f.windows), len(f.accounts) != 1
        what = f"{fmt.capitalize(FEATURES[f.stream].noun)} of {count_name(len(f.accounts))} account"
        head = f"{what}{'s' if several else ''}{ratio_phrase(f.ratio)}"
        numbers = f"{_rates(f, seconds)} by {'their' if several else 'its'} own habits"
        return f"{head} for {fmt.format_duration(seconds)} on {f.symbol}", numbers

    def _several_streams(self, incident: Incident) -> str:
        """The leading stream with its numbers, then what the others did, and where together."""
        f, symbols, parts = incident.finding, incident.symbols, incident.finding.parts
        first = parts[0]
        changes = [change_phrase(part) for part in parts]
        seconds = self._seconds(incident.last_window + 1 - first.since)
        rates = f"{_rates(first, seconds)}, " if FEATURES[first.stream].is_additive else ""
        changes[0] += f" for {fmt.format_duration(seconds)} ({rates}{self._rarity(first.p)})"
        if len(symbols) > 1:
            changes = [f"{c} in {p.symbol}" for c, p in zip(changes, parts, strict=True)]
        did = fmt.capitalize(fmt.join_list(fmt.shorten_list(changes)))
        said = f"{did}, together on {fmt.join_list(symbols)}"
        if incident.status == "resolved":
            return f"{said}, are {self._over(incident)}"
        said = f"{said} {self._since(f)}"
        count = FEATURES[f.accounts_of or f.stream].account_count
        if count is None or not f.accounts:
            return said
        if (f.accounts_by or f.detector) == ACCOUNT_BURST:
            return f"{said}; beside their own habits stand out {accounts_list(f.accounts)}"
        return f"{said}; {accounts_phrase(f.accounts, f'the {ACCOUNT_NOUNS[count]}')}"

    def _many_markets(self, incident: Incident) -> str:
        """Weak evidence in many markets: what each stream did over all of them."""
        f, symbols = incident.finding, incident.symbols
        changes = []
        for total in merge_markets(f.parts):
            markets = sum(part.stream == total.stream for part in f.parts)
            place = f" in {markets}" if markets < len(symbols) else ""
            changes.append(change_phrase(total) + place)
        did, names = (fmt.join_list(fmt.shorten_list(names)) for names in (changes, symbols))
        said = f"Weak signs together in {len(symbols)} markets"
        if incident.status == "resolved":
            return f"{said} ({names}): {did}, are {self._over(incident)}"
        return f"{said} {self._since(f)} ({self._rarity(f.p)}): {did}, on {names}"

    def _silence(self, incident: Incident) -> str:
        """A topic partition without records; `observed` and `expected` are seconds."""
        f = incident.finding
        where = f"{self._topics[SILENCE_FEATURES[f.stream]]}, partition {f.partition}"
        lasted = fmt.format_duration(f.observed)
        if incident.status == "resolved":
            return f"Records again in topic {where}, after {lasted} of silence"
        return (
            f"No record in topic {where} for {lasted}, where silences of over "
            f"{fmt.format_duration(f.expected)} are rare; the last came at "
            f"{self._clock(f.since)} UTC"
        )

    def _market_silence(self, incident: Incident) -> str:
        """Markets without records while others go on; `observed` and `expected` are seconds."""
        f, resolved = incident.finding, incident.status == "resolved"
        count, lasted = int(f.facts["markets"] or 1), fmt.format_duration(f.observed)
        names = f.symbol
        if count > 1:
            named = f.symbols[: fmt.LIST_MAX - 1]
            more = [f"{count - len(named)} more"] if count > len(named) else []
            names = f"{count} markets ({', '.join([*named, *more])})"
        if f.facts["is_gone"]:
            verb = "are" if count > 1 else "is"
            return f"{fmt.capitalize(names)}: silent for {lasted}, {verb} no longer waited for"
        kinds = [f"{kind}s" for kind in str(f.facts["kinds"]).split(",")]
        if resolved:
            return f"Records of {names} again, after {lasted} without {fmt.join_list(kinds)}"
        usual = fmt.format_duration(f.expected)
        rare = f", where silences of over {usual} are rare" if count == 1 else ""
        return (
            f"No {fmt.join_list(kinds)} of {names} for {lasted} while other markets go on{rare}; "
            f"the last came at {self._clock(f.since)} UTC"
        )

    def _repeats(self, incident: Incident) -> str:
        """A topic partition that brings records again; they count once."""
        f = incident.finding
        where = f"{self._topics[REPEAT_FEATURES[f.stream]]}, partition {f.partition}"
        repeats, records = (int(f.facts[name] or 0) for name in ("repeats", "records"))
        many = f"{repeats:,} of {records:,} records"
        if incident.status == "resolved":
            return f"No more repeats in topic {where}: {many} were, {self._since(f)}"
        return f"{many} in topic {where} repeat others, {self._since(f)}; each counts once"

    def _stream_out(self, f: Finding) -> str:
        """A stream that is not judged any more, and what to do about it."""
        of = f" of {f.symbol}" if f.symbol else ""
        return (
            f"Stream {f.facts['stream']}{of} is out and no longer watched, {self._since(f)}: its "
            f"detector {f.detector} {_out_phrase(str(f.facts['why']))}. All else goes on. Mend the "
            "detector or take the stream out of the configuration; it stays out until a start "
            "without the snapshot"
        )

    def _market_quality(self, incident: Incident) -> str:
        """A book that is crossed or locked, a feed that has stopped, a mark off its market."""
        f, resolved = incident.finding, incident.status == "resolved"
        lasted = fmt.format_duration(float(f.facts["lasted_s"] or 0))
        if f.stream == "unsound_book":
            if resolved:
                return f"Book of {f.symbol} is sound again, after {lasted}"
            by = f"crossed by {fmt.format_number(f.observed)} bps" if f.observed else "locked"
            return f"Book of {f.symbol} is {by}, {self._since(f)}: it is not measured"
        prices = "Mark and index" if f.facts["with_index"] else "Mark"
        if f.stream == "mark_off_market":
            market = f.facts["witnesses"]
            if resolved:
                return f"{prices} of {f.symbol} near its {market} again, after {lasted}"
            way = "above" if f.observed > 0 else "below"
            limit = fmt.format_number(float(f.facts["limit_pct"] or 0))
            gap = fmt.format_number(abs(f.observed))
            still = f.facts["unchanged_s"]
            stands = f"; unchanged for {fmt.format_duration(float(still))}" if still else ""
            return (
                f"{prices} of {f.symbol} {gap} % {way} its {market} "
                f"(limit {limit} %{stands}), {self._since(f)}"
            )
        age, usual = fmt.format_duration(f.observed), fmt.format_duration(f.expected)
        if f.stream == "frozen_book":
            if resolved:
                return f"Book of {f.symbol} changes again, after {lasted}"
            return (
                f"Book of {f.symbol} repeats itself for {age} while trades go on, where {usual} is "
                f"usual, {self._since(f)}: it is not measured"
            )
        feed = {"stale_book": "Book", "stale_index": "Index"}.get(f.stream, prices)
        if resolved:
            return f"{feed} of {f.symbol} updated again, after {lasted}"
        others = "trades or marks" if f.stream == "stale_book" else "book or trades"
        return (
            f"{feed} of {f.symbol} not updated for {age} while {others} go on, "
            f"where {usual} is usual; the last came at {self._clock(f.since)} UTC"
        )

    def _critical_shock(self, incident: Incident) -> str:
        """A cascade that an hour's move may set off: its size beside the book, and through whom."""
        f = incident.finding
        if incident.status == "resolved":
            lasted = fmt.format_duration(float(f.facts["lasted_s"] or 0))
            way = "fall" if f.stream == CRITICAL_FEATURES[0] else "rise"
            return (
                f"No {way} of {f.symbol} within an hour's move sets off a cascade, after {lasted}"
            )
        shock, chance, survives, share = (
            float(f.facts[name] or 0) for name in ("shock", "chance", "survives", "cross_share")
        )
        count, also, more = (f.facts[name] for name in ("cross_accounts", "also", "also_more"))
        thin = f" at {fmt.format_percent(survives)} of today's" if survives < FULL_BOOK else ""
        likely = f"{fmt.format_percent(chance)} likely within the hour"
        said = (
            f"{f.symbol} {fmt.format_move(shock)} ({likely}) would force "
            f"{fmt.format_amount(f.observed)}, {fmt.format_number(f.ratio or 0)} times what the "
            f"book takes{thin}"
        )
        if not count:
            return f"{said}; none of it through accounts that hold other markets"
        accounts = "one cross account" if count == 1 else f"{count:,} cross accounts"
        beside = f"{also} and {more} more" if more else also
        verb = "holds" if count == 1 else "hold"
        part = fmt.format_percent(share)
        return f"{said}; {part} of it through {accounts} that also {verb} {beside}"

    def _time_rule(self, incident: Incident) -> str:
        """A record whose time nothing bears out, many late records, or a delay that has flipped."""
        f, over = incident.finding, incident.status == "resolved"
        kind, rule = TIME_FEATURES[f.stream]
        where = f"topic {self._topics[kind]}, partition {f.partition}"
        if rule == "time_jump":
            ahead = f"+{fmt.format_number(float(f.facts['ahead_s'] or 0))} s"
            what = f"Offset {f.facts['offset']} of {where} claims a time {ahead} ahead of its log"
            rest = f"over: quiet for {self._quiet(incident)}" if over else "it is refused"
            return f"{what}, which nothing bears out: {rest}"
        observed, expected = (int(f.facts[name] or 0) for name in ("observed", "expected"))
        if rule == "late_share":
            share = fmt.format_percent(observed / max(1, expected))
            rest = "few again" if over else "they do not count in their windows"
            return f"{share} of the last records in {where} came too late: {rest}"
        mean, usual = (fmt.format_number(n / MILLISECOND_NS) for n in (observed, expected))
        rest = "back to what is usual" if over else f"{self._since(f)}"
        return f"Records in {where} come {mean} ms late in the mean, usual {usual} ms: {rest}"

    def _log_change(self, incident: Incident) -> str:
        """Records of a topic partition are missing: its log was made anew, or cut."""
        f = incident.finding
        names = "missing_from", "offset", "log_offset"
        missing, offset, log_offset = (int(f.facts[name] or 0) for name in names)
        where = f"topic {self._topics[LOG_FEATURES[f.stream]]}, partition {f.partition}"
        if f.detector == "new_log":
            said = (
                f"{fmt.capitalize(where)} was made anew: what followed offset {missing - 1:,} of "
                f"the old log is missing, and offset {log_offset:,} of the new one counts as "
                f"{offset:,}"
            )
        else:
            said = f"Records {missing:,} to {offset - 1:,} of {where} are missing: the log was cut"
        if incident.status == "resolved":
            return f"{said}; read on since, quiet for {self._quiet(incident)}"
        return f"{said}; what was learnt before goes on"

    def _price_doubt(self, incident: Incident) -> str:
        """A price that a rule did not believe, and what is used in its place."""
        f = incident.finding
        offered, kept, limit = (float(f.facts[name] or 0) for name in ("offered", "kept", "limit"))
        source, agree, against = (f.facts[name] for name in ("source", "agree", "against"))
        away = f"{fmt.format_number(abs(offered / kept - 1) * 1e4)} bps" if kept else ""
        price, usual = fmt.format_price(offered), fmt.format_price(kept)
        if f.detector == "stale_source":
            head = f"Index source {source} of {f.symbol} is stale"
            old, most = fmt.format_duration(offered), fmt.format_duration(limit)
            numbers = f"{old} old, limit {most}; {agree} other sources are fresh"
        elif f.detector == "frozen_source":
            head = f"Index source {source} of {f.symbol} stands still"
            numbers = f"at {price} for {fmt.format_duration(limit)}, {away} from {usual}, "
            numbers += f"the median of {agree} that move"
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
        return fmt.clock(window * self._window_ns)

    def _since(self, f: Finding) -> str:
        return f"since {self._clock(f.since)} UTC"

    def _quiet(self, incident: Incident) -> str:
        return fmt.format_duration(self._seconds(incident.window - incident.last_window))

    def _over(self, incident: Incident) -> str:
        return f"over: quiet for {self._quiet(incident)}"

    def _rarity(self, p: float) -> str:
        return fmt.rarity(self.days_between(p))


def _out_phrase(why: str) -> str:
    """A reason as the rest of a sentence about the detector."""
    return why if why.startswith("raised ") else f"cannot go on ({why})"


def _rates(evidence: Finding | FindingPart, seconds: float, unit: str = "") -> str:
    """Observed against expected, a second."""
    observed, expected = evidence.observed / seconds, evidence.expected / seconds
    per_second = f"a second {unit}" if unit else "a second"
    return f"{fmt.format_number(observed)} {per_second} against {fmt.format_number(expected)}"


def ratio_phrase(ratio: float | None) -> str:
    """A ratio in words, with a space before it; empty where there is none, or from `RATIO_MAX`.

    >>> ratio_phrase(4.1), ratio_phrase(0.2), ratio_phrase(0.04), ratio_phrase(None)
    (' ×4.1', ' at a fifth of usual', ' at 4 % of usual', '')
    """
    if ratio is None or ratio >= RATIO_MAX:
        return ""
    if ratio >= 1.0 or ratio < 0:
        return f" ×{fmt.format_number(ratio)}"
    nearest = round(1.0 / ratio) if ratio > 0 else 0
    if nearest in FRACTIONS and abs(ratio * nearest - 1.0) < 0.1:
        return f" at {FRACTIONS[nearest]} of usual"
    return f" at {fmt.format_number(100 * ratio)} % of usual"


def _size_phrase(f: Finding) -> str:
    """As `ratio_phrase`; a detector may find a number odd that is near the usual one."""
    if f.ratio is not None and abs(f.ratio - 1.0) < NEAR_USUAL:
        return " out of the ordinary"
    return ratio_phrase(f.ratio)


def noun_phrase(evidence: Finding | FindingPart) -> str:
    """What a stream watches; of depth near the mid, how far the book lets one see.

    >>> noun_phrase(FindingPart("X", "depth_25bps", "level", 0, 2e4, 1e5, 1e-6, 1.0, 2.3))
    'depth of both sides within 2.3 bps (all that the book shows)'
    """
    spec = FEATURES[evidence.stream]
    if spec.within_bps is None or evidence.reach_bps is None:
        return spec.noun
    shown = f"within {fmt.format_number(evidence.reach_bps)} bps (all that the book shows)"
    return spec.noun.replace(f"within {spec.within_bps} bps", shown)


def change_phrase(part: FindingPart) -> str:
    """What a stream did, without its rates.

    >>> change_phrase(FindingPart("X", "cancels", "burst", 0, 984.0, 240.0, 1e-6, 0.5))
    'cancels ×4.1'
    >>> change_phrase(FindingPart("X", "depth_25bps", "joint", 0, 2e4, 1e5, 1e-6, 0.5))
    'depth of both sides within 25 bps at a fifth of usual'
    >>> change_phrase(FindingPart("X", "open_interest", "joint", 0, 5.0, 0.0, 1e-6, 0.5))
    'open interest at 5 where none is usual'
    """
    spec = FEATURES[part.stream]
    noun = noun_phrase(part)
    if part.by_account:
        return f"{noun} of few accounts{ratio_phrase(part.ratio)} beside their own habits"
    scale, percent = (100, " %") if spec.form == "share" else (1, "")
    numbers = scale * part.observed, scale * part.expected
    observed, expected = (fmt.format_number(number) + percent for number in numbers)
    if spec.form in ("signed", "share"):
        return f"{noun} at {observed} where {expected} is usual"
    return noun + (ratio_phrase(part.ratio) or f" at {observed} where none is usual")


def merge_markets(parts: list[FindingPart]) -> list[FindingPart]:
    """One part for each stream over all its markets, the highest share first.

    Counts and amounts are summed; of levels and shares it is the mean.
    """
    by_stream: dict[str, list[FindingPart]] = {}
    for part in parts:
        by_stream.setdefault(part.stream, []).append(part)
    merged = []
    for stream, here in by_stream.items():
        divisor = 1 if FEATURES[stream].is_additive else len(here)
        observed = sum(part.observed for part in here) / divisor
        expected = sum(part.expected for part in here) / divisor
        since, share = min(part.since for part in here), sum(part.share for part in here)
        least = min(part.p for part in here)
        numbers = observed, expected, least, share
        reach = max((r for part in here if (r := part.reach_bps) is not None), default=None)
        merged.append(FindingPart("", stream, JOINT, since, *numbers, reach))
    return sorted(merged, key=lambda part: (-part.share, part.stream))


def count_name(count: int) -> str:
    """A small count in words."""
    return COUNT_NAMES[count] if count < len(COUNT_NAMES) else str(count)


def accounts_list(accounts: list[tuple[str, float]]) -> str:
    """Accounts with their shares: `a-5 75 %, a-8 25 %`."""
    return ", ".join(f"{name} {fmt.format_percent(share)}" for name, share in accounts)


def accounts_phrase(accounts: list[tuple[str, float]], what: str = "them") -> str:
    """The fewest accounts that have half of `what`, or all those named, with their shares."""
    if not accounts or accounts[0][1] < 0.05:
        return "spread over many accounts"
    count, total = 0, 0.0
    while count < len(accounts) and total < 0.5:
        total += accounts[count][1]
        count += 1
    part = f"{fmt.format_percent(total)} of {what}"
    if count == 1:
        return f"one account makes {part} ({accounts[0][0]})"
    return f"{count_name(count)} accounts make {part} ({accounts_list(accounts[:count])})"
