"""The conditions of one market's data, window by window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.arrays.types import Float64, Int64
from monitor.core.features.data_quality import (
    FROZEN_S,
    IN,
    INPUT_COLUMNS,
    OFF_S,
    QUALITY,
    SOUND_S,
    STALE_S,
    UNSOUND_S,
    DataQuality,
)

SECOND_NS = 1_000_000_000
FIRST = 1_764_000_000


def windows(count: int, **columns: Any) -> Float64:
    """Seconds in which mark, index, a sound book at 100 and a trade come; `columns` override."""
    rows = np.zeros((count, len(INPUT_COLUMNS)))
    rows[:, IN.window] = FIRST + np.arange(count)
    ordinary: dict[str, Any] = {
        "books": 1, "mark_records": 1, "index_records": 1, "flow": 1, "books_come": 1,
        "marks_come": 1, "mid": 100.0, "trade_low": 100.0, "trade_high": 100.0,
        "book_changes": 1,
        "mark": 100.0 + 0.001 * (np.arange(count) % 2), "index": 100.0,
    }  # fmt: skip
    for name, value in (ordinary | columns).items():
        rows[:, getattr(IN, name)] = value
    return rows


def after(count: int, begin: int, value: float, usual: float = 0.0) -> Float64:
    """A column that is `usual` and from window `begin` on `value`."""
    return np.where(np.arange(count) >= begin, value, usual)


def step(rows: Float64, cuts: tuple[int, ...] = ()) -> Float64:
    """The output of all windows, handed over in one call or in several."""
    quality, symbol = DataQuality(SECOND_NS), np.zeros(len(rows), np.int64)
    parts: list[Int64] = np.split(np.arange(len(rows)), cuts)
    return np.concatenate([quality.step(rows[part], symbol[part]) for part in parts])


def begins(out: Float64, condition: str) -> list[int]:
    """The windows in which it begins."""
    holds = out[:, getattr(QUALITY, condition)] > 0
    return np.flatnonzero(holds & ~np.append(False, holds[:-1])).tolist()


def test_a_crossed_book_is_not_usable_at_once_and_reported_after_seconds() -> None:
    crossed = after(200, 100, 1.0)
    crossed[150:] = 0
    out = step(windows(200, crossed_books=crossed, crossed_bps=20 * crossed))
    assert begins(out, "unsound") == [100 + UNSOUND_S - 1]
    usable = out[:, QUALITY.book_usable]
    assert (usable[:100] == 1).all()
    assert (usable[100:150] == 0).all()
    assert (usable[150:] == 1).all()
    assert out[149 + int(SOUND_S), QUALITY.unsound] == 0
    assert out[104, QUALITY.unsound_since] == FIRST + 100


def test_one_crossed_book_that_stands_is_reported_when_it_is_as_old_as_a_stale_one() -> None:
    books, crossed = after(300, 101, 0.0, usual=1.0), np.zeros(300)
    crossed[100] = 1
    out = step(windows(300, books=books, crossed_books=crossed, crossed_bps=5 * crossed))
    (begin,) = begins(out, "unsound")
    assert begin == pytest.approx(100 + STALE_S, abs=2)
    assert begins(out, "stale_book") == []


def test_a_locked_book_counts_where_locking_is_unusual() -> None:
    locked = after(400, 300, 1.0)
    rare = step(windows(400, locked_books=locked, ends_locked=locked))
    assert begins(rare, "unsound") == [300 + UNSOUND_S - 1]
    often = np.where(np.arange(400) % 3 == 0, 1.0, locked)
    usual = step(windows(400, locked_books=often, ends_locked=often))
    assert begins(usual, "unsound") == []
    assert (usual[:, QUALITY.book_usable] == 1).all()


@pytest.mark.parametrize(
    ("column", "condition"),
    [("books", "stale_book"), ("mark_records", "stale_mark"), ("index_records", "stale_index")],
)
def test_a_feed_is_stale_by_its_own_usual_wait(column: str, condition: str) -> None:
    for wait in (1, 8, 30):
        count = 60 * wait
        comes = (np.arange(count) % wait == 0).astype(float)
        comes[40 * wait + 1 :] = 0
        out = step(windows(count, **{column: comes}))
        limit = max(STALE_S, 3 * wait)
        expected = [40 * wait + limit] if limit < 19 * wait else []
        assert begins(out, condition) == pytest.approx(expected, abs=1)


def test_a_book_that_repeats_itself_while_trades_go_on_is_frozen() -> None:
    changes = after(300, 100, 0.0, usual=1.0)
    out = step(windows(300, book_changes=changes))
    assert begins(out, "frozen") == pytest.approx([100 + STALE_S], abs=1)
    (begin,) = begins(out, "frozen")
    assert (out[begin:, QUALITY.book_usable] == 0).all()
    assert out[begin, QUALITY.frozen_since] == FIRST + 99
    no_trade = after(300, 100, np.nan, usual=100.0)
    still = step(windows(300, book_changes=changes, trade_low=no_trade, trade_high=no_trade))
    assert begins(still, "frozen") == []
    stopped = step(windows(300, book_changes=changes, books=changes))
    assert begins(stopped, "frozen") == []
    # Where a book stands for a minute now and then, three minutes are needed.
    often = (np.arange(2000) % 60 == 0).astype(float)
    assert begins(step(windows(2000, book_changes=often)), "frozen") == []


def test_a_topic_that_stops_for_all_markets_is_no_stale_feed_of_each() -> None:
    marks = after(300, 100, 0.0, usual=1.0)
    out = step(windows(300, mark_records=marks, index_records=marks, marks_come=marks))
    assert begins(out, "stale_mark") == begins(out, "stale_index") == []


def test_a_halt_is_no_activity() -> None:
    """Ten minutes without windows, then trades and books a while before the first mark."""
    rows = windows(300, mark_records=(np.arange(300) < 200) | (np.arange(300) >= 215))
    rows[200:, IN.window] += 600
    assert begins(step(rows), "stale_mark") == []


def test_a_mark_off_book_and_trades_is_reported_after_seconds() -> None:
    moving = after(300, 200, 103.0, usual=100.0) + 0.001 * (np.arange(300) % 2)
    out = step(windows(300, mark=moving))
    assert begins(out, "off") == [200 + OFF_S - 1]
    assert out[-1, QUALITY.gap] == pytest.approx(np.log(1.03), rel=1e-3)
    assert out[-1, QUALITY.witnesses] == 3
    assert out[-1, QUALITY.mark_usable] == 0


def test_a_mark_is_not_off_that_only_one_of_book_and_trades_contradicts() -> None:
    far = after(300, 200, 97.0, usual=100.0)
    assert begins(step(windows(300, mid=far)), "off") == []
    assert begins(step(windows(300, trade_low=far, trade_high=far)), "off") == []


def test_a_mark_that_stands_still_is_doubted_at_half_the_gap() -> None:
    falls = after(400, 200, 99.3, usual=100.0)
    gone = windows(400, mid=falls, trade_low=falls, trade_high=falls)
    assert begins(step(gone), "off") == []
    gone[200:, IN.mark] = 100.0
    (begin,) = begins(step(gone), "off")
    assert 200 + FROZEN_S <= begin <= 200 + FROZEN_S + 15


def test_a_gap_from_the_start_is_learnt_only_so_far() -> None:
    moving = 100.0 + 0.001 * (np.arange(300) % 2)
    assert begins(step(windows(300, mark=1.02 * moving)), "off") == []
    assert begins(step(windows(300, mark=1.53 * moving)), "off") != []


def test_the_output_does_not_depend_on_how_windows_are_handed_over() -> None:
    rng = np.random.default_rng(3)
    rows = windows(
        500, books=rng.random(500) < 0.8, mark_records=rng.random(500) < 0.5,
        flow=rng.random(500) < 0.7, mark=100 * np.exp(np.cumsum(rng.normal(0, 2e-3, 500))),
    )  # fmt: skip
    rows[:, IN.crossed_books] = rows[:, IN.books] * (rng.random(500) < 0.6)
    rows[:, IN.crossed_bps] = 3 * rows[:, IN.crossed_books]
    assert np.array_equal(step(rows), step(rows, (1, 2, 77, 250, 499)))
