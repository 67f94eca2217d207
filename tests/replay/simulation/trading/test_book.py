"""The simulated venue's book, rebuilt from its records alone: it is the sum of the open orders."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from monitor.core.contract import stepped
from monitor.core.decode.batch import ABSENT
from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate


class Message(NamedTuple):
    """One order, cancel, fill or book of a market; of one time in this order."""

    ts: int
    rank: int
    what: str
    row: dict[str, Any]


class Resting(NamedTuple):
    """An order in the rebuilt book."""

    side: int
    price: int
    placed: int
    account: str


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    """Of each market, by time: orders, their fills in the order of the trades, cancels, books."""
    out = tmp_path_factory.mktemp("traded") / "day"
    simulate(out, SimulationSettings(minutes=4, symbols=3, accounts=100, rate=60.0))
    ranks = {"order": 0, "fill": 1, "cancel": 2, "book": 3}
    by_market = defaultdict(list)
    for batch in Day(out).batches():
        if batch.kind not in ranks:
            continue
        columns = {name: values.tolist() for name, values in batch.numbers.items()}
        columns |= {name: text.to_strings() for name, text in batch.texts.items()}
        columns |= {name: levels_of(ladder) for name, ladder in batch.ladders.items()}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            by_market[row["symbol"]].append(Message(row["ts"], ranks[batch.kind], batch.kind, row))
    return {
        symbol: sorted(rows, key=lambda m: (m.ts, m.rank, m.row.get("trade_id") or ""))
        for symbol, rows in by_market.items()
    }


def levels_of(ladder: Any) -> list[list[tuple[int, int]]]:
    pairs = list(zip(ladder.price.tolist(), map(lots, ladder.quantity.tolist()), strict=True))
    ends = ladder.offset.tolist()
    return [pairs[a:b] for a, b in pairwise(ends)]


def lots(code: int) -> int:
    """A quantity in 1e-8."""
    return round(stepped.exact(code) * 10**8)


class RebuiltBook:
    """What rests, by the records: quantities left by order id."""

    def __init__(self) -> None:
        self.resting: dict[str, Resting] = {}
        self.left: dict[str, int] = {}
        self.size: dict[str, int] = {}

    def levels(self, side: int) -> list[tuple[int, int]]:
        totals: dict[int, int] = defaultdict(int)
        for name, order in self.resting.items():
            if order.side == side and self.left[name]:
                totals[order.price] += self.left[name]
        return sorted(totals.items(), reverse=side > 0)

    def place(self, row: dict[str, Any]) -> None:
        name = row["order_id"]
        assert name not in self.size
        if row["replaces"] is not None:
            self.resting.pop(row["replaces"])
            self.left.pop(row["replaces"])
        self.size[name] = self.left[name] = lots(row["quantity"])
        if row["price"] != ABSENT:
            self.resting[name] = Resting(row["side"], row["price"], row["ts"], row["account"])

    def fill(self, row: dict[str, Any]) -> None:
        name = row["order_id"]
        if name is None:
            return
        self.left[name] -= lots(row["quantity"])
        assert self.left[name] >= 0
        if self.left[name] == 0:
            del self.left[name]
            self.resting.pop(name, None)

    def cancel(self, row: dict[str, Any]) -> None:
        assert self.left.pop(row["order_id"]) == lots(row["quantity"])
        self.resting.pop(row["order_id"], None)


def test_a_published_book_is_the_sum_of_the_resting_orders_and_is_not_crossed(
    messages: dict[str, list[Message]],
) -> None:
    for rows in messages.values():
        book, compared = RebuiltBook(), 0
        for message in rows:
            if message.what == "book":
                for name, side in (("bids", 1), ("asks", -1)):
                    published = message.row[name]
                    assert book.levels(side)[: len(published)] == published
                    assert len(published) == min(20, len(book.levels(side)))
                bids, asks = book.levels(1), book.levels(-1)
                assert not bids or not asks or bids[0][0] < asks[0][0]
                compared += 1
            elif message.what == "order":
                book.place(message.row)
            elif message.what == "fill":
                book.fill(message.row)
            else:
                book.cancel(message.row)
        assert compared == 240


def test_the_best_price_is_filled_first_and_of_equal_ones_the_order_that_came_first(
    messages: dict[str, list[Message]],
) -> None:
    fills = 0
    for rows in messages.values():
        book = RebuiltBook()
        # An order of the taker itself is cancelled instead, at the same time.
        takers = {
            m.row["trade_id"]: m.row["account"]
            for m in rows
            if m.what == "fill" and m.row["liquidity"] == 1
        }
        for message in rows:
            row = message.row
            if message.what == "order":
                book.place(row)
            elif message.what == "cancel":
                book.cancel(row)
            elif message.what == "fill":
                if row["order_id"] is not None and row["liquidity"] == 0:
                    order = book.resting[row["order_id"]]
                    assert order.price == row["price"]
                    queue = [
                        (-o.side * o.price, o.placed)
                        for name, o in book.resting.items()
                        if o.side == order.side
                        and book.left[name]
                        and o.account != takers[row["trade_id"]]
                    ]
                    assert (-order.side * order.price, order.placed) == min(queue)
                    fills += 1
                book.fill(row)
    assert fills > 100


def test_what_an_order_brought_is_filled_cancelled_or_still_there(
    messages: dict[str, list[Message]],
) -> None:
    for rows in messages.values():
        brought: dict[str, int] = {}
        gone: dict[str, int] = defaultdict(int)
        replaced = set()
        for message in rows:
            row = message.row
            name = row.get("order_id")
            if message.what == "order":
                brought[name] = lots(row["quantity"])
                replaced |= {row["replaces"]} - {None}
            elif message.what != "book" and name is not None:
                gone[name] += lots(row["quantity"])
        assert gone.keys() <= brought.keys()
        assert all(quantity <= brought[name] for name, quantity in gone.items())
        over = [m.row["order_id"] for m in rows if m.what == "cancel"]
        assert all(gone[name] == brought[name] for name in over)
        assert not replaced & set(over)


def test_both_sides_of_a_trade_are_recorded_and_agree(
    messages: dict[str, list[Message]],
) -> None:
    for rows in messages.values():
        trades = defaultdict(list)
        for message in rows:
            if message.what == "fill":
                trades[message.row["trade_id"]].append(message.row)
        for one, other in trades.values():
            assert one["side"] == -other["side"]
            assert (one["price"], one["quantity"]) == (other["price"], other["quantity"])
            assert {one["liquidity"], other["liquidity"]} == {0, 1}


def test_trading_moves_the_price_and_both_sides_of_the_book_are_there(
    messages: dict[str, list[Message]],
) -> None:
    for rows in messages.values():
        books = [m.row for m in rows if m.what == "book"][10:]
        assert all(len(b["bids"]) > 5 and len(b["asks"]) > 5 for b in books)
        assert len({b["bids"][0][0] + b["asks"][0][0] for b in books}) > 20
