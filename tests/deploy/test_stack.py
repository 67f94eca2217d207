"""What `make stack` writes for the programs that it starts."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from deploy.stack import Places, choose_port, find_program, write_settings
from monitor.config import load
from monitor.errors import ConfigError
from tests.support import program

ADDRESSES = ("127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003", "127.0.0.1:1004")


def test_each_program_is_given_the_addresses_of_the_others(tmp_path: Path) -> None:
    places = Places(tmp_path, *ADDRESSES)
    write_settings(places)
    config = load(places.config)
    (receiver,) = config.receivers
    assert config.kafka.bootstrap_servers == places.kafka
    assert (config.http.host, config.http.port) == ("127.0.0.1", 1004)
    assert receiver.read_url() == f"http://{places.alertmanager}"
    assert config.state.dir == tmp_path / "state"
    settings = tmp_path / "prometheus" / "prometheus.yml"
    text = settings.read_text()
    assert f'targets: ["{places.alertmanager}"]' in text
    assert f'targets: ["{places.sidecar}"]' in text
    command = [program("promtool"), "check", "config", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_receivers_of_ones_own_come_beside_alertmanager(tmp_path: Path) -> None:
    places = Places(tmp_path, *ADDRESSES)
    write_settings(places, '[[receivers]]\nname = "mine"\nkind = "file"\npath = "lines"\n')
    assert [one.name for one in load(places.config).receivers] == ["alertmanager", "mine"]


def test_data_of_a_run_before_are_gone_and_files_of_others_stay(tmp_path: Path) -> None:
    places = Places(tmp_path, *ADDRESSES)
    old, other = tmp_path / "prometheus" / "data", tmp_path / "notes"
    old.mkdir(parents=True)
    other.mkdir()
    write_settings(places)
    assert (old.exists(), other.exists()) == (False, True)


def test_a_port_that_somebody_has_is_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = taken.getsockname()[1]
        assert choose_port(usual) != usual
    assert choose_port(usual) == usual


def test_a_program_that_is_missing_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="Alertmanager is not on this machine: apt-get install"):
        find_program("Alertmanager")
