"""Rows of CSV as venues write them: quotes, line breaks in cells, other delimiters, damage."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.errors import ConfigError
from monitor.sources.formats.csv_lines import ROW_LINES_MAX, CsvLines, join_lines
from monitor.sources.settings import CsvSettings, SourceSettings
from monitor.venues.parse import UnreadableError


def read(*raws: bytes, columns: tuple[str, ...] = ("a", "b"), **form: Any) -> list[Any]:
    rows = CsvLines(SourceSettings(format="csv", csv=CsvSettings(**form)), columns).read(raws)
    return [row.reason if isinstance(row, UnreadableError) else row for row in rows]


@pytest.mark.parametrize(
    ("raw", "form", "row"),
    [
        (b"1,2", {}, {"a": "1", "b": "2"}),
        (b'"1,0","say ""x"""', {}, {"a": "1,0", "b": 'say "x"'}),
        (b'"two\nlines",2', {}, {"a": "two\nlines", "b": "2"}),
        (b"1;2", {"delimiter": ";"}, {"a": "1", "b": "2"}),
        (b"1\t", {"delimiter": "\t"}, {"a": "1", "b": ""}),
        (b"'1,0',2", {"quote": "'"}, {"a": "1,0", "b": "2"}),
        (b'5" pipe,"2', {"quote": ""}, {"a": '5" pipe', "b": '"2'}),
        (b"1", {}, "unreadable"),
        (b"1,2,3", {}, "unreadable"),
        (b'"1,2', {}, "unreadable"),
        (b'"1"x,2', {}, "unreadable"),
        (b"\xff,2", {}, "not_utf8"),
        (b" ", {}, "empty"),
        (b"1," + b"x" * (1 << 20), {}, "too_large"),
    ],
)
def test_a_row_is_read_or_refused(raw: bytes, form: Any, row: Any) -> None:
    assert read(raw, **form) == [row]
    assert read(b"8,9".replace(b",", form.get("delimiter", ",").encode()), raw, **form)[1] == row


def test_columns_must_be_named_each_once() -> None:
    with pytest.raises(ConfigError, match="have no header"):
        read(b"1,2", columns=())
    with pytest.raises(ConfigError, match="'a' is there twice"):
        read(b"1,2", columns=("a", "a"))


def joined(text: bytes, **form: Any) -> list[tuple[int, bytes]]:
    return [*join_lines(enumerate(text.split(b"\n"), 1), CsvSettings(**form))]


def test_a_quoted_cell_goes_on_over_lines() -> None:
    text = b'a,b\n"1\n\n2",x\n3,"y""\n"\n4,z'
    assert joined(text) == [(1, b"a,b"), (2, b'"1\n\n2",x'), (5, b'3,"y""\n"'), (7, b"4,z")]
    assert len(joined(text, quote="")) == len(text.split(b"\n"))


def test_an_open_quotation_mark_swallows_no_more_than_its_own_line() -> None:
    lines = [b'1,"open'] + [b"%d,x" % n for n in range(2 * ROW_LINES_MAX)]
    rows = joined(b"\n".join(lines))
    assert rows == [*enumerate(lines, 1)]
