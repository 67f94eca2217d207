"""Collateral outside, from the liquidation prices that a venue prints."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.settings import AccountSettings, EngineSettings
from tests.core.venue.liquidation_prices import liquidation_prices
from tests.core.venue.test_state import SECOND, START, deposit, mark, run, table

SYMBOLS = "BTC", "ETH", "SOL", "XRP"
RATE = 0.05


def market(symbol: str, price: float = 100.0) -> list[dict[str, Any]]:
    return [{**table(symbol, str(RATE)), "regime": "hyperliquid"}, mark(price, symbol)]


def position(symbol: str, quantity: float, printed: float | None, **more: Any) -> dict[str, Any]:
    record = {"kind": "reference", "about": "position", "account": "a", "symbol": symbol,
              "quantity": quantity, "entry_price": 100, "margin_mode": "cross",
              "mark": 100}  # fmt: skip
    return record | more | ({} if printed is None else {"liquidation_price": f"{printed:.10f}"})


def venue_prices(quantities: list[float], equity: float, rates: list[float]) -> list[float | None]:
    """What a venue prints for these positions at a mark of 100, by the formula."""
    needs = [abs(q) * 100.0 * r for q, r in zip(quantities, rates, strict=True)]
    out: list[float | None] = []
    for q, r, own in zip(quantities, rates, needs, strict=True):
        x = (sum(needs) - own - equity + q * 100.0) / (q - abs(q) * r)
        out.append(x if x > 0 else None)
    return out


def account(quantities: list[float], printed: list[float | None], *more: dict[str, Any]) -> Engine:
    records = [r for symbol in SYMBOLS for r in market(symbol)]
    every = zip(SYMBOLS, quantities, printed, strict=False)
    return run([*records, *(position(s, q, x) for s, q, x in every), *more])[0]


def outside(engine: Engine) -> float:
    return float(engine.venue.ledger.collateral_outside.sum()) / 1e6


def test_one_printed_price_gives_the_prices_of_all_others() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        quantities = (rng.choice([-1, 1], 4) * rng.integers(1, 20, 4)).tolist()
        equity = float(rng.integers(600, 5000))
        printed = venue_prices(quantities, equity, [RATE] * 4)
        known = [i for i, x in enumerate(printed) if x is not None][:1]
        # The others do not even say that they have one.
        told = [x if i in known else None for i, x in enumerate(printed)]
        records = [r for symbol in SYMBOLS for r in market(symbol)]
        for symbol, q, x in zip(SYMBOLS, quantities, told, strict=True):
            records.append(position(symbol, q, x, **({} if x else {"mark": None})))
        engine, bands = run([*records, deposit("a", 100)])
        prices = liquidation_prices(engine)
        for symbol, x in zip(SYMBOLS, printed, strict=True):
            assert prices["a", symbol] == (None if x is None else pytest.approx(x, rel=1e-7))
        assert outside(engine) == pytest.approx(equity - 100, abs=1e-3)
        assert bands[-1].collateral_outside == (1, round(outside(engine) * 1e6))
        assert bands[-1].printed_prices == {"collateral_outside": 1}


def test_equity_on_record_that_meets_the_prints_is_left_as_it_is() -> None:
    quantities = [3.0, -2.0]
    printed = venue_prices(quantities, 200.0, [RATE] * 2)
    engine = account(quantities, printed, deposit("a", 200))
    assert outside(engine) == 0
    assert engine.stage.printed_prices.verdicts["met"] == 2


def test_a_newer_print_calibrates_anew() -> None:
    first = venue_prices([5.0], 300.0, [RATE])
    second = venue_prices([5.0], 200.0, [RATE])
    newer = position("BTC", 0, second[0]) | {"at": 5}
    engine = account([5.0], first, newer)
    assert outside(engine) == pytest.approx(200, abs=1e-3)
    assert liquidation_prices(engine)["a", "BTC"] == pytest.approx(second[0], rel=1e-9)


def test_an_older_maximum_leverage_follows_from_the_print_that_disagrees() -> None:
    quantities = [8.0, -5.0, 4.0, -6.0]
    rates = [RATE, RATE, RATE, 1 / 40]
    printed = venue_prices(quantities, 300.0, rates)
    engine = account(quantities, printed)
    prices = liquidation_prices(engine)
    assert [prices["a", s] for s in SYMBOLS] == pytest.approx(printed, rel=1e-7)
    assert engine.stage.printed_prices.verdicts["older_rules"] == 1


def test_a_print_far_off_has_a_margin_of_its_own() -> None:
    quantities = [8.0, -5.0, 4.0, -6.0]
    printed = [*venue_prices(quantities[:3], 300.0, [RATE] * 3), 131.7]
    engine = account(quantities, printed)
    prices = liquidation_prices(engine)
    assert [prices["a", s] for s in SYMBOLS] == pytest.approx(printed, rel=1e-7)
    assert engine.stage.printed_prices.verdicts["own_margin"] == 1


def test_an_isolated_position_without_a_margin_has_that_of_its_print() -> None:
    records = [*market("BTC"), position("BTC", 2, 80.0, margin_mode="isolated")]
    engine, bands = run(records)
    assert liquidation_prices(engine)["a", "BTC"] == pytest.approx(80.0, rel=1e-9)
    assert engine.stage.printed_prices.verdicts["own_margin"] == 1
    assert bands[-1].unknown == 0


def test_a_print_a_little_off_disagrees_and_moves_nothing() -> None:
    quantities = [8.0, -5.0, 4.0, -6.0]
    printed = venue_prices(quantities, 300.0, [RATE] * 4)
    late = [*printed[:3], (printed[3] or 0) * 1.003]
    engine = account(quantities, late)
    prices = liquidation_prices(engine)
    assert [prices["a", s] for s in SYMBOLS] == pytest.approx(printed, rel=1e-7)
    assert engine.stage.printed_prices.verdicts["disagrees"] == 1


def test_long_positions_without_a_price_say_how_much_equity_there_is_at_least() -> None:
    engine = account([8.0, 4.0], [None, None])
    assert liquidation_prices(engine) == {("a", "BTC"): None, ("a", "ETH"): None}
    # Of BTC: what it is worth, less what it needs itself at 0, and what ETH needs.
    assert outside(engine) == pytest.approx(800 + 4 * 100 * RATE, abs=1e-3)


def test_prints_in_any_slices_give_the_same_state() -> None:
    rng = np.random.default_rng(3)
    records = [r for symbol in SYMBOLS for r in market(symbol)]
    for name in ("b", "a", "d", "c"):
        quantities = [8.0, -5.0, 4.0, -6.0]
        rates = [RATE, RATE, RATE, float(0.5 / rng.integers(12, 30))]
        printed = venue_prices(quantities, float(rng.integers(200, 400)), rates)
        for symbol, q, x in zip(SYMBOLS, quantities, printed, strict=True):
            records.append(position(symbol, q, x, account=name, at=int(rng.integers(2))))
    digests = set()
    for _ in range(4):
        settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=1))
        engine, waiting = Engine(settings, []), dict.fromkeys(("mark", "reference"), 0)
        by_kind = {
            kind: sorted((r for r in records if r["kind"] == kind), key=lambda r: r.get("at", 0))
            for kind in waiting
        }
        while any(waiting[kind] < len(by_kind[kind]) for kind in waiting):
            kind = str(rng.choice(list(waiting)))
            first, count = waiting[kind], int(rng.integers(1, 6))
            raws = [
                json.dumps({**r, "ts": START + r.get("at", 0) * SECOND}).encode()
                for r in by_kind[kind][first : first + count]
            ]
            if raws:
                offsets = np.arange(first, first + len(raws))
                engine.step(decode(kind, TOPICS[kind], 0, offsets, raws))
            waiting[kind] = first + len(raws)
        controls = [
            Control(topic=topic, partition=0, offset=waiting.get(kind, 0), ts=START + 9 * SECOND)
            for kind, topic in TOPICS.items()
        ]
        engine.control(controls)
        engine.finish()
        assert engine.venue.own_rules.version > 0
        digests.add(engine.venue.digest())
    assert len(digests) == 1
