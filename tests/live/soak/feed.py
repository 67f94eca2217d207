"""A venue that is streamed to Kafka while it is invented: nothing of the day lies on a disk.

Events come at random times, at a rate that follows the hour of the day; books and marks of each
market at a steady pace. Each record is of the contract's form. What is bought and sold does not
come from the books: this venue is there for its size, its length and its pace.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from aiokafka import AIOKafkaProducer

from monitor.config import Config
from monitor.core.contract.events import Control
from monitor.core.contract.keys import partition_of
from monitor.core.contract.units import DAY_S, SECOND_NS
from monitor.kafka.messages import control_message
from tests.bench.live_feed import Place, Sender

PARTITIONS = 4
START_TS = 1_763_942_400 * SECOND_NS
"""2025-11-24T00:00:00Z: event time is never ahead of the broker's clock."""
OPENING_S = 600
"""Event time in which accounts and their positions come, before the day."""
OPENING_BATCH = 20_000
TICK_S = 0.05
"""Wall time of what is sent at once."""
LEVELS = 10
CYCLE = 0.4
"""Of the daily cycle of activity, beside its mean."""
BURST_EVERY_S, BURST_S, BURST_SIZE = 900, 5, 12.0
"""One market has so many times its usual cancels, of one account, now and then: there have to be
alerts, or none could be late."""
HOLDERS = 0.4
"""Accounts with a position at the opening."""
MAKERS, MAKER_SHARE = 1_000, 0.5
"""So many accounts make this share of all orders; the rest are of anybody."""
KINDS = ("order", "cancel", "fill", "leverage", "collateral")
SHARES = (0.48, 0.40, 0.09, 0.02, 0.01)
"""Of all events; a fill stands for both of its sides."""

Record = tuple[bytes, bytes]


@dataclass(frozen=True)
class FeedSettings:
    """hours: of the day. speed: its seconds a second. rate: events a second of event time, on
    average, beside books and marks, of which each market has one in `quote_s` seconds."""

    hours: float
    speed: float
    symbols: int
    accounts: int
    rate: float
    quote_s: int


@dataclass
class Feed:
    """The venue as far as it has been sent."""

    settings: FeedSettings
    config: Config
    sent: int = 0
    late_s: float = 0.0
    """How far the sender came behind its own pace, at most, wall time."""
    _order: int = 0
    _references: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    """Sent to each partition."""
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        count = self.settings.symbols
        self._names = [f"M{number:03d}-PERP".encode() for number in range(count)]
        self._parts = [partition_of(name.decode(), PARTITIONS) for name in self._names]
        self._mid = self._rng.uniform(50.0, 50_000.0, count)
        share = 1 / (1 + np.arange(count)) ** 0.7
        self._share = np.cumsum(share / share.sum())
        self._quote_phase = self._rng.integers(0, self.settings.quote_s, count)

    async def open(self, producer: AIOKafkaProducer) -> None:
        """Send the markets' rules, a deposit of every account, and the positions at the opening."""
        sender = Sender(producer)
        first_ts = START_TS - OPENING_S * SECOND_NS
        rules: dict[Place, list[Record]] = defaultdict(list)
        for name, part in zip(self._names, self._parts, strict=True):
            rules[self.config.topics["reference"], part].append((name, _rules(name, first_ts)))
            self._references[part] += 1
        await _send(sender, rules)
        for low in range(0, self.settings.accounts, OPENING_BATCH):
            numbers = range(low, min(low + OPENING_BATCH, self.settings.accounts))
            share = low / self.settings.accounts
            await _send(sender, self._accounts(numbers, first_ts + int(share * OPENING_S * 1e9)))
            await _send(sender, self._quotes(first_ts + int(share * OPENING_S * 1e9), every=True))
        await sender.end()
        self.sent += sender.sent
        await self._rest(producer)

    async def _rest(self, producer: AIOKafkaProducer) -> None:
        """Say that no reference comes any more, as `publish` does: nobody need wait for one."""
        topic = self.config.topics["reference"]
        end_ts = START_TS + int(self.settings.hours * 3600) * SECOND_NS
        for part in range(PARTITIONS):
            end = Control(topic=topic, partition=part, offset=self._references[part], ts=end_ts)
            await control_message(end).send(producer, self.config.kafka.control_topic, part)
        await producer.flush()

    def _accounts(self, numbers: range, ts: int) -> dict[Place, list[Record]]:
        """The deposits and positions of some accounts."""
        records: dict[Place, list[Record]] = defaultdict(list)
        market = self._draw_markets(len(numbers))
        holds = self._rng.random(len(numbers)) < HOLDERS
        size = self._rng.choice((-1, 1), len(numbers)) * self._rng.lognormal(6, 1, len(numbers))
        for row, number in enumerate(numbers):
            account = b"a-%07d" % number
            amount = 20_000_000 if number < MAKERS else 10_000
            at = self.config.topics["collateral"], partition_of(account.decode(), PARTITIONS)
            records[at].append((account, _DEPOSIT % (ts, account, amount)))
            if holds[row]:
                m = int(market[row])
                price = self._mid[m]
                entry = _POSITION % (ts, self._names[m], account, size[row] / price, price)
                records[self.config.topics["reference"], self._parts[m]].append(
                    (self._names[m], entry)
                )
                self._references[self._parts[m]] += 1
        return records

    async def run(self, producer: AIOKafkaProducer, on_start: Callable[[float], None]) -> None:
        """Send the day at its pace. `on_start` takes the wall time of its first moment."""
        sender = Sender(producer)
        speed, total_s = self.settings.speed, self.settings.hours * 3600
        began, done_s = time.monotonic(), 0.0
        on_start(time.time())
        while done_s < total_s:
            due_s = min((time.monotonic() - began + TICK_S) * speed, total_s)
            await _send(sender, self._slice(done_s, due_s))
            done_s = due_s
            wait_s = began + done_s / speed - time.monotonic()
            self.late_s = max(self.late_s, -wait_s)
            await asyncio.sleep(max(0.0, wait_s))
        await sender.end()
        self.sent += sender.sent

    def _slice(self, low_s: float, high_s: float) -> dict[Place, list[Record]]:
        """All records between two event times, s from the start of the day."""
        span_s = high_s - low_s
        self._mid *= np.exp(1e-4 * math.sqrt(span_s) * self._rng.standard_normal(len(self._mid)))
        cycle = 1 + CYCLE * math.sin(2 * math.pi * (low_s / DAY_S - 0.375))
        records = self._quotes_between(low_s, high_s)
        counts = self._rng.poisson(self.settings.rate * cycle * span_s * np.array(SHARES))
        for kind, count in zip(KINDS, counts.tolist(), strict=True):
            ts = START_TS + np.sort(self._rng.integers(int(low_s * 1e9), int(high_s * 1e9), count))
            for at, record in self._events(kind, ts):
                records[at].append(record)
        if low_s % BURST_EVERY_S < BURST_S:
            market = int(low_s // BURST_EVERY_S) * 7 % min(20, len(self._names))
            usual = self.settings.rate * SHARES[1] * (self._share[market] - self._share[market - 1])
            count = int(self._rng.poisson(BURST_SIZE * max(1.0, abs(usual)) * span_s))
            ts = START_TS + np.sort(self._rng.integers(int(low_s * 1e9), int(high_s * 1e9), count))
            for at, record in self._events("cancel", ts, np.full(count, market), one_account=True):
                records[at].append(record)
            topic = self.config.topics["cancel"], self._parts[market]
            records[topic].sort(key=lambda one: one[1][22:41])
        return records

    def _events(
        self,
        kind: str,
        ts: np.ndarray,
        market: np.ndarray | None = None,
        one_account: bool = False,
    ) -> Iterator[tuple[Place, Record]]:
        count, topic = len(ts), self.config.topics[kind]
        market = self._draw_markets(count) if market is None else market
        accounts = self._draw_accounts(count)
        if one_account:
            accounts[:] = accounts[:1]
        away = 1 + self._rng.exponential(5e-4, count)
        side = self._rng.integers(0, 2, count)
        size = self._rng.lognormal(5, 1, count)
        for row in range(count):
            m, name = int(market[row]), self._names[int(market[row])]
            account, buys = b"a-%07d" % accounts[row], bool(side[row])
            price = self._mid[m] / away[row] if buys else self._mid[m] * away[row]
            values = int(ts[row]), name, account
            if kind == "collateral":
                at = topic, partition_of(account.decode(), PARTITIONS)
                yield at, (account, _DEPOSIT % (values[0], account, int(size[row])))
                continue
            at = topic, self._parts[m]
            if kind == "leverage":
                yield at, (name, _LEVERAGE % (*values, 1 + int(size[row]) % 20))
                continue
            self._order += 1
            sides = (b"buy", b"sell") if buys else (b"sell", b"buy")
            of = *values, self._order, sides[0], price, size[row] / price
            if kind == "fill":
                maker = b"a-%07d" % self._rng.integers(0, min(MAKERS, self.settings.accounts))
                yield at, (name, _FILL % (*of, self._order, b"taker"))
                of = values[0], name, maker, self._order, sides[1], price, size[row] / price
                yield at, (name, _FILL % (*of, self._order, b"maker"))
            else:
                yield at, (name, (_ORDER if kind == "order" else _CANCEL) % of)

    def _quotes_between(self, low_s: float, high_s: float) -> dict[Place, list[Record]]:
        records: dict[Place, list[Record]] = defaultdict(list)
        for second in range(math.ceil(low_s), math.ceil(high_s)):
            for at, mine in self._quotes(START_TS + second * SECOND_NS).items():
                records[at] += mine
        return records

    def _quotes(self, ts: int, every: bool = False) -> dict[Place, list[Record]]:
        """Books and marks of the markets whose turn it is in this second, or of all."""
        records: dict[Place, list[Record]] = defaultdict(list)
        turn = ts // SECOND_NS % self.settings.quote_s
        rows = range(len(self._mid)) if every else np.flatnonzero(self._quote_phase == turn)
        for m in map(int, rows):
            name, part, mid = self._names[m], self._parts[m], self._mid[m]
            steps = np.cumsum(1e-4 * self._rng.uniform(0.8, 1.2, (2, LEVELS)), axis=1)
            notional = self._rng.lognormal(10, 0.5, (2, LEVELS))
            sides = [
                b",".join(
                    b'["%.3f","%.6f"]' % level
                    for level in zip((mid * (1 + sign * away)).tolist(), size.tolist(), strict=True)
                )
                for sign, away, size in zip((-1, 1), steps, notional / mid, strict=True)
            ]
            records[self.config.topics["book"], part].append((name, _BOOK % (ts, name, *sides)))
            records[self.config.topics["mark"], part].append((name, _MARK % (ts, name, mid, mid)))
        return records

    def _draw_markets(self, count: int) -> np.ndarray:
        return np.searchsorted(self._share, self._rng.random(count)).clip(0, len(self._names) - 1)

    def _draw_accounts(self, count: int) -> np.ndarray:
        of_makers = self._rng.random(count) < MAKER_SHARE
        most = np.where(of_makers, min(MAKERS, self.settings.accounts), self.settings.accounts)
        return self._rng.integers(0, most)


async def _send(sender: Sender, records: dict[Place, list[Record]]) -> None:
    for at, mine in records.items():
        await sender.send(at, iter(mine))


def _rules(name: bytes, ts: int) -> bytes:
    return (
        b'{"kind":"reference","ts":%d,"about":"market","symbol":"%b","tick":"0.001","lot":"0.000001"'
        b',"regime":"hyperliquid","tiers":[{"lower_bound":"0","maintenance_rate":"0.0125"}]}'
    ) % (ts, name)


_DEPOSIT = b'{"kind":"collateral","ts":%d,"account":"%b","amount":"%d","cause":"deposit"}'
_POSITION = (
    b'{"kind":"reference","ts":%d,"about":"position","symbol":"%b","account":"%b",'
    b'"quantity":"%.6f","entry_price":"%.3f","margin_mode":"cross"}'
)
_LEVERAGE = (
    b'{"kind":"leverage","ts":%d,"symbol":"%b","account":"%b","leverage":"%d",'
    b'"margin_mode":"cross"}'
)
_SIZED = (
    b'"symbol":"%b","account":"%b","order_id":"o-%d","side":"%b","price":"%.3f","quantity":"%.6f"'
)
_ORDER = b'{"kind":"order","ts":%d,"action":"new",' + _SIZED + b"}"
_CANCEL = b'{"kind":"cancel","ts":%d,' + _SIZED + b',"reason":"user"}'
_FILL = (
    b'{"kind":"fill","ts":%d,' + _SIZED + b',"trade_id":"t-%d","liquidity":"%b","cause":"trade"}'
)
_BOOK = b'{"kind":"book","ts":%d,"symbol":"%b","bids":[%b],"asks":[%b]}'
_MARK = b'{"kind":"mark","ts":%d,"symbol":"%b","mark":"%.3f","index":"%.3f"}'
