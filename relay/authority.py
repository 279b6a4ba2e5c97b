"""A certificate authority of the office's own, and the certificate of the relay that it signs.

Programs that insist on TLS want a certificate that their machine trusts, and no public authority
gives one for an address of the office. The authority can vouch for the relay's names and for
private addresses and for nothing else (RFC 5280 section 4.2.1.10): whoever takes its key cannot
pose as a bank to the workstations that trust it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from relay.access.address import Network

AUTHORITY_FILE = "relay-ca.crt"
AUTHORITY_KEY_FILE = "relay-ca.key"
CERTIFICATE_FILE = "listener.pem"

AUTHORITY_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=730)
_CLOCKS_DIFFER = timedelta(days=1)
# RSA, since old programs know nothing else.
_AUTHORITY_BITS = 3072
_CERTIFICATE_BITS = 2048

_PRIVATE = tuple(
    ip_network(each)
    for each in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)


class AuthorityUnusable(Exception):
    """The authority's files do not make an authority: a key is gone, or belongs to another."""


class NotCovered(Exception):
    """The authority was made for other names; `name` is one that it may not vouch for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Names:
    """What programs may call the relay: host names in ASCII, at least one, and addresses."""

    hosts: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()

    def __str__(self) -> str:
        return ", ".join((*self.hosts, *map(str, self.addresses)))


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate to be trusted, and the key that signs for it."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def fingerprint(self) -> str:
        """SHA-256, in the form that browsers and openssl show."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def thumbprint(self) -> str:
        """SHA-1, which Windows shows under Details: to recognise it by, not to rely on."""
        return self.certificate.fingerprint(hashes.SHA1()).hex()


def new_authority(names: Names, now: datetime) -> Authority:
    """An authority for these names, what is below them, and every private address."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_AUTHORITY_BITS)
    networks: Iterable[Network] = (*_PRIVATE, *map(ip_network, names.addresses))
    permitted = [
        *(x509.DNSName(host) for host in names.hosts),
        *(x509.IPAddress(network) for network in dict.fromkeys(networks)),
    ]
    subject = _subject(f"Relay of {names.hosts[0]}"[:64])
    certificate = (
        _builder(subject, subject, key, now - _CLOCKS_DIFFER, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(authority: Authority, names: Names, now: datetime) -> tuple[x509.Certificate, bytes]:
    """A certificate for these names, and the PEM of it with its new key. Raises NotCovered."""
    _insist_on_covered(authority.certificate, names)
    key = rsa.generate_private_key(public_exponent=65537, key_size=_CERTIFICATE_BITS)
    alternatives = [
        *(x509.DNSName(host) for host in names.hosts),
        *(x509.IPAddress(address) for address in names.addresses),
    ]
    end = min(now + CERTIFICATE_LIFETIME, authority.certificate.not_valid_after_utc)
    issuer = authority.certificate.subject
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(_subject(names.hosts[0][:64]), issuer, key, now - _CLOCKS_DIFFER, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return certificate, certificate.public_bytes(serialization.Encoding.PEM) + _pem(key)


def read_authority(directory: Path) -> Authority | None:
    """The authority that is kept in `directory`; None where none was made, or not to its end.

    Raises AuthorityUnusable, or OSError where its files cannot be read.
    """
    try:
        text = (directory / AUTHORITY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(text)
        pem = (directory / AUTHORITY_KEY_FILE).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise AuthorityUnusable(str(error)) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityUnusable(f"{AUTHORITY_KEY_FILE}, {AUTHORITY_FILE}")
    return Authority(certificate, key)


def keep_authority(directory: Path, authority: Authority) -> None:
    """Write its two files. One that is there is put aside as `.old`. Raises OSError."""
    for name in (AUTHORITY_FILE, AUTHORITY_KEY_FILE):
        place = directory / name
        if place.exists():
            place.replace(place.with_name(f"{name}.old"))
    # The certificate comes last: without it there is no authority yet, and nobody trusts one.
    write(directory / AUTHORITY_KEY_FILE, _pem(authority.key), 0o600)
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    write(directory / AUTHORITY_FILE, pem, 0o644)


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, synced; its owner stays who it was. Raises OSError."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        if hasattr(os, "fchown") and path.exists() and os.geteuid() == 0:
            before = path.stat()
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(identity, critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _insist_on_covered(certificate: x509.Certificate, names: Names) -> None:
    found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = found.permitted_subtrees or []
    hosts = [each.value.lower() for each in permitted if isinstance(each, x509.DNSName)]
    values = [each.value for each in permitted if isinstance(each, x509.IPAddress)]
    networks = [each for each in values if isinstance(each, IPv4Network | IPv6Network)]
    for host in names.hosts:
        if not any(f".{host.lower()}".endswith(f".{each}") for each in hosts):
            raise NotCovered(host)
    for address in names.addresses:
        if not any(address in network for network in networks):
            raise NotCovered(str(address))
