"""`account`, `rules` and `stress` on a recorded day, through the front door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import brinkwatch
from tests.cases.markets import at

MARK_AT_10 = 101


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market that rises from 100 to 101 at second 10; `whale` holds 10 of it from second 1."""
    folder = tmp_path_factory.mktemp("moment")
    tiers = [{"lower_bound": 0, "maintenance_rate": "0.05"}]
    records: list[dict[str, Any]] = [
        {"kind": "reference", "about": "market", "ts": at(0), "symbol": "SOL-USDT", "tiers": tiers,
         "regime": "hyperliquid"},
        {"kind": "collateral", "ts": at(0.5), "account": "whale-7", "amount": 100,
         "cause": "deposit"},
        {"kind": "fill", "ts": at(1), "symbol": "SOL-USDT", "account": "whale-7", "side": "buy",
         "price": 100, "quantity": 10, "fee": "0.5"},
        {"kind": "collateral", "ts": at(12), "account": "whale-7", "amount": "-0.25",
         "cause": "funding", "symbol": "SOL-USDT"},
    ]  # fmt: skip
    for second in range(20):
        price = 100 if second < 10 else MARK_AT_10
        records.append({"kind": "mark", "ts": at(second), "symbol": "SOL-USDT", "mark": price})
        bids, asks = [[price - 0.5, 50]], [[price + 0.5, 50]]
        records.append({"kind": "book", "ts": at(second), "symbol": "SOL-USDT", "bids": bids,
                        "asks": asks})  # fmt: skip
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert brinkwatch("import", "canonical", source, folder / "day").returncode == 0
    return folder / "day"


def answer(*words: str | Path) -> dict[str, Any]:
    done = brinkwatch(*words, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def test_an_account_at_the_days_end(day: Path) -> None:
    got = answer("account", day, "whale-7")
    assert got["equity"] == {
        "price": "10", "realised": "0", "unrealised": "10", "funding": "-0.25", "fees": "0.5",
        "transfers": "100", "total": "109.25",
    }  # fmt: skip
    (one,) = got["positions"]
    # 109.25 + 10 (x − 101) = 0.05 · 10 x
    assert float(one["liquidation"]) == pytest.approx(900.75 / 9.5, rel=1e-15)
    assert one["trace"]["equity"] == "109.25"


def test_an_account_at_a_moment(day: Path) -> None:
    got = answer("account", day, "whale-7", "--at", str(at(5)))
    assert got["at"] == at(5)
    assert (got["equity"]["total"], got["equity"]["funding"]) == ("99.5", "0")


def test_the_tables_of_an_account_show_its_prices_and_their_trace(day: Path) -> None:
    done = brinkwatch("account", day, "whale-7")
    assert done.returncode == 0, done.stderr
    for text in ("109.25", "94.81578947", "-6.12%", "as isolated", "A0 109.25", "down -6.12%"):
        assert text in done.stdout, text


@pytest.mark.parametrize(
    ("words", "mend"),
    [(["account", "DAY", "whale7"], "did you mean whale-7?"),
     (["account", "DAY", "x"], "the bands name the largest holders"),
     (["rules", "DAY", "--symbol", "SOL-USD"], "did you mean SOL-USDT?"),
     (["stress", "DAY", "--symbol", "SOL"], "there are SOL-USDT"),
     (["account", "DAY", "whale-7", "--at", "2020-01-01"], "before the day"),
     (["rules", "http://127.0.0.1:9", "--at", "2020-01-01"], "a sidecar answers as of now"),
     (["rules", "http:///x"], "names no host")],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_with_its_mend(day: Path, words: list[str], mend: str) -> None:
    done = brinkwatch(*(str(day) if word == "DAY" else word for word in words))
    assert done.returncode == 2
    assert mend in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_rules_do_not_say_comes_first(day: Path) -> None:
    done = brinkwatch("rules", day)
    first = done.stdout.splitlines()[0]
    assert first == (
        "SOL-USDT: insurance fund: not said (reference about insurance_fund: amount); taken to be "
        "empty"
    )
    got = answer("rules", day, "--symbol", "SOL-USDT")
    whats = ["insurance_fund", "index", "index_sources", "funding_interval"]
    assert [one["what"] for one in got["unstated"]] == whats
    (market,) = got["markets"]
    assert (market["trigger"], market["contract"]["type"]) == ("mark", "linear")
    # What a shock's answer rests on is named by both, in the same sentence.
    assert got["unstated"][0]["says"] in answer("stress", day, "--shock", "-5%")["unknown"]


def test_a_sidecar_that_is_not_there_is_one_sentence() -> None:
    done = brinkwatch("account", "http://127.0.0.1:9", "a")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
