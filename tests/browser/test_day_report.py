"""The report of a day in a browser: incidents are filtered, found from their lanes, and judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.cases.front_door import brinkwatch

MINUTES = 20


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a simulated day with incidents, of few records."""
    folder = tmp_path_factory.mktemp("day")
    brinkwatch("simulate", folder / "day", "--minutes", MINUTES, "--symbols", 4, "--rate", 80)
    brinkwatch("replay", folder / "day", "--report", folder / "day.html")
    return folder / "day.html"


def test_it_opens_without_a_fault_and_anybody_can_use_it(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        tab.page.locator("#price .uplot").wait_for()
        assert tab.page.locator("incident-card").count() > 0
        tab.check_accessibility()
        tab.check_keyboard()


def test_a_choice_of_markets_and_severities_holds_for_lanes_and_cards(
    chromium: Chromium, report: Path
) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        cards, bars = tab.page.locator("incident-card"), tab.page.locator(".lane-bars button")
        every = cards.count()
        names = tab.page.locator(".lane-name[title]").all_inner_texts()
        tab.page.locator("#market").select_option(names[0])
        chosen = cards.count()
        assert 0 < chosen <= every
        assert names[0] in tab.page.locator(".lane-name[title]").all_inner_texts()
        assert tab.page.locator("#shown").inner_text() == f"{chosen} of {every} incidents"
        tab.page.locator("#severity").select_option("critical")
        tab.page.locator("#lanes-by").select_option("kind")
        assert cards.count() == bars.count() == tab.page.locator(".bar.critical").count()
        tab.page.locator("#market").select_option("")
        tab.page.locator("#severity").select_option("")
        assert cards.count() == every
        assert bars.count() == every


def test_a_lane_leads_to_its_incident(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        bar = tab.page.locator(".lane-bars button").last
        sentence = bar.get_attribute("title")
        bar.press("Enter")
        shown = tab.page.locator("incident-card:focus .sentence")
        shown.wait_for()
        assert shown.inner_text() == sentence


def test_a_verdict_is_saved_in_a_file(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        card = tab.page.locator("incident-card").first
        card.scroll_into_view_if_needed()
        card.get_by_label("Note on your verdict").fill('a "maker" withdrew')
        card.get_by_role("button", name="True", exact=True).click()
        with tab.page.expect_download() as download:
            tab.page.get_by_role("button", name="Save the verdicts").click()
        (line,) = Path(download.value.path()).read_text().splitlines()
        verdict = json.loads(line)
        assert (verdict["true"], verdict["note"]) == (True, 'a "maker" withdrew')
