"""Each report is one HTML file that loads nothing, holds its data, and lets no name run."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config
from monitor.console import Console
from monitor.desk.questions import StressQuestion
from monitor.errors import BrinkwatchError
from monitor.page import document
from replay.commands import open_day
from replay.day.importer import ingest
from replay.moment import answer_at
from replay.report import pages
from replay.report.account import account_report
from replay.report.stress import STRESS_ASSETS
from tests.cases.markets import at
from tests.support import write_page_assets

HOSTILE = "<b>X</b>&\"'</script>"
SHARES = [1.0, 0.1]


class Page(HTMLParser):
    """What a page has: the tags with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> ends nothing"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def check_page(text: str) -> Page:
    """Every element is ended, and nothing is loaded."""
    page = Page(text)
    assert page.open == []
    assert page.tags[0][0] == "html"
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert policies == [document.POLICY]
    assert "default-src 'none'" in document.POLICY
    for tag, attributes in page.tags:
        assert not {"src", "href", "data", "action", "srcset"} & {*attributes}, tag
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "img")
    styles = "".join(page.texts.get("style", []))
    assert "@import" not in styles
    assert "url(" not in styles
    return page


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for what `make assets` fetches."""
    folder = tmp_path / "assets"
    folder.mkdir()
    write_page_assets(folder, STRESS_ASSETS)
    monkeypatch.setattr(document, "ASSETS", folder)
    return folder


def make_day(folder: Path) -> Path:
    """A cross account holds two markets; X's mark follows a thin book."""
    records: list[dict[str, Any]] = []
    for symbol in (HOSTILE, "Y"):
        records.append({
            "kind": "reference", "about": "market", "ts": at(0), "symbol": symbol,
            "contract": {"type": "linear"}, "mark_rule": "last", "path": "market",
            "tiers": [{"lower_bound": 0, "maintenance_rate": 0.01}],
        })  # fmt: skip
        for account, quantity in (("both", 10), ("large", 20)):
            records.append({
                "kind": "reference", "about": "position", "ts": at(0), "symbol": symbol,
                "account": account, "quantity": str(quantity), "entry_price": "100",
                "margin_mode": "cross",
            })  # fmt: skip
        ladders = [[[str(100 + sign * (1 + i)), "5"] for i in range(9)] for sign in (-1, 1)]
        records.append({"kind": "mark", "ts": at(1), "symbol": symbol, "mark": "100",
                        "index": "100"})  # fmt: skip
        records.append({"kind": "book", "ts": at(1.1), "symbol": symbol, "bids": ladders[0],
                        "asks": ladders[1]})  # fmt: skip
    for account, amount in (("both", "22"), ("large", "200")):
        records.append({"kind": "collateral", "ts": at(0), "account": account, "amount": amount,
                        "cause": "deposit"})  # fmt: skip
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    ingest("canonical", [source], folder / "day")
    return folder / "day"


def run(day: Path, report: Path | None, symbols: tuple[str, ...] = ()) -> dict[str, Any]:
    if report is not None:
        pages.check_page("stress")
    question = StressQuestion(symbols, (-0.1,), (), tuple(SHARES), curves=report is not None)
    answer = answer_at(question, open_day(day), Config(), Console(True), None)
    if report is not None:
        pages.write_page(report, "stress", str(day), answer)
    return answer


def test_the_page_of_a_stress_test_holds_all_it_shows(tmp_path: Path, assets: Path) -> None:
    day, file = make_day(tmp_path), tmp_path / "out" / "stress.html"
    result = run(day, file)
    assert result == run(day, None)
    page = check_page(file.read_text())
    scripts = page.texts["script"]
    (text,) = [s for s in scripts if s.startswith("const REPORT = ")]
    data = json.loads(text.removeprefix("const REPORT = ").removesuffix(";"))
    assert [market["symbol"] for market in data["markets"]] == sorted([HOSTILE, "Y"])
    assert data["open_notional"] == {HOSTILE: 3000.0, "Y": 3000.0}
    assert data["edges"] == result["system"]["edges"]
    assert any(edge["from"] != edge["to"] for edge in data["edges"])
    down = data["markets"][0]["sides"]["down"]
    assert [curve["survives"] for curve in down["curves"]] == SHARES
    assert down["shocks"] == sorted(down["shocks"])
    place = down["shocks"].index(-0.1)
    rows = {
        row["survives"]: row
        for market in result["markets"]
        for row in market["rows"]
        if market["symbol"] == HOSTILE
    }
    for curve in down["curves"]:
        for name in ("price_after", "forced_notional", "r"):
            assert curve[name][place] == pytest.approx(rows[curve["survives"]][name], rel=1e-5)
    for name in STRESS_ASSETS:
        assert f"/* {name} */" in file.read_text()
    assert HOSTILE in page.texts["button"]


def test_a_choice_of_markets_holds_for_the_page(tmp_path: Path, assets: Path) -> None:
    file = tmp_path / "stress.html"
    run(make_day(tmp_path), file, ("Y",))
    assert check_page(file.read_text()).texts["option"] == ["Y", "down", "up"]


def test_what_is_missing_is_said_before_the_day_is_read(tmp_path: Path, assets: Path) -> None:
    (assets / "echarts.min.js").unlink()
    with pytest.raises(BrinkwatchError, match=r"draws with echarts\.min\.js.*run `make assets`"):
        run(make_day(tmp_path), tmp_path / "stress.html")


def test_the_page_of_an_account_shows_its_prices_around_the_mark() -> None:
    four = {"warn": "97.5", "liquidation": "95", "backstop": None, "bankruptcy": "90"}
    costly = {"warn": "98.5", "liquidation": "96", "backstop": None, "bankruptcy": "91"}
    position = {"symbol": HOSTILE, "mode": "cross", "quantity": "2", "entry": "101"}
    text = account_report({
        "account": HOSTILE, "at": at(0), "unknown": [HOSTILE],
        "equity": {"price": "-2", "funding": "0", "fees": "1", "transfers": "20", "total": "17"},
        "positions": [
            {**position, "mark": "100", **four, "stressed": costly},
            {**position, "mark": None, **dict.fromkeys(four), "stressed": None},
        ],
    })  # fmt: skip
    page = check_page(text)
    assert "script" not in page.texts or page.texts["script"] == ["const REPORT = {};"]
    shown = page.texts["text"]
    assert "95 (−5.0 %); stressed 96 (−4.0 %)" in shown
    assert "none" in shown
    dots = [float(a["cx"] or 0) for tag, a in page.tags if tag == "circle" and a["class"] == "dot"]
    assert dots[0] > dots[1] > dots[2]
    (line,) = [a for tag, a in page.tags if tag == "line" and a["class"] == "mark"]
    assert float(line["x1"] or 0) > dots[0]
