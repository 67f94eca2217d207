"""What `margin` and `check-config` are given may be anything.

Source: public reports of parsers brought down by nesting, integers of thousands of digits, lone
surrogates and dotted keys, and of escape sequences in names. Read 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cases.front_door import brinkwatch

POSITION = {
    "regime": "hyperliquid",
    "tiers": [{"lower_bound": 0, "maintenance_rate": "0.0125"}],
    "pool": {"equity": 130},
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"regime":' * 100_000, "nested too deep"),
        ('{"regime":"okx","positions":[{"quantity":' + "9" * 5_000 + "}]}", "thousands of digits"),
        ('{"regime":"\\ud800\\u001b[31m","positions":[{}]}', "regime '\\ud800\\x1b[31m'"),
        ('{"regime":' + "[" * 400 + "]" * 400 + ',"positions":[{}]}', "is none of"),
    ],
)
def test_a_document_of_positions_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "positions.json").write_text(text)
    done = brinkwatch("margin", tmp_path / "positions.json")
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert len(done.stderr) < 500


def test_a_document_without_end_is_refused() -> None:
    done = brinkwatch("margin", "/dev/zero")
    assert (done.returncode, "is longer than 64 MiB" in done.stderr) == (2, True)


@pytest.mark.parametrize("asked", [[], ["--json"]])
def test_no_escape_sequence_of_a_name_reaches_the_terminal(
    tmp_path: Path, asked: list[str]
) -> None:
    symbol = "A\ud800\x1b[2J\u202eB\x07\r\n"
    document = POSITION | {"positions": [{"symbol": symbol, "quantity": 10, "mark": 100}]}
    (tmp_path / "positions.json").write_text(json.dumps(document))
    done = brinkwatch("margin", tmp_path / "positions.json", *asked)
    assert done.returncode == 0
    shown = done.stdout + done.stderr
    assert "A\\ud800\\x1b[2J\\u202eB\\x07\\r\\n" in shown
    assert all(c.isprintable() or c in "\n\t" for c in shown)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 4_000, "nested too deep"),
        ("a = " + "9" * 4_090, "no such key|thousands of digits"),
        ("a = " + "[" * 100_000, "a line of over 4096 characters"),
        (".".join(["a"] * 100_000) + " = 1", "a line of over 4096 characters"),
        ('"\\u001b[2J" = 1', "\\x1b[2J: no such key"),
        ("\xff", "no such key|is not TOML"),
    ],
)
def test_a_configuration_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    done = brinkwatch("check-config", tmp_path / "c.toml")
    assert done.returncode == 2
    assert any(part in done.stderr for part in says.split("|")), done.stderr
    assert "\x1b" not in done.stderr
