"""Receivers: what is refused, with what words, and never with a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config, load, load_with_origins
from monitor.configuration.effective import effective_json, effective_toml
from monitor.delivery.receivers.kinds import make_receiver
from monitor.delivery.settings import ReceiverSettings
from monitor.errors import ConfigError
from tests.core.alerts.findings import alert

HOOK = "https://hooks.example.com/services/hush"
KEY = "whsec_" + "aHVzaCBodXNoIGh1c2ggaHVzaCBodXNo"


def of(**keys: Any) -> Config:
    given = {"name": "desk", "kind": "slack", **keys}
    return load(None, receivers=[given])


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "slack needs url or url_file"),
        ({"url": "http://hooks.example.com/hush"}, "must begin with https://"),
        ({"url": "ftp://hooks.example.com/hush"}, "must begin with https://"),
        ({"url": "https:///hush"}, "no address of a host"),
        ({"url": "https://a:hush@hooks.example.com/"}, "has a login in it"),
        ({"url": HOOK, "url_file": "x"}, "url or url_file, not both"),
        ({"url": HOOK, "secret": "hush"}, "secret is not for slack"),
        ({"url": HOOK, "path": "x"}, "path is of the kind file"),
        ({"kind": "file"}, "path is of the kind file"),
        ({"kind": "file", "path": "x", "url": HOOK}, "url is not for the kind file"),
        ({"kind": "webhook", "url": HOOK}, "webhook needs secret"),
        ({"kind": "webhook", "url": HOOK, "secret": "hush"}, "is whsec_ and the base64"),
        ({"kind": "webhook", "url": HOOK, "secret": "whsec_hush"}, "is whsec_ and the base64"),
        ({"kind": "pagerduty"}, "pagerduty needs secret"),
        ({"kind": "pagerduty", "secret": "hush", "secret_file": "x"}, "not both"),
        ({"url": HOOK, "alert_kind": ["thin_bok"]}, "did you mean thin_book"),
        ({"url": HOOK, "runbook_url": "javascript:x"}, "runbook_url: it must begin with"),
        ({"url": HOOK, "dashboard_url": "//x"}, "dashboard_url: it must begin with"),
        ({"url": HOOK, "name": "a b"}, "name"),
    ],
)
def test_what_cannot_be_is_refused_without_the_secret(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        of(**keys)
    assert "hush" not in str(error.value)


def test_two_receivers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two receivers are called desk"):
        load(None, receivers=[{"name": "desk", "kind": "slack", "url": HOOK}] * 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"http://hooks.example.com/hush", "receiver desk: url must begin with https://"),
        (b"\xff", "url_file .* is not text"),
        (None, "url_file .* cannot be read"),
    ],
)
def test_what_a_file_holds_is_checked_when_it_is_read(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as error:
        make_receiver(of(url_file=str(file)).receivers[0])
    assert "hush" not in str(error.value)


def test_a_webhooks_secret_in_a_file_has_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    settings = of(kind="webhook", url=HOOK, secret_file=str(file)).receivers[0]
    with pytest.raises(ConfigError, match="is whsec_ and the base64") as error:
        make_receiver(settings)
    assert "hush" not in str(error.value)
    file.write_text(KEY + "\n")
    assert settings.read_key() == KEY


def test_no_secret_is_shown_with_the_configuration() -> None:
    given = {"name": "hook", "kind": "webhook", "url": HOOK, "secret": KEY}
    config, origins = load_with_origins(None, receivers=[given])
    shown = effective_toml(config, origins)
    assert "# url is secret\n# secret is secret\n" in shown
    for text in (shown, json.dumps(effective_json(config, origins)), repr(config)):
        assert KEY not in text
        assert "hush" not in text


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ({}, True),
        ({"severity": ("warning", "critical")}, True),
        ({"severity": ("info",)}, False),
        ({"alert_kind": ("bur*",)}, True),
        ({"alert_kind": ("thin_book",)}, False),
        ({"symbol": ("SOL-*",), "layer": ("execution",)}, True),
        ({"symbol": ("BTC-*",)}, False),
        ({"layer": ("data",)}, False),
    ],
)
def test_every_route_that_is_not_empty_has_to_fit(keys: dict[str, Any], fits: bool) -> None:
    settings = ReceiverSettings(name="desk", kind="file", path=Path("x"), **keys)
    assert settings.fits(alert()) == fits
