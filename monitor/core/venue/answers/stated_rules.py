"""What a venue's reference records say of each market's rules, and what nobody has said.

What is not said is assumed, and each assumption is named here once: for `brinkwatch rules`, for
what `brinkwatch stress` does not know, and for the metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from monitor.core.contract import stepped
from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.codec import validate_record
from monitor.core.margin.calculator import decimal_text
from monitor.core.margin.contract_types import Contract
from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.mark_response import LIQUIDATION_TRIGGERS, MARK_RESPONSES
from monitor.core.margin.paths.path import FundScope
from monitor.core.margin.paths.table import PATHS
from monitor.core.margin.regimes import MARK_RULES, REGIMES, regime_at
from monitor.core.marks.market_rows import FUNDING_INTERVAL, INDEX, LAST, MARK, MARK_VALUES, VALUES
from monitor.core.venue.state import UNNAMED, VenueState

PLAIN_RULES = {"last": "the last price", "oracle": MARK_RULES["oracle"]}
"""Mark rules that are no venue's own, in words."""


class Term(NamedTuple):
    """A rule of a market: its name in words, what is taken while nobody says it, and what to send
    to mend that."""

    name: str
    assumed: str
    mend: str


_RECORD = "reference about market, with tiers: {}"
TERMS = {
    "tiers": Term("tier table", "the market has no bands", _RECORD.format("tiers")),
    "contract": Term("contract", "the market has no bands", _RECORD.format("contract")),
    "regime": Term(
        "regime", "the generic formula taken, without any venue's own", _RECORD.format("regime")
    ),
    "mark_rule": Term("mark rule", "taken to follow at once", _RECORD.format("mark_rule")),
    "path": Term("path of a liquidation", "taken to sell all at once", _RECORD.format("path")),
    "insurance_fund": Term(
        "insurance fund", "taken to be empty", "reference about insurance_fund: amount"
    ),
    "index": Term("index", "nothing stands in for it", "mark: index"),
    "index_sources": Term("sources of the index", "its index is taken as a whole", "mark: sources"),
    "funding_interval": Term("funding interval", "funding is left out", "mark: funding_interval_s"),
}
"""By what an `Unstated` names, the ones that matter most first."""
IN_STRESS = ("mark_rule", "path", "insurance_fund")
"""Those on which the answer to a shock rests."""


class Unstated(NamedTuple):
    """What nobody has said of a market: one of `TERMS`. `given`: what was said instead, a name that
    is none of those understood here; None: nothing."""

    symbol: str
    what: str
    given: str | None = None

    def __str__(self) -> str:
        term = TERMS[self.what]
        said = "not said" if self.given is None else f"{self.given} is no rule that is understood"
        return f"{self.symbol}: {term.name}: {said} ({term.mend}); {term.assumed}"


@lru_cache(maxsize=1024)
def _read_record(raw: bytes) -> MarketReference | None:
    event = validate_record(raw, "reference")
    return event if isinstance(event, MarketReference) else None


@dataclass(frozen=True, slots=True)
class StatedRules:
    """A market's rules as the records have them; None: nobody has said it.

    `record`: the last rules with a tier table. `contract`: its type; `left_out`: why the market has
    no bands. `fund`: the insurance fund, quote currency, and whose it is (empty: the venue's).
    `sources`: of the index. `mark`, `index` and `last`: the last trusted ones.
    """

    symbol: str
    record: MarketReference | None
    contract: str | None
    left_out: str | None
    fund: tuple[Fraction, str] | None
    mark: Fraction | None
    index: Fraction | None
    last: Fraction | None
    funding_interval_s: int | None
    sources: tuple[str, ...]

    @property
    def regime(self) -> Regime | None:
        """The regime that the record names, as it was on the record's day."""
        if self.record is None or self.record.regime is None:
            return None
        day = np.datetime64(self.record.ts, "ns").astype("datetime64[D]")
        return regime_at(self.record.regime, str(day))

    @property
    def mark_rule(self) -> str | None:
        """The mark rule's name: the record's own, else its regime's."""
        return None if self.record is None else self.record.mark_rule or self.record.regime

    @property
    def path(self) -> str | None:
        """The name of its path: the record's own, else its regime's."""
        return None if self.record is None else self.record.path or self.record.regime

    @property
    def unstated(self) -> list[Unstated]:
        """What nobody has said of the market, in the order of `TERMS`."""
        missing = {
            "tiers": self.record is None,
            "contract": self.left_out == UNNAMED,
            "regime": self.regime is None,
            "mark_rule": self.mark_rule not in MARK_RESPONSES,
            "path": self.path not in PATHS,
            "insurance_fund": self.fund is None,
            "index": self.index is None,
            "index_sources": not self.sources,
            "funding_interval": self.funding_interval_s is None,
        }
        return [
            Unstated(self.symbol, what, getattr(self.record, what, None))
            for what in TERMS
            if missing[what]
        ]

    def describe(self) -> dict[str, Any]:
        """All of it as plain values, amounts and prices as decimal strings; None: not said."""
        regime, rule = self.regime, self.mark_rule
        trigger = LIQUIDATION_TRIGGERS.get(rule or "", "mark")
        fund = None if self.fund is None else decimal_text(self.fund[0])
        return {
            "symbol": self.symbol,
            "stated_at": None if self.record is None else self.record.ts,
            "contract": self._contract(),
            "left_out": self.left_out,
            "regime": None if regime is None else regime.name,
            "rule": None if regime is None else regime.rule or "one version only",
            "mark": {
                "price": decimal_text(self.mark), "rule": rule, "formula": _formula(rule),
            },
            "index": {"price": decimal_text(self.index), "sources": list(self.sources)},
            "last": decimal_text(self.last),
            "trigger": trigger if rule in MARK_RESPONSES else None,
            "tiers": self._tiers(),
            "tier_law": _tier_law(regime),
            "path": self._path(),
            "funding_interval_s": self.funding_interval_s,
            "insurance_fund": fund,
            "insurance_fund_of": None if self.fund is None else self.fund[1] or "the venue",
        }  # fmt: skip

    def _contract(self) -> dict[str, Any]:
        terms = None if self.record is None else self.record.contract
        size = None if terms is None or terms.size is None else stepped.exact(terms.size)
        multiplier = None if terms is None else terms.multiplier
        return {
            "type": self.contract,
            "size": decimal_text(size),
            "multiplier": None if multiplier is None else decimal_text(Fraction(multiplier, SCALE)),
            "settles_in": None if terms is None else terms.settles_in,
        }

    def _tiers(self) -> list[dict[str, str | None]] | None:
        if self.record is None or self.record.tiers is None:
            return None
        rows = []
        for tier in self.record.tiers:
            initial = None if tier.initial_rate is None else Fraction(tier.initial_rate, SCALE)
            rows.append({
                "lower_bound": decimal_text(Fraction(tier.lower_bound, MONEY_SCALE)),
                "maintenance_rate": decimal_text(Fraction(tier.maintenance_rate, SCALE)),
                "initial_rate": decimal_text(initial),
            })  # fmt: skip
        return rows

    def _path(self) -> dict[str, Any] | None:
        path = PATHS.get(self.path or "")
        if path is None:
            return None
        return {
            "name": path.name,
            "steps": list(path.steps),
            "first_share": decimal_text(path.first_share),
            "partial_above": decimal_text(path.partial_above),
            "cooldown_s": path.cooldown_s,
            "backstop": decimal_text(path.backstop_k),
            "fund_covers": path.fund.value,
            "adl": path.adl or None,
        }


def market_names(venue: VenueState) -> list[str]:
    """The markets of which a rule, a mark or an open position is on record, by name."""
    symbols, count = venue.ledger.symbols, len(venue.ledger.symbols)
    there = (venue.market_inputs().marks[:count] != ABSENT).any(axis=1)
    _, of_row = venue.ledger.row_owners()
    there[of_row[venue.ledger.is_open]] = True
    return sorted({*symbols.names(np.flatnonzero(there)), *venue.rule_records})


def read_stated_rules(venue: VenueState, markets: Iterable[str]) -> list[StatedRules]:
    """The rules of these markets, as of now."""
    symbols, marks = venue.ledger.symbols, venue.market_inputs().marks
    numbers = {name: n for n, name in enumerate(symbols.names(np.arange(len(symbols))))}
    none = np.full(len(MARK_VALUES), ABSENT)
    every = []
    for symbol in markets:
        raw, number = venue.rule_records.get(symbol), numbers.get(symbol)
        record = None if raw is None else _read_record(raw)
        whose = fund_of(venue, symbol)
        amount = venue.funds.get(whose)
        last = none if number is None else marks[number]
        mark, index, price = (
            None if last[column - VALUES] == ABSENT else stepped.exact(int(last[column - VALUES]))
            for column in (MARK, INDEX, LAST)
        )
        interval_s = int(last[FUNDING_INTERVAL - VALUES])
        every.append(
            StatedRules(
                symbol=symbol,
                record=record,
                contract=_contract_type(venue, symbol, record),
                left_out=venue.left_out.get(symbol),
                fund=None if amount is None else (Fraction(amount, MONEY_SCALE), whose),
                mark=mark,
                index=index,
                last=price,
                funding_interval_s=None if interval_s in (ABSENT, 0) else interval_s,
                sources=() if number is None else venue.mark_filter.source_names(number),
            )
        )
    return every


def fund_of(venue: VenueState, symbol: str) -> str:
    """Whose insurance fund covers a market: its own, or the venue's (empty) where it has none and
    its path shares that."""
    rules = venue.market_rules.get(symbol)
    own = rules is not None and rules[0].path.fund is FundScope.MARKET
    return symbol if own or symbol in venue.funds else ""


def count_unstated(venue: VenueState) -> dict[str, int]:
    """Of how many markets each of `TERMS` is not said."""
    counts = Counter(
        missing.what
        for rules in read_stated_rules(venue, market_names(venue))
        for missing in rules.unstated
    )
    return {what: counts[what] for what in TERMS}


def _contract_type(venue: VenueState, symbol: str, record: MarketReference | None) -> str | None:
    """What its records say, else its name at its venue; None: neither does."""
    regime = "generic" if record is None or record.regime is None else record.regime
    of_venue = Contract.at_venue(regime, symbol)
    terms = venue.contract_terms.get(symbol)
    return terms["type"] if terms else of_venue.type if of_venue else None


def _formula(rule: str | None) -> str | None:
    """A mark rule in words."""
    if rule is None:
        return None
    own = REGIMES[rule].mark_rule if rule in REGIMES else None
    return PLAIN_RULES.get(rule) or MARK_RULES.get(rule) or own


def _tier_law(regime: Regime | None) -> str | None:
    if regime is None:
        return None
    return "the whole position" if regime.whole_position else "each tier's part"
