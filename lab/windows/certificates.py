"""A certificate authority of the practice world: certificates for hosts, for people, and expired ones.

Not by `trustme`: all of its certificates are for servers and clients at once, so a host's would pass for a person's, and
it knows no user principal names.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)
_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key, both PEM; `thumbprint` is SHA-1 in upper-case hex, as Windows shows it."""

    certificate: bytes
    key: bytes
    thumbprint: str

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write `name`.pem and `name`.key (readable by this user only) and answer where they are."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return certificate, key


class CertificateAuthority:
    """An authority that lives as long as the process."""

    def __init__(self, name: str = "Practice World Root CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 400 * _DAY)
            .not_valid_after(now + 3_650 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, path: Path) -> Path:
        """Write the authority's own certificate, for clients to trust."""
        path.write_bytes(self.certificate)
        return path

    def server(self, *names: str, expired: bool = False) -> Issued:
        """A server's certificate for these DNS names and addresses; one that ran out yesterday if `expired`."""
        alternatives = [_general_name(name) for name in names]
        return self._issue(names[0], alternatives, ExtendedKeyUsageOID.SERVER_AUTH, expired=expired)

    def client(self, user: str, *, expired: bool = False) -> Issued:
        """A person's certificate with the user principal name that Windows maps to an account."""
        # otherName wants DER: a UTF8String, whose length fits one byte for any name of ours.
        text = user.encode("utf-8")
        principal = x509.OtherName(_USER_PRINCIPAL_NAME, b"\x0c" + bytes([len(text)]) + text)
        return self._issue(user, [principal], ExtendedKeyUsageOID.CLIENT_AUTH, expired=expired)

    def server_context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """A server's TLS context: its certificate, and client certificates of this authority taken if offered."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _take_clients_of(context, self)
        issued = self.server(*names, expired=expired)
        with tempfile.TemporaryDirectory() as directory:  # the standard library loads keys from files only
            context.load_cert_chain(*issued.write(Path(directory), "server"))
        return context

    def later_server_context(self, *names: str) -> ServerContext:
        """The same, whose certificate is made for the first who connects: of a hundred guests few are ever asked."""
        return ServerContext(self, names)

    def _issue(
        self, name: str, alternatives: list[x509.GeneralName], purpose: x509.ObjectIdentifier, *, expired: bool
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 365 * _DAY)
            .not_valid_after(now - _DAY if expired else now + 365 * _DAY)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name, as Windows makes it
        )


class ServerContext(ssl.SSLContext):
    """A server's TLS context that has no certificate until somebody connects, and may show another one later."""

    def __new__(cls, *_told: object) -> Self:
        """Make a server's."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, authority: CertificateAuthority, names: Sequence[str]) -> None:
        """Take who issues the certificate, and for which DNS names and addresses."""
        self._authority = authority
        _take_clients_of(self, authority)
        self.sni_callback = self._begin  # OpenSSL calls it for every client, with a name or without one
        self.show(*names)

    def show(self, *names: str, expired: bool = False) -> None:
        """Show a certificate for these names to whoever connects from now on."""
        self._names, self._is_expired = names, expired
        self._made: ssl.SSLContext | None = None

    def _begin(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._made is None:
            self._made = self._authority.server_context(*self._names, expired=self._is_expired)
        connection.context = self._made


def _take_clients_of(context: ssl.SSLContext, authority: CertificateAuthority) -> None:
    context.load_verify_locations(cadata=authority.certificate.decode("ascii"))
    context.verify_mode = ssl.CERT_OPTIONAL


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
