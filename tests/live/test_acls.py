"""A user with the ACLs that docs/bus.md lists, and no other, runs on a Kafka that enforces them."""

from __future__ import annotations

import asyncio
import functools
import re
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from monitor.broker.kafka_server import Broker
from monitor.broker.server_config import USER
from monitor.commands.bus.check_broker import check_broker
from monitor.config import Config, load
from monitor.errors import BrokerError
from tests.live.bus import SOURCES, bus_records, create_bus, write_bus
from tests.live.conftest import unavailable
from tests.live.helpers import run_sidecar, simulated_day, wait_until
from tests.live.test_security import security
from tests.live.test_sources import has_taken, watch_to_end
from tests.support import ROOT
from tests.theorems.days import SETTINGS

ENFORCED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # The plain listener is the operator's.
    "super.users": "User:ANONYMOUS",
}
RESOURCES = {"topic": 2, "group": 3, "transactional id": 5}
OPERATIONS = {"read": 3, "write": 4, "create": 5, "describe": 8}
LITERAL, PREFIXED, ALLOW = 3, 4, 3
ROW = re.compile(r"^\| (venue|own) \| ([a-z ]+) \| `([^`]+)`(\*?) \| ([a-z, ]+) \|", re.MULTILINE)
"""Of the table: cluster, resource, name, whether it is a prefix, and what is allowed."""


def acls() -> list[tuple[str, int, str, int, int]]:
    """By the table of docs/bus.md: cluster, resource, name, pattern, operation."""
    rows = ROW.findall((ROOT / "docs" / "bus.md").read_text())
    return [
        (cluster, RESOURCES[resource], name, PREFIXED if star else LITERAL, OPERATIONS[operation])
        for cluster, resource, name, star, operations in rows
        for operation in operations.split(", ")
    ]


async def allow(broker: Broker, own: str, without: str = "") -> None:
    """Create these ACLs; `without`: none of this cluster."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        for cluster, resource, name, pattern, operation in acls():
            if cluster == without:
                continue
            names = [f"{own}.{topic}" for topic in SOURCES] if cluster == "venue" else [name]
            for each in names:
                user = f"User:{USER}"
                request = CreateAclsRequest(resource, each, pattern, user, "*", operation, ALLOW)
                reply = await admin._send_request(request)
                assert [error for error, *_ in reply.creation_responses] == [0]
    finally:
        await admin.close()


def test_the_listed_acls_suffice_and_what_lacks_is_named(tmp_path: Path) -> None:
    try:
        started = Broker(tmp_path / "kafka", secure=True, brief=True, settings=ENFORCED)
    except (BrokerError, ModuleNotFoundError) as reason:
        unavailable(str(reason))
    own = "venue"
    records = bus_records(simulated_day())
    with started as broker:
        asyncio.run(create_bus(broker.bootstrap, own))
        asyncio.run(write_bus(broker.bootstrap, own, records))
        config = configuration_of(broker, own)
        asyncio.run(allow(broker, own, without="venue"))
        sentences = [f.sentence for f in check_broker(config) if not f.ok]
        assert sentences == [
            "source marks: there is no topic venue.marks here; there are none that this user may "
            "see"
        ]
        asyncio.run(allow(broker, own))
        assert all(finding.ok for finding in check_broker(config))

        async def watch() -> None:
            async with run_sidecar(config) as sidecar:
                await wait_until(functools.partial(has_taken, sidecar, len(records)))
                await watch_to_end(sidecar, config, tmp_path)

        asyncio.run(watch())


def configuration_of(broker: Broker, own: str) -> Config:
    """With the default names of brinkwatch's own topics."""
    return load(
        None,
        **SETTINGS.model_dump(exclude={"topics"}),
        replace_streams=True,
        kafka={
            "bootstrap_servers": broker.listeners["scram"],
            "security": security(broker, "scram").model_dump(exclude_none=True),
            "silence_s": 0.3,
        },
        http={"port": 0},
        source={name: {"topic": f"{own}.{name}", **s} for name, s in SOURCES.items()},
    )
