"""Certificates with one fault each, as PEM files for a server."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from fakes.certificates import LOOPBACK_NAMES, ServerCertificate

_numbers = count(1)


def issued(
    directory: Path, authority: trustme.CA, *names: str, whole_chain: bool = True, **keys: Any
) -> ServerCertificate:
    """A certificate for these names, loopback's own by default; `keys` as `issue_cert` has them.

    Without `whole_chain` the server keeps to itself what is between it and the authority.
    """
    leaf = authority.issue_cert(*(names or LOOPBACK_NAMES), **keys)
    blobs = leaf.cert_chain_pems if whole_chain else leaf.cert_chain_pems[:1]
    return _written(
        directory, b"".join(each.bytes() for each in blobs), leaf.private_key_pem.bytes()
    )


def self_signed(
    directory: Path, *names: str, issuer_address: str | None = None
) -> ServerCertificate:
    """A certificate that vouches for itself.

    With `issuer_address` it pretends to have an issuer, whose certificate is to be had there.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = _name("localhost", "Bakkerij")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer_address is None else _name("R99", "Public CA"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names or ("localhost",)]),
            critical=False,
        )
    )
    if issuer_address is not None:
        place = x509.UniformResourceIdentifier(issuer_address)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _written(directory, signed.public_bytes(pem), private)


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _written(directory: Path, chain: bytes, key: bytes) -> ServerCertificate:
    number = next(_numbers)
    files = ServerCertificate(directory / f"chain-{number}.pem", directory / f"key-{number}.pem")
    files.chain.write_bytes(chain)
    files.key.write_bytes(key)
    return files
