"""The page of a real `brinkwatch run` in a browser: a day comes in, and the process dies."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.browser.chromium import start_chromium
from tests.live.helpers import configuration, create_topics_of, replay_to_file, send, write_day
from tests.live.sidecars import Process, wait_for, write_toml

TOKEN = "for the page"


def test_the_page_shows_the_day_as_it_comes_and_that_nobody_answers(
    kafka: str, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    config = write_toml(toml, configuration(kafka), token=TOKEN)
    day = write_day(tmp_path, config)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    create_topics_of(day, config)
    # The browser keeps this thread's event loop.
    with (
        ThreadPoolExecutor(1) as elsewhere, Process(toml, log) as sidecar,
        start_chromium() as chromium, chromium.tab() as tab,
    ):  # fmt: skip
        sidecar.wait_to_read()
        tab.page.goto(f"http://127.0.0.1:{sidecar.port}/")
        tab.page.get_by_label("Token").fill(TOKEN)
        tab.page.keyboard.press("Enter")
        tab.page.get_by_text("Connected").wait_for()
        tab.faults.clear()  # asked without the token, and for markets that are not there yet
        elsewhere.submit(send, day, config).result()
        wait_for([sidecar], digest, TOKEN)
        overview = json.loads(sidecar.get("/alerts?all=", TOKEN)[1])
        assert sum(row["alerts"] for row in overview["incidents"]) == len(alerts) > 0
        lanes = sum(max(1, len(row["symbols"])) for row in overview["incidents"])
        tab.page.wait_for_function(
            "lanes => document.querySelectorAll('.lane-bars button').length === lanes", arg=lanes
        )
        count = f"{overview['firing'] or 'No'} incident"
        tab.page.get_by_text(re.compile(f"^{count}s? fires?$")).wait_for()
        markets = json.loads(sidecar.get("/markets", TOKEN)[1])["markets"]
        rows = tab.page.locator("#market-rows tr")
        tab.page.wait_for_function(
            "n => document.querySelectorAll('#market-rows tr').length === n", arg=len(markets)
        )
        assert {text.split("\t")[0] for text in rows.all_inner_texts()} == {
            market["symbol"] for market in markets
        }
        tab.page.locator("#price .uplot").wait_for()
        tab.page.locator(".lane-bars button").first.click()
        tab.page.locator("#incident h3").wait_for()
        tab.check_accessibility()
        tab.faults = [one for one in tab.faults if "/markets 503" not in one and "503 (" not in one]
        assert tab.faults == []
        sidecar.kill()
        tab.page.get_by_text("Not connected since").wait_for()
        tab.faults.clear()
