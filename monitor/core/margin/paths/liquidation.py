"""One account's liquidation in one market, step by step, exactly.

A state machine: `Liquidation.step` looks at the account at a mark and a book and does what the
venue's path says. Quantity and money only move between those who take part (`holdings`), so their
sums stay the same to the last digit. It is for linear markets; times are event times, ns.

    due ─→ below the backstop ─────────────→ the vault takes the position at its bankruptcy price
     │     below zero, with a backstop ────→ the other side is deleveraged
     └──→ order ─→ safe, or waits, or what is left goes to the insurance fund, as far as that can
                   bear it, and the rest of it to the other side
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from monitor.core.contract.units import SECOND_NS
from monitor.core.margin.liquidation_price import Position, Regime, requirement
from monitor.core.margin.paths.holdings import NOTHING, Holding, MarginHolding
from monitor.core.margin.paths.orders import (
    BookLevel,
    DuePosition,
    FillablePrice,
    match_order,
)
from monitor.core.margin.paths.path import FundScope, OrderKind, Takeover
from monitor.core.margin.paths.ranking import SCORES, Ranking, Standing
from monitor.core.margin.tiers import Tiers


class Phase(Enum):
    """Where an account stands after a step."""

    SAFE = "equity covers maintenance"
    WAITING = "due, and nothing may be sent yet"
    OPEN = "due, and not closed yet"
    CLOSED = "no position is left"


class Transfer(NamedTuple):
    """A quantity that the fund or the backstop took over, and at which price."""

    quantity: Fraction
    price: Fraction


class Deleveraged(NamedTuple):
    """A counterparty that was closed against the account. `rank`: 1 for the first in the order."""

    account: str
    quantity: Fraction
    price: Fraction
    rank: int


class StepRecord(NamedTuple):
    """What one step did; quantities positive, amounts in quote currency.

    `sent`, `limit`: quantity and worst price of the order (None: no limit, or no order). `fee`: to
    the fund. `fund_paid`: what the fund pays, or loses at the mark by what it takes over.
    `socialised`: what everybody in the market bore. `debt`: what nobody did.
    """

    ts: int
    phase: Phase
    orders_cancelled: bool = False
    sent: Fraction = NOTHING
    limit: Fraction | None = None
    fills: tuple[BookLevel, ...] = ()
    fee: Fraction = NOTHING
    backstop: Transfer | None = None
    taken_over: Transfer | None = None
    fund_paid: Fraction = NOTHING
    deleveraged: tuple[Deleveraged, ...] = ()
    socialised: Fraction = NOTHING
    debt: Fraction = NOTHING


@dataclass(slots=True)
class Liquidation:
    """An account under a regime's path, and everybody else who takes part.

    `lot`: the market's smallest quantity. `size_rate`: see `Position`. `others`: everybody with a
    position in the market. `takers`: all who fill orders in the book; `fund`: the insurance fund,
    its amount as cash; `backstop`: the vault. Several liquidations may share them.
    """

    regime: Regime
    tiers: Tiers
    lot: Fraction
    account: MarginHolding
    others: Sequence[MarginHolding] = ()
    fund: Holding = field(default_factory=Holding)
    backstop: Holding = field(default_factory=Holding)
    takers: Holding = field(default_factory=Holding)
    size_rate: Fraction = NOTHING
    _orders: int = 0
    _due_since: int | None = None
    _next_order: int | None = None
    _judged: int | None = None
    _last_mark: Fraction | None = None

    def step(self, now: int, mark: Fraction, levels: Sequence[BookLevel]) -> StepRecord:
        """Judge the account at `mark`, and act. `levels`: of the side of the book that a close
        meets, the best first; `now`: event time, ns, not before the step before.
        """
        refresh = round(self.regime.path.refresh_s * SECOND_NS)
        if self._judged is not None and now < self._judged + refresh:
            return StepRecord(now, self._phase(now, mark))
        self._judged = now
        record = StepRecord(now, self._phase(now, mark))
        if record.phase in (Phase.OPEN, Phase.WAITING):
            record = self._act(record, mark, levels)
            record = record._replace(phase=self._phase(now, mark))
        else:
            self._due_since = None
        self._last_mark = mark
        return self._settle_debt(record, mark)

    def need(self, mark: Fraction) -> Fraction:
        """The account's maintenance at the mark."""
        account = self.account
        return account.other_need + self._own_need(account, account.quantity, mark)

    def _own_need(self, holder: MarginHolding, quantity: Fraction, mark: Fraction) -> Fraction:
        if quantity == 0:
            return NOTHING
        position = Position(
            "", quantity, mark, self.tiers, holder.entry,
            size_rate=self.size_rate, contracts=abs(quantity),
        )  # fmt: skip
        fee = self.regime.closing_fee or NOTHING
        return requirement(self.regime, position) + fee * position.notional

    def _phase(self, now: int, mark: Fraction) -> Phase:
        need = self.need(mark)
        if self.account.quantity == 0:
            return Phase.CLOSED
        if need <= 0 or self.account.equity(mark) > need:
            return Phase.SAFE
        waits = self._next_order is not None and now < self._next_order
        return Phase.WAITING if waits else Phase.OPEN

    def _act(self, record: StepRecord, mark: Fraction, levels: Sequence[BookLevel]) -> StepRecord:
        """What the path does with an account that is due."""
        now, path = record.ts, self.regime.path
        if self._due_since is None:
            self._due_since, self._orders, self._next_order = now, 0, None
            record = record._replace(phase=Phase.OPEN, orders_cancelled=True)
        due = self._due_position(now, mark)
        if path.backstop_k is not None:
            if due.equity < 0:
                return self._deleverage(record, due)
            if due.equity < path.backstop_k * due.need:
                taken = Transfer(due.size, due.bankruptcy_price)
                self.account.move(self.account.quantity, taken.price, self.backstop)
                return record._replace(backstop=taken)
        if record.phase is Phase.WAITING:
            return record
        record = self._send(record, due, levels)
        return self._hand_over(record, self._due_position(now, mark, due.bankruptcy_price))

    def _due_position(
        self, now: int, mark: Fraction, bankruptcy_price: Fraction | None = None
    ) -> DuePosition:
        account, quantity = self.account, self.account.quantity
        side = 1 if quantity > 0 else -1
        equity, own = account.equity(mark), self._own_need(account, quantity, mark)
        need = own + account.other_need
        if bankruptcy_price is None:
            # Of the equity, each position has the part that it has of maintenance.
            part = equity * own / need if need else equity
            bankruptcy_price = max(mark - part / quantity, NOTHING) if quantity else mark

        since = now if self._due_since is None else self._due_since

        def need_at(size: Fraction) -> Fraction:
            return account.other_need + self._own_need(account, side * size, mark)

        return DuePosition(
            side=side,
            size=abs(quantity),
            mark=mark,
            lot=self.lot,
            tiers=self.tiers,
            tier_price=account.entry if self.regime.at_entry else mark,
            equity=equity,
            need=need,
            own_need=own,
            need_at=need_at,
            bankruptcy_price=bankruptcy_price,
            orders=self._orders,
            waited_ns=now - since,
        )

    def _send(
        self, record: StepRecord, due: DuePosition, levels: Sequence[BookLevel]
    ) -> StepRecord:
        """Send the path's order, and settle its fills."""
        path = self.regime.path
        quantity = path.size.quantity(due)
        if quantity == 0:
            return record
        limit = path.limit.price(due)
        fills = match_order(levels, quantity, limit, due.side)
        if path.order is OrderKind.FILL_OR_KILL and _sum(fills) < quantity:
            fills = []
        fee, paid, done = NOTHING, NOTHING, []
        for price, amount in fills:
            beyond = due.side * (price - due.bankruptcy_price)
            part = amount
            if beyond < 0 and isinstance(path.limit, FillablePrice):
                part = min(amount, self._fund_left(due.mark, paid) / -beyond)
                part = part if part == amount else part // self.lot * self.lot
                self.fund.pay(-beyond * part, self.account)
                paid -= beyond * part
            elif beyond > 0:
                charge = min(path.fee * price, beyond) * amount
                self.account.pay(charge, self.fund)
                fee += charge
            if part > 0:
                self.account.move(due.side * part, price, self.takers)
                done.append(BookLevel(price, part))
            if part < amount:
                break
        self._orders += 1
        if quantity < due.size:
            self._next_order = record.ts + round(path.cooldown_s * SECOND_NS)
        return record._replace(
            sent=quantity, limit=limit, fills=tuple(done), fee=fee, fund_paid=paid
        )

    def _fund_left(self, mark: Fraction, paid: Fraction) -> Fraction:
        """What the fund can still lose on this account in this step."""
        path = self.regime.path
        if path.fund is FundScope.NONE:
            return NOTHING
        left = max(self.fund.equity(mark), NOTHING)
        return left if path.fund_step_max is None else min(left, path.fund_step_max - paid)

    def _hand_over(self, record: StepRecord, due: DuePosition) -> StepRecord:
        """Give what is left to the fund and to the other side, where the path does so by now."""
        path = self.regime.path
        if due.size == 0 or due.equity > due.need:
            return record
        without_order = record.sent == 0
        unfilled = _sum(record.fills) < record.sent
        goes = {
            Takeover.STILL_DUE: True,
            Takeover.UNFILLED: unfilled or without_order,
            Takeover.BELOW_ZERO: due.equity < 0 or without_order,
            Takeover.NEVER: False,
        }[path.takeover]
        if goes:
            record = self._take_over(record, due)
        elif due.equity >= 0:
            return record
        return self._deleverage(
            record, self._due_position(record.ts, due.mark, due.bankruptcy_price)
        )

    def _take_over(self, record: StepRecord, due: DuePosition) -> StepRecord:
        """The fund takes the position at its bankruptcy price, as much as it can bear the loss of
        at the mark."""
        price = due.bankruptcy_price
        loss = due.side * (price - due.mark)
        quantity = due.size
        if loss > 0:
            quantity = min(self._fund_left(due.mark, record.fund_paid) / loss, due.size)
            quantity = quantity if quantity == due.size else quantity // self.lot * self.lot
        if quantity == 0:
            return record
        self.account.move(due.side * quantity, price, self.fund)
        paid = record.fund_paid + max(loss, NOTHING) * quantity
        return record._replace(taken_over=Transfer(quantity, price), fund_paid=paid)

    def _deleverage(self, record: StepRecord, due: DuePosition) -> StepRecord:
        """Close what is left against the other side, in the order of the path's ranking."""
        path, price, left = self.regime.path, due.bankruptcy_price, due.size
        if path.ranking is None or left == 0:
            return record
        last = self._last_mark
        if path.at_last_mark and last is not None and self.account.equity(last) >= 0:
            price = last
        done = []
        for rank, other in enumerate(self._ranked(record.ts, due, path.ranking), 1):
            part = min(left, abs(other.quantity))
            self.account.move(due.side * part, price, other)
            done.append(Deleveraged(other.name, part, price, rank))
            left -= part
            if left == 0:
                break
        return record._replace(deleveraged=tuple(done))

    def _ranked(self, now: int, due: DuePosition, ranking: Ranking) -> list[MarginHolding]:
        """The other side, whoever is deleveraged first at its head; of equal ones by name."""
        mark, side = due.mark, -due.side
        there = [o for o in self.others if o.quantity * side > 0 and o.equity(mark) > 0]
        if ranking is Ranking.BY_LOT:
            return sorted(there, key=lambda other: draw(other.name, now))

        def score(other: MarginHolding) -> Fraction:
            size, need = abs(other.quantity), self._own_need(other, other.quantity, mark)
            standing = Standing(
                side, other.entry, mark, size * mark, other.equity(mark), need + other.other_need
            )
            value: Fraction = SCORES[ranking](standing)
            return value

        return sorted(there, key=lambda other: (-score(other), other.name))

    def _settle_debt(self, record: StepRecord, mark: Fraction) -> StepRecord:
        """A closed account without other positions that owes: the fund pays, then everybody."""
        account = self.account
        owed = -account.cash
        if account.quantity != 0 or account.other_need > 0 or owed <= 0:
            return record
        paid = min(owed, self._fund_left(mark, record.fund_paid))
        self.fund.pay(paid, account)
        owed -= paid
        shared = NOTHING
        open_there = sum((abs(other.quantity) for other in self.others), NOTHING)
        if self.regime.path.socialised and open_there > 0:
            for other in self.others:
                other.pay(owed * abs(other.quantity) / open_there, account)
            shared, owed = owed, NOTHING
        return record._replace(fund_paid=record.fund_paid + paid, socialised=shared, debt=owed)


def draw(name: str, seed: int) -> bytes:
    """An account's lot in a pseudo-random order: the same for the same seed."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _sum(fills: Sequence[BookLevel]) -> Fraction:
    return sum((fill.quantity for fill in fills), NOTHING)
