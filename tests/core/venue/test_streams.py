"""The venue's streams: what a record counts for, and the alert of several at once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.settings import AccountSettings, EngineSettings, JointSettings, StreamSettings
from monitor.core.venue.stream_inputs import (
    VENUE_COLUMN,
    forced_to_depth,
    running_streams,
    stream_rows,
    thinner_depth,
)
from monitor.plugins import detector_factories
from tests.core.alerts.findings import plain
from tests.core.venue.test_state import BASE, SECOND, START, deposit, fill, leverage, run, table

THIN = {"bids": [["99.9", "4"], ["99", "1"]], "asks": [["100.1", "8"], ["101", "1"]]}
OPEN = [*BASE, deposit("a", 500), fill("a", "buy", 10)]
"""Account a holds 10 SOL at a mark of 100."""


def amounts(records: list[dict[str, Any]]) -> dict[str, float]:
    """What the last interval's records count, by stream."""
    engine, bands = run(records)
    symbols, markets = engine.venue.ledger.symbols, bands[-1].markets
    names = symbols.names(np.arange(len(symbols)))
    of_name = dict(zip(markets.symbols, thinner_depth(markets).tolist(), strict=True))
    rows = stream_rows(engine.venue, np.array([of_name.get(name, np.nan) for name in names]))
    total = dict.fromkeys(VENUE_COLUMN, 0.0)
    for stream, amount in zip(rows.stream.tolist(), rows.amount.tolist(), strict=True):
        total[list(VENUE_COLUMN)[stream]] += amount
    return {name: value for name, value in total.items() if value}


def later(record: dict[str, Any], at: float = 5) -> dict[str, Any]:
    return {**record, "at": at}


def test_a_raise_counts_the_open_notional_and_a_cut_nothing() -> None:
    before = later(leverage("a", 5, "cross"), 1)
    assert amounts([*OPEN, before, later(leverage("a", 10, "cross"))]) == {"raised_notional": 1000}
    assert amounts([*OPEN, before, later(leverage("a", 4, "cross"))]) == {}
    nobody = later({**leverage("b", 10, "cross"), "previous": 5})
    assert amounts([*OPEN, before, nobody]) == {}


def test_the_leverage_before_may_come_from_the_record_alone() -> None:
    raised = later({**leverage("a", 10, "cross"), "previous": 5})
    assert amounts([*OPEN, raised]) == {"raised_notional": 1000}
    assert amounts([*OPEN, later(leverage("a", 10, "cross"))]) == {}


@pytest.mark.parametrize(("bound", "near"), [(1050, True), (1000, False), (1200, False)])
def test_near_a_tier_means_just_below_its_bound(bound: int, near: bool) -> None:
    rows = [
        {"lower_bound": 0, "maintenance_rate": "0.05"},
        {"lower_bound": bound, "maintenance_rate": "0.1"},
    ]
    raised = later({**leverage("a", 10, "cross"), "previous": 5})
    counted = amounts([*OPEN, {**table(), "tiers": rows, "at": 0.5}, raised])
    assert counted == {"raised_notional": 1000, **({"raised_near_tier": 1000} if near else {})}


def test_opening_with_high_leverage_counts_in_percent_of_the_near_depth() -> None:
    book = {"kind": "book", "symbol": "SOL", **THIN}
    high = later(leverage("a", 20, "cross"), 1)
    opened = amounts([*OPEN, {**book, "at": 2}, high, later(fill("a", "buy", 2))])
    assert opened == {"opened_high_to_depth": pytest.approx(100 * 200 / 400)}
    assert amounts([*OPEN, {**book, "at": 2}, high, later(fill("a", "sell", 2))]) == {}
    # Through zero: only what lies beyond it is opened.
    turned = amounts([*OPEN, {**book, "at": 2}, high, later(fill("a", "sell", 12))])
    assert turned == {"opened_high_to_depth": pytest.approx(100 * 200 / 400)}


@pytest.mark.parametrize(
    ("price", "fee", "counts"),
    [
        (100, "-0.1", True),  # no gain, a rebate: paid for by it
        (99, "-0.1", False),  # a loss that no rebate covers
        ("99.99", "-0.1", True),
        (101, "-0.1", False),  # a gain needs no rebate
        (100, "0.1", False),
    ],
)
def test_churn_closes_at_no_gain_and_earns_by_rebates(
    price: object, fee: str, counts: bool
) -> None:
    closing = later({**fill("a", "sell", 4, price), "fee": fee})
    assert amounts([*OPEN, closing]) == ({"churned_notional": 400} if counts else {})


def test_an_adjustment_is_unexplained_money() -> None:
    assert amounts([*OPEN, later(deposit("a", "-50", "adjustment"))]) == {"unexplained": 50}
    assert amounts([*OPEN, later(deposit("a", 50))]) == {}


def test_the_feeds_of_an_interval_tell_which_streams_are_known_zeros() -> None:
    def running(records: list[dict[str, Any]]) -> set[str]:
        runs = running_streams(run(records)[0].venue)
        return {name for name, column in VENUE_COLUMN.items() if runs[column]}

    positions = {"raised_notional", "raised_near_tier", "opened_high_to_depth", "churned_notional"}
    assert running([*OPEN, later(deposit("a", 50))]) == {"unexplained"}
    assert running([*OPEN, later(fill("a", "buy", 1))]) == positions
    assert running([*OPEN, later(leverage("a", 5, "cross"))]) == positions


def test_forced_notional_is_divided_by_the_depth_within_the_same_distance() -> None:
    def ratio(bands: list[VenueBands]) -> float:
        markets = bands[-1].markets
        return float(forced_to_depth(markets)[markets.symbols.index("SOL")])

    # 10 at 100 with 60 of equity and 5 % of maintenance: forced 1.05 % away. Within 2 % the book
    # takes 5, which at the mark is 500.
    deep = {**BASE[2], "bids": [["99.9", "5"], ["97", "5"]], "asks": [["100.1", "5"], ["103", "5"]]}
    position = [*BASE[:2], deposit("a", 60), fill("a", "buy", 10)]
    assert ratio(run([*position, deep])[1]) == pytest.approx(2.0)
    assert ratio(run([*position, deep, deposit("a", 500)])[1]) == 0.0
    assert np.isnan(ratio(run(position)[1]))


def test_many_raises_at_once_are_one_alert_with_their_accounts_and_records() -> None:
    streams = (StreamSettings(feature="raised_notional", parameters={"warm_up": 20}),)
    settings = EngineSettings(
        streams=streams,
        accounts=AccountSettings(bands_every_s=1),
        joint=JointSettings(streams=()),
    )
    engine = Engine(settings, detector_factories(streams))
    rng = np.random.default_rng(3)
    names = [f"a-{i}" for i in range(40)]
    records = [*BASE, *(deposit(n, 1000) for n in names), *(fill(n, "buy", 1) for n in names)]
    records += [leverage(n, 2, "cross") for n in names]
    level = dict.fromkeys(names, 2)
    for second in range(1, 600):
        crowd = 30 if 500 <= second < 503 else int(rng.random() < 0.1)
        for name in rng.choice(names, crowd, replace=False).tolist():
            level[name] += 1
            records.append({**leverage(name, level[name], "cross"), "at": second})
        records.append({**BASE[1], "at": second})
    alerts: list[Any] = []
    for kind, topic in TOPICS.items():
        mine = sorted((r for r in records if r["kind"] == kind), key=lambda r: r.get("at", 0))
        raws = [json.dumps({**r, "ts": START + r.get("at", 0) * SECOND}).encode() for r in mine]
        if raws:
            engine.step(decode(kind, topic, 0, np.arange(len(raws)), raws))
        control = Control(topic=topic, partition=0, offset=len(raws), ts=START + 700 * SECOND)
        alerts += engine.control([control]).alerts
    alerts = [plain(alert) for alert in alerts + engine.finish().alerts]
    (first,) = (a for a in alerts if a["kind"] == "leverage_surge" and a["status"] == "firing")
    assert START + 500 * SECOND < first["ts"] <= START + 505 * SECOND
    assert first["kind"] == "leverage_surge"
    assert first["layer"] == "margin"
    assert first["summary"].startswith("Notional on which leverage was raised ×")
    assert first["evidence"][0]["observed"] >= 2000
    assert len(first["accounts"]) == 5
    (span,) = first["records"]
    assert span["topic"] == TOPICS["leverage"]
    assert span["last_offset"] - span["first_offset"] >= 29
