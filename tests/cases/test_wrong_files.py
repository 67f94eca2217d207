"""An import of what is no feed of the venue says what it looks like, ends with 1, leaves no day.

Source: public reports of exports in UTF-16, of files of another venue, of archives and error pages
in the place of data, of damaged Parquet, and of compressed files that unpack without end. Read
2026-11.
"""

from __future__ import annotations

import gzip
import lzma
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cases.front_door import TIMEOUT_S, brinkwatch

LOBSTER = "".join(f"{34_200 + i}.5,1,{i},100,5850000,1\n" for i in range(200))


@pytest.mark.parametrize(
    ("venue", "raw", "says"),
    [
        ("lobster", LOBSTER.encode("utf-16"), "it looks like UTF-16"),
        ("canonical", LOBSTER.encode(), "it reads as a feed of lobster; import it as that"),
        ("lobster", b"PK\x03\x04" + bytes(100), "a zip archive: unpack it first"),
        ("binance", b"<html>not there</html>\n", "HTML or XML"),
        ("dydx", b"\n" * 100_000, "left out were 100,000 blank"),
        ("dydx", b"", "no records of dydx"),
        ("bitstamp", b"x\n" * 150_000, "lines were refused"),
        ("standx", LOBSTER.encode(), "it reads as a feed of lobster; import it as that"),
        ("canonical", b"time,px,qty\n1,2,3\n", "CSV with the fields time, px, qty, of no venue"),
        ("lobster", b"time;px;qty\n1;2;3\n", "and use brinkwatch import map"),
        ("binance", b'{"t":1,"px":"2"}\n' * 9, "it looks like JSON lines with the fields t, px"),
        ("dydx", b'{"t":1,"px":"2"}\n' * 9, "say what its fields mean in a field map"),
    ],
)
def test_what_is_no_feed_is_named(tmp_path: Path, venue: str, raw: bytes, says: str) -> None:
    (tmp_path / "feed").write_bytes(raw)
    done = brinkwatch("import", venue, tmp_path / "feed", tmp_path / "day")
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["feed"]


@pytest.mark.parametrize("venue", ["canonical", "standx", "dydx"])
def test_parquet_of_another_form_is_named_by_its_columns(tmp_path: Path, venue: str) -> None:
    pq.write_table(pa.table({"time": [1], "px": ["2"]}), tmp_path / "feed")
    done = brinkwatch("import", venue, tmp_path / "feed", tmp_path / "day")
    assert done.returncode == 1
    assert "it looks like Parquet with the fields time, px, of no venue here" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["feed"]


def test_parquet_of_a_venue_is_named_to_who_takes_it_for_another(tmp_path: Path) -> None:
    _books(tmp_path)
    done = brinkwatch("import", "bitstamp", tmp_path / "sound", tmp_path / "day")
    assert done.returncode == 1
    assert "it reads as a feed of standx; import it as that" in done.stderr


def test_a_venue_that_is_none_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(b"x")
    done = brinkwatch("import", "bitstmap", tmp_path / "feed", tmp_path / "day")
    assert (done.returncode, "did you mean bitstamp?" in done.stderr) == (2, True)


def test_order_over_kinds_in_one_file_is_not_odd(tmp_path: Path) -> None:
    sold = '"ts":%d,"symbol":"X","side":"buy","price":"1","quantity":"1"'
    times = [1_764_000_000_000_000_000 + n * 20_000_000_000 for n in range(40)]
    lines = ['{"kind":"order",%s,"action":"new"}' % (sold % ts) for ts in times]
    lines += ['{"kind":"fill",%s}' % (sold % ts) for ts in times]
    (tmp_path / "feed").write_text("\n".join(lines))
    done = brinkwatch("import", "canonical", tmp_path / "feed", tmp_path / "day")
    assert done.returncode == 0
    assert "odd in the feed" not in done.stdout
    (tmp_path / "feed").write_text("\n".join(reversed(lines)))
    done = brinkwatch("import", "canonical", tmp_path / "feed", tmp_path / "back")
    assert "78 jumps back in time" in done.stdout


MEASURED = """
from pathlib import Path
from monitor.cli import run_command
try:
    run_command()
finally:
    print(Path("/proc/self/status").read_text())
"""
"""The program, and behind it what it took. What the parent is told of a child (`wait4`) is at least
what the parent itself had in memory when it started the child."""


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("content", [b"\n", b"\0"])
def test_what_unpacks_without_end_is_refused_early(
    tmp_path: Path, pack: object, content: bytes
) -> None:
    (tmp_path / "feed").write_bytes(pack(content * (64 << 20)))  # type: ignore[operator]
    words = "import", "dydx", str(tmp_path / "feed"), str(tmp_path / "day")
    command = [sys.executable, "-c", MEASURED, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert "unpacks to more than 250 times its size" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["feed"]
    (peak,) = (row.split()[1] for row in done.stdout.splitlines() if row.startswith("VmHWM:"))
    assert int(peak) < 800_000  # kB


def _books(tmp_path: Path) -> bytes:
    levels = [[9.0]] * 50
    columns = {f"{s}_{w}": levels for s in ("bid", "ask") for w in ("prices", "quantities")}
    times = pa.array(range(1_700_000_000_000, 1_700_000_000_050), pa.timestamp("ms"))
    table = pa.table({"timestamp": times, "symbol": ["A"] * 50, **columns})
    pq.write_table(table, tmp_path / "sound")
    return (tmp_path / "sound").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flipped", "wrong types"])
def test_damaged_parquet_of_a_venue_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    raw = bytearray(_books(tmp_path))
    (tmp_path / "sound").unlink()
    feed = tmp_path / "feed.parquet"
    if damage == "cut":
        feed.write_bytes(raw[: len(raw) // 2])
    elif damage == "flipped":
        raw[len(raw) // 3 : len(raw) // 3 + 40] = b"\xff" * 40
        feed.write_bytes(raw)
    else:
        names = ["timestamp", "symbol", "price", "quantity", "side"]
        pq.write_table(pa.table({name: [[1]] for name in names}), feed)
    done = brinkwatch("import", "standx", feed, tmp_path / "day")
    assert done.returncode == 2
    assert "is damaged or not of standx's format" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["feed.parquet"]
