"""What only people can mend ends `brinkwatch run` with status 2 and one sentence that says how.

Processes, started side by side: each of them takes seconds to start. The sentences on security are
pinned whole in `test_security.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.broker import certificates
from monitor.broker.kafka_server import Broker
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.sidecar import Sidecar
from tests.live.helpers import configuration, run_sidecar, wait_until
from tests.live.sidecars import write_toml
from tests.live.test_security import WRONG, security
from tests.support import ROOT

Case = tuple[str, Path, dict[str, Any]]
"""The address, a configuration file, and security settings."""


def cases(broker: Broker, folder: Path) -> dict[str, tuple[Case, str]]:
    """By name: what is wrong, and the sentence without what comes before."""
    at = broker.listeners
    foreign = certificates.make_certificates(folder / "foreign")
    plain = configuration(broker.bootstrap)
    toml = folder / "plain.toml"
    write_toml(toml, plain)
    uneven = configuration(broker.bootstrap)
    write_toml(folder / "uneven.toml", uneven)
    asyncio.run(make_uneven(uneven))
    right = {name: security(broker, name) for name in ("scram", "tls", "mtls")}

    def secured(listener: str, **changes: Any) -> Case:
        settings = right[listener].model_dump(exclude_none=True) | changes
        return at[listener], toml, {name: v for name, v in settings.items() if v is not None}

    counts = ", ".join(f"{t} {2 if k == 'orders' else 1}" for k, t in named(uneven).items())
    return {
        "a wrong password": (
            secured("scram", password=WRONG),
            f"{at['scram']} refuses the login of brinkwatch by SCRAM-SHA-512: "
            "the user name or the password is wrong",
        ),
        "a foreign authority": (
            secured("tls", ca_file=foreign.ca),
            f"the certificate of {at['tls']} comes from an authority that is not in {foreign.ca}: "
            "set ca_file",
        ),
        "no client certificate": (
            secured("mtls", cert_file=None, key_file=None),
            f"{at['mtls']} wants a client certificate: set cert_file and key_file",
        ),
        "plain text to TLS": (
            (at["tls"], toml, {}),
            f"{at['tls']} speaks TLS, and security_protocol is PLAINTEXT: set SSL, or SASL_SSL",
        ),
        "unknown topics": (
            (broker.bootstrap, toml, {}),
            f"there is no topic {', '.join(plain.topics.values())}: brinkwatch topics create "
            "--partitions N makes them, or name yours under [topics] in the configuration",
        ),
        "topics that differ": (
            (broker.bootstrap, folder / "uneven.toml", {}),
            f"the topics of the venue differ in partitions ({counts}): a symbol has to be in the "
            "same partition of each; make them alike",
        ),
    }


def named(config: Config) -> dict[str, str]:
    return {topic.split(".")[-1]: topic for topic in config.topics.values()}


async def make_uneven(config: Config) -> None:
    """All topics of the venue, one of them with another number of partitions."""
    first, *others = config.topics.values()
    assert first.endswith("orders")
    wanted = topics.venue_topics(config, [first], 2) | topics.venue_topics(config, others, 1)
    await topics.create(Clients(config.kafka), wanted)


def started(case: Case, log: Path) -> subprocess.Popen[bytes]:
    address, toml, settings = case
    names = {f"BRINKWATCH_KAFKA__SECURITY__{n.upper()}": text(v) for n, v in settings.items()}
    lines = toml.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("bootstrap_servers")]
    own = log.with_suffix(".toml")
    own.write_text("\n".join(kept) + "\n")
    environment = {**os.environ, **names, "BRINKWATCH_KAFKA__BOOTSTRAP_SERVERS": address}
    command = [sys.executable, "-m", "monitor.cli", "run", "--config", str(own)]
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


def text(value: Any) -> str:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)


@pytest.fixture(scope="module")
def refused(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], Path, str]]]:
    folder = tmp_path_factory.mktemp("refusals")
    running = {}
    try:
        for number, (name, (case, sentence)) in enumerate(cases(broker, folder).items()):
            log = folder / f"{number}.log"
            running[name] = started(case, log), log, sentence
        yield running
    finally:
        for process, _, _ in running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    "name",
    [
        "a wrong password",
        "a foreign authority",
        "no client certificate",
        "plain text to TLS",
        "unknown topics",
        "topics that differ",
    ],
)
def test_it_ends_with_status_2_and_one_sentence(
    name: str, refused: dict[str, tuple[subprocess.Popen[bytes], Path, str]]
) -> None:
    process, log, sentence = refused[name]
    assert process.wait(90) == 2, log.read_text()
    said = log.read_text()
    events = [json.loads(line) for line in said.splitlines()]
    assert events[-1]["why"] == sentence
    assert [event["event"] for event in events].count("ended") == 1
    assert "Traceback" not in said
    assert WRONG not in said


def test_a_topic_that_vanishes_makes_it_not_ready(tmp_path: Path) -> None:
    """On a broker that does not create a topic because somebody asks for it."""
    with Broker(tmp_path, brief=True, settings={"auto.create.topics.enable": "false"}) as strict:
        assert "brinkwatch topics create" in readiness_after_a_topic_is_deleted(strict.bootstrap)


def readiness_after_a_topic_is_deleted(address: str) -> str:
    config = configuration(address)
    create_topics(config, 1, Console(True))
    gone = config.topics["mark"]

    async def watched() -> str:
        async with run_sidecar(config) as sidecar:
            await wait_until(lambda: says(sidecar, "ready"))
            async with Clients(config.kafka).admin() as admin:
                await admin.delete_topics([gone])
            await wait_until(lambda: says(sidecar, f"there is no topic {gone}: "))
            assert sidecar.alive()[0]
            return sidecar.ready()[1]

    return asyncio.run(watched())


async def says(sidecar: Sidecar, words: str) -> bool:
    return sidecar.ready()[1].startswith(words)
