"""What docs/configuration.md shows under Security connects to a real Kafka, with files in place.

And `check-config --connect` says of each what it found.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.broker.kafka_server import Broker
from monitor.broker.server_config import PASSWORD, USER
from monitor.config import OWN_TOPIC_KEYS
from monitor.core.contract.events import TOPICS
from tests.cases.front_door import brinkwatch
from tests.live.test_security import token
from tests.support import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
SNIPPETS = [
    block
    for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    if "[kafka.security]" in block
]
LISTENERS = ("tls", "mtls", "scram", "oauth")
"""Of the snippets in their order; that of an identity server needs one, and comes last."""
OWN = uuid.uuid4().hex[:8]
TOPIC_LINES = "".join(f'{kind} = "{OWN}.{topic}"\n' for kind, topic in TOPICS.items())
OWN_LINES = "".join(f'{key} = "{OWN}.{key}"\n' for key in OWN_TOPIC_KEYS)
"""Topics that no other test has."""


@pytest.fixture(autouse=True)
def _keep_log_level() -> Iterator[None]:
    logger = logging.getLogger("aiokafka")
    before = logger.level
    yield
    logger.setLevel(before)


def write_file(broker: Broker, listener: str, snippet: str, folder: Path) -> Path:
    """The snippet with the paths and the address of the broker here."""
    files = broker.certificates
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "token").write_text(token() + "\n")
    places = {
        "/etc/brinkwatch/ca.pem": files.ca,
        "/etc/brinkwatch/client.pem": files.client_cert,
        "/etc/brinkwatch/client.key": files.client_key,
        "/etc/brinkwatch/password": folder / "password",
        "/var/run/secrets/kafka-token": folder / "token",
    }
    for shown, path in places.items():
        snippet = snippet.replace(f'"{shown}"', f'"{path}"')
    file = folder / "b.toml"
    file.write_text(own_file(broker.listeners[listener]) + re.sub(r"^\[kafka\]\n.*\n", "", snippet))
    return file


def own_file(address: str) -> str:
    """The start of a file: where the broker is, and topics of one's own."""
    kafka = f'[kafka]\nbootstrap_servers = "{address}"\ngroup = "{OWN}"\n{OWN_LINES}'
    return f"[topics]\n{TOPIC_LINES}\n{kafka}\n"


@pytest.fixture(scope="module")
def topics(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("topics") / "b.toml"
    file.write_text(own_file(broker.bootstrap))
    assert brinkwatch("topics", "create", "--config", file, "--partitions", "1").returncode == 0


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize(("listener", "snippet"), list(zip(LISTENERS, SNIPPETS, strict=False)))
def test_what_the_page_shows_connects(
    broker: Broker, listener: str, snippet: str, tmp_path: Path
) -> None:
    file = write_file(broker, listener, snippet, tmp_path)
    done = brinkwatch("check-config", file, "--connect", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    sentences = [finding["sentence"] for finding in result["findings"]]
    for topic in TOPICS.values():
        assert f"{OWN}.{topic} may be used (1 partition)" in sentences
    assert sentences[-1] == f"the group {OWN} and its transactions may be used"
    assert (done.returncode, result["ok"]) == (0, True)


@pytest.mark.usefixtures("topics")
def test_plain_is_the_same_with_another_mechanism(broker: Broker, tmp_path: Path) -> None:
    snippet = SNIPPETS[2].replace("SCRAM-SHA-512", "PLAIN")
    file = write_file(broker, "plain_sasl", snippet, tmp_path)
    assert brinkwatch("check-config", file, "--connect").returncode == 0


def test_a_wrong_password_ends_in_its_sentence_and_status_2(broker: Broker, tmp_path: Path) -> None:
    file = write_file(broker, "scram", SNIPPETS[2], tmp_path)
    (tmp_path / "password").write_text("wrong-Secret-7")
    done = brinkwatch("check-config", file, "--connect", "--show")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == (
        f"# {broker.listeners['scram']} refuses the login of {USER} by SCRAM-SHA-512: "
        "the user name or the password is wrong"
    )
    assert "wrong-Secret-7" not in done.stdout + done.stderr


def test_topics_that_are_missing_are_named(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    missing = uuid.uuid4().hex
    file.write_text(
        f'[kafka]\nbootstrap_servers = "{broker.bootstrap}"\n[topics]\norder = "{missing}"\n'
    )
    done = brinkwatch("check-config", file, "--connect", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, result["ok"]) == (2, False)
    (fault,) = [finding["sentence"] for finding in result["findings"] if not finding["ok"]]
    assert fault.startswith("there is no topic ")
    assert missing in fault


def test_a_closed_port_has_its_sentence(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text('[kafka]\nbootstrap_servers = "127.0.0.1:1"\n')
    done = brinkwatch("check-config", file, "--connect")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == "nobody listens at 127.0.0.1:1: is Kafka running there?"
