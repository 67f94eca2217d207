"""File < environment < command line; a wrong key is named with the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.config import load
from monitor.core.settings import DEFAULT_STREAMS
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


CANCELS = '[[streams]]\nfeature = "cancels"\n'


def test_streams_are_added_to_the_default_ones(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text('[[streams]]\nfeature = "depth_25bps"\ndetector = "anomaly.GaussianScorer"\n')
    streams = load(file).streams
    assert streams[:-1] == DEFAULT_STREAMS
    assert load(file).engine().streams == streams
    labels = load(file).engine().stream_labels
    assert labels[-1] == "depth_25bps by anomaly.GaussianScorer"
    assert "depth_25bps by level" in labels
    assert "spread_lasting_bps" in labels
    assert len(set(labels)) == len(labels)


def test_a_stream_like_a_default_one_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text(CANCELS + "parameters = {warm_up = 60}\n")
    streams = load(file).streams
    assert len(streams) == len(DEFAULT_STREAMS)
    assert [s.parameters for s in streams if s.feature == "cancels"] == [{"warm_up": 60}]


def test_streams_replace_the_default_ones_where_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("replace_streams = true\n" + CANCELS)
    assert [s.feature for s in load(file).streams] == ["cancels"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CANCELS + CANCELS, "cancels by burst is there twice"),
        ("streams = []", "no stream is named"),
        ("streams = []\nreplace_streams = true", "no stream is named"),
        ("replace_streams = true", "no stream is named"),
    ],
)
def test_streams_that_say_nothing_or_one_thing_twice_are_refused(
    text: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "b.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(file)


def test_any_river_detector_watches_a_stream_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text(CANCELS + 'detector = "anomaly.HalfSpaceTrees"\nparameters = {warm_up = 300}\n')
    detector = detector_factories(load(file).streams)[-1]()
    assert detector.judge_one({"cancels": 1}).why == "learning: 0 of 300 windows seen"


@pytest.mark.parametrize(
    ("detector", "says"),
    [
        ("anomaly.LODA", "take one of GaussianScorer, HalfSpaceTrees"),
        ("anomaly.Gaussian", "did you mean anomaly.GaussianScorer?"),
        ("HalfSpaceTree", "did you mean anomaly.HalfSpaceTrees?"),
    ],
)
def test_a_river_detector_of_no_use_or_of_another_name_is_refused(
    detector: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "b.toml"
    file.write_text(CANCELS + f'detector = "{detector}"\n')
    with pytest.raises(ConfigError, match=says.replace("?", r"\?")):
        detector_factories(load(file).streams)


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
