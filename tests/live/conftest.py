"""A real Kafka for the tests of this folder: one for the session, started when first needed.

`kafka` is an address: that of the environment's `BRINKWATCH_TEST_KAFKA` if it is given, of a
container where a Docker engine answers, of `broker` otherwise. `broker` is always our own, with
every secure listener; its log stays in pytest's temporary folder. Where none can be had the tests
skip with the reason, and fail if `BRINKWATCH_REQUIRE_ALL` is 1.

Where tests run in several processes, those of this folder stay together: one broker is enough.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.broker.kafka_server import Broker
from monitor.errors import BrokerError

KAFKA_IMAGE = "apache/kafka:4.3.0"
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    try:
        started = Broker(tmp_path_factory.mktemp("kafka"), secure=True, brief=True)
    except (BrokerError, ModuleNotFoundError) as reason:
        unavailable(str(reason))
    with started:
        yield started


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    if given := os.environ.get("BRINKWATCH_TEST_KAFKA"):
        yield given
    elif _docker_answers():
        yield from _container()
    else:
        yield request.getfixturevalue("broker").bootstrap


def unavailable(reason: str) -> None:
    if os.environ.get("BRINKWATCH_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _docker_answers() -> bool:
    """Whether an engine (not just the client program) is there."""
    try:
        import docker
    except ModuleNotFoundError:
        return False
    try:
        return bool(docker.from_env(timeout=3).ping())
    except (docker.errors.DockerException, OSError):
        return False


def _container() -> Iterator[str]:
    """Kafka's own image, with the settings that its page on Docker Hub gives for one node."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    # Clients are told the address before Docker could choose one: it has to be fixed.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_envs(**settings)
    ready = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120)
    with container.waiting_for(ready):
        yield f"127.0.0.1:{port}"
