"""`brinkwatch check-config`: what holds and where it is from, and every fault in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.config import load
from tests.cases.front_door import brinkwatch

FILE = """
[alerts]
per_day = 3

[kafka]
group = "desk \\u202e"
member = "a"

[kafka.security]
security_protocol = "SASL_SSL"
sasl_mechanism = "PLAIN"
username = "u"
password = "hunter2"

[[streams]]
feature = "spread_bps"
detector = "level"
parameters = { direction = "up", least = 2.5 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "b.toml"
    path.write_text(FILE)
    return path


def test_what_is_shown_says_where_it_is_from_and_hides_secrets(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRINKWATCH_KAFKA__MEMBER", "b")
    done = brinkwatch("check-config", file, "--show", "--alerts-per-day", "4")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "per_day = 4.0  # the command line" in lines
    assert 'member = "b"  # the environment variable BRINKWATCH_KAFKA__MEMBER' in lines
    assert f'username = "u"  # {file}' in lines
    assert f"# password is secret  # {file}" in lines
    assert "quiet_s = 30.0  # default" in lines
    assert "# ca_file is not set" in lines
    assert f"[[streams]]  # {file}" in lines
    assert "hunter2" not in done.stdout + done.stderr


def test_what_is_shown_is_a_file_that_says_the_same(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRINKWATCH_KAFKA__SECURITY__PASSWORD", "hunter2")
    shown = tmp_path / "shown.toml"
    shown.write_text(brinkwatch("check-config", file, "--show").stdout)
    assert load(shown) == load(file)


def test_json_has_the_values_and_the_origin_of_what_is_no_default(file: Path) -> None:
    done = brinkwatch("check-config", file, "--show", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, result["ok"]) == (0, True)
    assert result["configuration"]["alerts"]["per_day"] == 3
    assert result["origins"]["kafka.security.password"] == str(file)
    assert "alerts.quiet_s" not in result["origins"]
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("streams = []\n", "streams: "),
        ('[topics]\nordr = "oms"\n', "no kind of records is called 'ordr': there are order, "),
        ('[topics]\norder = "cancels"\n', "'cancels' is the topic of order and of cancel"),
        ('[topics]\norder = ""\n', "topics.order: must not be empty"),
        ('[topics]\norder = "a b"\n', "topics.order: must match"),
        ('[topics]\norder = "brinkwatch.alerts"\n', "give each a topic of its own"),
        ('[kafka]\nalerts_topic = "brinkwatch.bands"\n', "give each a topic of its own"),
        ('[kafka]\ngroup = ""\n', "kafka.group: must not be empty"),
        ('[kafka]\nbootstrap_servers = ""\n', "is not host:port (several with commas)"),
        ('[kafka]\nbootstrap_servers = "a:9092,b"\n', "'b' is not host:port (several with commas)"),
        ('[kafka]\nbootstrap_servers = "SASL_SSL://a:9092"\n', "write host:port alone"),
        ('[kafka]\nbootstrap_servers = ["a:9092"]\n', "must be a text"),
        ("[kafka]\nsilence_s = inf\n", "kafka.silence_s: must be a finite number"),
        ("[kafka]\npoll_records = true\n", "true or false where a number belongs"),
        ("[time]\nwindow_ms = 10.5\n", "time.window_ms: must be a whole number"),
        ("[joint]\nwindow_s = 1e308\n", "joint.window_s: must be less than or equal to"),
        ('[joint]\nstreams = ["cancls"]\n', "did you mean cancels?"),
        ('[joint]\nstreams = ["cancels", "cancels"]\n', "cancels stands twice"),
        ('[joint]\nstreams = ["spread_bps", "cancels"]\n', "the first stream must be a count"),
        ('[account_bursts]\nstreams = ["orders", "orders"]\n', "orders stands twice"),
        ('[http]\nkey_file = "k"\n', "key_file needs its certificate"),
        ('[http]\ntoken = ""\n', "token is empty"),
        ('[http]\ntoken = "a"\ntoken_file = "b"\n', "give token or token_file, not both"),
        ('[kafka.security]\nsecurity_protocol = "ssl"\n', "'ssl' is none of its values"),
        ("source = 5\n", "source: must be a table"),
        ("topics = 5\n", "topics: must be a table"),
        ('[source.a]\ntopic = "brinkwatch.alerts"\nkind = "order"\n', "a topic of its own"),
        ('[kafka.output]\nbootstrap_servers = ""\n', "is not host:port"),
        ("kafka = 5\n", "kafka: must be a table"),
        ('[streams]\nfeature = "cancels"\n', "streams: must be a list"),
        ("[[streams]]\n", "streams.0.feature: is needed here"),
        ('{"kafka": {}}\n', "is not TOML"),
    ],
)
def test_each_nonsense_is_one_sentence_and_status_2(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    done = brinkwatch("check-config", file)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_fault_is_named_with_the_place_that_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[alerts]\nper_day = 0\nquiet_s = 0\n")
    monkeypatch.setenv("BRINKWATCH_ALERTS__PER_DAY", "-1")
    done = brinkwatch("check-config", file)
    assert done.stderr.splitlines() == [
        "brinkwatch: alerts.per_day: must be greater than 0 "
        f"(the environment variable BRINKWATCH_ALERTS__PER_DAY, {file})",
        f"alerts.quiet_s: must be greater than 0 ({file})",
    ]


def test_a_kind_without_a_topic_keeps_its_own(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text('[topics]\norder = "oms"\n')
    topics = load(file).topics
    assert (topics["order"], topics["cancel"], len(topics)) == ("oms", "cancels", 8)


def test_schema_of_the_configuration_is_the_committed_one() -> None:
    done = brinkwatch("schema", "--config")
    assert json.loads(done.stdout)["title"] == "The configuration of brinkwatch"
