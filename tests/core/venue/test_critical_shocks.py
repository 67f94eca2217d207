"""Alerts on a cascade that an hour's move may set off, on a market that the test makes.

The mark moves by .2 % each minute, up and down, so that one standard deviation of an hour's return
is about 1.5 %. Longs of 100 k are forced 1 % below it, and a thin book takes 10 k on the way there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.core.contract.alert import Alert
from monitor.core.snapshot import pack, unpack
from monitor.core.venue.critical_shocks import LEAVE_NS, CriticalShocks
from monitor.core.venue.streams import VenueMoment
from tests.core.venue.test_state import SECOND, deposit, mark, run, table

MINUTE = 60


def market(minutes: int, symbol: str = "SOL") -> list[dict[str, Any]]:
    """A mark each minute that ends near 100."""
    return [
        {**mark(100 + 0.2 * (minute % 2), symbol), "at": minute * MINUTE}
        for minute in range(minutes)
    ]


def book(minute: float, notional: float, symbol: str = "SOL") -> dict[str, Any]:
    """Ten bids within 1 %, of that notional together, and one behind them; asks likewise."""
    size = f"{notional / 1000:.8f}"
    bids = [[f"{99.95 - i / 10:.2f}", size] for i in range(11)]
    asks = [[f"{100.5 + i / 10:.1f}", size] for i in range(11)]
    return {"kind": "book", "symbol": symbol, "bids": bids, "asks": asks, "at": minute * MINUTE + 1}


def trade(account: str, quantity: object, symbol: str = "SOL") -> dict[str, Any]:
    return {"kind": "fill", "symbol": symbol, "account": account, "side": "buy", "price": 100,
            "quantity": quantity}  # fmt: skip


HOLDERS = [
    table(), table("ETH"), {**mark(100, "ETH")},
    # With 5 % maintenance an equity of q·(100 − .95·x) is due at x: here at 98.97.
    deposit("a", "3587.1"), trade("a", 600),
    deposit("b", "2391.4"), trade("b", 400), trade("b", "0.001", "ETH"),
]  # fmt: skip
THIN, THICK = 10_000.0, 2_000_000.0
"""What the book takes within 1 %: a tenth of what is forced there, and twenty times as much."""


def alerts_of(records: list[dict[str, Any]], minutes: int) -> list[Alert]:
    alerts: list[Alert] = []
    run([*HOLDERS, *market(minutes), *records], minutes * MINUTE, alerts)
    return [alert for alert in alerts if alert.kind == "critical_shock"]


def test_a_cascade_within_an_hours_move_is_one_incident_with_money_and_path() -> None:
    books = [book(m, THIN if m < 60 else THICK) for m in range(90)]
    firing, resolved = alerts_of(books, 90)
    assert (firing.status, resolved.status) == ("firing", "resolved")
    assert (firing.layer, firing.severity, firing.symbols) == ("margin", "warning", ("SOL",))
    assert firing.summary == (
        "SOL −1 % (41 % likely within the hour) would force 100 k, 10 times what the book takes; "
        "40 % of it through one cross account that also holds ETH"
    )
    assert [(c.account, c.share) for c in firing.accounts] == [("a", 0.6), ("b", 0.4)]
    (evidence,) = firing.evidence
    assert (evidence.observed, evidence.expected, evidence.p) == (100_000, 10_000, None)
    stake = firing.at_stake
    assert stake is not None
    assert stake.down is not None
    assert (stake.down.shock, stake.down.within_hour) == (-0.01, True)
    assert stake.up is None
    assert resolved.summary == (
        "No fall of SOL within an hour's move sets off a cascade, after 29 min"
    )
    # It ends a quarter of an hour after the last thin book.
    assert resolved.ts - firing.ts > 40 * MINUTE * SECOND


def test_a_book_that_is_thin_now_and_then_makes_one_incident() -> None:
    books = [book(m, THIN if m < 40 or m % 5 == 0 else THICK) for m in range(90)]
    assert [alert.status for alert in alerts_of(books, 90)] == ["firing"]


def test_a_book_that_is_thin_for_a_moment_makes_none() -> None:
    books = [book(m, THICK) for m in range(90)]
    moments = [book(m + 0.1, THIN) for m in range(40, 90)]
    after = [book(m + 0.2, THICK) for m in range(40, 90)]
    assert alerts_of([*books, *moments, *after], 90) == []


def test_a_market_whose_volatility_is_not_known_yet_says_nothing() -> None:
    assert alerts_of([book(m, THIN) for m in range(25)], 25) == []


def test_a_market_that_hardly_moves_is_not_within_reach_of_its_shock() -> None:
    quiet = [{**record, "mark": 100} for record in market(90)]
    alerts: list[Alert] = []
    run([*HOLDERS, *quiet, *(book(m, THIN) for m in range(90))], 90 * MINUTE, alerts)
    assert alerts == []


def test_an_open_condition_outlives_a_restart() -> None:
    engine, bands = run([*HOLDERS, *market(45), *(book(m, THIN) for m in range(45))], 45 * MINUTE)
    stage = engine.stage
    judge = next(j for j in stage._judges if isinstance(j, CriticalShocks))
    state = unpack(pack({"judge": judge.snapshot()}, ""), "")["judge"]
    again = CriticalShocks(stage.band_maker, SECOND)
    again.restore(state)
    assert again.snapshot() == judge.snapshot() != CriticalShocks(stage.band_maker, 1).snapshot()
    nothing = replace(bands[-1].cascades, inside=0)
    after = replace(bands[-1], ts=bands[-1].ts + LEAVE_NS + SECOND, cascades=nothing)
    for one in (judge, again):
        (end,) = one.judge(VenueMoment(0, engine.venue, after))
        assert end.is_end
