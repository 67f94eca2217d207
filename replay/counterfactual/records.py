"""Recorded days as they would have been recorded under other rules.

Rules are records: those of the day are rewritten as they are read, and those that it lacks are put
before its first. So the engine has no notion of a rule that was changed. A record that the other
rules leave as it is stays as it is, byte by byte.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from monitor.core.contract.events import (
    Event,
    InsuranceFundReference,
    MarketReference,
    Tier,
)
from monitor.core.contract.fixed_point import SCALE
from monitor.core.decode.batch import Batch, TextColumn
from monitor.core.decode.codec import batch_from_events, decode_positions, validate_record
from replay.counterfactual.rules import EVERY_MARKET, MarketOverride, OverrideRules
from replay.day.reader import Day
from replay.day.sequence import DaySequence

REFERENCE = "reference"
ROWS = 65_536


class OverriddenDays(DaySequence):
    """Recorded days under other rules."""

    def __init__(self, days: Sequence[Day], rules: OverrideRules) -> None:
        super().__init__(days)
        self._rules = rules

    def batches(
        self, rows: int, sources: Collection[tuple[str, int]] | None = None, since: int = 0,
        until: int | None = None,
    ) -> Iterator[Batch]:  # fmt: skip
        """See `DaySequence.batches`."""
        for batch in super().batches(rows, sources, since, until):
            yield self._rewrite(batch) if batch.kind == REFERENCE and len(batch) else batch

    def _rewrite(self, batch: Batch) -> Batch:
        """The batch with its rules changed; no row goes or comes."""
        payloads = batch.texts["payload"].to_strings()
        changed = False
        for row, event in _rules_in(batch):
            other = override_event(event, self._rules)
            if other != event:
                payloads[row], changed = _payload(other), True
        if not changed:
            return batch
        texts = {**batch.texts, "payload": TextColumn.from_strings(payloads)}
        return dataclasses.replace(batch, texts=texts)

    def missing_records(self) -> Batch:
        """The rules that these days have nowhere: records of their first moment, before all others
        (their offsets are negative)."""
        tables, funds = self._markets_with_rules()
        ts = 0 if self.span is None else self.span.first_ts
        events: list[Event] = []
        for symbol in sorted(self.count_by_market()):
            rules = self._rules.of(symbol)
            if rules.tiers is not None and symbol not in tables:
                bare = MarketReference.model_construct(
                    ts=ts, about="market", symbol=symbol, tiers=[]
                )
                events.append(override_event(bare, self._rules))
        for symbol, rules in self._rules.by_market.items():
            name = "" if symbol == EVERY_MARKET else symbol
            if rules.insurance_fund is not None and name not in funds:
                events.append(
                    InsuranceFundReference.model_construct(
                        ts=ts, about="insurance_fund", symbol=name or None,
                        amount=rules.insurance_fund,
                    )
                )  # fmt: skip
        offset = np.arange(len(events)) - len(events)
        return batch_from_events(REFERENCE, REFERENCE, 0, offset, events)

    def _markets_with_rules(self) -> tuple[set[str], set[str]]:
        """The markets of which the days have a tier table, and those with an insurance fund ("":
        the venue's)."""
        tables, funds = set(), set()
        places = [place for place in self.places if place[0] == REFERENCE]
        for batch in super().batches(ROWS, places):
            for _, event in _rules_in(batch):
                if isinstance(event, InsuranceFundReference):
                    funds.add(event.symbol or "")
                elif event.tiers is not None:
                    tables.add(event.symbol)
        return tables, funds


def _rules_in(batch: Batch) -> Iterator[tuple[int, MarketReference | InsuranceFundReference]]:
    """The rows of a batch of reference records that are rules, with what they say."""
    if not len(batch):
        return
    _, are_positions = decode_positions(batch)
    rows = np.flatnonzero(~are_positions)
    payloads = batch.texts["payload"].select_rows(rows).to_strings()
    for row, payload in zip(rows.tolist(), payloads, strict=True):
        event = validate_record((payload or "").encode(), REFERENCE)
        if isinstance(event, MarketReference | InsuranceFundReference):
            yield row, event


def override_event(event: Any, rules: OverrideRules) -> Any:
    """The record of a market's rules, or of an insurance fund, under other rules."""
    if isinstance(event, InsuranceFundReference):
        fund = rules.of(event.symbol or EVERY_MARKET).insurance_fund
        return event if fund is None else event.model_copy(update={"amount": fund})
    if event.tiers is None:  # of its contract alone
        return event
    other = rules.of(event.symbol)
    names = {"mark_rule": other.mark_rule, "path": other.path}
    fields: dict[str, Any] = {field: name for field, name in names.items() if name is not None}
    if other.tiers is not None:
        fields["tiers"] = [Tier.model_construct(**dict(tier)) for tier in other.tiers]
    return _with_leverage(event.model_copy(update=fields), other)


def _with_leverage(event: MarketReference, rules: MarketOverride) -> MarketReference:
    """With no initial rate below that of the highest leverage; one that a tier does not give counts
    as twice its maintenance rate."""
    if rules.leverage_max is None:
        return event
    lowest = -(-SCALE * SCALE // rules.leverage_max)
    tiers = [
        tier
        if (tier.initial_rate or 2 * tier.maintenance_rate) >= lowest
        else tier.model_copy(update={"initial_rate": lowest})
        for tier in event.tiers or ()
    ]
    return event.model_copy(update={"tiers": tiers})


def _payload(event: Event) -> str | None:
    batch = batch_from_events(REFERENCE, REFERENCE, 0, np.zeros(1, np.int64), [event])
    return batch.texts["payload"].to_strings()[0]
