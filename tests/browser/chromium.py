"""Chromium, driven by Playwright: pages that are open, and whatever goes wrong in them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.support import program, skip_or_fail

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
"""What judges accessibility; `make axe` fetches it."""
DESKTOP, PHONE = (1280, 900), (390, 844)
FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
TAB_STOPS_MAX = 400
NEXT_STOP = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect();
  const outline = getComputedStyle(at);
  window.stopNumbers ??= new Map();
  if (!window.stopNumbers.has(at)) window.stopNumbers.set(at, window.stopNumbers.size);
  return {
    name: `${window.stopNumbers.get(at)} ${at.tagName} ${at.id} ${at.textContent.slice(0, 40)}`,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    marked: outline.outlineStyle !== "none" && parseFloat(outline.outlineWidth) >= 2,
  };
}"""
"""What has the focus: whether it is on the screen, and marked there."""
REACHABLE = """() => [...document.querySelectorAll(
  "a[href], button, input, select, textarea, summary, [tabindex]")].filter((one) =>
  one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true}) &&
  !one.matches("input[type=radio]:not(:checked)")).length"""
FOCUS_NOTHING = "() => { document.activeElement?.blur(); window.scrollTo(0, 0); }"


class ChromiumTab:
    """A page in a browser. `faults`: errors of its scripts and requests that failed, so far.

    `page`: Playwright's.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("requestfailed", self._note_failure)
        self.page.on("response", self._note_response)

    def _note_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _note_failure(self, request: Any) -> None:
        self.faults.append(f"request: {request.url} {request.failure}")

    def _note_response(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"answer: {response.url} {response.status}")

    def open_file(self, path: Path) -> None:
        """Open an HTML file."""
        self.page.goto(path.resolve().as_uri())

    def axe_findings(self) -> list[str]:
        """What axe-core finds wrong, as the page looks now: rule, and the elements it is about."""
        self.page.evaluate(_axe_source())
        results = self.page.evaluate("() => axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']} ({one['impact']}): {one['help']}: "
            + json.dumps([node["html"][:160] for node in one["nodes"][:3]])
            for one in results["violations"]
        ]

    def check_accessibility(self) -> None:
        """axe-core finds nothing: in light, in dark, and as wide as a phone; and nothing is wider
        than the screen."""
        for scheme, (width, height) in (("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.wait_for_timeout(100)
            where = f"{scheme}, {width} wide"
            findings = self.axe_findings()
            assert findings == [], f"{where}:\n" + "\n".join(findings)
            reach = self.page.evaluate("document.documentElement.scrollWidth")
            assert reach <= width, f"{where}: the page is {reach} wide"
        self.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        # Charts are drawn anew for the width: what had the focus meanwhile would lose it.
        self.page.wait_for_timeout(500)

    def check_keyboard(self) -> list[str]:
        """Tab reaches whatever can be used, shows it and marks it; gives the stops."""
        self.page.evaluate(FOCUS_NOTHING)
        stops: list[str] = []
        for _ in range(TAB_STOPS_MAX):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(NEXT_STOP)
            if stop is None or stop["name"] in stops:
                break
            assert stop["seen"], f"the focus is not on the screen: {stop['name']}"
            assert stop["marked"], f"the focus is not marked: {stop['name']}"
            stops.append(stop["name"])
        assert len(stops) == self.page.evaluate(REACHABLE), stops
        return stops

    def close(self) -> None:
        self._context.close()


class Chromium:
    """A browser that runs. `tab`: a page in a context of its own, with nothing of the others."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def tab(self, **options: Any) -> Iterator[ChromiumTab]:
        """An empty page; without faults at the end of the block, unless the test took them."""
        size = {"width": DESKTOP[0], "height": DESKTOP[1]}
        tab = ChromiumTab(self._browser.new_context(**{"viewport": size, **options}))
        try:
            yield tab
            assert tab.faults == []
        finally:
            tab.close()


@contextmanager
def start_chromium() -> Iterator[Chromium]:
    """Debian's Chromium, or a skip that says what is missing. While it runs no other event loop
    can run in this thread."""
    path = program("chromium")
    _axe_source()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*FLAGS, "--no-sandbox"])
        try:
            yield Chromium(browser)
        finally:
            browser.close()


@functools.cache
def _axe_source() -> str:
    if not AXE.is_file():
        skip_or_fail("axe-core (make axe, which needs npm)")
    return AXE.read_text(encoding="utf-8")
