"""One sentence for an incident of any kind, and the phrases of which it is made.

A sentence says what happened, by how much beside what is usual, how rarely, since when, through
whom, and what it puts at stake. What alarms most comes first; what does not fit into
`SENTENCE_MAX` is left out from the end of that list, and stands in the alert's fields.
"""

from __future__ import annotations

from monitor.core.alerts import formatting as fmt
from monitor.core.alerts.harm import reasons, windows_between
from monitor.core.alerts.incidents import Incident
from monitor.core.alerts.severity import shock_at_stake
from monitor.core.contract.alert import Stake
from monitor.core.contract.feature_catalogue import (
    CRITICAL_FEATURES,
    DOUBTED_PRICES,
    DRIFT_FEATURES,
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
from monitor.core.finding import ACCOUNT_BURST, JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings

USUAL_DAYS = 3
"""Fewer past days say little of what is usual for an hour of the day."""
MANY_MARKETS = 3
"""From so many markets on, a sentence about joint evidence sums each stream over the markets."""

SENTENCE_MAX = 200
"""Characters of a sentence at most: two lines of a terminal, one message on a telephone."""
RATIO_MAX = 1000.0
"""A larger ratio only says that next to nothing was expected, so no sentence gives it."""
NEXT_TO_NOTHING = 1e-4
"""So small a part of what was observed counts as nothing in a sentence."""
NEAR_USUAL = 0.05
"""So near to 1 a ratio says nothing of what is out of the ordinary."""
FRACTIONS = {
    2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 7: "a seventh",
    8: "an eighth", 9: "a ninth", 10: "a tenth",
}  # fmt: skip
"""Fractions in words, by denominator."""
FULL_BOOK = 0.995
"""A larger share of a book counts as all of it in a sentence."""
NAMED_SHARE = 0.05
"""An account with less is one of many."""
VENUE = "the whole venue"
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

    def days_between(self, evidence: Finding | FindingPart) -> float:
        """Once in how many days chance alone makes as much (`harm.windows_between`)."""
        return windows_between(evidence) / self._windows_per_day

    def sentence(self, incident: Incident, stake: Stake | None = None) -> str:
        """What happened, by how much, how rarely, since when, through whom, and what is at stake in
        its market (`stake`; None: not known)."""
        said = self._whole_sentence(incident, stake)
        return said if len(said) <= SENTENCE_MAX else f"{said[: SENTENCE_MAX - 1]}…"

    def _whole_sentence(self, incident: Incident, stake: Stake | None) -> str:
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
        if f.stream in DRIFT_FEATURES:
            return self._drift(incident)
        if f.stream in TIME_FEATURES:
            return self._time_rule(incident)
        if f.stream in LOG_FEATURES:
            return self._log_change(incident)
        parts = reasons(f)
        markets = list(dict.fromkeys(part.symbol for part in parts))
        if len(markets) >= MANY_MARKETS and all(part.detector == JOINT for part in parts):
            return self._many_markets(incident, parts, markets)
        return self._streams(incident, parts, stake)

    def _streams(self, incident: Incident, parts: list[FindingPart], stake: Stake | None) -> str:
        """The leading stream with its numbers, then what the others did."""
        f, first = incident.finding, parts[0]
        said = self._lead(f, first)
        several = len({part.symbol for part in parts}) > 1
        others = [
            change_phrase(part) + (f" in {fmt.short_name(part.symbol)}" if several else "")
            for part in parts[1:]
        ]
        if incident.status == "resolved":
            return fit(said, [_and_others(others)], end=f"; {self._over(incident)}")
        # In the order of the sentence; what is at stake is the last that it goes without.
        clauses = [_and_others(others), [f", {self._since(f)}"], _who(f, first), _at_stake(stake)]
        return fit(said, clauses, order=(1, 3, 2, 0))

    def _lead(self, f: Finding, part: FindingPart) -> str:
        """What changed, by how much, for how long and where, beside what is usual; how rarely."""
        spec = FEATURES[part.stream]
        seconds = self._seconds(part.windows)
        # An event takes no time of its own.
        lasts = "" if spec.is_event else f" for {fmt.format_duration(seconds)}"
        place = f"{lasts} on {fmt.short_name(part.symbol) or VENUE}"
        rarity = self._rarity(f)
        is_near = part.ratio is not None and abs(part.ratio - 1.0) < NEAR_USUAL
        ratio = "" if is_near else ratio_phrase(part.ratio)
        observed, usual = level_phrases(part, seconds)
        if part.by_account:
            several = len(f.accounts) != 1
            noun = f"{spec.noun} of {count_name(len(f.accounts))} account{'s' if several else ''}"
            usual += f" by {'their' if several else 'its'} own habits"
        else:
            noun = noun_phrase(part)
        noun = fmt.capitalize(noun)
        if spec.is_factor:
            return f"{noun} ×{fmt.format_number(part.observed)}{place} ({rarity})"
        if not ratio or spec.form in ("share", "signed"):
            return f"{noun} at {observed}{place} (usual {usual}; {rarity})"
        return f"{noun}{ratio}{place} ({observed}, usual {usual}; {rarity})"

    def _many_markets(
        self, incident: Incident, parts: list[FindingPart], markets: list[str]
    ) -> str:
        """Weak evidence in many markets: what each stream did over all of them."""
        f = incident.finding
        changes = []
        for total in merge_markets(parts):
            count = sum(part.stream == total.stream for part in parts)
            place = f" in {count}" if count < len(markets) else ""
            changes.append(change_phrase(total) + place)
        names = fmt.join_list(fmt.shorten_list([fmt.short_name(name) for name in markets]))
        seconds = self._seconds(max(part.windows for part in parts))
        said = (
            f"{fmt.capitalize(fmt.join_list(fmt.shorten_list(changes)))} for "
            f"{fmt.format_duration(seconds)} in {len(markets)} markets together "
            f"({self._rarity(f)})"
        )
        if incident.status == "resolved":
            return f"{said}; {self._over(incident)}"
        return fit(f"{said}, {self._since(f)}", [[f": {names}", ""]])

    def _silence(self, incident: Incident) -> str:
        """A topic partition without records; `observed` and `expected` are seconds."""
        f = incident.finding
        where = f"{self._topics[SILENCE_FEATURES[f.stream]]}, partition {f.partition}"
        lasted = fmt.format_duration(f.observed)
        if incident.status == "resolved":
            return f"Records again in topic {where}, after {lasted} of silence"
        return (
            f"No record in topic {where} for {lasted}, usual up to "
            f"{fmt.format_duration(f.expected)}; the last came at {self._clock(f.since)} UTC"
        )

    def _market_silence(self, incident: Incident) -> str:
        """Markets without records while others go on; `observed` and `expected` are seconds."""
        f, resolved = incident.finding, incident.status == "resolved"
        count, lasted = int(f.facts["markets"] or 1), fmt.format_duration(f.observed)
        names = fmt.short_name(f.symbol)
        if count > 1:
            named = [fmt.short_name(name) for name in f.symbols[: fmt.LIST_MAX - 1]]
            more = [f"{count - len(named)} more"] if count > len(named) else []
            names = f"{count} markets ({', '.join([*named, *more])})"
        if f.facts["is_gone"]:
            verb = "are" if count > 1 else "is"
            return f"{fmt.capitalize(names)}: silent for {lasted}, {verb} no longer waited for"
        kinds = [f"{kind}s" for kind in str(f.facts["kinds"]).split(",")]
        if resolved:
            return f"Records of {names} again, after {lasted} without {fmt.join_list(kinds)}"
        usual = fmt.format_duration(f.expected)
        beside = f", usual up to {usual}," if count == 1 else ""
        return (
            f"No {fmt.join_list(kinds)} of {names} for {lasted}{beside} while other markets go on; "
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
        of = f" of {fmt.short_name(f.symbol)}" if f.symbol else ""
        return (
            f"Stream {f.facts['stream']}{of} is out and no longer watched, {self._since(f)}: its "
            f"detector {f.detector} {_out_phrase(str(f.facts['why']))}; all else goes on"
        )

    def _market_quality(self, incident: Incident) -> str:
        """A book that is crossed or locked, a feed that has stopped, a mark off its market."""
        f, resolved = incident.finding, incident.status == "resolved"
        lasted, symbol = (
            fmt.format_duration(float(f.facts["lasted_s"] or 0)),
            fmt.short_name(f.symbol),
        )
        if f.stream == "unsound_book":
            if resolved:
                return f"Book of {symbol} is sound again, after {lasted}"
            by = f"crossed by {fmt.format_number(f.observed)} bps" if f.observed else "locked"
            return f"Book of {symbol} is {by}, {self._since(f)}: it is not measured"
        prices = "Mark and index" if f.facts["with_index"] else "Mark"
        if f.stream == "mark_off_market":
            market = f.facts["witnesses"]
            if resolved:
                return f"{prices} of {symbol} near its {market} again, after {lasted}"
            way = "above" if f.observed > 0 else "below"
            limit = fmt.format_number(float(f.facts["limit_pct"] or 0))
            gap = fmt.format_number(abs(f.observed))
            still = f.facts["unchanged_s"]
            stands = f"; unchanged for {fmt.format_duration(float(still))}" if still else ""
            return (
                f"{prices} of {symbol} {gap} % {way} its {market} "
                f"(limit {limit} %{stands}), {self._since(f)}"
            )
        age, usual = fmt.format_duration(f.observed), fmt.format_duration(f.expected)
        if f.stream == "frozen_book":
            if resolved:
                return f"Book of {symbol} changes again, after {lasted}"
            return (
                f"Book of {symbol} repeats itself for {age}, usual {usual}, while trades go on, "
                f"{self._since(f)}: it is not measured"
            )
        feed = {"stale_book": "Book", "stale_index": "Index"}.get(f.stream, prices)
        if resolved:
            return f"{feed} of {symbol} updated again, after {lasted}"
        others = "trades or marks" if f.stream == "stale_book" else "book or trades"
        return (
            f"{feed} of {symbol} not updated for {age}, usual {usual}, while {others} go on; the "
            f"last came at {self._clock(f.since)} UTC"
        )

    def _drift(self, incident: Incident) -> str:
        """A number that stays off its usual for hours."""
        f = incident.finding
        spec, days = FEATURES[f.stream], int(f.facts["days"] or 0)
        usual = "usual for this hour" if days >= USUAL_DAYS else "usual of the last hours"
        observed, expected = level_phrases(f.own_part, 1.0)
        what = fmt.capitalize(f"{fmt.short_name(f.symbol)} {spec.noun}")
        if incident.status == "resolved":
            lasted = fmt.format_duration(float(f.facts["lasted_s"] or 0))
            if f.facts["end"] == "gone":
                return f"{what} drifted for {lasted}, and its number does not come any more"
            if f.facts["end"] == "usual":
                return f"{what} at {observed} for {lasted}: from now on that is its usual"
            return f"{what} is back at its {usual} ({expected}), after {lasted}"
        size, evidence = f"{observed}, {usual} {expected},", self._rarity(f)
        if spec.form == "level" and f.expected > 0:
            way = "above" if f.observed > f.expected else "below"
            percent = fmt.format_number(round(100 * abs(f.observed / f.expected - 1)))
            size = f"{percent} % {way} its {usual}"
            evidence = f"{observed}, usual {expected}; {evidence}"
        since = fmt.clock(f.since * self._window_ns)[:5]
        return f"{what} drifts: {size} since {since} UTC ({evidence})"

    def _critical_shock(self, incident: Incident) -> str:
        """A cascade that an hour's move may set off: its size beside the book, and through whom."""
        f, symbol = incident.finding, fmt.short_name(incident.finding.symbol)
        if incident.status == "resolved":
            lasted = fmt.format_duration(float(f.facts["lasted_s"] or 0))
            way = "fall" if f.stream == CRITICAL_FEATURES[0] else "rise"
            return f"No {way} of {symbol} within an hour's move sets off a cascade, after {lasted}"
        shock, chance, survives, share = (
            float(f.facts[name] or 0) for name in ("shock", "chance", "survives", "cross_share")
        )
        count, also, more = (f.facts[name] for name in ("cross_accounts", "also", "also_more"))
        thin = f" at {fmt.format_percent(survives)} of today's" if survives < FULL_BOOK else ""
        likely = f"{fmt.format_percent(chance)} likely within the hour"
        said = (
            f"{symbol} {fmt.format_move(shock)} ({likely}) would force "
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
        symbol = fmt.short_name(f.symbol)
        source, agree, against = (f.facts[name] for name in ("source", "agree", "against"))
        away = f"{fmt.format_number(abs(offered / kept - 1) * 1e4)} bps" if kept else ""
        price, usual = fmt.format_price(offered), fmt.format_price(kept)
        if f.detector == "stale_source":
            head = f"Index source {source} of {symbol} is stale"
            old, most = fmt.format_duration(offered), fmt.format_duration(limit)
            numbers = f"{old} old, limit {most}; {agree} other sources are fresh"
        elif f.detector == "frozen_source":
            head = f"Index source {source} of {symbol} stands still"
            numbers = f"at {price} for {fmt.format_duration(limit)}, {away} from {usual}, "
            numbers += f"the median of {agree} that move"
        elif f.detector == "outlying_source":
            head = f"Index source {source} of {symbol} is off by {away}"
            numbers = f"{price} against {usual}, the median of {agree} that agree"
        else:
            stays = f"stays at {usual}" if kept else "is not known"
            head = f"{'Mark' if f.detector == 'outlying_mark' else 'Index'} of {symbol} {stays}"
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

    def _rarity(self, evidence: Finding | FindingPart) -> str:
        seen = evidence.seen / self._windows_per_day
        return fmt.rarity(self.days_between(evidence), seen or None)


def _out_phrase(why: str) -> str:
    """A reason as the rest of a sentence about the detector."""
    return why if why.startswith("raised ") else f"cannot go on ({why})"


def fit(
    said: str, clauses: list[list[str]], end: str = "", order: tuple[int, ...] | None = None
) -> str:
    """A sentence of `said`, of one variant of each clause, and of `end`, within `SENTENCE_MAX`.

    Variants stand the longest first; none stands for "". From its shortest on, each clause is made
    longer in turn, by `order`.
    """
    chosen = [variants[-1] if variants else "" for variants in clauses]
    for step in range(1, 1 + max(map(len, clauses))):
        for i in order or range(len(clauses)):
            for variant in clauses[i][-step:][:1]:
                whole = said + "".join([*chosen[:i], variant, *chosen[i + 1 :]]) + end
                if len(whole) <= SENTENCE_MAX:
                    chosen[i] = variant
    return said + "".join(chosen) + end


def level_phrases(part: FindingPart, seconds: float) -> tuple[str, str]:
    """Observed, with its unit, and usual: rates of what adds up, money in short, shares in percent.

    >>> level_phrases(FindingPart("X", "cancels", "burst", 0, 984.0, 240.0, 1e-6, 0.5), 12)
    ('82 a second', '20')
    """
    spec, is_money = FEATURES[part.stream], FEATURES[part.stream].unit == "quote currency"
    scale = 1.0 / seconds if spec.is_additive else 100.0 if spec.form == "share" else 1.0
    write = fmt.format_amount if is_money else fmt.format_number
    is_nothing = abs(part.expected) < NEXT_TO_NOTHING * abs(part.observed)
    observed = write(part.observed * scale)
    usual = "0" if is_nothing else write(part.expected * scale)
    if spec.is_additive:
        return f"{observed} a second", usual
    if spec.form == "share":
        return f"{observed} %", f"{usual} %"
    has_unit = not is_money and "/" not in spec.unit
    return f"{observed} {spec.unit}" if has_unit else observed, usual


def _and_others(changes: list[str]) -> list[str]:
    """What else changed, as a clause, the longest variant first."""
    variants = []
    for named in range(min(len(changes), fmt.LIST_MAX), 0, -1):
        more = [f"{len(changes) - named} more"] if named < len(changes) else []
        variants.append(f", with {fmt.join_list([*changes[:named], *more])}")
    return [*variants, f", with {len(changes)} more"] if changes else []


def _who(f: Finding, first: FindingPart) -> list[str]:
    """Through whom, as a clause, the longest variant first; empty where nobody is known."""
    count = FEATURES[f.accounts_of or f.stream].account_count
    accounts = [(fmt.short_name(name), share) for name, share in f.accounts]
    if not accounts or count is None:
        return []
    if (f.accounts_by or f.detector) == ACCOUNT_BURST:
        of, stand_out = "", "" if first.by_account else "beside their own habits stand out "
        phrase = f"; {stand_out}{accounts_list(accounts)}"
    else:
        what = "them" if count == first.stream else f"the {ACCOUNT_NOUNS[count]}"
        of = "" if count == first.stream else f" of {what}"
        phrase = f"; {accounts_phrase(accounts, what)}"
    if accounts[0][1] < NAMED_SHARE:
        return [phrase, ""]
    shares = [f"{fmt.format_percent(share)}{of} by {name}" for name, share in accounts[:2]]
    return [phrase, f"; {', '.join(shares)}", f"; {shares[0]}", ""]


def _at_stake(stake: Stake | None) -> list[str]:
    """What a move would force in the market, as a clause, the longest variant first."""
    shock = None if stake is None else shock_at_stake(stake)
    if stake is None or not (shock or stake.forced_notional):
        return []
    if shock is not None:
        amount, move = fmt.format_amount(shock.forced_notional), fmt.format_move(shock.shock)
        return [f"; {amount} at stake at {move}, within an hour's move", ""]
    within = f"within {fmt.format_number(stake.within_pct)} %"
    short = f"; {fmt.format_amount(stake.forced_notional)} at stake {within}"
    if stake.absorbed is None or stake.absorbed >= FULL_BOOK:
        return [short, ""]
    return [f"{short}, the book takes {fmt.format_percent(stake.absorbed)}", short, ""]


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


def noun_phrase(part: FindingPart) -> str:
    """What a stream watches; of depth near the mid, how far the book lets one see.

    >>> part = FindingPart("X", "depth_25bps", "level", 0, 2e4, 1e5, 1e-6, 1.0, reach_bps=2.3)
    >>> noun_phrase(part)
    'depth of both sides within 2.3 bps (all that the book shows)'
    """
    spec = FEATURES[part.stream]
    if spec.within_bps is None or part.reach_bps is None:
        return spec.noun
    shown = f"within {fmt.format_number(part.reach_bps)} bps (all that the book shows)"
    return spec.noun.replace(f"within {spec.within_bps} bps", shown)


def change_phrase(part: FindingPart) -> str:
    """What a stream did, without its rates.

    >>> change_phrase(FindingPart("X", "cancels", "burst", 0, 984.0, 240.0, 1e-6, 0.5))
    'cancels ×4.1'
    >>> change_phrase(FindingPart("X", "depth_25bps", "joint", 0, 2e4, 1e5, 1e-6, 0.5))
    'depth of both sides within 25 bps at a fifth of usual'
    >>> change_phrase(FindingPart("X", "open_interest", "joint", 0, 5.0, 0.0, 1e-6, 0.5))
    'open interest at 5 (usual 0)'
    """
    spec, ratio = FEATURES[part.stream], ratio_phrase(part.ratio)
    noun = f"{spec.noun} of few accounts" if part.by_account else noun_phrase(part)
    if spec.is_factor:
        return f"{noun} ×{fmt.format_number(part.observed)}"
    if ratio and spec.form not in ("signed", "share"):
        return noun + ratio
    scale, percent = (100.0, " %") if spec.form == "share" else (1.0, "")
    numbers = scale * part.observed, scale * part.expected
    observed, usual = (fmt.format_number(number) + percent for number in numbers)
    return f"{noun} at {observed} (usual {usual})"


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
        rarest = min(here, key=lambda part: part.p)
        reach = max((r for part in here if (r := part.reach_bps) is not None), default=None)
        length = max(part.windows for part in here), rarest.seen, reach
        numbers = observed, expected, rarest.p, share
        merged.append(FindingPart("", stream, JOINT, since, *numbers, *length))
    return sorted(merged, key=lambda part: (-part.share, part.stream))


def count_name(count: int) -> str:
    """A small count in words."""
    return COUNT_NAMES[count] if count < len(COUNT_NAMES) else str(count)


def accounts_list(accounts: list[tuple[str, float]]) -> str:
    """Accounts with their shares: `a-5 75 %, a-8 25 %`."""
    return ", ".join(f"{name} {fmt.format_percent(share)}" for name, share in accounts)


def accounts_phrase(accounts: list[tuple[str, float]], what: str = "them") -> str:
    """The fewest accounts that have half of `what`, or all those named, with their shares."""
    if not accounts or accounts[0][1] < NAMED_SHARE:
        return "spread over many accounts"
    count, total = 0, 0.0
    while count < len(accounts) and total < 0.5:
        total += accounts[count][1]
        count += 1
    part = f"{fmt.format_percent(total)} of {what}"
    if count == 1:
        return f"one account makes {part} ({accounts[0][0]})"
    return f"{count_name(count)} accounts make {part} ({accounts_list(accounts[:count])})"
