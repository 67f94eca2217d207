"""The yardstick of recorded days itself, on days that are made here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.core.contract.alert import Alert
from monitor.core.contract.events import TOPICS
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import decode
from monitor.core.decode.stepped_kernels import to_floats
from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.detect.days import moments, plain_rules, planted
from tests.bench.detect.days.engine_runs import middle_s, run_day
from tests.bench.detect.days.planting import CHANGES, Change, Planting, choose_places
from tests.bench.detect.days.series import DaySeries, MarketSeries, series_of
from tests.bench.detect.days.verdicts import Judge, Verdict
from tests.core.alerts.findings import alert

START = 1_700_000_000
HOURS = 3
SECONDS = HOURS * 3600
THIN, WIDE, JUMP, BURST, SILENT = 4000, 5000, 6000, 7000, 8000
"""What happens in the made day, s since its start: books lose nine tenths for 20 s, spreads open by
20 bps for 20 s, the price jumps by 1 %, 50 trades a second for 5 s, no book for 90 s."""


def _batch(kind: str, records: list[dict[str, object]]) -> Batch:
    raws = [json.dumps({"kind": kind, "symbol": "BTC-PERP", **r}).encode() for r in records]
    batch = decode(kind, TOPICS[kind], 0, np.arange(len(raws)), raws)
    assert not batch.refused
    return batch


def _book(second: int, rng: np.random.Generator) -> dict[str, object]:
    price = 1000.0 * (1.01 if second >= JUMP else 1.0) * (1 + 1e-5 * rng.normal())
    size = (0.1 if THIN <= second < THIN + 20 else 1.0) * np.exp(0.1 * rng.normal())
    half = 0.05 + (1.0 if WIDE <= second < WIDE + 20 else 0.0)
    sides = {
        name: [
            [f"{price + sign * (half + level):.2f}", f"{size * (1 + level):.6f}"]
            for level in range(3)
        ]
        for name, sign in (("bids", -1), ("asks", 1))
    }
    return {"ts": (START + second) * SECOND_NS, **sides}


@pytest.fixture(scope="module")
def books() -> Batch:
    rng = np.random.default_rng(5)
    there = [s for s in range(SECONDS) if not SILENT <= s < SILENT + 90]
    return _batch("book", [_book(second, rng) for second in there])


@pytest.fixture(scope="module")
def fills() -> Batch:
    rng = np.random.default_rng(6)
    times = [*rng.integers(0, SECONDS, SECONDS // 5), *(BURST + rng.integers(0, 5, 250))]
    trade = {
        "side": "buy",
        "price": "1000",
        "quantity": "0.1",
        "liquidity": "taker",
        "account": "a",
    }
    return _batch("fill", [{"ts": (START + int(t)) * SECOND_NS, **trade} for t in sorted(times)])


@pytest.fixture(scope="module")
def day(books: Batch, fills: Batch) -> DaySeries:
    return series_of([books, fills])


@pytest.fixture(scope="module")
def market(day: DaySeries) -> MarketSeries:
    return day.markets[0]


@pytest.mark.parametrize(
    ("kind", "at"), [("depth", THIN), ("spread", WIDE), ("price", JUMP), ("trades", BURST)]
)
def test_the_most_extreme_moment_is_where_something_happened(
    market: MarketSeries, kind: str, at: int
) -> None:
    first = moments.moments_of(market, kind, moments.warm_up_s(market))[0]
    assert START + at <= first.onset <= first.peak <= first.end <= START + at + 45


def test_a_market_without_a_book_to_go_by_has_no_series(fills: Batch) -> None:
    one_sided = {"bids": [["10", "1"]], "asks": []}
    books = _batch("book", [{"ts": (START + s) * SECOND_NS, **one_sided} for s in range(50)])
    assert series_of([books, fills]).markets == []
    assert series_of([]) == DaySeries([], [])


def test_moments_lie_apart_and_after_the_warm_up(market: MarketSeries) -> None:
    score = market.scores["trades"].copy()
    score[: moments.warm_up_s(market)] = -np.inf
    places = np.sort(moments.peaks(np.nan_to_num(score, nan=-np.inf), 12))
    assert len(places) == 12
    assert np.diff(places).min() > moments.APART_S
    assert places[0] >= moments.warm_up_s(market) == SECONDS // 4


def test_a_moment_is_seen_up_to_half_a_minute_after_its_end() -> None:
    moment = moments.Moment("price", 100.0, 105.0, 110.0, 3.0)
    for at, seen in ((99.0, False), (100.0, True), (140.0, True), (141.0, False)):
        assert moments.is_seen(moment, np.array([at])) is seen


def test_what_is_said_of_data_or_of_another_market_tells_no_moment() -> None:
    said = [_alert(1), _alert(2, "unsound_book"), _alert(3, symbols=("ETH-PERP",))]
    said += [_alert(4, status="updated"), _alert(5, status="resolved")]
    times = moments.alert_times(said, "BTC-PERP")
    assert times.tolist() == [START + 1, START + 4]


def test_a_gap_in_the_books_is_no_move_of_the_price(market: MarketSeries) -> None:
    assert np.isnan(market.scores["price"][SILENT + 11 : SILENT + 95]).all()
    assert not np.isnan(market.scores["price"][SILENT + 120])


def _alert(second: float, stream: str = "cancels", **more: object) -> Alert:
    at = round((START + second) * SECOND_NS)
    one = replace(alert(symbol="BTC-PERP"), ts=at, since=at - 5 * SECOND_NS)
    one = replace(one, evidence=(replace(one.evidence[0], stream=stream),))
    return replace(one, **more)  # type: ignore[arg-type]


def test_an_alert_is_worth_what_the_days_rows_say(day: DaySeries) -> None:
    judge = Judge(day)
    for at in (THIN, WIDE, JUMP, BURST):
        assert judge.verdict(_alert(at + 8)) is Verdict.WORTH
    worth, real = judge.shares_at_random()
    assert 0 < worth <= real < 1
    verdicts = {judge.verdict(_alert(at)) for at in range(3000, SECONDS, 50)}
    assert Verdict.FALSE in verdicts
    assert judge.verdict(_alert(THIN, symbols=("ETH-PERP",))) is Verdict.NOT_JUDGED


def test_an_alert_about_data_is_judged_by_the_gaps_of_the_rows(day: DaySeries) -> None:
    judge = Judge(day)
    assert [gap.kind for gap in day.gaps if gap.lasts_s > 60] == ["book"]
    stopped = _alert(SILENT + 20, "book_silence", symbols=(), kind="feed_stopped")
    assert judge.verdict(stopped) is Verdict.WORTH
    assert judge.verdict(_alert(THIN, "unsound_book", kind="unsound_book")) is Verdict.FALSE
    assert judge.verdict(_alert(THIN, "late", kind="late_records")) is Verdict.NOT_JUDGED


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_what_is_planted_leaves_all_other_rows_alone(
    books: Batch, fills: Batch, market: MarketSeries, change: Change
) -> None:
    starts = choose_places(market, change, START + SECONDS / 2, START + SECONDS, 6, seed=1)
    planting = Planting(change, "BTC-PERP", starts)
    assert planting.apply(fills) is fills
    assert Planting(change, "ETH-PERP", starts).apply(books) is books
    changed = planting.apply(books)
    seconds = books.numbers["ts"] / SECOND_NS
    inside = planting.is_near(seconds, after_s=0.0)
    assert inside.sum() == 6 * change.lasts_s
    of_level = np.repeat(inside, 3)
    for name, sign in (("bids", -1), ("asks", 1)):
        before, after = books.ladders[name], changed.ladders[name]
        assert (before.offset == after.offset).all()
        untouched = (before.price == after.price) & (before.quantity == after.quantity)
        assert untouched[~of_level].all()
        hit = of_level & ~untouched
        assert hit.sum() == of_level.sum() * (0.5 if change.one_side else 1.0)
        kept = to_floats(after.quantity[hit]) / to_floats(before.quantity[hit])
        assert kept == pytest.approx(np.full(hit.sum(), change.keeps), rel=1e-6)
        moved = to_floats(after.price[hit]) / to_floats(before.price[hit]) - 1
        assert sign * moved == pytest.approx(np.full(hit.sum(), change.opens_bps / 2e4), abs=1.1e-5)


def test_places_have_books_and_room_and_are_the_same_again(market: MarketSeries) -> None:
    for change in CHANGES:
        starts = choose_places(market, change, START + 7000, START + SECONDS, 30, seed=2)
        again = choose_places(market, change, START + 7000, START + SECONDS, 30, seed=2)
        assert (starts == again).all()
        assert len(starts) > 5
        needs = change.lasts_s + change.within_s
        assert np.diff(starts).min() >= needs
        assert starts[0] >= START + 7000
        assert starts[-1] + needs <= START + SECONDS
        silent = (starts + needs > START + SILENT + 10) & (starts < START + SILENT + 90)
        assert not silent.any()
    assert len(choose_places(market, CHANGES[0], START, START + 50, 30, seed=2)) == 0


def test_a_plain_rule_alarms_no_more_often_than_it_may(market: MarketSeries) -> None:
    for rule, score in plain_rules.RULES.items():
        for allowed in (0, 1, 4):
            threshold = plain_rules.set_threshold(score(market), allowed)
            assert plain_rules.alarm_count(score(market), threshold) <= allowed, rule


def test_a_plain_rule_finds_what_is_planted_for_it(books: Batch, market: MarketSeries) -> None:
    begin = START + SECONDS * 0.8
    for change, rule in zip(
        CHANGES,
        ("both sides' depth, 10 s", "thinner side's depth, 20 s",
         "both sides' depth, 10 s", "lowest spread in 10 s"),
        strict=True,
    ):  # fmt: skip
        starts = choose_places(market, change, begin, START + SECONDS, 4, seed=3)
        planting = Planting(change, "BTC-PERP", starts)
        changed = series_of([planting.apply(books)]).markets[0]
        score = plain_rules.RULES[rule](changed)
        delays = plain_rules.delays_of(score, changed, planting, begin, allowed=1)
        assert all(d is not None and d <= change.within_s + 1 for d in delays), (rule, delays)


def test_the_product_finds_a_place_in_time_or_not() -> None:
    planting = Planting(CHANGES[0], "BTC-PERP", np.array([START + 100, START + 500]))
    alerts = [_alert(at) for at in (100, 103, 517)]
    assert planted.product_delays(alerts, planting) == [3.0, None]
    assert planted.other_incidents(alerts[:1], planting, START) == 0
    assert planted.other_incidents([_alert(99)], planting, START) == 1
    assert planted.other_incidents([_alert(99)], planting, START + 100) == 0
    assert planted.other_incidents([_alert(99, "fill_silence")], planting, START) == 0


def test_a_run_goes_on_from_the_middle_of_another_and_says_the_same(tmp_path: Path) -> None:
    simulate(tmp_path / "day", SimulationSettings(3, 8, 2, 200, 60.0))
    day = Day(tmp_path / "day")
    whole = run_day(day, 1000.0, split_s=middle_s(day))
    rest = run_day(day, 1000.0, prefix=whole.prefix)
    assert 0 < len(rest.alerts) <= len(whole.alerts)
    assert whole.alerts[-len(rest.alerts) :] == rest.alerts
    begin = min(alert.ts for alert in rest.alerts) / SECOND_NS
    assert begin > middle_s(day) - 60
    assert [m.symbol for m in rest.series.markets] == [m.symbol for m in whole.series.markets]
