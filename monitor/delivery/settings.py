"""`[[receivers]]`: who is notified of which alerts, and how they are reached."""

from __future__ import annotations

import base64
import binascii
import ssl
import urllib.parse
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from monitor.core.contract.alert import Alert, Severity
from monitor.core.contract.feature_catalogue import Layer
from monitor.core.settings import StrictModel
from monitor.errors import ConfigError
from monitor.security import LOOPBACK, SecurityError, read_secret, tls_context
from monitor.silences.silence import Patterns

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
WEBHOOK_SECRET_PREFIX = "whsec_"
WEBHOOK_SECRET_BYTES = 24, 64
"""Of the Standard Webhooks specification."""
NEEDS_SECRET = ("webhook", "pagerduty")
TAKES_NO_SECRET = ("slack", "file", "apprise")


def check_url(url: str) -> str:
    """An address that alerts may be sent to. Raises `ValueError`, without the address: it may be a
    secret."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueError("url is no address of a host: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url has a login in it: give a token in `secret` or `secret_file`")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValueError("url must begin with https:// (http:// only on this machine)")
    return url


def _check_link(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("it must begin with https:// or http://")
    return text


class ReceiverSettings(StrictModel):
    """Somebody, or something, that alerts are sent to.

    An incident is sent on from its first alert that fits all lists that are not empty, until it is
    resolved. One that a silence covers goes to receivers of the kind `file` alone.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """Of your choice: in the log, in metrics, and in the name of the group that keeps how far this
    receiver got (`kafka.group`, then `.delivery.` and this name)."""
    kind: Literal["alertmanager", "webhook", "slack", "pagerduty", "apprise", "file"]
    """`alertmanager` (its v2 API), `webhook` (signed, Standard Webhooks), `slack` (incoming
    webhook), `pagerduty` (Events API v2), `apprise` (whatever that library reaches), `file` (JSON
    lines)."""
    url: SecretStr | None = None
    """https, or http on this machine. Of an Alertmanager without its /api/v2; of PagerDuty only
    where it is not the usual one; of apprise in its own form."""
    url_file: Path | None = None
    """The file that holds `url`, in its place."""
    secret: SecretStr | None = None
    """Of a webhook: what it is signed with, as whsec_ and base64. Of PagerDuty: the routing key. Of
    an Alertmanager: the bearer token, if it asks for one."""
    secret_file: Path | None = None
    """The file that holds `secret`, in its place."""
    path: Path | None = None
    """Of the kind `file`: where the lines are added."""
    ca_file: Path | None = None
    """PEM, of the authority that signed the receiver's certificate; absent: the system's."""
    timeout_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """An attempt that takes longer has failed, s."""
    severity: tuple[Severity, ...] = ()
    """Severities; none: any."""
    alert_kind: Patterns = ()
    """Kinds of alert, as "thin_book" or "stale_*"; none: any."""
    symbol: Patterns = ()
    """Markets, as "BTC-*"; one market of the alert must fit one. None: any, and the venue."""
    layer: tuple[Layer, ...] = ()
    """Layers; none: any."""
    accounts: bool = True
    """Whether alerts name accounts; without them these are left out."""
    runbook_url: Annotated[str, AfterValidator(_check_link)] = ""
    """Where a runbook is; {kind} in it becomes the kind of the alert."""
    dashboard_url: Annotated[str, AfterValidator(_check_link)] = ""
    """Where to look at what it is about; {symbol} in it becomes the market, the first of several.
    Alerts that are of no market go without such a link."""

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        is_file = self.kind == "file"
        if is_file != (self.path is not None):
            raise ValueError(f"path is of the kind file, and needed there; this is {self.kind}")
        urls = [name for name in ("url", "url_file") if getattr(self, name) is not None]
        if is_file and urls:
            raise ValueError(f"{urls[0]} is not for the kind file: leave it out")
        if len(urls) > 1:
            raise ValueError("give url or url_file, not both")
        if not urls and self.kind not in ("file", "pagerduty"):
            raise ValueError(f"{self.kind} needs url or url_file")
        if self.url is not None and self.kind != "apprise":
            check_url(self.url.get_secret_value())
        return self

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        secrets = [name for name in ("secret", "secret_file") if getattr(self, name) is not None]
        if len(secrets) > 1:
            raise ValueError("give secret or secret_file, not both")
        if not secrets and self.kind in NEEDS_SECRET:
            raise ValueError(f"{self.kind} needs secret or secret_file")
        if secrets and self.kind in TAKES_NO_SECRET:
            raise ValueError(f"{secrets[0]} is not for {self.kind}: leave it out")
        if self.kind == "webhook" and self.secret is not None:
            webhook_key(self.secret.get_secret_value())
        return self

    def fits(self, alert: Alert) -> bool:
        """Whether the routes of this receiver take the alert."""
        return (
            (not self.severity or alert.severity in self.severity)
            and (not self.layer or alert.layer in self.layer)
            and _fits(self.alert_kind, (alert.kind,))
            and _fits(self.symbol, alert.symbols)
        )

    def read_url(self) -> str:
        """The address to send to. Raises `ConfigError`, without the address."""
        given = PAGERDUTY_URL if self.kind == "pagerduty" else ""
        url = self._read("url", self.url, self.url_file) or given
        if self.kind == "apprise":
            return url
        try:
            return check_url(url)
        except ValueError as error:
            raise ConfigError(f"receiver {self.name}: {error}") from None

    def read_key(self) -> str | None:
        """The secret, if one is set. Raises `ConfigError`, without the secret."""
        secret = self._read("secret", self.secret, self.secret_file)
        if secret == "" or (secret and not (secret.isascii() and secret.isprintable())):
            raise ConfigError(f"receiver {self.name}: its secret is empty, or no line of ASCII")
        try:
            if secret is not None and self.kind == "webhook":
                webhook_key(secret)
        except ValueError as error:
            raise ConfigError(f"receiver {self.name}: {error}") from None
        return secret

    def tls(self) -> ssl.SSLContext:
        """TLS that trusts `ca_file`, or the system's authorities. Raises `ConfigError`."""
        try:
            return tls_context(self.ca_file, None, None, None)
        except SecurityError as error:
            raise ConfigError(f"receiver {self.name}: {error}") from None

    def _read(self, name: str, value: SecretStr | None, file: Path | None) -> str | None:
        try:
            secret = read_secret(name, value, file)
        except SecurityError as error:
            raise ConfigError(f"receiver {self.name}: {error}") from None
        return None if secret is None else secret.strip()


def _fits(patterns: Patterns, names: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(n, pattern) for n in names for pattern in patterns)


def webhook_key(secret: str) -> bytes:
    """The bytes of a secret of Standard Webhooks. Raises `ValueError`, without the secret."""
    low, high = WEBHOOK_SECRET_BYTES
    try:
        if not secret.startswith(WEBHOOK_SECRET_PREFIX):
            raise ValueError
        key = base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not low <= len(key) <= high:
        raise ValueError(
            f"the secret of a webhook is {WEBHOOK_SECRET_PREFIX} and the base64 of {low} to {high} "
            "random bytes: `openssl rand -base64 32` makes some"
        )
    return key
