"""The page of a stress test in a browser: nothing fails, everything can be used and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.replay.report.test_pages import HOSTILE, make_day, run


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stress")
    run(make_day(folder), folder / "stress.html")
    return folder / "stress.html"


def test_it_opens_without_a_fault_and_anybody_can_use_it(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        expect(tab.page.locator(".uplot")).to_have_count(3)
        tab.check_accessibility()
        tab.check_keyboard()


def test_a_click_on_a_market_draws_it(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        for symbol in ("Y", HOSTILE):
            tab.page.get_by_role("button", name=symbol, exact=True).click()
            assert tab.page.locator("#market-name").inner_text() == f"{symbol} at 100"
            assert tab.page.locator("tr[aria-selected=true] button").inner_text() == symbol


def test_the_arrow_keys_move_the_cursor_of_a_chart(chromium: Chromium, report: Path) -> None:
    with chromium.tab() as tab:
        tab.open_file(report)
        tab.page.locator("#after .plot").focus()
        legend = tab.page.locator("#after .u-value").first
        tab.page.keyboard.press("ArrowRight")
        before = legend.inner_text()
        tab.page.keyboard.press("ArrowRight")
        assert legend.inner_text() != before
