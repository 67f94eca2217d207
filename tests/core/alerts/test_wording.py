"""The sentences, to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.wording import SENTENCE_MAX, Wording, change_phrase, fit
from monitor.core.contract.alert import Stake, StakeShock, Status, alert_json
from monitor.core.contract.feature_catalogue import DRIFT_FEATURES, FEATURE_NAMES
from monitor.core.finding import ACCOUNT_BURST
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


def render(one: Incident, stake: Stake | None = None) -> str:
    return Wording(EngineSettings()).sentence(one, stake)


def sentence(status: Status = "firing", stake: Stake | None = None, **changes: Any) -> str:
    return render(incident(status, **changes), stake)


def test_burst_says_what_how_much_how_rarely_since_when_and_who() -> None:
    assert sentence() == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second, usual 20; once in 40 days), since "
        "16:03:07 UTC; two accounts make 61 % of them (a-17 40 %, a-3 21 %)"
    )


def test_a_sentence_says_what_is_at_stake_in_money_and_what_the_book_takes_of_it() -> None:
    def last(stake: Stake) -> str:
        return sentence(stake=stake, accounts=[]).removeprefix(
            "Cancels ×4.1 for 12 s on SOL-PERP (82 a second, usual 20; once in 40 days), since "
            "16:03:07 UTC"
        )

    assert last(Stake(0.0, 0.0, 0.0, 2.0)) == ""
    assert last(Stake(1.13e6, 1.13e6, 0.0, 2.0)) == "; 1.1 M at stake within 2 %"
    assert last(Stake(1.13e6, 1.13e6, 0.0, 2.0, absorbed=1.0)) == "; 1.1 M at stake within 2 %"
    assert last(Stake(1.13e6, 1.13e6, 0.0, 2.0, absorbed=0.4)) == (
        "; 1.1 M at stake within 2 %, the book takes 40 %"
    )
    small, large = (StakeShock(x, 0.05, 1e9 * abs(x), 0.4, True) for x in (0.01, -0.038))
    far = StakeShock(-0.2, 0.05, 1e9, 0.4, within_hour=False)
    near = "; 38 M at stake at −3.8 %, within an hour's move"
    assert last(Stake(1e6, 1e6, 0.0, 2.0, down=large, up=small)) == near
    assert last(Stake(1e6, 1e6, 0.0, 2.0, down=far)) == "; 1 M at stake within 2 %"


def test_a_chance_is_no_rarer_than_what_was_seen_can_carry() -> None:
    assert "; rarer than anything in the 12 min seen), since" in sentence(seen=754)
    assert "; rarer than anything in the 12 min seen), since" in sentence(seen=754, p=1e-200)
    assert "; 100 times a day), since" in sentence(seen=4000, p=1 / 864)


def test_one_account_is_named_alone() -> None:
    assert sentence(accounts=[("a-17", 0.87)]).endswith(
        "since 16:03:07 UTC; one account makes 87 % of them (a-17)"
    )


def test_sentence_says_when_accounts_are_many_and_nothing_where_they_are_unknown() -> None:
    assert sentence(accounts=[]).endswith("since 16:03:07 UTC")
    assert sentence(accounts=[("a", 0.02)]).endswith("; spread over many accounts")


def test_of_a_long_address_both_ends_are_given() -> None:
    address = "dydx1" + "q" * 32 + "xyz999"
    assert sentence(accounts=[(address, 0.87)]).endswith("them (dydx1qqq…xyz999)")


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
        "Depth within 25 bps (thinner side) at a fifth of usual for 12 s on SOL-PERP (410 k, usual "
        "2.1 M; once in 40 days), since 16:03:07 UTC"
    )
    assert " at 4 % of usual for" in level("depth_25bps_least", 40.0, 1000.0)


def test_depth_is_within_what_the_book_shows_where_it_ends_before() -> None:
    assert level("depth_25bps", 190_000.0, 950_000.0, reach_bps=2.3) == (
        "Depth of both sides within 2.3 bps (all that the book shows) at a fifth of usual for 12 s "
        "on SOL-PERP (190 k, usual 950 k; once in 40 days), since 16:03:07 UTC"
    )
    joint = replace(part("depth_25bps", 20.0, 100.0, 0.5), reach_bps=2.3)
    shown = "depth of both sides within 2.3 bps (all that the book shows) at a fifth of usual"
    assert change_phrase(joint) == shown
    thin = alert(stream="depth_25bps", reach_bps=2.3)
    assert [e.reach_bps for e in thin.evidence] == [2.3]
    assert b"reach_bps" not in alert_json(alert(stream="depth_25bps"))


def test_what_is_measured_in_usual_ones_is_not_set_beside_another_usual() -> None:
    assert level("depth_missing", 9.59, 3.47) == (
        "Lack of depth on both sides within 25 bps ×9.59 for 12 s on SOL-PERP (once in 40 days), "
        "since 16:03:07 UTC"
    )
    assert change_phrase(part("depth_lack_10s", 4.0, 1.2, 0.5)) == (
        "lack of depth of both sides over 10 s ×4"
    )


def test_a_frozen_book_is_said_with_how_long_it_repeats_itself() -> None:
    given: dict[str, Any] = {
        "stream": "frozen_book", "detector": "frozen_book", "observed": 50.0, "expected": 2.0,
        "facts": {"lasted_s": 50.0, "with_index": 0},
    }  # fmt: skip
    assert sentence(**given) == (
        "Book of SOL-PERP repeats itself for 50 s, usual 2 s, while trades go on, since 16:03:07 "
        "UTC: it is not measured"
    )
    over = Wording(EngineSettings()).sentence(incident("resolved", **given))
    assert over == "Book of SOL-PERP changes again, after 50 s"


def test_rise_of_a_level_is_in_its_unit() -> None:
    assert level("spread_bps", 12.16, 3.8) == (
        "Spread ×3.2 for 12 s on SOL-PERP (12.2 bps of the mid, usual 3.8; once in 40 days), since "
        "16:03:07 UTC"
    )


def test_signed_level_has_no_ratio() -> None:
    assert level("mark_to_index_bps", -31.0, 2.0) == (
        "Mark over index at -31 bps of the index for 12 s on SOL-PERP (usual 2; once in 40 days), "
        "since 16:03:07 UTC"
    )


def test_share_is_in_percent_and_the_accounts_are_of_a_named_count() -> None:
    shares: dict[str, Any] = {"detector": "ratio", "accounts": [("a-17", 0.87)]}
    assert level("cancels_1s_share", 0.91, 0.34, **shares) == (
        "Cancels within 1 s at 91 % for 12 s on SOL-PERP (usual 34 %; once in 40 days), since "
        "16:03:07 UTC; one account makes 87 % of the cancels (a-17)"
    )


def test_amount_is_a_rate_in_quote_currency() -> None:
    assert level("cancels_near_notional", 12e6, 1.2e6, detector="burst").startswith(
        "Notional cancelled near the touch ×10 for 12 s on SOL-PERP (1 M a second, usual 100 k; "
        "once in 40 days)"
    )


def drift(stream: str, observed: float, expected: float, **more: Any) -> str:
    """Of a drift that began three hours before its finding at 16:00."""
    given: dict[str, Any] = {
        "detector": "drift", "window": START - 187, "since": START - 187 - 10_800, "accounts": [],
        "observed": observed, "expected": expected, "symbol": "SOL", "facts": {"days": 9},
        "is_end": False,
    }  # fmt: skip
    return sentence(stream=stream, **{**given, **more})


def test_drift_says_how_far_off_its_usual_for_the_hour_a_number_stays() -> None:
    assert drift("depth_drift", 1_239_000.0, 2_100_000.0) == (
        "SOL depth of both sides within 25 bps drifts: 41 % below its usual for this hour since "
        "13:00 UTC (1.2 M, usual 2.1 M; once in 40 days)"
    )
    assert drift("spread_drift", 5.0, 2.0, facts={"days": 1}) == (
        "SOL spread drifts: 150 % above its usual of the last hours since 13:00 UTC "
        "(5 bps of the mid, usual 2; once in 40 days)"
    )
    assert drift("funding_drift", 0.42, 0.1) == (
        "SOL funding drifts: 0.42 a year, usual for this hour 0.1, since 13:00 UTC (once in 40 "
        "days)"
    )
    assert drift("concentration_drift", 0.34, 0.12) == (
        "SOL concentration of cancels drifts: 34 %, usual for this hour 12 %, since 13:00 UTC "
        "(once in 40 days)"
    )


def test_a_drift_that_is_over_says_why() -> None:
    over: dict[str, Any] = {"status": "resolved", "is_end": True}
    facts = {"days": 9, "lasted_s": 25_200.0}
    back = drift("spread_drift", 2.1, 2.0, facts=facts | {"end": "back"}, **over)
    assert back == "SOL spread is back at its usual for this hour (2), after 7 h 0 min"
    usual = drift("leverage_drift", 0.6, 0.4, facts=facts | {"end": "usual"}, **over)
    assert usual == (
        "SOL share of leverage raises at 60 % for 7 h 0 min: from now on that is its usual"
    )
    gone = drift("funding_drift", 0.2, 0.1, facts=facts | {"end": "gone"}, **over)
    assert gone == "SOL funding drifted for 7 h 0 min, and its number does not come any more"


@pytest.mark.parametrize("stream", DRIFT_FEATURES)
def test_a_sentence_about_drift_is_short(stream: str) -> None:
    said = drift(stream, 123_456_789.0, 23_456_789.0, symbol="1000SHIB-USDT-PERP")
    assert len(said) <= 200


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
        "Liquidations at 5 a second for 1 s on SOL-PERP (usual 0; once in 40 days)"
    )


def test_resolved_sentence_says_how_long_it_was_quiet() -> None:
    over = incident("resolved")
    over.window = over.last_window + 30
    assert render(over) == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second, usual 20; once in 40 days); over: quiet "
        "for 30 s"
    )


def test_sentence_of_several_streams_leads_with_the_one_that_alarms_most() -> None:
    (alert,) = alerts_of(joint_finding())
    assert alert.summary == (
        "Leverage raises ×15 for 12 s on SOL (1.5 a second, usual 0.1; once in 40 days), with "
        "depth within 25 bps (thinner side) at a fifth of usual and 1 more, since 16:03:07 UTC; "
        "40 % of the cancels by a-17"
    )


def test_what_a_few_accounts_do_beside_their_habits_says_who_and_does_not_lead() -> None:
    few = part("orders", 900.0, 0.1, 0.9)
    few.detector = ACCOUNT_BURST
    both = joint_finding(parts=[few, part("cancels", 984.0, 240.0, 0.1)])
    assert render(incident(parts=both.parts, symbol="SOL")).startswith("Cancels ×4.1 for 12 s on ")


def test_parts_in_other_markets_name_theirs() -> None:
    (alert,) = alerts_of(finding(symbol="SOL"), finding(symbol="ETH", accounts=[]))
    assert ", with cancels ×4.1 in SOL, since" in alert.summary


def test_resolved_sentence_of_several_streams_ends_the_same_way() -> None:
    incidents = Incidents(30)
    incidents.advance([finding(symbol="SOL")], START + 12)
    incidents.advance([joint_finding(window=START + 13)], START + 14)
    (over,) = incidents.advance([], START + 60)
    assert render(over).endswith(" at a fifth of usual and cancels ×4.1; over: quiet for 30 s")


def test_no_sentence_is_longer_than_two_lines_however_much_there_is_to_say() -> None:
    parts = [part(name, 100.0, 1.0, 0.1, "A" * 40) for name in FEATURE_NAMES]
    accounts = [("b" * 60, 0.1)] * 5
    one = incident(symbol="A" * 40, stream=FEATURE_NAMES[0], parts=parts, accounts=accounts)
    for status in ("firing", "resolved"):
        one.status = status
        assert 100 < len(render(one, Stake(1e6, 1e6, 0.0, 2.0, absorbed=0.1))) <= SENTENCE_MAX


def test_clauses_grow_in_turn_as_far_as_there_is_room() -> None:
    assert fit("x", [[" long", " s", ""], []], end=".") == "x long."
    full = "x" * (SENTENCE_MAX - 6)
    assert fit(full, [[" long", " s", ""], [" b", ""]]) == f"{full} s b"
    assert fit(full, [[" longer", " longs"], [" b", ""]], order=(1, 0)) == f"{full} longs"


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


def test_a_number_near_the_usual_one_is_given_without_a_ratio() -> None:
    near = {"stream": "spread_bps", "detector": "HalfSpaceTrees", "observed": 1.02, "expected": 1.0}
    assert sentence(**near).startswith(
        "Spread at 1.02 bps of the mid for 12 s on SOL-PERP (usual 1; once in "
    )


def test_next_to_nothing_is_nothing() -> None:
    assert "(usual 0; " in sentence(stream="liquidations", observed=60.0, expected=0.005)


def test_an_event_has_no_length() -> None:
    assert level("sweep_bps", 60.0, 2.0).startswith(
        "Prices swept by one side ×30 on SOL-PERP (60 bps of the price, usual 2; once in 40 days)"
    )
