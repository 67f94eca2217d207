"""Variables of the environment: each names a key, or is an error that names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config import Config, load
from monitor.configuration.environment import key_paths, variable_name
from monitor.errors import ConfigError


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("BRINKWATCH_KAFKA__GROUP", "123", ("kafka", "group"), "123"),
        ("brinkwatch_kafka__group", "desk", ("kafka", "group"), "desk"),
        ("BRINKWATCH_TOPICS__ORDER", "007", ("topics", "order"), "007"),
        ("BRINKWATCH_HTTP__PORT", "0", ("http", "port"), 0),
        ("BRINKWATCH_STATE__DIR", "/var/lib/b", ("state", "dir"), Path("/var/lib/b")),
        ("BRINKWATCH_JOINT__STREAMS", '["cancels"]', ("joint", "streams"), ("cancels",)),
        ("BRINKWATCH_KAFKA", '{"group": "desk"}', ("kafka", "group"), "desk"),
        ("BRINKWATCH_KAFKA__SECURITY", '{"ca_file": "x", "security_protocol": "SSL"}',
         ("kafka", "security", "ca_file"), Path("x")),
    ],
)  # fmt: skip
def test_a_variable_sets_its_key(
    variable: str, text: str, key: tuple[str, ...], value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    got = load()
    for part in key:
        got = got[part] if isinstance(got, dict) else getattr(got, part)
    assert got == value


def test_streams_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINKWATCH_STREAMS", '[{"feature": "cancels", "detector": "focus"}]')
    assert ("cancels", "focus") in [(s.feature, s.detector) for s in load().streams]


def test_tables_are_joined_and_the_deepest_variable_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.toml"
    file.write_text('[kafka]\ngroup = "file"\nmember = "file"\nreplication = 3\n')
    monkeypatch.setenv("BRINKWATCH_KAFKA", '{"group": "whole", "member": "whole"}')
    monkeypatch.setenv("BRINKWATCH_KAFKA__GROUP", "deep")
    kafka = load(file).kafka
    assert (kafka.group, kafka.member, kafka.replication) == ("deep", "whole", 3)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("BRINKWATCH_KAFKA_GROUP", "x", "did you mean BRINKWATCH_KAFKA__GROUP?"),
        ("BRINKWATCH_KAFKA__GRUOP", "x", "did you mean BRINKWATCH_KAFKA__GROUP?"),
        ("BRINKWATCH_PORT", "80", "did you mean BRINKWATCH_HTTP__PORT?"),
        ("BRINKWATCH_XYZZY", "1", "docs/configuration.md lists them"),
        ("BRINKWATCH_STREAMS__0__FEATURE", "cancels", "set BRINKWATCH_STREAMS as a whole"),
        ("BRINKWATCH_ALERTS__PER_DAY", "many", "alerts.per_day: must be a number"),
        ("BRINKWATCH_ALERTS__PER_DAY", "-1", "alerts.per_day: must be greater than 0"),
        ("BRINKWATCH_STREAMS", "cancels", "streams: must be a list"),
        ("BRINKWATCH_STREAMS", '[{"feature": "cancels"', "is not JSON"),
        ("BRINKWATCH_STREAMS", '[{"feature": "cancels", "detectr": ""}]', "did you mean detector?"),
        ("BRINKWATCH_KAFKA", "desk", "kafka: must be a table"),
    ],
)
def test_a_wrong_variable_is_named_with_its_mend(
    variable: str, text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as error:
        load()
    assert variable in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("BRINKWATCH_REQUIRE_ALL", "1"),
        ("BRINKWATCH_TEST_CASES", "25"),
        ("BRINKWATCH_SERVICE_HOST", "10.0.0.1"),
        ("BRINKWATCH_SERVICE_PORT_METRICS", "9464"),
        ("BRINKWATCH_PORT", "tcp://10.0.0.1:9464"),
        ("BRINKWATCH_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("BRINKWATCH_KAFKA_PORT", "tcp://10.0.0.1:9092"),
    ],
)
def test_variables_that_others_set_are_let_alone(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert load() == Config()


def test_each_key_has_a_variable_of_its_own() -> None:
    names = [variable_name(path) for path in key_paths(Config)]
    assert len(set(names)) == len(names) > 50
