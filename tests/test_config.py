"""File < environment < command line; a wrong key is named with the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.config import load
from monitor.errors import ConfigError
from monitor.plugins import detector_factories


def test_the_environment_beats_the_file_and_the_command_line_beats_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.toml"
    file.write_text("[alerts]\nper_day = 3\nquiet_s = 7\n[time]\nlateness_ms = 20\n")
    assert load(file).alerts.per_day == 3
    monkeypatch.setenv("BRINKWATCH_ALERTS__PER_DAY", "5")
    assert (load(file).alerts.per_day, load(file).alerts.quiet_s) == (5, 7)
    assert load(file, alerts={"per_day": 9}).alerts.per_day == 9
    assert load(file).time.lateness_ms == 20


def test_settings_that_decide_the_output_change_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("[time]\nlateness_ms = 20\n")
    assert load(file).engine().fingerprint() != load().engine().fingerprint()
    assert load().engine().fingerprint() == load().engine().fingerprint()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[alerts]\nper_dya = 1\n", "did you mean per_day?"),
        ("[tmie]\nwindow_ms = 1\n", "did you mean time?"),
        ("[alerts]\nper_day = -1\n", "alerts.per_day"),
        ("[alerts\n", "is not TOML"),
        ('[[streams]]\nfeature = "cancels"\ndetector = "brust"\n', "did you mean burst?"),
        ('[[streams]]\nfeature = "cancls"\n', "cancels"),
        ('[[streams]]\nfeature = "cancels"\nparameters = {warm_up = 0}\n', "warm_up"),
    ],
)
def test_a_wrong_configuration_says_how_to_mend_it(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says.replace("?", r"\?")):
        detector_factories(load(file).streams)


def test_any_river_detector_watches_a_stream_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text(
        "replace_streams = true\n"
        '[[streams]]\nfeature = "cancels"\ndetector = "anomaly.HalfSpaceTrees"\n'
    )
    (factory,) = detector_factories(load(file).streams)
    detector = factory()
    assert detector.judge_one({"count": 1}).why is not None


SOURCE = {"topic": "oms.orders", "kind": "order"}


def test_with_a_source_the_topics_of_the_contract_are_brinkwatchs_own() -> None:
    config = load(None, source={"mine": SOURCE})
    assert config.topics["order"] == "brinkwatch.in.orders"
    own = load(None, source={"mine": SOURCE}, topics={"order": "risk.orders"})
    assert (own.topics["order"], own.topics["mark"]) == ("risk.orders", "brinkwatch.in.marks")
    files = load(None, source={"mine": {"files": ["*.csv"], "format": "csv", "kind": "order"}})
    assert (files.topics["order"], files.sources) == ("orders", {})


def test_with_an_output_cluster_the_venues_topics_are_sources_as_they_are() -> None:
    output = {"output": {"bootstrap_servers": "risk:9092"}}
    config = load(None, kafka=output, topics={"order": "venue.orders"})
    assert config.sources["order"].topic == "venue.orders"
    assert config.sources["mark"].topic == "marks"
    assert {source.format for source in config.sources.values()} == {"canonical"}
    assert config.topics["order"] == "brinkwatch.in.orders"


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"a": SOURCE, "b": SOURCE}, "two sources read the topic oms.orders"),
        ({"a": {**SOURCE, "topic": "brinkwatch.in.orders"}}, "leave \\[topics\\] out"),
        ({"a": {**SOURCE, "start": "newest"}}, "none of earliest, latest"),
        ({"a": {**SOURCE, "format": "parquet"}}, "parquet is a format of files"),
    ],
)
def test_sources_that_cannot_be_read_live_are_refused(sources: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(None, source=sources)
