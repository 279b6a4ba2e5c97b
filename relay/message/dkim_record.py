"""The public half of a DKIM key as it stands in DNS (RFC 6376 section 3.6)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_STRING_BYTES = 255  # RFC 1035 section 3.3.14


@dataclass(frozen=True, slots=True)
class Record:
    """A TXT record: its full name, its text in one line, and that in strings of 255 bytes."""

    name: str
    value: str

    @property
    def strings(self) -> tuple[str, ...]:
        """For name servers that want the strings apart; receivers join them without a blank."""
        starts = range(0, len(self.value), _STRING_BYTES)
        return tuple(self.value[start : start + _STRING_BYTES] for start in starts)


def record_of(domain: str, selector: str, key: RSAPrivateKey) -> Record:
    """The record to publish for `key`."""
    text = base64.b64encode(public_bytes(key.public_key())).decode("ascii")
    return Record(f"{selector}._domainkey.{domain}", f"v=DKIM1; k=rsa; p={text}")


def public_bytes(key: RSAPublicKey) -> bytes:
    """The key as DER SubjectPublicKeyInfo, the usual content of p=."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_key() -> tuple[RSAPrivateKey, bytes]:
    """A new RSA key of 2048 bits, and it as PEM without a passphrase."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = generate_private_key(65537, 2048)
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
