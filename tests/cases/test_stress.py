"""`brinkwatch stress` on venues that the test makes: positions, a book, and a mark that follows it.

The answers are worked out again here, position by position: with maintenance rate r and equity of
margin e behind a long of q bought at p, its liquidation price is (q·p − e)/(q·(1 − r)).
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import brinkwatch
from tests.cases.markets import at

MARK = 100.0
RATE = 0.01


def make_day(
    tmp_path: Path, positions: list[tuple[str, float, float]], bids: list[tuple[float, float]],
    fund: float | None = None, **terms: Any,
) -> Path:  # fmt: skip
    """positions: account, quantity, isolated margin, all opened at `MARK`."""
    tiers = [{"lower_bound": 0, "maintenance_rate": RATE, "max_leverage": 50}]
    records: list[dict[str, Any]] = [
        {"kind": "reference", "about": "market", "ts": at(0), "symbol": "X", "tiers": tiers,
         "contract": {"type": "linear"}, "mark_rule": "last", "path": "market", **terms},
    ]  # fmt: skip
    for account, quantity, margin in positions:
        records.append({
            "kind": "reference", "about": "position", "ts": at(0), "symbol": "X",
            "account": account, "quantity": f"{quantity:.8f}", "entry_price": f"{MARK:.8f}",
            "margin_mode": "isolated", "isolated_margin": f"{margin:.6f}",
        })  # fmt: skip
    if fund is not None:
        records.append({"kind": "reference", "about": "insurance_fund", "ts": at(0),
                        "amount": f"{fund:.6f}"})  # fmt: skip
    ladder = [[f"{price:.8f}", f"{size:.8f}"] for price, size in bids]
    asks = [[f"{MARK + 1 + i:.8f}", "5"] for i in range(5)]
    for second in range(1, 5):
        records.append({"kind": "mark", "ts": at(second), "symbol": "X", "mark": f"{MARK:.8f}",
                        "index": f"{MARK:.8f}"})  # fmt: skip
        records.append({"kind": "book", "ts": at(second + 0.1), "symbol": "X", "bids": ladder,
                        "asks": asks})  # fmt: skip
    source, day = tmp_path / "in.jsonl", tmp_path / "day"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert brinkwatch("import", "canonical", source, day).returncode == 0
    return day


def stress(day: Path, *options: str) -> dict[str, Any]:
    done = brinkwatch("stress", day, "--json", *options)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def liquidation_price(quantity: float, margin: float) -> float:
    return (quantity * MARK - margin) / (quantity * (1 - RATE))


def sell_all(
    shock: float, survives: float, positions: list[tuple[str, float, float]],
    bids: list[tuple[float, float]],
) -> tuple[float, float]:  # fmt: skip
    """Force, sell into the book, take its last price as the mark's move, until it stays."""
    away = y = -math.log1p(shock)
    while True:
        mark = MARK * math.exp(-y)
        due = [q for _, q, e in positions if mark <= liquidation_price(q, e) * (1 + 1e-12)]
        left, moved = sum(due), 0.0
        for price, size in bids:
            if left <= 1e-9:
                break
            left -= size * survives
            moved = -math.log(price / MARK)
        else:
            assert left <= 1e-9, "the case stays inside the book"
        if away + moved <= y + 1e-12:
            return mark, sum(due) * MARK
        y = away + moved


@pytest.mark.parametrize("seed", range(4))
def test_shocks_come_to_rest_where_selling_step_by_step_does(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    positions = [
        (f"a{i}", q := float(rng.randint(1, 9)), q * MARK * rng.uniform(0.02, 0.2))
        for i in range(25)
    ]
    bids = [(MARK - 0.5 - 1.5 * i, float(rng.randint(20, 90))) for i in range(20)]
    day = make_day(tmp_path, positions, bids)
    shocks = -0.01, -0.03, -0.08, -0.15
    options = [f"--shock={shock}" for shock in shocks]
    answer = stress(day, *options, "--depth-survives", "1,0.5")
    (side,) = answer["markets"]
    assert (side["symbol"], side["side"], side["mark"]) == ("X", "down", MARK)
    expected = [(s, w, *sell_all(s, w, positions, bids)) for s in shocks for w in (1.0, 0.5)]
    got = [
        (row["shock"], row["survives"], row["price_after"], row["forced_notional"])
        for row in side["rows"]
    ]
    assert got == [pytest.approx(row, rel=1e-6) for row in expected]
    for row in side["rows"]:
        rest = math.log(MARK / row["price_after"])
        assert row["multiplier"] == pytest.approx(rest / -math.log1p(row["shock"]))
    assert any(row["multiplier"] > 1.05 for row in side["rows"])


def test_the_critical_shock_of_two_positions(tmp_path: Path) -> None:
    """The first sale of 10 ends at 95, which is below where the second of 30 is forced."""
    positions = [("a", 10.0, 30.0), ("b", 30.0, 30 * 4.0), ("c", 5.0, 200.0)]
    bids = [(99.5, 4.0), (95.0, 20.0), (90.0, 100.0)]
    day = make_day(tmp_path, positions, bids)
    (side,) = stress(day, "--shock", "-1%", "--depth-survives", "1")["markets"]
    first = liquidation_price(10.0, 30.0)
    assert side["critical_shock"] == pytest.approx(first / MARK - 1)
    # 40 sold: the mark goes from the shock down by what lies between it and the bid at 90.
    assert side["jump"] == pytest.approx(math.log(MARK / 90.0))
    assert side["critical"][0]["prices_passed"] == 2


def test_a_mark_of_the_oracle_is_not_moved_by_the_book(tmp_path: Path) -> None:
    positions = [("a", 10.0, 30.0), ("b", 30.0, 120.0)]
    day = make_day(tmp_path, positions, [(99.5, 4.0), (90.0, 100.0)], mark_rule="oracle")
    (side,) = stress(day, "--shock", "-10%", "--depth-survives", "1,0.1")["markets"]
    assert {row["multiplier"] for row in side["rows"]} == {1.0}
    assert (side["critical_shock"], side["jump"]) == (None, None)


def test_what_the_book_does_not_show_is_said(tmp_path: Path) -> None:
    day = make_day(tmp_path, [("a", 10.0, 30.0)], [(99.5, 4.0)])
    answer = stress(day, "--shock", "-10%", "--depth-survives", "1")
    (row,) = answer["markets"][0]["rows"]
    assert row["price_after"] < 90.0
    assert any("beyond it a power law" in line for line in answer["unknown"])
    assert any("insurance fund" in line for line in answer["unknown"])


def test_what_margin_does_not_cover_is_the_shortfall(tmp_path: Path) -> None:
    """10 bought at 100 with 30 behind them are bankrupt at 97; sold at 90 they lack 70."""
    day = make_day(tmp_path, [("a", 10.0, 30.0)], [(90.0, 100.0)])
    (row,) = stress(day, "--shock", "-5%", "--depth-survives", "1")["markets"][0]["rows"]
    assert row["vwap"] == pytest.approx(90.0)
    assert row["shortfall"] == pytest.approx(70.0)
    assert row["adl_notional"] == pytest.approx(1000.0)


def test_a_shock_is_a_range_from_itself_to_its_furthest_row(tmp_path: Path) -> None:
    day = make_day(tmp_path, [("long", 10.0, 30.0)], [(90.0, 100.0)])
    (market,) = stress(day, "--shock", "-5%", "--depth-survives", "1,0.05")["markets"]
    (one,) = market["ranges"]
    furthest = min(row["price_after"] for row in market["rows"])
    assert (one["shock"], one["near"], one["far"]) == (-0.05, pytest.approx(95.0), furthest)
    assert furthest < 90.0


def test_a_market_takes_its_own_path_and_says_who_is_deleveraged(tmp_path: Path) -> None:
    """By Binance's path the fund pays 35 of 70, so that half of the 10 are closed against shorts:
    first against the one with less margin behind it, though it is smaller."""
    positions = [("long", 10.0, 30.0), ("rich", -20.0, 2_000.0), ("poor", -4.0, 80.0)]
    day = make_day(tmp_path, positions, [(90.0, 100.0)], fund=35.0, path="binance")
    answer = stress(day, "--shock", "-5%", "--depth-survives", "1")
    (row,) = answer["markets"][0]["rows"]
    assert (row["shortfall"], row["fund_paid"]) == (pytest.approx(70.0), pytest.approx(35.0))
    assert row["adl_notional"] == pytest.approx(500.0)
    assert [(one["account"], one["rank"]) for one in row["deleveraged"]] == [
        ("poor", 1), ("rich", 2),
    ]  # fmt: skip
    assert [one["quantity"] for one in row["deleveraged"]] == pytest.approx([4.0, 1.0])
    assert [one["notional"] for one in row["deleveraged"]] == pytest.approx([400.0, 100.0])
    done = brinkwatch("stress", day, "--shock", "-5%", "--depth-survives", "1")
    assert "deleveraged, the largest 2" in done.stdout + done.stderr


def test_a_path_without_a_fund_takes_nothing_from_one(tmp_path: Path) -> None:
    day = make_day(tmp_path, [("long", 10.0, 30.0)], [(90.0, 100.0)], fund=35.0)
    (row,) = stress(day, "--shock", "-5%", "--depth-survives", "1")["markets"][0]["rows"]
    assert (row["fund_paid"], row["adl_notional"]) == (0.0, pytest.approx(1000.0))
    assert row["deleveraged"] == []  # there is nobody on the other side


def test_a_fund_by_market_is_not_the_venues(tmp_path: Path) -> None:
    day = make_day(tmp_path, [("long", 10.0, 30.0)], [(90.0, 100.0)], fund=35.0, path="bitmex")
    answer = stress(day, "--shock", "-5%", "--depth-survives", "1")
    assert answer["markets"][0]["rows"][0]["fund_paid"] == 0.0
    assert any("insurance fund: not said" in line for line in answer["unknown"])


def test_a_large_position_on_hyperliquids_path_sells_a_fifth_first(tmp_path: Path) -> None:
    """200,000 forced at 95.96: 400 of 2,000 are sold at 95, and the mark comes to rest at 91.2.
    What is left is worth less than nothing there (bankrupt at 95), so the shorts take it."""
    positions = [("long", 2_000.0, 10_000.0), ("short", -9_000.0, 300_000.0)]
    day = make_day(tmp_path, positions, [(95.0, 1_000.0)], path="hyperliquid")
    (row,) = stress(day, "--shock", "-4.05%", "--depth-survives", "1")["markets"][0]["rows"]
    assert row["forced_notional"] == pytest.approx(200_000.0)
    assert row["vwap"] == pytest.approx(95.0)
    assert row["price_after"] == pytest.approx(95.95 * 0.95)
    assert row["shortfall"] == pytest.approx(1_600 * (95 - 95.95 * 0.95))
    assert (row["adl_notional"], row["backstop_notional"]) == (pytest.approx(160_000.0), 0.0)
    assert [one["account"] for one in row["deleveraged"]] == ["short"]


def test_a_path_that_nobody_knows_is_said(tmp_path: Path) -> None:
    day = make_day(tmp_path, [("a", 10.0, 30.0)], [(90.0, 100.0)], path="nowhere")
    answer = stress(day, "--shock", "-5%", "--depth-survives", "1")
    assert any("nowhere is no rule that is understood" in line for line in answer["unknown"])


def test_depth_that_comes_back_between_rounds_holds_the_mark(tmp_path: Path) -> None:
    """10 sold end at 95 and force 20 more. On top of them these end at 90, which forces the third;
    into a book that has filled up again they end at 95."""
    positions = [("a", 10.0, 30.0), ("b", 20.0, 80.0), ("c", 5.0, 49.55)]
    day = make_day(tmp_path, positions, [(99.5, 4.0), (95.0, 20.0), (90.0, 100.0)])
    for refill, pools in ((0.0, 3), (1.0, 2)):
        options = "--factor", "-2.1%", "--depth-survives", "1", "--refill", str(refill)
        (row,) = stress(day, *options)["system"]["factor_rows"]
        assert row["rounds"][-1]["pools"] == pools
        assert row["pools"] == 3


@pytest.mark.parametrize(
    "options", [["--shock", "-100%"], ["--shock", "much"], ["--depth-survives", "0"],
                ["--symbol", "Y"], ["--at", "yesterday"]],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_in_a_sentence(tmp_path: Path, options: list[str]) -> None:
    day = make_day(tmp_path, [("a", 10.0, 30.0)], [(90.0, 100.0)])
    done = brinkwatch("stress", day, *options)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def joint_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes of X and Y, whose index moves twice as far as X's; and a cross account that is
    long in both and near due at the end, beside one that is not."""
    folder, rng = tmp_path_factory.mktemp("joint"), random.Random(5)
    tiers = [{"lower_bound": 0, "maintenance_rate": RATE, "max_leverage": 50}]
    records: list[dict[str, Any]] = [
        {"kind": "reference", "about": "market", "ts": at(0), "symbol": symbol, "tiers": tiers,
         "contract": {"type": "linear"}, "mark_rule": "last", "path": "market"}
        for symbol in "XY"
    ]  # fmt: skip
    for account, money in (("near", 64.5), ("far", 900.0)):
        records.append({"kind": "collateral", "ts": at(0), "account": account,
                        "amount": f"{money:.6f}", "cause": "deposit"})  # fmt: skip
        records += [
            {"kind": "reference", "about": "position", "ts": at(0), "symbol": symbol,
             "account": account, "quantity": "10.0", "entry_price": "102.0",
             "margin_mode": "cross"}
            for symbol in "XY"
        ]  # fmt: skip
    seconds = 1_200
    x = y = 100.0
    for second in range(1, seconds, 2):
        last = second + 2 >= seconds
        move = rng.gauss(0, 2e-4)
        x, y = x * math.exp(move), y * math.exp(2 * move + rng.gauss(0, 1e-4))
        for symbol, price in (("X", x), ("Y", y)):
            shown = MARK if last else price
            records.append({"kind": "mark", "ts": at(second), "symbol": symbol,
                            "mark": f"{shown:.8f}", "index": f"{shown:.8f}"})  # fmt: skip
        if last:
            bids = [[f"{MARK - 1 - i:.8f}", "15"] for i in range(8)]
            asks = [[f"{MARK + 1 + i:.8f}", "5"] for i in range(5)]
            records += [
                {"kind": "book", "ts": at(second + 0.1), "symbol": symbol, "bids": bids,
                 "asks": asks}
                for symbol in "XY"
            ]  # fmt: skip
    source, day = folder / "in.jsonl", folder / "day"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert brinkwatch("import", "canonical", source, day).returncode == 0
    return day


def test_all_markets_move_by_their_betas(joint_day: Path) -> None:
    system = stress(joint_day, "--factor", "-3%", "--depth-survives", "1")["system"]
    betas = system["betas"]
    assert betas["Y"] / betas["X"] == pytest.approx(2.0, rel=0.15)
    assert betas["X"] + betas["Y"] == pytest.approx(2.0)
    (row,) = system["factor_rows"]
    assert row["pools"] == 1
    assert row["forced_notional"] == pytest.approx(2_000.0)
    for symbol in "XY":
        # 10 sold into 15 at 99.
        fall = -betas[symbol] * math.log1p(-0.03) - math.log(0.99)
        assert row["price_after"][symbol] == pytest.approx(MARK * math.exp(-fall))
    assert [r["seconds"] for r in row["rounds"]] == [3.0 * k for k in range(1, 11)]
    assert {r["pools"] for r in row["rounds"]} == {1}
    assert system["branching_ratio"] is None


def test_edges_say_what_carries_them(joint_day: Path) -> None:
    system = stress(joint_day, "--shock", "-1%", "--depth-survives", "1")["system"]
    edges = system["edges"]
    assert {(e["from"], e["to"], e["side"]) for e in edges} == {
        (a, b, "down") for a in "XY" for b in "XY"
    }
    step = -math.log(0.99) / 0.005
    for edge in edges:
        assert edge["k"] == edge["k_accounts"] + edge["k_index"]
        assert edge["k_accounts"] == pytest.approx(step)
        assert edge["k_index"] == 0.0, "no index follows a premium here"
        assert edge["accounts"] == 1
        assert edge["share_of_r"] == pytest.approx(0.25)
        assert edge["holders"] == [{"account": "near", "sends": pytest.approx(1_000.0)}]
    assert system["r"] == system["r_accounts"] == pytest.approx(2 * step)
    # Equity 24.5, requirement 20: X alone falls by 4.5 of its 1,000 less 1 % of that.
    for symbol in "XY":
        critical = system["critical_market_shocks"][symbol]
        assert critical["down"] == pytest.approx(-4.5 / 990, abs=1.5e-4)
        assert critical["up"] is None
