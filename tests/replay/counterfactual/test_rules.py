"""Files of other rules: what is read of them, and what every wrong one is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.core.contract.fixed_point import SCALE
from monitor.errors import ConfigError
from replay.counterfactual.rules import MarketOverride, read_rules
from tests.support import ROOT

TOML = """
["*"]
leverage_max = 20
mark_rule = "last"

[X]
tiers = [
    { lower_bound = 0, maintenance_rate = 0.01 },
    { lower_bound = 1000.5, maintenance_rate = "0.02" },
]
leverage_max = 12.5
insurance_fund = 5_000_000
path = "market"
"""
AS_JSON = {
    "*": {"leverage_max": 20, "mark_rule": "last"},
    "X": {
        "tiers": [
            {"lower_bound": 0, "maintenance_rate": 0.01},
            {"lower_bound": 1000.5, "maintenance_rate": "0.02"},
        ],
        "leverage_max": 12.5,
        "insurance_fund": 5000000,
        "path": "market",
    },
}


def write(tmp_path: Path, text: str, name: str = "rules.toml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    one = read_rules(write(tmp_path, TOML))
    other = read_rules(write(tmp_path, json.dumps(AS_JSON), "rules.json"))
    assert one.by_market == other.by_market
    assert one.given == other.given == AS_JSON


def test_a_markets_own_rules_go_before_those_for_all_key_by_key(tmp_path: Path) -> None:
    rules = read_rules(write(tmp_path, TOML))
    assert rules.of("X").leverage_max == 12.5 * SCALE
    assert rules.of("X").mark_rule == "last"
    assert rules.of("Y").leverage_max == 20 * SCALE
    assert rules.of("Y").tiers is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'has no rules: give a table for a market, or ["*"] for all'),
        ("x = [", "is not TOML (name the file .json where it is JSON)"),
        ('"*" = 3', '*: must be a table of rules, as ["*"]'),
        ("[X]\nleverage = 3", "X.leverage: no such key; did you mean leverage_max?"),
        ("[X]\nleverage_max = 0.5", "X.leverage_max: must be at least 1: 20 means 20 times"),
        ("[X]\nleverage_max = true", "X.leverage_max: not a number or a decimal string"),
        ('[X]\nmark_rule = "orcale"', "X.mark_rule: 'orcale' is none of its values; did you mean"),
        ('[X]\npath = "markt"', "X.path: 'markt' is none of its values; did you mean market?"),
        ("[X]\ntiers = []", "X.tiers: the table has no rows: give at least one maintenance rate"),
        (
            "[X]\ntiers = [{lower_bound = 0, maintenance_rate = 0.02},"
            "{lower_bound = 5, maintenance_rate = 0.01}]",
            "X.tiers: tier 1: maintenance rate 0.01 falls below tier 0's 0.02",
        ),
        (
            "[X]\ntiers = [{lower_bound = 0, maintenance_rate = 0.02, maintenance = 1}]",
            "X.tiers.0.maintenance: no such key; did you mean maintenance_rate?",
        ),
        ("[X]\ntiers = [{lower_bound = 0}]", "X.tiers.0.maintenance_rate: is needed here"),
        ("[X]\ninsurance_fund = -1", "X.insurance_fund: must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_its_mend(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_rules(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'rules.toml'}")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"X": {}, "X": {}}', "[1]", '{"X": 1e999}'])
def test_json_that_is_none_is_answered_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read_rules(write(tmp_path, text, "rules.json"))


def test_an_unknown_market_is_answered_with_the_nearest(tmp_path: Path) -> None:
    rules = read_rules(write(tmp_path, "[BTC-PRP]\nleverage_max = 5"))
    with pytest.raises(ConfigError, match=r"--override BTC-PRP: .* did you mean BTC-PERP\?"):
        rules.check_markets(["BTC-PERP", "ETH-PERP"])


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "override.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    rules = read_rules(write(tmp_path, example)).of("BTC-PERP")
    assert all(getattr(rules, name) is not None for name in MarketOverride.model_fields)
    assert all(f"| `{name}` |" in page for name in MarketOverride.model_fields)
