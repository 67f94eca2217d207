"""Who may ask the port, and its certificate."""

from __future__ import annotations

import hmac
import ipaddress
import ssl
from typing import NamedTuple, Self

from pydantic import SecretStr

from monitor.config import HttpSettings
from monitor.errors import ConfigError
from monitor.security import LOOPBACK

NO_TOKEN_PATHS = ("/livez", "/readyz")
"""Asked by whoever starts and stops the sidecar, who has no token."""
PAGE_PATH = "/"
"""The page holds nothing of the venue; what it asks for needs the token."""


class Access(NamedTuple):
    """Who may ask: the token that is asked for (None: none), and whether this machine alone can."""

    token: str | None
    is_loopback: bool

    @classmethod
    def of(cls, settings: HttpSettings) -> Self:
        """Raises `ConfigError` where the token cannot be read."""
        return cls(read_token(settings), settings.host in LOOPBACK)

    def allows(self, path: str, authorization: str) -> bool:
        """Whether a request with this header may ask for `path`."""
        if self.token is None or path in (*NO_TOKEN_PATHS, PAGE_PATH):
            return True
        given = authorization.encode(errors="surrogateescape")
        return hmac.compare_digest(given, f"Bearer {self.token}".encode())

    def is_addressed(self, host: str) -> bool:
        """Whether a request with this `Host` header means this port, where no token is asked for.

        A page of the web can have its own name resolve to this machine; then a browser lets it
        read what it asks for under that name. Names with a dot are none of this machine's.
        """
        if self.token is not None or not self.is_loopback:
            return True
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return "." not in name or name.endswith(".localhost") or is_ip_address(name)

    @property
    def shows_accounts(self) -> bool:
        """Whether accounts are named: not where everybody on the network could ask."""
        return self.token is not None or self.is_loopback


def is_ip_address(text: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def read_token(settings: HttpSettings) -> str | None:
    """The token of requests; None: none is asked for. Raises `ConfigError`."""
    secret: SecretStr | None = settings.token
    if settings.token_file is not None:
        try:
            secret = SecretStr(settings.token_file.read_text().strip())
        except OSError as error:
            why = f"http.token_file {settings.token_file} cannot be read: {error.strerror}"
            raise ConfigError(why) from error
        if not secret.get_secret_value():
            raise ConfigError(f"http.token_file {settings.token_file} is empty")
    return None if secret is None else secret.get_secret_value()


def server_tls(settings: HttpSettings) -> ssl.SSLContext | None:
    """TLS with the configured certificate; None: plain text. Raises `ConfigError`."""
    if settings.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except OSError as error:
        raise ConfigError(
            f"http.cert_file {settings.cert_file} and http.key_file {settings.key_file} are no "
            f"PEM certificate with its key: {error.strerror or error}"
        ) from error
    return context
