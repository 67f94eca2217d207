"""One broken source never moves margin state, and a real move always does in the end."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.alert import Alert, alert_json
from monitor.core.marks.mark_guard import (
    FROZEN_S,
    JUMP_MOST,
    LASTING_S,
    LASTING_UPDATES,
    MarkGuard,
    MarkUpdate,
    PriceSource,
)
from monitor.core.snapshot import from_state, to_state
from tests.core.venue.test_state import BASE, SECOND, START, deposit, fill, mark, run

QUIET = [100.0, 100.01, 99.99, 100.02, 100.0] * 8
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


def update(second: float, **prices: Any) -> MarkUpdate:
    given: dict[str, Any] = {"mark": None, "index": None, "last": None, "middle": None, **prices}
    return MarkUpdate(START + int(second * SECOND), 0, int(second * 10), **given)


def sources(second: float, *prices: float, age_s: float = 1.0) -> tuple[Any, ...]:
    ts = START + int((second - age_s) * SECOND)
    return tuple(PriceSource(name, price, ts) for name, price in zip(NAMES, prices, strict=False))


def quiet(guard: MarkGuard, **others: Any) -> float:
    """Forty seconds of quiet marks; the time after them."""
    for second, price in enumerate(QUIET):
        values = {name: value(second) for name, value in others.items()}
        trusted, _, doubts = guard.judge(update(second, mark=price, **values))
        assert trusted
        assert doubts == []
    return float(len(QUIET))


def test_a_lone_outlier_is_not_trusted_whatever_its_size() -> None:
    for factor in (0.2, 0.89, 1.11, 1.5, 1000.0):
        guard = MarkGuard()
        now = quiet(guard)
        trusted, _, (doubt,) = guard.judge(update(now, mark=100 * factor))
        assert not trusted
        assert (doubt.kind, doubt.kept, doubt.offered) == ("outlying_mark", 100.0, 100 * factor)
        assert guard.judge(update(now + 1, mark=100.0))[0]


def test_a_smaller_jump_is_not_trusted_where_other_inputs_disagree() -> None:
    for factor in (0.97, 1.03):
        guard = MarkGuard()
        now = quiet(guard)
        assert not guard.judge(update(now, mark=100 * factor, index=100.0, middle=100.0))[0]


def test_any_mark_is_trusted_after_a_silence() -> None:
    guard = MarkGuard()
    now = quiet(guard)
    assert guard.judge(update(now + 61, mark=70.0))[0]


def test_a_real_move_is_trusted_at_once_where_two_inputs_confirm_it() -> None:
    for confirming in ({"index": 90.0, "last": 90.1}, {"last": 90.0, "middle": 90.2}):
        guard = MarkGuard()
        now = quiet(guard)
        assert guard.judge(update(now, mark=90.05, **confirming))[0]
    # One that confirms and one that does not are not enough.
    guard = MarkGuard()
    now = quiet(guard)
    assert not guard.judge(update(now, mark=90.05, last=90.0, middle=100.0))[0]


def test_a_lasting_move_is_trusted_after_the_stated_number_of_updates_and_seconds() -> None:
    guard = MarkGuard()
    now = quiet(guard)
    wait = LASTING_S / (LASTING_UPDATES - 1)
    seen = [guard.judge(update(now + wait * i, mark=80.0))[0] for i in range(LASTING_UPDATES)]
    assert seen == [False] * (LASTING_UPDATES - 1) + [True]
    # Many updates within a moment are no proof.
    guard = MarkGuard()
    now = quiet(guard)
    assert not any(guard.judge(update(now + 0.01 * i, mark=80.0))[0] for i in range(50))


@given(st.floats(0.01, 100.0), st.integers(0, 4), st.integers(3, 5))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_one_source_of_three_or_more_cannot_move_mark_or_index(
    factor: float, broken: int, count: int
) -> None:
    """However far it is off: the index it spoils and the mark that follows it stay."""
    guard = MarkGuard()
    level = [100.0] * count
    now = quiet(guard, index=lambda _: 100.0, sources=lambda second: sources(second, *level))
    prices = [100.0] * count
    prices[broken % count] *= factor
    index = sum(prices) / count  # a venue that takes the mean
    before = guard.mark.good, guard.index.good
    trusted, trusts_index, _ = guard.judge(
        update(now, mark=index, index=index, last=100.0, sources=sources(now, *prices))
    )
    for taken, kept in zip((guard.mark.good, guard.index.good), before, strict=True):
        assert abs(taken / kept - 1) <= 0.0105  # what no market calls an outlier
    if abs(index / 100 - 1) > 0.0105:
        assert not trusted
        assert not trusts_index


def test_a_stale_and_an_outlying_source_are_named() -> None:
    guard = MarkGuard()
    now = quiet(guard)
    old = (PriceSource("alpha", 100.0, START), *sources(now, 100.0, 100.0, 100.0)[1:])
    trusted, index, doubts = guard.judge(update(now, mark=100.0, index=100.0, sources=old))
    assert trusted
    assert index
    assert [(d.kind, d.source) for d in doubts] == [("stale_source", "alpha")]
    four = sources(now, 100.0, 100.0, 104.0, 100.0)
    _, _, doubts = guard.judge(update(now, mark=100.0, index=100.0, sources=four))
    assert [(d.kind, d.source, d.kept) for d in doubts] == [("outlying_source", "gamma", 100.0)]


@given(st.lists(st.floats(-0.004, 0.004), min_size=1, max_size=80))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_small_moves_are_always_trusted(moves: list[float]) -> None:
    guard, price = MarkGuard(), 100.0
    for second, move in enumerate(moves):
        price *= 1 + move
        assert guard.judge(update(second, mark=price)) == (True, False, [])
        assert guard.mark.good == price
        assert guard.mark.jump_limit(START + (second + 1) * SECOND, 1) <= JUMP_MOST


def test_a_guard_continues_from_a_snapshot() -> None:
    guard = MarkGuard()
    now = quiet(guard)
    guard.judge(update(now, mark=80.0))
    assert from_state(MarkGuard, to_state(guard)) == guard


POSITION = [deposit("a", 60), fill("a", "buy", 10)]
"""60 + 10 (x − 100) = 0.5 x: due at 98.947."""
STILL = [{**mark(100), "at": i} for i in range(20)]


def test_bands_use_the_last_trusted_mark_and_an_alert_says_why() -> None:
    rest = [r for r in BASE if r["kind"] != "mark"] + POSITION
    engine, bands = run([*rest, *STILL, {**mark(60), "at": 20.5}], 60)
    assert [b.markets[0].mark for b in bands] == [100.0] * len(bands)
    assert engine.venue.mark_filter.doubted["outlying_mark"] == 1
    assert engine.alert_count == 2  # firing and, after a quiet time, resolved


def test_the_sentence_names_the_price_offered_and_the_price_kept() -> None:
    rest = [r for r in BASE if r["kind"] != "mark"] + POSITION
    alerts: list[Alert] = []
    run([*rest, *STILL, {**mark(60), "at": 20.5}], 24, alerts)
    (line,) = map(alert_json, alerts)
    alert = json.loads(line)
    assert alert["summary"] == (
        "Mark of SOL stays at 100 (60 was offered, 4,000 bps away; 0 other inputs agree, 1 do not),"
        " since 16:00:20 UTC"
    )
    assert (alert["layer"], alert["kind"], alert["severity"], alert["status"]) == (
        "pricing", "outlying_mark", "warning", "firing")  # fmt: skip
    assert alert["evidence"][0]["p"] is None
    assert alert["records"] == [
        {"topic": "marks", "partition": 0, "first_offset": 20, "last_offset": 20}
    ]
    assert alert["at_stake"]["within_pct"] == 2.0
    assert alert["zones"] == [
        {"low": 98.9, "high": 98.95, "side": "long", "forced_notional": 1000.0}
    ]
    assert b"\n" not in line


def frozen_since(moves: float, until: float) -> list[Any]:
    """Doubts where one source of four stands still and the others move by `moves` in all."""
    guard, out = MarkGuard(), []
    for second in range(int(until)):
        price = 100.0 * (1 + moves * second / until) + 0.001 * (second % 2)
        given = sources(second, price, price, price, 100.0, age_s=0.0)
        _, trusts_index, doubts = guard.judge(update(second, index=price, sources=given))
        assert trusts_index
        out += doubts
    return out


def test_a_source_that_stands_still_while_the_others_move_is_frozen() -> None:
    doubts = frozen_since(-0.008, 100)
    assert {doubt.kind for doubt in doubts} == {"frozen_source"}
    assert {doubt.source for doubt in doubts} == {"delta"}
    first = doubts[0]
    assert FROZEN_S <= first.limit <= FROZEN_S + 1
    assert (first.offered, first.agree, first.against) == (100.0, 3, 1)


def test_a_source_that_stands_still_with_the_others_is_not() -> None:
    assert frozen_since(-0.002, 100) == []


def test_the_guard_reads_the_sources_of_a_record() -> None:
    def with_sources(second: float, *prices: float) -> dict[str, Any]:
        mean = sum(prices) / len(prices)
        sources = [{"name": n, "price": str(p), "ts": START + int(second * SECOND)}
                for n, p in zip(NAMES, prices, strict=False)]  # fmt: skip
        return {**mark(mean), "index": mean, "sources": sources, "at": second}

    rest = [r for r in BASE if r["kind"] != "mark"] + POSITION
    marks = [with_sources(i, 100.0, 100.0, 100.0) for i in range(10)]
    engine, bands = run([*rest, *marks, with_sources(10.5, 100.0, 100.0, 130.0)], 40)
    assert bands[-1].markets[0].mark == 100.0
    doubted = engine.venue.mark_filter.doubted
    assert doubted == {"outlying_mark": 1, "outlying_index": 1, "outlying_source": 1,
                       "stale_source": 0, "frozen_source": 0}  # fmt: skip
