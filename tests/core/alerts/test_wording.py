"""The sentences, to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.wording import Wording, change_phrase
from monitor.core.contract.alert import Status, alert_json
from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import (
    START,
    alert,
    alerts_of,
    finding,
    incident,
    joint_finding,
    part,
)


def render(one: Incident) -> str:
    return Wording(EngineSettings()).sentence(one)


def sentence(status: Status = "firing", **changes: Any) -> str:
    return render(incident(status, **changes))


def test_burst_says_what_how_much_how_rarely_since_when_and_who() -> None:
    assert sentence() == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second against 20 expected, once in 40 days), "
        "since 16:03:07 UTC; two accounts make 61 % of them (a-17 40 %, a-3 21 %)"
    )


def test_one_account_is_named_alone() -> None:
    assert sentence(accounts=[("a-17", 0.87)]).endswith(
        "since 16:03:07 UTC; one account makes 87 % of them (a-17)"
    )


def test_sentence_says_when_accounts_are_unknown_or_many() -> None:
    assert sentence(accounts=[]).endswith("since 16:03:07 UTC; accounts are not known")
    assert sentence(accounts=[("a", 0.02)]).endswith("; spread over many accounts")


def level(stream: str, observed: float, expected: float, **more: Any) -> str:
    given: dict[str, Any] = {
        "detector": "level",
        "accounts": [],
        "observed": observed,
        "expected": expected,
    }
    return sentence(stream=stream, **{**given, **more})


def test_fall_of_a_level_is_a_fraction_of_the_usual() -> None:
    assert level("depth_25bps_least", 412_000.0, 2_060_000.0) == (
        "Depth within 25 bps (thinner side) at a fifth of usual for 12 s on SOL-PERP (412,000 "
        "against 2,060,000 in quote currency, once in 40 days), since 16:03:07 UTC"
    )
    assert " at 4 % of usual for" in level("depth_25bps_least", 40.0, 1000.0)


def test_depth_is_within_what_the_book_shows_where_it_ends_before() -> None:
    assert level("depth_25bps", 190_000.0, 950_000.0, reach_bps=2.3) == (
        "Depth of both sides within 2.3 bps (all that the book shows) at a fifth of usual for 12 s "
        "on SOL-PERP (190,000 against 950,000 in quote currency, once in 40 days), since 16:03:07 "
        "UTC"
    )
    joint = replace(part("depth_25bps", 20.0, 100.0, 0.5), reach_bps=2.3)
    shown = "depth of both sides within 2.3 bps (all that the book shows) at a fifth of usual"
    assert change_phrase(joint) == shown
    thin = alert(stream="depth_25bps", reach_bps=2.3)
    assert [e.reach_bps for e in thin.evidence] == [2.3]
    assert b"reach_bps" not in alert_json(alert(stream="depth_25bps"))


def test_a_frozen_book_is_said_with_how_long_it_repeats_itself() -> None:
    given: dict[str, Any] = {
        "stream": "frozen_book", "detector": "frozen_book", "observed": 50.0, "expected": 2.0,
        "facts": {"lasted_s": 50.0, "with_index": 0},
    }  # fmt: skip
    assert sentence(**given) == (
        "Book of SOL-PERP repeats itself for 50 s while trades go on, where 2 s is usual, since "
        "16:03:07 UTC: it is not measured"
    )
    over = Wording(EngineSettings()).sentence(incident("resolved", **given))
    assert over == "Book of SOL-PERP changes again, after 50 s"


def test_rise_of_a_level_is_in_its_unit() -> None:
    assert level("spread_bps", 12.16, 3.8) == (
        "Spread ×3.2 for 12 s on SOL-PERP (12.2 against 3.8 bps of the mid, once in 40 days), "
        "since 16:03:07 UTC"
    )


def test_signed_level_has_no_ratio() -> None:
    assert level("mark_to_index_bps", -31.0, 2.0) == (
        "Mark over index at -31 for 12 s on SOL-PERP (2 expected, bps of the index, once in 40 "
        "days), since 16:03:07 UTC"
    )


def test_share_is_in_percent_and_the_accounts_are_of_a_named_count() -> None:
    shares: dict[str, Any] = {"detector": "ratio", "accounts": [("a-17", 0.87)]}
    assert level("cancels_1s_share", 0.91, 0.34, **shares) == (
        "Cancels within 1 s at 91 % for 12 s on SOL-PERP (34 % expected, once in 40 days), since "
        "16:03:07 UTC; one account makes 87 % of the cancels (a-17)"
    )


def test_amount_is_a_rate_in_quote_currency() -> None:
    assert level("cancels_near_notional", 12e6, 1.2e6, detector="burst").startswith(
        "Notional cancelled near the touch ×10 for 12 s on SOL-PERP (1,000,000 a second in quote "
        "currency against 100,000 expected, once in 40 days)"
    )


def test_drift_sentence_describes_a_gradual_change() -> None:
    drift: dict[str, Any] = {"detector": "drift", "window": START + 719}
    assert level("funding_apr", 0.42, 0.1, **drift) == (
        "Funding has drifted up for 12 min on SOL-PERP (0.42 a year against 0.1, once in 40 days), "
        "since 16:03:07 UTC"
    )


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_every_feature_has_a_sentence(name: str) -> None:
    said = sentence(stream=name, detector="level", accounts=[])
    assert said[0].isupper()
    assert "on SOL-PERP (" in said
    assert "since 16:03:07 UTC" in said
    over = incident("resolved", stream=name)
    assert "over: quiet for" in render(over)


def test_no_ratio_is_given_where_nothing_was_expected() -> None:
    assert sentence(expected=0.0, observed=5.0, window=START, stream="liquidations").startswith(
        "Liquidations for 1 s on SOL-PERP (5 a second against 0 expected"
    )


def test_resolved_sentence_says_how_long_it_was_quiet() -> None:
    over = incident("resolved")
    over.window = over.last_window + 30
    assert render(over) == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second against 20 expected, once in 40 days) "
        "are over: quiet for 30 s"
    )


def test_sentence_of_several_streams_has_the_numbers_of_the_leading_one() -> None:
    (alert,) = alerts_of(joint_finding())
    assert alert.summary == (
        "Cancels ×4.1 for 12 s (82 a second against 20, once in 40 days), leverage raises ×15, "
        "and depth within 25 bps (thinner side) at a fifth of usual, together on SOL since "
        "16:03:07 UTC; two accounts make 61 % of the cancels (a-17 40 %, a-3 21 %)"
    )


def test_resolved_sentence_of_several_streams_ends_the_same_way() -> None:
    incidents = Incidents(30)
    incidents.advance([finding(symbol="SOL")], START + 12)
    incidents.advance([joint_finding(window=START + 13)], START + 14)
    (over,) = incidents.advance([], START + 60)
    assert render(over).endswith("together on SOL, are over: quiet for 30 s")


def test_joint_evidence_of_one_stream_reads_as_that_stream() -> None:
    one = joint_finding(parts=[])
    alone = Incident("f", "i", 1, "firing", one.window, one, {}, one.window)
    assert "together" not in render(alone)


def test_a_critical_shock_says_how_much_beside_the_book_and_through_whom() -> None:
    facts: dict[str, float | int | str | None] = {
        "shock": -0.0413, "chance": 0.184, "survives": 0.44, "cross_share": 0.61,
        "cross_accounts": 12, "also": "ETH", "also_more": 0,
    }  # fmt: skip

    def said(stream: str = "critical_fall", **changes: float | str) -> str:
        numbers = {"observed": 3.84e7, "expected": 3.84e7 / 2.6, "symbol": "SOL"}
        return sentence(
            stream=stream, detector="critical_shock", facts=facts | changes, is_end=False, **numbers
        )

    head = (
        "SOL −4.1 % (18 % likely within the hour) would force 38 M, 2.6 times what the book takes"
    )
    through = "61 % of it through 12 cross accounts that also hold ETH"
    assert said() == f"{head} at 44 % of today's; {through}"
    assert len(said()) <= 200
    assert said(survives=1.0, also_more=3) == f"{head}; {through} and 3 more"
    alone = "none of it through accounts that hold other markets"
    assert said("critical_rise", survives=1.0, cross_accounts=0, shock=0.2) == (
        f"{head.replace('−4.1 %', '+20 %')}; {alone}"
    )


def test_a_number_near_the_usual_one_is_called_out_of_the_ordinary() -> None:
    near = {"stream": "spread_bps", "detector": "HalfSpaceTrees", "observed": 1.02, "expected": 1.0}
    assert sentence(**near).startswith(
        "Spread out of the ordinary for 12 s on SOL-PERP (1.02 against 1 bps of the mid, once in "
    )
