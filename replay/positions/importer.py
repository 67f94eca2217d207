"""`brinkwatch import positions`: a venue's dump of account states becomes a recorded day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import OptionError
from monitor.venues.positions.dump import PositionsDump
from replay.day import feed_files
from replay.day.importer import ImportReport, IngestError, NothingImportedError, close_day
from replay.day.writer import DayWriter

DOCUMENT_BYTES_MAX = 1 << 30
"""A longer document, unpacked, is not read: its states are kept in memory."""


def import_positions(
    files: list[Path],
    out: Path,
    options: Mapping[str, str] | None = None,
    progress: Callable[[Path, int], None] | None = None,
) -> ImportReport:
    """Read `files` (or folders) of account states and rules, and write the recorded day `out`.

    `options`: see `PositionsDump.OPTIONS`. Parts that cannot be read are refused, counted, and kept
    with the day. Raises `IngestError`, `DayError`, and `NothingImportedError` where no file has an
    account state.
    """
    paths = feed_files.list_files(files)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise IngestError(f"no such file: {', '.join(missing or map(str, files))}: name the dump's")
    try:
        dump = PositionsDump(options)
        for path in paths:
            dump.begin_file(path.name.partition(".")[0])
            dump.read(_read_document(path))
            if progress is not None:
                progress(path, dump.source_counts.total())
        batches = dump.finish()
    except OptionError as error:
        raise IngestError(str(error)) from None
    if not sum(len(batch) for batch in batches):
        raise NothingImportedError(
            f"{paths[0]}: no account state in it that can be read, so no day is made: give "
            "Hyperliquid's clearinghouseState or Binance's positionRisk as JSON"
        )
    last = max(int(batch.numbers["ts"].max()) for batch in batches if len(batch))
    # A whole second behind them, so that bands of the moment are put out.
    end_ts = (last // SECOND_NS + 2) * SECOND_NS
    with DayWriter(out, venue=dump.NAME, end_ts=end_ts) as day:
        for batch in batches:
            day.write(batch)
        notes = {note: n for note, n in sorted(dump.notes.items()) if n}
        return close_day(day, dump.NAME, dump, [path.name for path in paths], notes, {})


def _read_document(path: Path) -> bytes:
    parts, size = [], 0
    for piece in feed_files.LineReader(path).pieces():
        parts.append(piece)
        size += len(piece)
        if size > DOCUMENT_BYTES_MAX:
            raise IngestError(f"{path} is longer than 1 GiB: split it into files of some accounts")
    return b"".join(parts).removeprefix(feed_files.BYTE_ORDER_MARK)
