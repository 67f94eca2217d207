"""How far a number went in the direction that does harm."""

from __future__ import annotations

from math import inf

import pytest

from monitor.core.alerts.harm import harm, is_rare, reasons, windows_between
from monitor.core.finding import ACCOUNT_BURST
from tests.core.alerts.findings import finding, joint_finding, part


@pytest.mark.parametrize(
    ("stream", "observed", "usual", "factor"),
    [
        ("cancels", 984.0, 240.0, 4.1),
        ("cancels", 5.0, 0.0, inf),
        ("cancels", 0.0, 0.0, 1.0),
        ("spread_bps", 5.0, 1.0, 5.0),
        ("spread_bps", 1.0, 5.0, 0.2),
        ("depth_25bps", 20.0, 100.0, 5.0),
        ("depth_25bps", 0.0, 100.0, inf),
        ("depth_25bps", 104.0, 100.0, 100.0 / 104.0),
        # It is in usual ones already.
        ("depth_missing", 5.0, 1.2, 5.0),
        ("funding_apr", -0.1, 0.1, 3.0),
        ("funding_apr", 0.2, 0.1, 2.0),
        ("funding_apr", 0.1, 0.0, inf),
    ],
)
def test_harm_is_the_factor_by_which_a_number_went_to_the_side_that_hurts(
    stream: str, observed: float, usual: float, factor: float
) -> None:
    assert harm(part(stream, observed, usual, 1.0)) == pytest.approx(factor)


def test_what_is_large_leads_what_lasts_before_events_before_accounts() -> None:
    few = part("orders", 90.0, 0.1, 0.2)
    few.detector = ACCOUNT_BURST
    small, rarer = part("spread_bps", 1.5, 1.0, 0.2), part("trades", 15.0, 10.0, 0.2)
    rarer.p /= 10
    parts = [
        few, small, rarer, part("sweep_bps", 90.0, 1.0, 0.2), part("cancels", 20.0, 10.0, 0.2),
        part("depth_25bps", 10.0, 100.0, 0.2), part("depth_25bps_bid", 110.0, 100.0, 0.2),
        part("open_interest", 10.9, 10.0, 0.2),
    ]  # fmt: skip
    assert [one.stream for one in reasons(joint_finding(parts=parts))] == [
        "depth_25bps", "cancels", "sweep_bps", "orders", "trades", "spread_bps",
    ]  # fmt: skip
    alone = finding(stream="depth_25bps", observed=2.0, expected=1.0)
    assert [one.stream for one in reasons(alone)] == ["depth_25bps"]


def test_a_chance_is_borne_out_by_what_was_seen_and_no_further() -> None:
    day = 86_400
    assert windows_between(finding(p=1e-9, seen=754)) == 754
    assert windows_between(finding(p=1e-2, seen=754)) == 100
    assert windows_between(finding(p=0.0, seen=0)) == pytest.approx(1e300)
    assert is_rare(finding(p=1e-9, seen=754), day)
    assert not is_rare(finding(p=1.1 / 754, seen=754), day)
    assert is_rare(finding(p=1 / day, seen=3 * day), day)
    assert not is_rare(finding(p=1.1 / day, seen=3 * day), day)
