"""Places of files: paths, folders, patterns and URIs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from monitor.errors import ConfigError
from replay.day import feed_files
from replay.field_map.files import find_files, matches


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.csv", "a/2.csv", "b/c/3.csv", "b/x.txt", ".hidden.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("a/1.csv", ["1.csv"]),
        ("a", ["1.csv", "2.csv"]),
        ("a/*.csv", ["1.csv", "2.csv"]),
        ("**/*.csv", ["1.csv", "2.csv", "3.csv"]),
        ("?/*.txt", ["x.txt"]),
    ],
)
def test_a_place_names_files_in_order(folder: Path, place: str, names: list[str]) -> None:
    assert [file.name for file in find_files(place, folder)] == names
    uri = f"file://{folder}/{place}"
    assert [file.name for file in find_files(uri, Path("/elsewhere"))] == names


def test_a_place_without_files_is_an_error_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file is .*4\.csv"):
        find_files("a/4.csv", folder)
    with pytest.raises(ConfigError, match="check the folder"):
        find_files("none/*.csv", folder)


def test_a_store_that_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(ConfigError, match="check the address"):
        find_files("nostore://bucket/*.csv", Path())


def test_a_file_is_of_a_pattern_by_its_own_name() -> None:
    assert matches(Path("/other/orders-1.csv"), "data/orders*.csv")
    assert not matches(Path("/other/trades-1.csv"), "data/orders*.csv")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_have_their_numbers_blank_ones_too(tmp_path: Path, ending: str) -> None:
    text = ending.join(["one", "", "three", " ", "five"]).encode()
    for path, content in (("plain", text), ("bom", b"\xef\xbb\xbf" + text + ending.encode())):
        (tmp_path / path).write_bytes(gzip.compress(content))
        lines = [*feed_files.LineReader(tmp_path / path).numbered()]
        assert lines == [(1, b"one"), (2, b""), (3, b"three"), (4, b" "), (5, b"five")]
