"""A small venue without a book: random trades, marks that jump, and plain formulas beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import SECOND_NS
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import (
    apply_fills,
    change_leverage,
    deposit,
    find_position,
    pay_funding,
)
from replay.simulation.clearing.ledger import VenueMoney, add_room, open_ledger
from replay.simulation.clearing.margin import check_margin, largest_order, withdraw
from replay.simulation.clearing.settlement import settle_unfilled

ACCOUNTS, MAKERS = 12, 2
"""The last `MAKERS` accounts are market makers."""
TIERS = ((0, "0.02", "0.04"), (200_000, "0.04", "0.08"), (1_000_000, "0.1", "0.2"))
SYMBOLS = ("AAA", "BBB", "CCC")
TICKS, LOTS = ("0.5", "0.01", "0.0001"), ("0.001", "0.1", "10")
PRICES = (100_000, 10_000, 20_000)
"""In ticks."""
CAUSES = ("deposit", "withdrawal", "isolated_in", "isolated_out", "funding", "rebate", "adjustment")


def market(number: int, regime: str, tiers=TIERS) -> MarketReference:
    return MarketReference.model_validate(
        {
            "ts": 10**18, "symbol": SYMBOLS[number], "about": "market", "tick": TICKS[number],
            "lot": LOTS[number], "regime": regime,
            "tiers": [
                {"lower_bound": str(b), "maintenance_rate": m, "initial_rate": i}
                for b, m, i in tiers
            ],
        }
    )  # fmt: skip


def needed(notional: Fraction, regime: str) -> Fraction:
    """Maintenance of a notional (quote currency), tier by tier: each part at its own rate."""
    need = Fraction(0)
    bounds = [*(b for b, _, _ in TIERS), None]
    for (low, rate, _), high in zip(TIERS, bounds[1:], strict=True):
        top = notional if high is None else min(notional, Fraction(high))
        need += max(top - low, Fraction(0)) * Fraction(rate)
    return need + (notional * Fraction(5, 10_000) if regime == "gate" else 0)


@dataclass
class SmallVenue:
    """`moves`, `fills`: all that happened, each behind its time in ns."""

    seed: int
    regime: str
    vault: int = 5_000_000
    fund: int = 20_000
    now: int = 10**18
    moves: list[tuple[int, ...]] = field(default_factory=list)
    fills: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.references = [market(m, self.regime) for m in range(len(SYMBOLS))]
        classes = (np.arange(ACCOUNTS) >= ACCOUNTS - MAKERS).astype(np.int64)
        money = VenueMoney(self.vault * MONEY_SCALE, self.fund * MONEY_SCALE)
        self.ledger = open_ledger(self.references, ACCOUNTS, money, classes)
        self.marks = np.array(PRICES, np.int64)
        for account, amount in ((ACCOUNTS, self.vault), (ACCOUNTS + 1, self.fund)):
            self._note(account, -1, amount * MONEY_SCALE, c.DEPOSIT)
        for account in range(ACCOUNTS):
            rich = 100 if account >= ACCOUNTS - MAKERS else 1
            amount = int(self.rng.integers(1_000, 100_000)) * MONEY_SCALE * rich
            deposit(self.ledger, account, amount)
            self._note(account, -1, amount, c.DEPOSIT)
            for symbol in range(len(SYMBOLS)):
                chosen = int(self.rng.integers(2, 26)) * SCALE
                mode = int(self.rng.random() < 0.4)
                change_leverage(self.ledger, account, symbol, chosen, mode)

    def _note(self, account: int, symbol: int, amount: int, cause: int) -> None:
        self.moves.append((self.now, account, symbol, amount, cause))

    def _apply(self, fills: list[tuple[int, ...]]) -> None:
        if not fills:
            return
        matrix = np.zeros((len(fills), len(c.FILL_COLUMNS)), np.int64)
        matrix[:, : c.FILL_CAUSE + 1] = fills
        moves = np.zeros((2 * len(fills), len(c.MOVE_COLUMNS)), np.int64)
        self.ledger = add_room(self.ledger, len(fills))
        n = apply_fills(self.ledger, matrix, moves)
        self._keep(matrix, moves[:n])

    def _keep(self, fills: np.ndarray, moves: np.ndarray) -> None:
        times = [self.now + 1_000 * row for row in range(len(fills))]
        for account, symbol, amount, cause, fill in moves.tolist():
            self.moves.append(
                (times[fill] if fill >= 0 else self.now, account, symbol, amount, cause)
            )
        self.fills += [(ts, *row) for ts, row in zip(times, fills.tolist(), strict=True)]
        self.now += 1_000 * len(fills)

    def trade(self, count: int) -> None:
        """So many trades between accounts, as large as their margin allows at the most."""
        rng = self.rng
        for _ in range(count):
            taker = int(rng.integers(ACCOUNTS - MAKERS))
            maker = int(rng.integers(ACCOUNTS - MAKERS, ACCOUNTS))
            symbol, side = int(rng.integers(len(SYMBOLS))), int(rng.choice([-1, 1]))
            most = largest_order(self.ledger, taker, symbol, side, self.marks)
            lots = int(most * rng.random())
            price = int(self.marks[symbol] * rng.uniform(0.999, 1.001))
            if lots:
                self._apply([(symbol, maker, taker, side * lots, price, c.TRADE)])

    def move_marks(self, share: float) -> None:
        """Marks that move by up to `share`, up or down."""
        steps = self.rng.uniform(-share, share, len(self.marks))
        self.marks = np.maximum((self.marks * (1 + steps)).astype(np.int64), 10)

    def transfer(self) -> None:
        """A deposit, a withdrawal, and a change of leverage and mode."""
        rng = self.rng
        account, symbol = int(rng.integers(ACCOUNTS)), int(rng.integers(len(SYMBOLS)))
        amount = int(rng.integers(1, 10**9))
        deposit(self.ledger, account, amount)
        self._note(account, -1, amount, c.DEPOSIT)
        paid = withdraw(self.ledger, account, int(rng.integers(1, 10**10)), self.marks)
        self._note(account, -1, -paid, c.WITHDRAWAL)
        chosen = int(rng.integers(1, 30)) * SCALE
        change_leverage(self.ledger, account, symbol, chosen, int(rng.integers(2)))

    def pay_funding(self) -> None:
        rates = self.rng.integers(-100_000, 100_000, len(SYMBOLS))
        self._keep(np.zeros((0, 8), np.int64), pay_funding(self.ledger, rates, self.marks))

    def check(self) -> np.ndarray:
        return check_margin(self.ledger, self.marks, self.now)

    def fill_orders(self, orders: np.ndarray) -> None:
        """The book takes a random part of each order, from a maker, not beyond its limit."""
        fills = []
        for account, symbol, lots, limit, kind in orders.tolist():
            size = int(abs(lots) * min(self.rng.random() * 1.3, 1.0))
            mark = int(self.marks[symbol])
            price = int(mark * (0.998 if lots < 0 else 1.002))
            price = max(price, limit) if lots < 0 else min(price, limit or price)
            if size and (price - mark) * lots >= 0:
                maker = int(self.rng.integers(ACCOUNTS - MAKERS, ACCOUNTS))
                cause = c.TRADE if kind == c.UNWIND else c.LIQUIDATION
                signed = size if lots > 0 else -size
                fills.append((symbol, maker, account, signed, price, cause))
        self._apply(fills)

    def settle(self) -> np.ndarray:
        fills, moves = settle_unfilled(self.ledger, self.marks)
        self._keep(fills, moves)
        return fills

    def step(self, share: float = 0.02) -> None:
        """A second."""
        self.now = self.now // SECOND_NS * SECOND_NS + SECOND_NS
        self.trade(6)
        self.transfer()
        self.move_marks(share)
        self.fill_orders(self.check())
        self.settle()

    # The state in plain numbers. --------------------------------------------------------------

    def row(self, account: int, symbol: int) -> int:
        return int(find_position(self.ledger, account, symbol))

    def lots(self, account: int, symbol: int) -> int:
        row = self.row(account, symbol)
        return int(self.ledger.positions[row, c.LOTS]) if row >= 0 else 0

    def pools(self) -> dict[int, list[int]]:
        """The rows of the open positions of each pool that has any."""
        out: dict[int, list[int]] = {}
        for row in range(int(self.ledger.totals[c.ROWS])):
            position = self.ledger.positions[row]
            if position[c.LOTS]:
                isolated = position[c.MODE] == c.ISOLATED
                pool = ACCOUNTS + 2 + row if isolated else int(position[c.HOLDER])
                out.setdefault(pool, []).append(row)
        return out

    def value(self, row: int, marks: np.ndarray | None = None) -> Fraction:
        """Signed notional of a position, quote currency."""
        position = self.ledger.positions[row]
        symbol = int(position[c.MARKET])
        price = int((self.marks if marks is None else marks)[symbol]) * Fraction(TICKS[symbol])
        return int(position[c.LOTS]) * Fraction(LOTS[symbol]) * price

    def equity(self, pool: int, rows: list[int], marks: np.ndarray | None = None) -> Fraction:
        cash = Fraction(int(self.ledger.pools[pool, c.CASH]), MONEY_SCALE)
        return cash + sum((self.value(row, marks) for row in rows), Fraction(0))

    def need(self, rows: list[int]) -> Fraction:
        return sum((needed(abs(self.value(row)), self.regime) for row in rows), Fraction(0))
