"""What people read of an alert."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.contract.alert import Carrier, Step
from monitor.delivery.texts import describe, market_names, without_accounts
from tests.core.alerts.findings import alert

ADDRESS = "0x52908400098527886e0f7030069857d2e4169ee7"


def test_an_alert_without_accounts_names_none_long_or_short() -> None:
    one = replace(
        alert(),
        accounts=(Carrier("mm1", 0.6), Carrier(ADDRESS, 0.3)),
        summary="cancels of mm1 60 %, 0x529084…169ee7 30 %, not mm12",
        triage=(Step("execution", "one account makes most (mm1)"),),
    )
    hidden = without_accounts(one)
    assert hidden.accounts == ()
    assert hidden.summary == "cancels of (account) 60 %, (account) 30 %, not mm12"
    assert hidden.triage == (Step("execution", "one account makes most ((account))"),)
    assert without_accounts(replace(one, accounts=())).summary == one.summary


def test_many_markets_are_counted() -> None:
    assert market_names(replace(alert(), symbols=())) == ""
    assert market_names(replace(alert(), symbols=tuple("ABCDEFG"))) == "A, B, C, D, E and 2 more"


def test_the_description_says_why_and_how_to_see_more() -> None:
    text = describe(replace(alert(), because="worth a look", look_at=("this", "that")))
    assert text.startswith("warning because: worth a look\n")
    assert "\nLook at: this; that.\n" in text
    assert text.endswith("\nMore: brinkwatch show cafe")
