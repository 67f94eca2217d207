"""Quantities of coin-margined contracts become base units when a feed is imported.

Source: public reports of volumes and depths of COIN-M markets that came out hundreds of times too
large. Read in 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor import api
from tests.cases.front_door import brinkwatch

MS = 1_764_000_000_000


def line(**payload: Any) -> str:
    return f"{MS}000 {json.dumps(payload)}\n"


def feed(symbol: str, price: str) -> str:
    at = {"E": MS, "T": MS}
    pair = symbol.partition("_")[0]
    trade = line(e="trade", s=symbol, ps=pair, t=1, p=price, q="30", X="MARKET", m=True, **at)
    levels = {"bids": [[price, "200"]], "asks": [[str(float(price) + 1), "100"]]}
    return trade + line(lastUpdateId=100, symbol=symbol, pair=pair, **at, **levels)


@pytest.mark.parametrize(
    ("symbol", "price", "options", "usd"),
    [("BTCUSD_PERP", "60000", (), 100), ("ETHUSD_260327", "3000", (), 10),
     ("ETHUSD_PERP", "3000", ("--option", "contract_size=20"), 20)],
)  # fmt: skip
def test_contracts_become_base_units(
    tmp_path: Path, symbol: str, price: str, options: tuple[str, ...], usd: int
) -> None:
    (tmp_path / "in.txt").write_text(feed(symbol, price))
    done = brinkwatch("import", "binance", tmp_path / "in.txt", tmp_path / "day", *options)
    assert done.returncode == 0, done.stderr
    day = api.open_day(tmp_path / "day")
    fill, book, reference = (
        day.to_arrow(kind).to_pylist()[0] for kind in ("fill", "book", "reference")
    )
    assert fill["quantity"] == pytest.approx(30 * usd / float(price), abs=1e-8)
    assert book["bids_quantity"][0] == pytest.approx(200 * usd / float(price), abs=1e-8)
    contract = json.loads(reference["payload"])["contract"]
    assert contract == {"type": "inverse", "size": str(usd), "settles_in": symbol[:3]}


def test_a_size_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(feed("BTCUSD_PERP", "60000"))
    option = "--option", "contract_size=a lot"
    done = brinkwatch("import", "binance", tmp_path / "in.txt", tmp_path / "day", *option)
    assert done.returncode == 2
    assert "whole USD a contract, as 100" in " ".join(done.stderr.split())


def test_a_snapshot_that_names_its_market_is_that_markets_book(tmp_path: Path) -> None:
    at = {"E": MS, "T": MS, "bids": [["3000", "5"]], "asks": [["3001", "5"]]}
    other = line(e="trade", s="BTCUSDT", t=1, p="60000", q="1", m=True, E=MS, T=MS)
    named = line(lastUpdateId=100, symbol="ETHUSD_PERP", pair="ETHUSD", **at)
    for number, lines in enumerate((named + other, other + named)):
        (tmp_path / "in.txt").write_text(lines)
        day = tmp_path / f"day{number}"
        done = brinkwatch("import", "binance", tmp_path / "in.txt", day)
        assert done.returncode == 0, done.stderr
        assert "refused" not in done.stderr
        (book,) = api.open_day(day).to_arrow("book").to_pylist()
        assert (book["symbol"], book["bids_price"][0]) == ("ETHUSD_PERP", 3000)
