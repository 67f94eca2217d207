"""The venue scope in the engine: bands and stakes from records."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.alert import Alert
from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.batch import TextColumn
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine, EngineOutput
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.core.snapshot import pack, unpack
from monitor.core.venue.state import VenueState
from tests.core.bands.position_arrays import forced_zones

SECOND = 10**9
START = 1_764_000_000 * SECOND
BOOK = {"bids": [["99.9", "5"], ["99.5", "5"]], "asks": [["100.1", "5"], ["100.5", "5"]]}


def table(symbol: str = "SOL", rate: str = "0.05") -> dict[str, Any]:
    tiers = [{"lower_bound": 0, "maintenance_rate": rate}]
    return {"kind": "reference", "about": "market", "symbol": symbol, "regime": "generic",
            "tiers": tiers}  # fmt: skip


def deposit(account: str, amount: object, cause: str = "deposit", **more: str) -> dict[str, Any]:
    return {"kind": "collateral", "account": account, "amount": amount, "cause": cause, **more}


def fill(account: str, side: str, quantity: object, price: object = 100) -> dict[str, Any]:
    return {"kind": "fill", "symbol": "SOL", "account": account, "side": side, "price": price,
            "quantity": quantity}  # fmt: skip


def mark(price: object, symbol: str = "SOL") -> dict[str, Any]:
    return {"kind": "mark", "symbol": symbol, "mark": price}


def leverage(account: str, times: int, mode: str) -> dict[str, Any]:
    return {"kind": "leverage", "symbol": "SOL", "account": account, "leverage": times,
            "margin_mode": mode}  # fmt: skip


def run(
    records: list[dict[str, Any]], end_s: int = 10, alerts: list[Alert] | None = None
) -> tuple[Engine, list[VenueBands]]:
    """Records at START, or at their own `at` (s); all topics end `end_s` later."""
    settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=1))
    engine = Engine(settings, [])
    bands: list[VenueBands] = []

    def keep(output: EngineOutput) -> None:
        bands.extend(output.bands)
        if alerts is not None:
            alerts.extend(output.alerts)

    for kind, topic in TOPICS.items():
        mine = [r for r in records if r["kind"] == kind]
        mine = sorted(mine, key=lambda r: r.get("at", 0))
        raws = [
            json.dumps({**r, "ts": START + int(r.get("at", 0) * SECOND)}).encode() for r in mine
        ]
        if raws:
            batch = decode(kind, topic, 0, np.arange(len(raws)), raws)
            assert not batch.refused, batch.refused
            keep(engine.step(batch))
        end = START + end_s * SECOND
        keep(engine.control([Control(topic=topic, partition=0, offset=len(raws), ts=end)]))
    keep(engine.finish())
    return engine, bands


BASE = [table(), mark(100), {"kind": "book", "symbol": "SOL", **BOOK}]


def test_a_cross_long_is_forced_where_its_equity_meets_its_maintenance() -> None:
    _, bands = run([*BASE, deposit("a", 110), fill("a", "buy", 10)])
    (market,) = bands[-1].markets
    # 110 + 10 (x − 100) = 0.05 · 10 x  →  x = 890 / 9.5
    price = 890 / 9.5
    zone = int((1 - price / 100) / BIN_WIDTH)
    assert forced_zones(market) == ({zone: 1000 * 10**6}, {})
    assert market.nearest_forced_price[0] == pytest.approx(100 * (1 - zone * BIN_WIDTH))
    assert market.nearest_forced_price[1] is None
    assert (bands[-1].pools, bands[-1].unknown, bands[-1].assumed) == (1, 0, 0)


def test_what_is_forced_near_is_compared_with_the_book() -> None:
    _, bands = run([*BASE, deposit("a", 60), fill("a", "buy", 10), deposit("b", 9_000),
                   fill("b", "sell", 10)])  # fmt: skip
    (market,) = bands[-1].markets
    assert market.forced_near == (1000.0, 0.0)
    assert market.absorbed_near[0] == 1.0
    assert market.absorbed_near[1] is None
    thin = {"kind": "book", "symbol": "SOL", "bids": [["99.9", "0.01"]], "asks": [], "at": 1}
    _, bands = run([*BASE, deposit("a", 60), fill("a", "buy", 10), thin])
    (market,) = bands[-1].markets
    assert market.absorbed_near[0] is not None
    assert 0 < market.absorbed_near[0] < 0.1


def test_an_isolated_position_stands_on_its_own_margin() -> None:
    records = [*BASE, deposit("a", 1000), leverage("a", 10, "isolated"),
               deposit("a", 100, "isolated_in", symbol="SOL"), fill("a", "buy", 10)]  # fmt: skip
    _, bands = run(records)
    price = 900 / 9.5
    zone = int((1 - price / 100) / BIN_WIDTH)
    assert forced_zones(bands[-1].markets[0])[0] == {zone: 1000 * 10**6}
    assert bands[-1].assumed == 0
    # The same margin by the leverage alone, when no record tells of it.
    _, other = run([r for r in records if r.get("cause") != "isolated_in"])
    assert list(other[-1].markets[0].digest_parts()) == list(bands[-1].markets[0].digest_parts())
    assert other[-1].assumed == 1


def test_without_a_mark_or_a_table_nothing_is_guessed() -> None:
    account = [deposit("a", 60), fill("a", "buy", 10)]
    for missing in ("mark", "reference"):
        _, bands = run([r for r in BASE if r["kind"] != missing] + account)
        assert not bands[-1].markets
        assert bands[-1].unknown == 1


@pytest.mark.parametrize(
    ("symbol", "regime", "contract", "why"),
    [("SOL", "generic", {"type": "inverse"}, "inverse: no reference says its size"),
     ("SOL", "generic", {"type": "quanto"}, "quanto: no reference says its multiplier"),
     ("BTCUSD", "generic", None, "unknown"), ("BTCUSD", "generic", {"type": "linear"}, None)],
)  # fmt: skip
def test_a_market_whose_positions_cannot_be_counted_is_left_out_and_says_why(
    symbol: str, regime: str, contract: dict[str, Any] | None, why: str | None
) -> None:
    rules = table(symbol) | {"regime": regime}
    records = [rules, mark(100, symbol), deposit("a", 60), fill("a", "buy", 10)]
    records[3]["symbol"] = symbol
    if contract:  # In a record of its own, as an import writes it, after the table or before it.
        terms = {"kind": "reference", "about": "market", "symbol": symbol, "contract": contract}
        records.insert(symbol == "SOL", terms)
    engine, bands = run(records)
    if why is None:
        assert [m.symbol for m in bands[-1].markets] == [symbol]
        assert bands[-1].left_out == ()
        return
    assert not bands[-1].markets
    assert bands[-1].unknown == 1
    assert [(name, text[: len(why)]) for name, text in bands[-1].left_out] == [(symbol, why)]
    again = VenueState(EngineSettings())
    again.restore(engine.venue.snapshot())
    assert again.left_out == engine.venue.left_out
    assert again.market_rules == {}


def test_the_rule_of_the_records_day_counts() -> None:
    engine, _ = run([table() | {"regime": "bybit"}])  # November 2025
    assert engine.venue.market_rules["SOL"][0].at_entry
    months = 250 * 86_400
    engine, _ = run([table() | {"regime": "bybit", "at": months}], end_s=months + 10)
    assert not engine.venue.market_rules["SOL"][0].at_entry


def test_a_rule_that_changes_at_midnight_counts_from_the_first_second_of_its_day() -> None:
    # Bybit, 27 May 2026: maintenance was counted at entry value until then.
    midnight = (1_779_840_000 * SECOND - START) / SECOND
    trade = fill("a", "buy", 10, 80) | {"at": midnight - 10}
    marks = [mark(100) | {"at": at} for at in (midnight - 5, midnight - 1, midnight, midnight + 5)]
    records = [table() | {"regime": "bybit"}, deposit("a", 110), trade, *marks]
    engine, bands = run(records, end_s=int(midnight) + 10)
    nearest = {
        b.ts / SECOND - 1_779_840_000: b.markets[0].nearest_forced_price[0]
        for b in bands[-4:] if b.markets
    }  # fmt: skip
    # 110 + 10 (x − 80) = 0.05 · 10 · 80, and then 0.05 · 10 x.
    for after_s, x in ((-4, 73.0), (0, 73.0), (1, 690 / 9.5), (6, 690 / 9.5)):
        assert abs(nearest[after_s] - x) <= 100 * BIN_WIDTH
    again = VenueState(EngineSettings())
    again.restore(engine.venue.snapshot())
    assert again.market_rules == engine.venue.market_rules
    assert not again.market_rules["SOL"][0].at_entry


def test_a_table_whose_rates_fall_is_refused_and_the_last_good_one_stays() -> None:
    bad = {**table(), "at": 2}
    bad["tiers"] = [{"lower_bound": 0, "maintenance_rate": "0.2"},
                    {"lower_bound": 10, "maintenance_rate": "0.1"}]  # fmt: skip
    account = [deposit("a", 110), fill("a", "buy", 10)]
    engine, bands = run([*BASE, *account, bad])
    assert engine.venue.unread["tiers"] == 1
    first, last = (market.markets[0] for market in (bands[0], bands[-1]))
    same_age = dataclasses.replace(last, mark_age_s=first.mark_age_s)
    assert list(same_age.digest_parts()) == list(first.digest_parts())


def test_bands_are_as_of_the_end_of_their_second() -> None:
    later = {**fill("a", "sell", 10), "at": 3.5}
    _, bands = run(
        [*BASE, deposit("a", 110), fill("a", "buy", 10), {**mark(101), "at": 1.2}, later]
    )
    assert [(b.ts - START) / SECOND for b in bands] == [1, 2]
    assert [b.markets[0].mark for b in bands] == [100.0, 101.0]


def test_moves_and_liquidations_are_those_of_the_records_in_any_slices() -> None:
    """Marks of 15 minutes and a forced fill each: in one piece, in slices, and from a snapshot."""
    rng = np.random.default_rng(1)
    walk = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, (180, 2)), axis=0))
    records = [table(), table("ETH")]
    for k, (sol, eth) in enumerate(walk.tolist()):
        records += [
            {**mark(f"{sol:.6f}"), "index": f"{sol:.6f}", "at": 5 * k},
            {**mark(f"{eth:.6f}", "ETH"), "index": f"{eth:.6f}", "at": 5 * k + 1},
        ]
        forced = fill(f"a{k}", "sell", 1, f"{sol:.2f}")
        records.append({**forced, "cause": "liquidation", "at": 5 * k + 2})
    whole, _ = run(records, 900)
    settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=1))
    sliced = Engine(settings, [])
    for part in range(4):
        for kind, topic in TOPICS.items():
            mine = [r for r in records if r["kind"] == kind]
            low, high = (len(mine) * k // 4 for k in (part, part + 1))
            raws = [
                json.dumps({**r, "ts": START + int(r.get("at", 0) * SECOND)}).encode()
                for r in mine[low:high]
            ]
            if raws:
                sliced.step(decode(kind, topic, 0, np.arange(low, high), raws))
            end = START + 225 * (part + 1) * SECOND
            sliced.control([Control(topic=topic, partition=0, offset=high, ts=end)])
    sliced.finish()
    restored = VenueState(settings)
    restored.restore(unpack(pack(whole.stage.venue_state.snapshot(), ""), ""))
    estimates = []
    for state in (whole.stage.venue_state, sliced.stage.venue_state, restored):
        symbols = state.ledger.symbols.intern(TextColumn.from_strings(["ETH", "SOL"]))
        moves = state.index_moves.estimate(symbols)
        assert moves.ready.all()
        ratio, by_market = state.liquidation_times.ratios(START + 900 * SECOND)
        assert by_market == {"SOL": ratio}
        estimates.append((moves.covariance.tolist(), moves.follow.tolist(), ratio))
    assert estimates[0] == estimates[1] == estimates[2]
