"""Import: every source event is counted, nothing is lost, anomalies are reported."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from replay.day import Day, DayError
from replay.day.importer import IngestError, NothingImportedError, ingest
from tests.replay.conftest import Imported
from tests.replay.day.batches import refused_of, rows_of

T = 1_700_000_000_000_000_000
LINES = [f'{{"kind":"cancel","ts":{T + i},"symbol":"X"}}'.encode() for i in range(40_000)]
TEXT = b"\n".join(LINES) + b"\n"


def read_day(path: Path) -> tuple[list[int], list[str]]:
    """Offsets accepted, and the reasons of what was refused, of canonical lines."""
    batches = list(Day(path).batches())
    return [row[3] for row in rows_of(batches)], [r.reason for r in refused_of(batches)]


@pytest.mark.parametrize("form", ["plain", "gzip", "two gzips", "xz", "two xz", "zstd"])
def test_every_form_of_file_gives_the_same_lines(tmp_path: Path, form: str) -> None:
    half = TEXT.index(b"\n", len(TEXT) // 2) + 1
    data = {
        "plain": lambda: TEXT,
        "gzip": lambda: gzip.compress(TEXT),
        "two gzips": lambda: gzip.compress(TEXT[:half]) + gzip.compress(TEXT[half:]),
        "xz": lambda: lzma.compress(TEXT),
        "two xz": lambda: lzma.compress(TEXT[:half]) + lzma.compress(TEXT[half:]) + b"\0" * 8,
        "zstd": lambda: pa.compress(TEXT, "zstd", asbytes=True),
    }[form]()
    (tmp_path / "feed").write_bytes(data)
    report = ingest("canonical", [tmp_path / "feed"], tmp_path / "day")
    assert report.source == {"cancel": len(LINES)}
    assert report.odd["broken_off"] == []
    assert read_day(tmp_path / "day") == (list(range(len(LINES))), [])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_truncated_stream_yields_all_that_is_readable_and_is_reported(
    tmp_path: Path, pack: object
) -> None:
    whole = pack(TEXT)  # type: ignore[operator]
    (tmp_path / "feed").write_bytes(whole[: len(whole) // 2])
    report = ingest("canonical", [tmp_path / "feed"], tmp_path / "day")
    offsets, reasons = read_day(tmp_path / "day")
    assert report.odd["broken_off"] == ["feed"]
    assert 1000 < len(offsets) < len(LINES)
    assert offsets == list(range(len(offsets)))
    assert len(reasons) <= 1


def test_a_damaged_stream_yields_what_comes_before_the_damage(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(TEXT))
    whole[len(whole) * 3 // 4] ^= 255
    (tmp_path / "feed").write_bytes(whole)
    report = ingest("canonical", [tmp_path / "feed"], tmp_path / "day")
    assert report.odd["broken_off"] == ["feed"]


def test_a_line_without_its_newline_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(b"\r\n".join(LINES[:3]))
    report = ingest("canonical", [tmp_path / "feed"], tmp_path / "day")
    assert (report.records["cancel"], report.refused) == (3, {})


def test_bad_lines_are_refused_with_their_bytes_and_the_rest_is_kept(tmp_path: Path) -> None:
    bad = [b"\xff", b'{"kind":"cancel","ts":1}', b'{"kind":"nonsense"}']
    blank = [b"", b" \r", b""]
    (tmp_path / "feed").write_bytes(b"\n".join([LINES[0], *blank, *bad, LINES[1]]) + b"\n")
    report = ingest("canonical", [tmp_path / "feed"], tmp_path / "day")
    day = Day(tmp_path / "day")
    assert report.records["cancel"] == 2
    assert sorted(r.raw for r in day.refused_records()) == sorted(bad)
    assert (sum(report.refused.values()), report.left_out) == (3, {"blank": 3})
    assert report.refused == day.meta.refused


def test_the_files_of_a_folder_are_one_feed_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "b.gz").write_bytes(gzip.compress(LINES[1]))
    (folder / "a").write_bytes(LINES[0])
    (folder / "README.md").write_text("about")
    (folder / ".hidden").write_text("x")
    report = ingest("canonical", [folder], tmp_path / "day")
    assert (report.records["cancel"], report.odd["jumps_back"]) == (2, 0)
    assert report.day.notes["files"] == ["a", "b.gz"]


def test_an_import_that_fails_says_why_and_leaves_no_day(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(TEXT)
    feed, out = [tmp_path / "feed"], tmp_path / "day"
    with pytest.raises(IngestError, match=r"no venue 'nowhere'; there are .*bitstamp"):
        ingest("nowhere", feed, out)
    with pytest.raises(IngestError, match=r"no such file: .*missing"):
        ingest("canonical", [tmp_path / "missing"], out)
    with pytest.raises(NothingImportedError, match="standx is read from Parquet"):
        ingest("standx", feed, out)
    with pytest.raises(IngestError, match="canonical has no option 'x'; it has: none"):
        ingest("canonical", feed, out, options={"x": "1"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["feed"]
    ingest("canonical", feed, out)
    with pytest.raises(DayError, match="exists"):
        ingest("canonical", feed, out)


def test_files_of_the_same_hours_are_read_by_time(tmp_path: Path) -> None:
    """Captures of several markets side by side: no record is late for the file that it is in."""
    for k, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        trade = '{"e":"trade","s":"%s","t":%d,"T":%d,"p":"10","q":"1","m":true}'
        times = [1_700_000_000_000 + 1_000 * i + k for i in range(3 * k, 50_000 + k, 7)]
        lines = [f"{t}000 {trade % (symbol, t, t)}" for t in times]
        (tmp_path / symbol).write_text("\n".join(lines) + "\n")
    report = ingest("binance", [tmp_path / s for s in ("SOLUSDT", "ETHUSDT", "BTCUSDT")],
                    tmp_path / "day")  # fmt: skip
    assert (report.odd["jumps_back"], report.refused) == (0, {})
    assert report.records["fill"] == sum(len(range(3 * k, 50_000 + k, 7)) for k in range(3))
    assert report.day.notes["files"] == ["SOLUSDT", "ETHUSDT", "BTCUSDT"]


def test_what_a_file_says_of_its_lines_stays_with_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}_2012-06-21_message.csv" for name in ("MSFT", "AAPL")]
    for k, path in enumerate(paths):
        path.write_text("".join(f"{34_200 + i}.{k},1,{i},10,5850000,1\n" for i in range(200)))
    report = ingest("lobster", paths, tmp_path / "day")
    (batch,) = Day(tmp_path / "day").batches()
    assert (report.records["order"], report.odd["jumps_back"]) == (400, 0)
    assert batch.texts["symbol"].to_strings()[:4] == ["MSFT", "AAPL", "MSFT", "AAPL"]


def test_progress_takes_the_number_of_source_events(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(TEXT)
    seen: list[int] = []
    ingest("canonical", [tmp_path / "feed"], tmp_path / "day", lambda path, n: seen.append(n))
    assert seen == [16_384, 32_768, 40_000]


COUNTS = {
    "dydx": (
        {"place": 10_040, "remove": 8_003, "match": 57, "fill_amount": 18_382},
        {"order": 10_040, "cancel": 8_003},
    ),
    "bitstamp": (
        {
            "order_created": 24_894,
            "order_changed": 602,
            "order_deleted": 24_918,
            "trade": 575,
            "order_book": 5_011,
        },
        {"order": 25_496, "cancel": 24_918, "fill": 575, "book": 5_011},
    ),
    "lobster": (
        {"1": 44_256, "2": 469, "3": 41_004, "4": 4_067, "5": 2_201},
        {"order": 44_256, "cancel": 41_473, "fill": 6_268},
    ),
    "binance": (
        {"snapshot": 1, "trade": 12_935, "markPriceUpdate": 514, "depthUpdate": 16_110},
        {"fill": 12_935, "mark": 514},
    ),
    "standx": (
        {"books": 522_940, "trades": 165_660},
        {"book": 261_470, "fill": 165_660},
    ),
}


@pytest.mark.xdist_group("recordings")
@pytest.mark.parametrize("venue", sorted(COUNTS))
def test_every_event_of_a_real_recording_is_counted(imported: Imported, venue: str) -> None:
    source, records = COUNTS[venue]
    path, report = imported(venue)
    assert report.source.items() >= source.items()
    assert report.records.items() >= records.items()
    assert report.odd["broken_off"] == []
    assert report.refused == {}
    day = Day(path)
    assert sum(len(b) for b in day.batches()) == sum(report.records.values())
