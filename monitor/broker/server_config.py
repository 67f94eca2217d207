"""The configuration of the try-out Kafka: its listeners, its server.properties, its users.

One node that is broker and controller in one (KRaft), everything on loopback. The settings are
those of Kafka's documentation for a single node; what differs has its reason beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USER = "brinkwatch"
PASSWORD = "let-me-in"  # the try-out broker's only user, on loopback: no secret
SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

_LOGIN = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Listener:
    """A port of the broker.

    name: what callers ask for it by, and in upper case its name in Kafka's configuration; protocol:
    Kafka's security protocol; host: under which it is advertised; settings: its own server
    settings, without the `listener.name.X.` in front.
    """

    name: str
    protocol: str
    host: str = "127.0.0.1"
    settings: tuple[tuple[str, str], ...] = ()


PLAIN = Listener("plain", "PLAINTEXT")


def _sasl(
    name: str, mechanisms: tuple[str, ...], module: str, *settings: tuple[str, str]
) -> Listener:
    """A TLS listener that takes a login by `mechanisms`; module: which checks it, with options."""
    enabled = "sasl.enabled.mechanisms", ",".join(mechanisms)
    jaas = [(f"{m.lower()}.sasl.jaas.config", f"{_LOGIN}.{module};") for m in mechanisms]
    return Listener(name, "SASL_SSL", "localhost", (enabled, *jaas, *settings))


# The certificate names `localhost` and not 127.0.0.1, so that a mismatch of names can be had too.
SECURE = (
    Listener("tls", "SSL", "localhost"),
    Listener("mtls", "SSL", "localhost", (("ssl.client.auth", "required"),)),
    _sasl("scram", SCRAM_MECHANISMS, "scram.ScramLoginModule required"),
    _sasl("plain_sasl", ("PLAIN",), f'plain.PlainLoginModule required user_{USER}="{PASSWORD}"'),
    _sasl(
        "oauth",
        ("OAUTHBEARER",),
        'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
        # Takes tokens without a signature: no identity server is here to ask for its keys.
        (
            "oauthbearer.sasl.server.callback.handler.class",
            f"{_LOGIN}.oauthbearer.internals.unsecured"
            ".OAuthBearerUnsecuredValidatorCallbackHandler",
        ),
    ),
)


def server_properties(
    listeners: Mapping[Listener, int],
    controller_port: int,
    data: Path,
    advertise: Mapping[str, str],
    stores: tuple[Path, Path] | None,
    settings: Mapping[str, str],
) -> str:
    """The text of server.properties.

    listeners: each with its port; data: where the log segments go; advertise: by listener's name
    the address that clients get, where it is not the listener's own (a proxy in front); stores: PEM
    files, the server's key with its certificate, and the authority that clients' certificates must
    come from; settings: anything more, over everything else.
    """
    bound = [f"{each.name.upper()}://127.0.0.1:{port}" for each, port in listeners.items()]
    advertised = [
        f"{each.name.upper()}://{advertise.get(each.name, f'{each.host}:{port}')}"
        for each, port in listeners.items()
    ]
    protocols = [f"{each.name.upper()}:{each.protocol}" for each in listeners]
    controller = f"CONTROLLER://127.0.0.1:{controller_port}"
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*bound, controller]),
        "advertised.listeners": ",".join([*advertised, controller]),
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *protocols]),
        # The broker writes transaction markers to itself over this one: never through a proxy.
        "inter.broker.listener.name": PLAIN.name.upper(),
        "log.dirs": str(data),
        "group.initial.rebalance.delay.ms": "0",
        # One node holds every replica; 4 partitions (of 50) so that it is ready sooner.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    for listener in listeners:
        properties |= {f"listener.name.{listener.name}.{k}": v for k, v in listener.settings}
    for store, file in zip(("keystore", "truststore"), stores or (), strict=False):
        properties |= {f"ssl.{store}.type": "PEM", f"ssl.{store}.location": str(file)}
    properties |= settings
    return "".join(f"{key}={value}\n" for key, value in properties.items())
