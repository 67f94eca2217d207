"""The page of a running sidecar: alerts as they come, a lost connection said, no token kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from monitor.core.contract.alert import Alert, Severity
from monitor.http.recent_markets import RecentMarkets
from tests.browser.chromium import Chromium, ChromiumTab
from tests.browser.live_port import LivePort, live_port
from tests.core.alerts.findings import alert
from tests.http.market_day import HELD, read, two_markets

HOSTILE = "<b>X</b>&\"'</script>"


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> RecentMarkets:
    return read(two_markets(tmp_path_factory.mktemp("markets")))


@pytest.fixture
def port(markets: RecentMarkets) -> Iterator[LivePort]:
    with live_port(markets) as one:
        yield one


def fire(name: str, number: int = 1, severity: Severity = "warning", symbol: str = HELD) -> Alert:
    one = alert("firing", symbol=symbol)
    return dataclasses.replace(
        one, incident=name, id=f"{name}-{number}", severity=severity, ts=one.ts + number,
        summary=f"{name} in {symbol}, message {number}",
    )  # fmt: skip


def resolve(one: Alert) -> Alert:
    return dataclasses.replace(one, id=f"{one.id}r", status="resolved", ts=one.ts + 10**9)


def open_page(tab: ChromiumTab, port: LivePort) -> None:
    tab.page.goto(port.url)
    tab.page.get_by_text("Connected, ready").wait_for()


def test_it_opens_without_a_fault_and_anybody_can_use_it(
    chromium: Chromium, port: LivePort
) -> None:
    port.publish(fire("aaaa"), fire("bbbb", severity="critical"), resolve(fire("cccc")))
    with chromium.tab() as tab:
        open_page(tab, port)
        tab.page.locator("#price .uplot").wait_for()
        tab.check_accessibility()
        tab.check_keyboard()


def test_alerts_come_by_themselves_and_what_is_open_stays_open(
    chromium: Chromium, port: LivePort
) -> None:
    opened = fire("aaaa")
    with chromium.tab() as tab:
        open_page(tab, port)
        count, list_of = tab.page.locator("#firing-count"), tab.page.locator("#firing > details")
        assert count.inner_text() == "No incidents fire"
        port.publish(opened, fire("bbbb", severity="critical"))
        tab.page.get_by_text("2 incidents fire").wait_for()
        assert [text.split("\n")[0] for text in list_of.all_inner_texts()] == [
            f"critical bbbb in {HELD}, message 1", f"warning aaaa in {HELD}, message 1",
        ]  # fmt: skip
        list_of.nth(1).locator("summary").first.click()
        tab.page.locator("incident-card h3").wait_for()
        port.publish(fire("aaaa", 2), fire("cccc", severity="critical"))
        tab.page.get_by_text("aaaa in A/B, message 2").first.wait_for()
        tab.page.get_by_text("2 messages, incident aaaa").wait_for()
        port.publish(resolve(fire("bbbb")), resolve(fire("cccc")))
        tab.page.get_by_text("1 incident fires").wait_for()
        assert list_of.count() == 1
        assert tab.page.locator(".lane-bars button").count() == 3


def test_the_focus_stays_where_it_is_while_alerts_come(chromium: Chromium, port: LivePort) -> None:
    port.publish(resolve(fire("aaaa")), fire("bbbb"))
    with chromium.tab() as tab:
        open_page(tab, port)
        tab.page.locator(".lane-bars button").nth(1).focus()
        named = "document.activeElement.getAttribute('aria-label')"
        before = tab.page.evaluate(named)
        port.publish(fire("cccc", symbol="A"))
        tab.page.locator(".lane-bars button").nth(2).wait_for()
        assert before is not None
        assert tab.page.evaluate(named) == before


def test_a_lost_connection_is_said_and_what_was_missed_comes_after_it(
    chromium: Chromium, port: LivePort
) -> None:
    port.publish(fire("aaaa"))
    with chromium.tab() as tab:
        open_page(tab, port)
        port.stop()
        tab.page.get_by_text("Not connected since").wait_for()
        assert "is-stale" in (tab.page.locator("#shown").get_attribute("class") or "")
        port.publish(resolve(fire("aaaa")), fire("bbbb"))
        port.start()
        tab.page.get_by_text("Connected, ready").wait_for()
        tab.page.get_by_text("bbbb in A/B, message 1").first.wait_for()
        assert tab.page.locator("#firing > details").count() == 1
        assert all(fault.startswith(("request: ", "error: Failed to load")) for fault in tab.faults)
        tab.faults.clear()
        port.begin_anew()
        port.publish(fire("cccc"))
        tab.page.get_by_text("cccc in A/B, message 1").first.wait_for()
        assert tab.page.locator("#firing > details").count() == 1
        # Chromium calls a stream that its server has ended in order aborted.
        tab.faults = [one for one in tab.faults if not one.endswith("/events net::ERR_ABORTED")]


def test_a_token_is_asked_for_and_kept_nowhere(chromium: Chromium, markets: RecentMarkets) -> None:
    with live_port(markets, token="let-me-in") as port, chromium.tab() as tab:
        port.publish(fire("aaaa"))
        tab.page.goto(port.url)
        tab.page.get_by_text("This sidecar asks for a token").wait_for()
        assert "aaaa" not in tab.page.content()
        tab.check_accessibility()
        for given, answer in (("wrong", "not right"), ("let-me-in", "Connected, ready")):
            tab.page.get_by_label("Token").fill(given)
            tab.page.keyboard.press("Enter")
            tab.page.get_by_text(answer).wait_for()
        tab.page.get_by_text("aaaa in A/B").first.wait_for()
        assert tab.page.url == port.url
        kept = "[localStorage.length, sessionStorage.length, document.cookie, token.value].join()"
        assert tab.page.evaluate(kept) == "0,0,,"
        assert {fault.split()[-1] for fault in tab.faults if fault.startswith("answer")} == {"401"}
        tab.faults.clear()
        tab.page.reload()
        tab.page.get_by_text("This sidecar asks for a token").wait_for()
        tab.faults.clear()


def test_a_market_that_is_chosen_is_drawn(chromium: Chromium, port: LivePort) -> None:
    port.publish(fire("aaaa"))
    with chromium.tab() as tab:
        open_page(tab, port)
        tab.page.locator("#price .uplot").wait_for()
        rows = tab.page.locator("#market-rows tr")
        assert [row.split("\t")[0] for row in rows.all_inner_texts()] == [HELD, "BARE"]
        for symbol, select in (("BARE", False), (HELD, True)):
            if select:
                tab.page.locator("#market").select_option(symbol)
            else:
                tab.page.get_by_role("button", name=symbol, exact=True).click()
            tab.page.get_by_role("heading", name=symbol, exact=True).wait_for()
            chosen = tab.page.locator("tr[aria-selected=true] button")
            assert chosen.inner_text() == symbol
        tab.page.locator("#heat summary").click()
        assert tab.page.locator("#heat tbody tr").count() > 3


def test_names_are_text_and_nothing_else(chromium: Chromium, port: LivePort) -> None:
    port.publish(fire("aaaa", symbol=HOSTILE))
    with chromium.tab() as tab:
        open_page(tab, port)
        tab.page.get_by_text(f"aaaa in {HOSTILE}").first.wait_for()
        assert tab.page.locator(".lane-name").first.inner_text() == HOSTILE
        tab.page.locator(".lane-bars button").click()
        heading = tab.page.locator("#incident h3")
        heading.wait_for()
        assert HOSTILE in heading.inner_text()


def test_a_member_without_the_venue_stage_says_whom_to_ask(chromium: Chromium) -> None:
    with live_port() as port, chromium.tab() as tab:
        open_page(tab, port)
        tab.page.get_by_text("lists partition 0").wait_for()
        assert not tab.page.locator("#markets").is_visible()
        tab.faults = [one for one in tab.faults if "503" not in one]
