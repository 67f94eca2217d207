"""Certificates for the try-out Kafka's secure listeners, made afresh for each broker.

Needs the package cryptography, which comes with the `dev` extra: the product itself makes no
certificates.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

VALID_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority, the server's key and certificate in one, the client's in two."""

    ca: Path
    server: Path
    client_cert: Path
    client_key: Path


def make_certificates(directory: Path, server_name: str = "localhost") -> Certificates:
    """A new authority with one server certificate and one client certificate from it.

    Raises ModuleNotFoundError where the package cryptography is missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = "ca.pem", "server.pem", "client.pem", "client-key.pem"
    files = Certificates(*(directory / name for name in names))
    authority, authority_key = _certificate("brinkwatch try-out authority", None)
    server, server_key = _certificate(server_name, (authority, authority_key))
    client, client_key = _certificate("brinkwatch", (authority, authority_key))
    files.ca.write_bytes(_pem(authority))
    files.server.write_bytes(_key_pem(server_key) + _pem(server))
    files.client_cert.write_bytes(_pem(client))
    files.client_key.write_bytes(_key_pem(client_key))
    for secret in (files.server, files.client_key):
        secret.chmod(0o600)
    return files


def _certificate(
    name: str, issuer: "tuple[Certificate, EllipticCurvePrivateKey] | None"
) -> "tuple[Certificate, EllipticCurvePrivateKey]":
    """A certificate for name (its only DNS name too), signed by issuer; None: an authority."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "secure listeners need the package cryptography: pip install 'brinkwatch[dev]'"
        ) from missing
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    parent, signing_key = (None, key) if issuer is None else issuer
    # An hour back: a container's clock may lag behind.
    begin = datetime.now(UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if parent is None else parent.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=parent is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    if parent is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signing_key, hashes.SHA256()), key


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    """PKCS#8 without a password: the form Kafka's PEM store takes."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
