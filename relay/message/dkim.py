"""DKIM-Signature for a message as it leaves (RFC 6376): relaxed/relaxed, rsa-sha256, no l=.

Selecting, canonicalising and hashing the header, and writing the field, is dkimpy's work. The
body is hashed here, piece by piece: dkimpy wants it whole, several times over, and its patterns
take quadratic time over a long run of blanks. Relaxed, because gateways trim the ends of lines.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from relay.config.model import Dkim
from relay.message import headers
from relay.message.address_list import addresses

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_CRLF = b"\r\n"

# Signed once more than they stand, so that none can be added: those that a reader is shown, even
# where they are absent, and where they are present those that say how to show the text.
_NEVER_ADDED = (b"from", b"to", b"cc", b"subject", b"date", b"reply-to")
_NOT_TWICE = (
    *(b"sender", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding"),
)

_STEP_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Signer:
    """In whose name to sign (d=), the key's place in DNS (s=), and the key."""

    domain: str
    selector: str
    key: RSAPrivateKey = field(repr=False)


def author_domain(header: bytes) -> str | None:
    """The domain of the first address in From, in A-labels and lower case; None without one."""
    author = headers.first(header, b"From")
    found = addresses(author.value) if author is not None else []
    if not found:
        return None
    domain = found[0].rpartition("@")[2].lower().removesuffix(".")
    if domain.isascii():
        return domain or None
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None


def key_for(domain: str | None, keys: Sequence[Dkim]) -> Dkim | None:
    """The key of that domain, else of the nearest domain above it.

    Under relaxed alignment a domain's signature speaks for all below it (RFC 9989 section 4.4).
    """
    if domain is None:
        return None
    above = [each for each in keys if f".{domain}".endswith(f".{each.domain}")]
    return max(above, key=lambda each: len(each.domain), default=None)


def sign(header: bytes, body_hash: bytes, signer: Signer, at: datetime) -> bytes:
    """The whole DKIM-Signature field, to stand before `header`.

    `header` must have a From; `body_hash` is `BodyHash.digest` of all that follows the empty line.
    """
    import dkim
    from dkim.canonicalization import CanonicalizationPolicy

    fields = [(each.name, each.raw[each.raw.find(b":") + 1 :]) for each in headers.fields(header)]
    names = tuple(_signed_names([name.lower() for name, _ in fields], dkim.DKIM.SHOULD))
    tags = [
        (b"v", b"1"),
        (b"a", b"rsa-sha256"),
        (b"c", b"relaxed/relaxed"),
        (b"d", signer.domain.encode()),
        (b"s", signer.selector.encode()),
        (b"t", b"%d" % int(at.timestamp())),
        (b"h", b" : ".join(names)),  # blanks, to fold at
        (b"bh", base64.b64encode(body_hash)),
        (b"b", b"0" * 60),  # stands for the signature until it is there, on a line of its own
    ]
    work = dkim.DKIM()
    work.headers = fields
    work.hasher = hashlib.sha256
    # dkimpy's own RSA holds the interpreter for 10 ms; its way for Ed25519 leaves the signing of
    # the digest to the key. The algorithm that the field names is that of the tag a=.
    work.signature_algorithm = b"ed25519-sha256"
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    name, key = b"DKIM-Signature", _RsaKey(signer.key)
    value: bytes = work.gen_header(tags, names, policy, name, key)
    return name + b": " + value


def _signed_names(present: list[bytes], worth: tuple[bytes, ...]) -> Iterator[bytes]:
    """What h= lists (RFC 6376 section 5.4.1), each field as often as it is to be signed."""
    counts = Counter(present)
    for name in dict.fromkeys((*_NEVER_ADDED, *worth)):
        more = name in _NEVER_ADDED or (name in _NOT_TWICE and counts[name] > 0)
        yield from [name] * (counts[name] + more)


@dataclass(frozen=True, slots=True)
class _RsaSignature:
    signature: bytes


@dataclass(frozen=True, slots=True)
class _RsaKey:
    """An RSA key with the interface that dkimpy expects of an Ed25519 key."""

    key: RSAPrivateKey

    def sign(self, digest: bytes) -> _RsaSignature:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA256

        return _RsaSignature(self.key.sign(digest, PKCS1v15(), Prehashed(SHA256())))


class BodyHash:
    """SHA-256 over the body under relaxed canonicalisation (RFC 6376 section 3.4.4).

    The pieces may be cut anywhere. What is kept between them is at most two bytes and a count,
    and the time that a piece takes is linear but for the logarithm of its longest run of blanks.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line_ends = 0  # those that count only if text follows
        self._held = b""  # a blank or CR at the end, of which nobody knows yet what it is part of
        self._empty = True

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body, which begins behind the empty line."""
        # In short steps: each keeps the interpreter from all other threads.
        for start in range(0, len(piece), _STEP_BYTES):
            self._step(piece[start : start + _STEP_BYTES])

    def _step(self, piece: bytes) -> None:
        text = (self._held + piece).replace(b"\t", b" ")
        while b"  " in text:
            text = text.replace(b"  ", b" ")
        text = text.replace(b" \r\n", _CRLF)
        held = len(text) - len(text.removesuffix(b"\r").removesuffix(b" "))
        self._held = text[len(text) - held :]
        text = text[: len(text) - held]
        kept = _without_line_ends(text)
        if kept:
            self._put(kept)
        self._line_ends += (len(text) - len(kept)) // 2

    def digest(self) -> bytes:
        """The hash of the whole; a last line without CRLF has the one that it leaves with."""
        if b"\r" in self._held:
            self._put(self._held)
        if not self._empty:
            self._hash.update(_CRLF)
        return self._hash.digest()

    def _put(self, text: bytes) -> None:
        while self._line_ends:
            count = min(self._line_ends, 65536)
            self._hash.update(_CRLF * count)
            self._line_ends -= count
        self._hash.update(text)
        self._empty = False


def _without_line_ends(text: bytes) -> bytes:
    """Without the pairs of CR and LF at its end; a lone CR or LF is text."""
    end = len(text.rstrip(_CRLF))
    if text[end:] != _CRLF * ((len(text) - end) // 2):
        end = len(text)
        while text.endswith(_CRLF, 0, end):
            end -= 2
    return text[:end]
