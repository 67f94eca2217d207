"""Two findings as one: whose numbers count, and whose accounts are named."""

from __future__ import annotations

from typing import Any

from monitor.core.alerts.incidents import Incidents
from monitor.core.finding import ACCOUNT_BURST, Finding
from tests.core.alerts.findings import START, alerts_of, finding, joint_finding


def account_burst(**changes: Any) -> Finding:
    base: dict[str, Any] = {
        "symbol": "SOL",
        "detector": ACCOUNT_BURST,
        "observed": 120.0,
        "expected": 6.0,
        "accounts": [("a-5", 0.75), ("a-8", 0.25)],
    }
    return finding(**{**base, **changes})


def test_account_burst_keeps_its_own_row_beside_the_market_and_names_the_accounts() -> None:
    burst = finding(symbol="SOL", observed=984.0, accounts=[("a-1", 0.06), ("a-5", 0.05)])
    for first, second in ((burst, account_burst()), (account_burst(), burst)):
        (alert,) = alerts_of(first, second)
        rows = {(e.detector, e.observed, e.expected) for e in alert.evidence}
        assert rows == {("burst", 984.0, 240.0), (ACCOUNT_BURST, 120.0, 6.0)}
        assert [a.account for a in alert.accounts] == ["a-5", "a-8"]
        assert ", with cancels of few accounts ×20, since " in alert.summary
        assert alert.summary.endswith("; beside their own habits stand out a-5 75 %, a-8 25 %")


def test_sentence_names_the_stream_that_the_accounts_have_shares_of() -> None:
    thin = finding(symbol="SOL", stream="spread_bps", detector="level", accounts=[])
    orders = finding(symbol="SOL", stream="orders", accounts=[("a-1", 0.6)])
    (alert,) = alerts_of(thin, orders)
    assert alert.summary.startswith("Orders ×4.1 for 12 s on SOL (")
    assert alert.summary.endswith(
        ", with spread ×4.1, since 16:03:07 UTC; one account makes 60 % of them (a-1)"
    )


def test_shares_of_two_account_bursts_are_weighted_by_what_each_observed() -> None:
    later = account_burst(window=START + 12, observed=40.0, accounts=[("a-9", 1.0)])
    incidents = Incidents(30)
    incidents.advance([account_burst()], START + 12)
    joint = joint_finding(window=START + 12, accounts=[])
    (grown,) = incidents.advance([later, joint], START + 13)
    assert grown.finding.accounts == [("a-5", 0.5625), ("a-9", 0.25), ("a-8", 0.1875)]
