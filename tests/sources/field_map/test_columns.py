"""Whole columns at once are the same as value by value."""

from __future__ import annotations

import random
from typing import Any

import pytest

from monitor.core.decode.batch import Column
from monitor.sources.field_map.contract_fields import contract_fields
from monitor.sources.field_map.readers import ReaderMaker
from monitor.sources.formats.base import Instant
from monitor.sources.settings import FieldRule, SourceSettings
from monitor.venues.parse import UnreadableError

COLUMNS = {
    "ts": {"field": "v", "unit": "ms"},
    "seq": {"field": "v"},
    "symbol": {"field": "v", "words": {"xbt": "BTC"}},
    "side": {"field": "v", "words": {"1": "buy", "2": "sell"}},
    "price": {"field": "v"},
    "quantity": {"field": "v", "times": "0.001"},
    "fee": {"field": "v", "absolute": True},
}
VALUES: list[Any] = [
    "1", "2", 1, 2, "1.50", "-3", "0", 0, "007", "1764000000000", 1764000000000, "", None, "null",
    "BTC-USD", "xbt", "buy", "SELL", 'a"b', "a b", "账户", "1\n2", "1,2", "1e5", ".5", "²", "٣",
    True, False, Instant(5), {}, [], "x" * 200,
]  # fmt: skip


def one_by_one(render: Any, values: list[Any]) -> list[str] | str:
    try:
        return [render(value) for value in values]
    except UnreadableError as error:
        return error.reason + error.detail


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("required", [True, False])
def test_a_column_is_what_its_values_are(name: str, required: bool) -> None:
    found = contract_fields("fill")[name]
    column = Column(found.name, found.type, required, found.low, found.high, found.values)
    reader = ReaderMaker(SourceSettings()).make(column, FieldRule(**COLUMNS[name]))
    rng = random.Random(name)
    for _ in range(300):
        pool = rng.sample(VALUES, rng.randint(1, 4))
        rows = [{"v": value} for value in rng.choices(pool, k=rng.randint(1, 5))]
        expected = one_by_one(reader.render, [reader.get(row) for row in rows])
        try:
            got: list[str] | str = reader.render_rows(rows)
        except UnreadableError as error:
            got = error.reason + error.detail
        assert got == expected, rows
