"""A DKIM key record (RFC 6376 section 3.6.1) as a value."""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from dataclasses import dataclass

_TYPES = ("rsa", "ed25519")
_ED25519_BYTES = 32
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `bits` is None without a readable key; `fault` a slug, None for a good record.

    `public` is an RSA key as DER SubjectPublicKeyInfo, in whichever form the record has it.
    """

    record: str
    type: str = "rsa"
    bits: int | None = None
    revoked: bool = False
    testing: bool = False
    fault: str | None = None
    public: bytes | None = None


def is_key(text: str) -> bool:
    """Whether a text found at a selector is meant as a key record."""
    return re.search(r"(?:^|;)\s*p\s*=", text) is not None or text.strip().startswith("v=DKIM1")


def parse_key(record: str) -> Key:
    """The key in `record`. Faults: `tags`, `version`, `type`, `service`, `no-key`, `key`."""
    tags: dict[str, str] = {}
    first = None
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not part.strip():
            continue
        if not equals or not name or name in tags:
            return Key(record, fault="tags")
        first = first or name
        tags[name] = value.strip()
    kind = tags.get("k", "rsa").lower()
    testing = "y" in [flag.strip() for flag in tags.get("t", "").split(":")]
    fault = _fault(tags, first, kind)
    if fault is not None:
        return Key(record, kind, testing=testing, fault=fault)
    text = "".join(tags["p"].split())
    if not text:
        return Key(record, kind, revoked=True, testing=testing)
    raw = _decoded(text)
    if kind == "ed25519":
        bits, public = (256 if len(raw) == _ED25519_BYTES else None), None
    else:
        bits, public = _rsa(raw)
    fault = None if bits else "key"
    return Key(record, kind, bits, testing=testing, fault=fault, public=public)


def _fault(tags: dict[str, str], first: str | None, kind: str) -> str | None:
    if "v" in tags and (tags["v"] != "DKIM1" or first != "v"):
        return "version"
    if "p" not in tags:
        return "no-key"
    if kind not in _TYPES:
        return "type"
    services = [service.strip() for service in tags.get("s", "*").split(":")]
    return None if {"*", "email"} & set(services) else "service"


def _decoded(text: str) -> bytes:
    """What the base64 stands for; nothing where it is none."""
    if not _BASE64.fullmatch(text):
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _rsa(raw: bytes) -> tuple[int | None, bytes | None]:
    """The length of the public key, and the key itself; None where there is none to read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from relay.message.dkim_record import public_bytes

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is short is told by us
            key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None, None
    return (key.key_size, public_bytes(key)) if isinstance(key, RSAPublicKey) else (None, None)
