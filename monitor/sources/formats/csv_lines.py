"""CSV: one row a record. The columns' names are the map's, or those of the file's header."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.errors import ConfigError
from monitor.sources.formats.base import Row, read_each
from monitor.sources.settings import CsvSettings, SourceSettings
from monitor.venues.parse import UnreadableError

ROW_LINES_MAX = 200
"""A row of more lines is no row: a quotation mark is missing, and its first line is refused."""


class CsvLines:
    """Reads rows of CSV.

    `columns`: the names in a file's header; without it the map has them. Raises `ConfigError` where
    there are none, or one twice.
    """

    def __init__(self, settings: SourceSettings, columns: Sequence[str] = ()) -> None:
        self._columns = [name.strip() for name in columns or settings.csv.columns]
        self._dialect = dialect(settings.csv)
        if not self._columns:
            raise ConfigError(
                "records of a topic in CSV have no header: name them by csv = { columns = [ … ] }"
            )
        for name in self._columns:
            if name and self._columns.count(name) > 1:
                raise ConfigError(
                    f"the column {name!r} is there twice: give the columns other names, by "
                    "csv = { columns = [ … ], skip_lines = 1 }"
                )

    def read(self, raws: Sequence[bytes]) -> list[Row | UnreadableError]:
        try:
            cells = [*csv.reader([raw.decode() for raw in raws], **self._dialect)]
        except (csv.Error, UnicodeDecodeError):
            return read_each(raws, self._read_one)
        size = len(self._columns)
        if len(cells) != len(raws) or any(len(row) != size for row in cells):
            return read_each(raws, self._read_one)
        return [dict(zip(self._columns, row, strict=True)) for row in cells]

    def _read_one(self, raw: bytes) -> Row:
        cells = read_cells(raw, self._dialect)
        if len(cells) != len(self._columns):
            detail = f"{len(cells)} cells where there are {len(self._columns)} columns"
            raise UnreadableError("unreadable", detail)
        return dict(zip(self._columns, cells, strict=True))


def dialect(settings: CsvSettings) -> dict[str, Any]:
    """The form of the rows, for Python's CSV reader."""
    quote = settings.quote or None
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return {
        "delimiter": settings.delimiter, "quotechar": quote, "quoting": quoting, "strict": True,
    }  # fmt: skip


def read_cells(raw: bytes, form: dict[str, Any]) -> list[str]:
    """The cells of one row; raises `UnreadableError`."""
    try:
        rows = [*csv.reader([raw.decode()], **form)]
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except csv.Error as error:
        raise UnreadableError("unreadable", f"no row of CSV: {error}") from None
    return rows[0] if rows else []


def join_lines(
    lines: Iterable[tuple[int, bytes]], settings: CsvSettings
) -> Iterator[tuple[int, bytes]]:
    """Rows of numbered lines (without their newlines): a quoted cell may hold line breaks."""
    quote, form = settings.quote.encode(), dialect(settings)
    waiting: deque[tuple[int, bytes]] = deque()
    rest = iter(lines)
    while (line := waiting.popleft() if waiting else next(rest, None)) is not None:
        if not quote or quote not in line[1]:
            yield line
            continue
        row = [line]
        while _is_open(_join(row), form):
            following = waiting.popleft() if waiting else next(rest, None)
            if following is not None:
                row.append(following)
            if following is None or len(row) > ROW_LINES_MAX:
                waiting.extendleft(reversed(row[1:]))
                row = row[:1]
                break
        yield line[0], _join(row)


def _join(row: list[tuple[int, bytes]]) -> bytes:
    return b"\n".join(text for _, text in row)


def _is_open(row: bytes, form: dict[str, Any]) -> bool:
    """Whether a quoted cell goes on after the end of `row`."""
    try:
        [*csv.reader([row.decode(errors="replace")], **form)]
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False
