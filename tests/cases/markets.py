"""Ordinary markets, second by second, in which a case then spoils one thing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.cases.front_door import START_NS

SECOND = 1_000_000_000
Record = dict[str, Any]


def at(second: float) -> int:
    return START_NS + round(second * SECOND)


def prices(seconds: int, start: float, sigma: float, seed: int) -> list[float]:
    """A random walk, one price a second; `sigma`: of the logarithm's steps."""
    rng, price, walk = random.Random(seed), start, []
    for _ in range(seconds):
        price *= 1 + rng.gauss(0, sigma)
        walk.append(price)
    return walk


def book(
    second: float, symbol: str, bid: float, ask: float, size: float = 10.0, levels: int = 5
) -> Record:
    """A book of equal sizes, its levels a basis point apart."""
    step = 1e-4
    return {
        "kind": "book", "ts": at(second), "symbol": symbol,
        "bids": [[f"{bid * (1 - step * i):.8f}", f"{size:.4f}"] for i in range(levels)],
        "asks": [[f"{ask * (1 + step * i):.8f}", f"{size:.4f}"] for i in range(levels)],
    }  # fmt: skip


def mark(second: float, symbol: str, price: float, **more: Any) -> Record:
    text = f"{price:.8f}"
    return {"kind": "mark", "ts": at(second), "symbol": symbol, "mark": text, "index": text, **more}


def trade(second: float, symbol: str, price: float, quantity: float = 1.0) -> Record:
    return {
        "kind": "fill", "ts": at(second), "symbol": symbol, "side": "buy", "price": f"{price:.8f}",
        "quantity": f"{quantity:.4f}", "liquidity": "taker",
    }  # fmt: skip


def quiet_market(symbol: str, walk: list[float], spread: float = 2e-4) -> Iterator[Record]:
    """A mark, a book and (every other second) a trade a second."""
    for second, price in enumerate(walk):
        yield mark(second, symbol, price)
        bid, ask = price * (1 - spread / 2), price * (1 + spread / 2)
        yield book(second + 0.1, symbol, bid, ask)
        if second % 2:
            yield trade(second + 0.2, symbol, price)


def seconds_after(alert: Record, second: float) -> float:
    """How long after that second an alert was decided."""
    return (int(alert["ts"]) - at(second)) / SECOND
