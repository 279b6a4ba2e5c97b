"""The header by which a load balancer tells whose connection it passes on.

The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt). Pure: bytes in, a value
out. Whether the sender may announce anything is for the caller to know.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from relay.access.address import Address, peer_address

MOST_TEXT_BYTES = 107  # section 2.1: the worst case, its CRLF included
MOST_BYTES = 4096  # of version 2: addresses take 36, the rest is TLVs, of which nothing is used
"""A longer header is bad; the specification would let one announce 65,551."""

_TEXT = b"PROXY "
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_BYTES = 16
_VERSION = 2
_STREAM = 1
_KNOWN_PROTOCOLS = frozenset({0, 1, 2})
# Family: bytes of the two addresses and ports; of AF_UNIX, of two paths.
_BLOCK_BYTES = {0: 0, 1: 12, 2: 36, 3: 216}


class Origin(Enum):
    """Who a connection is from."""

    CLIENT = "client"  # whom `Header.source` names
    BALANCER = "balancer"  # LOCAL: nobody's, such as a health check
    UNKNOWN = "unknown"  # a client's, and the balancer cannot say whose


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header: `size_bytes` of the input; what follows is the client's."""

    origin: Origin
    source: Address | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BadHeader:
    """These bytes begin no header."""

    reason: str


def parse(data: bytes) -> Header | BadHeader | None:
    """The header at the start of `data`; None where more must come, at most `MOST_BYTES` in all.

    An IPv4 address mapped into IPv6 is that IPv4 address. Bytes that cannot become a header are
    bad as soon as they are seen.
    """
    if data.startswith(_TEXT[: len(data)]):
        return _text(data)
    if data.startswith(_SIGNATURE[: len(data)]):
        return _binary(data)
    return BadHeader("neither PROXY nor the signature of version 2")


def _text(data: bytes) -> Header | BadHeader | None:
    head = data[:MOST_TEXT_BYTES]
    end = head.find(b"\r\n")
    line = head if end < 0 else head[:end]
    if b"\n" in line or b"\r" in (line[:-1] if end < 0 else line):
        return BadHeader("a CR or LF within the line")
    if end < 0:
        whole = len(data) >= MOST_TEXT_BYTES
        return BadHeader(f"no CRLF within {MOST_TEXT_BYTES} bytes") if whole else None
    size_bytes = end + 2
    protocol, *fields = line[len(_TEXT) :].split(b" ")
    if protocol == b"UNKNOWN":  # whatever follows it counts for nothing
        return Header(Origin.UNKNOWN, None, size_bytes)
    source = _announced(protocol, fields)
    if source is None:
        return BadHeader("no TCP4 or TCP6 with two addresses and two ports")
    return Header(Origin.CLIENT, source, size_bytes)


def _announced(protocol: bytes, fields: list[bytes]) -> Address | None:
    """The source address of `TCP4 source destination port port`."""
    kind = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}.get(protocol)
    if kind is None or len(fields) != 4 or not all(map(_is_port, fields[2:])):
        return None
    try:
        source, destination = (field.decode("ascii") for field in fields[:2])
        if "%" in source + destination:  # a zone means something on the balancer only
            return None
        kind(destination)
        return peer_address(str(kind(source)))
    except ValueError:
        return None


def _is_port(field: bytes) -> bool:
    leading_zero = len(field) > 1 and field.startswith(b"0")
    return field.isdigit() and len(field) <= 5 and int(field) <= 65_535 and not leading_zero


def _binary(data: bytes) -> Header | BadHeader | None:
    if len(data) > len(_SIGNATURE):
        version, command = divmod(data[len(_SIGNATURE)], 16)
        if version != _VERSION or command > 1:
            return BadHeader("another version or command")
    if len(data) < _FIXED_BYTES:
        return None
    block_bytes = int.from_bytes(data[14:16], "big")
    size_bytes = _FIXED_BYTES + block_bytes
    if size_bytes > MOST_BYTES:
        return BadHeader(f"longer than {MOST_BYTES} bytes")
    if command == 0:
        # The family, its length too, means nothing then.
        return Header(Origin.BALANCER, None, size_bytes) if len(data) >= size_bytes else None
    family, protocol = divmod(data[13], 16)
    if family not in _BLOCK_BYTES or protocol not in _KNOWN_PROTOCOLS:
        return BadHeader("an unspecified family or protocol")
    if block_bytes < _BLOCK_BYTES[family]:
        return BadHeader("shorter than its addresses")
    if len(data) < size_bytes:
        return None
    if protocol != _STREAM or family not in (1, 2):
        return Header(Origin.UNKNOWN, None, size_bytes)
    width = 4 if family == 1 else 16
    packed = data[_FIXED_BYTES : _FIXED_BYTES + width]
    address = IPv4Address(packed) if family == 1 else IPv6Address(packed)
    return Header(Origin.CLIENT, peer_address(str(address)), size_bytes)
