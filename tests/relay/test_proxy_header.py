"""The PROXY protocol's header: every form of the specification, and every form that is none."""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.intake.proxy_header import (
    MOST_BYTES,
    MOST_TEXT_BYTES,
    BadHeader,
    Header,
    Origin,
    parse,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
KASSA = IPv4Address("192.168.1.20")
KASSA_6 = IPv6Address("fd00::20")


def binary(
    command: int = 1, kind: int = 0x11, block: bytes | None = None, size: int | None = None
) -> bytes:
    """A header of version 2, by default of a connection from KASSA."""
    if block is None:
        block = KASSA.packed + IPv4Address("10.0.0.1").packed + struct.pack("!HH", 4000, 25)
    length = len(block) if size is None else size
    return SIGNATURE + bytes((0x20 | command, kind)) + length.to_bytes(2, "big") + block


def block_6(source: str) -> bytes:
    return IPv6Address(source).packed + KASSA_6.packed + struct.pack("!HH", 4000, 25)


WHOLE = {
    "v1 IPv4": (b"PROXY TCP4 192.168.1.20 10.0.0.1 4000 25\r\n", Origin.CLIENT, KASSA),
    "v1 IPv6": (b"PROXY TCP6 fd00::20 fd00::1 65535 0\r\n", Origin.CLIENT, KASSA_6),
    "v1 mapped": (b"PROXY TCP6 ::ffff:192.168.1.20 ::1 1 2\r\n", Origin.CLIENT, KASSA),
    "v1 mapped, in hexadecimal": (
        b"PROXY TCP6 ::FFFF:C0A8:114 ::1 1 2\r\n",
        Origin.CLIENT,
        KASSA,
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", Origin.UNKNOWN, None),
    "v1 unknown, with what counts for nothing": (
        b"PROXY UNKNOWN 192.168.1.20 \xff\r\n",
        Origin.UNKNOWN,
        None,
    ),
    "v1 the longest": (
        b"PROXY UNKNOWN" + b" " + b"f" * (MOST_TEXT_BYTES - 16) + b"\r\n",
        Origin.UNKNOWN,
        None,
    ),
    "v2 IPv4": (binary(), Origin.CLIENT, KASSA),
    "v2 IPv6": (binary(kind=0x21, block=block_6("fd00::20")), Origin.CLIENT, KASSA_6),
    "v2 mapped": (
        binary(kind=0x21, block=block_6("::ffff:192.168.1.20")),
        Origin.CLIENT,
        KASSA,
    ),
    "v2 with TLVs": (
        binary(block=binary()[16:] + b"\x04\0\x03abc\x03\0\x04\0\0\0\0"),
        Origin.CLIENT,
        KASSA,
    ),
    "v2 with what is no TLV": (binary(block=binary()[16:] + b"\x01"), Origin.CLIENT, KASSA),
    "v2 the longest": (
        binary(block=binary()[16:] + bytes(MOST_BYTES - 28)),
        Origin.CLIENT,
        KASSA,
    ),
    "v2 local": (binary(command=0, kind=0, block=b""), Origin.BALANCER, None),
    "v2 local, with addresses": (binary(command=0), Origin.BALANCER, None),
    "v2 local, of a family that is none": (
        binary(command=0, kind=0xFF, block=b"abc"),
        Origin.BALANCER,
        None,
    ),
    "v2 unspecified": (binary(kind=0, block=b""), Origin.UNKNOWN, None),
    "v2 unspecified family": (binary(kind=0x01), Origin.UNKNOWN, None),
    "v2 unspecified protocol": (binary(kind=0x10), Origin.UNKNOWN, None),
    "v2 UDP": (binary(kind=0x12), Origin.UNKNOWN, None),
    "v2 a Unix socket": (binary(kind=0x31, block=bytes(216)), Origin.UNKNOWN, None),
}

BAD = {
    "EHLO": b"EHLO kassa\r\n",
    "TLS": b"\x16\x03\x01\0\xc8",
    "HTTP": b"GET / HTTP/1.0\r\n",
    "lower case": b"proxy TCP4 192.168.1.20 10.0.0.1 4000 25\r\n",
    "a blank in front": b" PROXY TCP4 192.168.1.20 10.0.0.1 4000 25\r\n",
    "two blanks": b"PROXY  TCP4 192.168.1.20 10.0.0.1 4000 25\r\n",
    "two blanks within": b"PROXY TCP4 192.168.1.20  10.0.0.1 4000 25\r\n",
    "a blank at the end": b"PROXY TCP4 192.168.1.20 10.0.0.1 4000 25 \r\n",
    "no port": b"PROXY TCP4 192.168.1.20 10.0.0.1 4000\r\n",
    "nothing": b"PROXY \r\n",
    "no protocol": b"PROXY 192.168.1.20 10.0.0.1 4000 25\r\n",
    "another protocol": b"PROXY UDP4 192.168.1.20 10.0.0.1 4000 25\r\n",
    "UNKNOWNS": b"PROXY UNKNOWNS\r\n",
    "an IPv6 address as IPv4": b"PROXY TCP4 fd00::20 fd00::1 4000 25\r\n",
    "an IPv4 address as IPv6": b"PROXY TCP6 192.168.1.20 10.0.0.1 4000 25\r\n",
    "two families": b"PROXY TCP4 192.168.1.20 fd00::1 4000 25\r\n",
    "a leading zero": b"PROXY TCP4 192.168.01.20 10.0.0.1 4000 25\r\n",
    "three numbers": b"PROXY TCP4 192.168.20 10.0.0.1 4000 25\r\n",
    "a network": b"PROXY TCP4 192.168.1.0/24 10.0.0.1 4000 25\r\n",
    "a name": b"PROXY TCP4 kassa 10.0.0.1 4000 25\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 fe80::2 4000 25\r\n",
    "other digits": "PROXY TCP4 ١٩٢.168.1.20 10.0.0.1 4000 25\r\n".encode(),
    "a port with a zero": b"PROXY TCP4 192.168.1.20 10.0.0.1 04000 25\r\n",
    "a port too high": b"PROXY TCP4 192.168.1.20 10.0.0.1 65536 25\r\n",
    "a port below": b"PROXY TCP4 192.168.1.20 10.0.0.1 -1 25\r\n",
    "a bare LF": b"PROXY TCP4 192.168.1.20 10.0.0.1 4000 25\n",
    "a bare CR": b"PROXY UNKNOWN\rEHLO",
    "a bare CR and an end": b"PROXY UNKNOWN \r \r\n",
    "no end": b"PROXY UNKNOWN" + b" " * (MOST_TEXT_BYTES - 13),
    "an end one byte too late": b"PROXY UNKNOWN" + b" " * (MOST_TEXT_BYTES - 14) + b"\r\n",
    "version 1 in binary": SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
    "version 3": SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
    "another command": binary(command=2),
    "another family": binary(kind=0x41),
    "another protocol in binary": binary(kind=0x13),
    "IPv4 cut short": binary(block=bytes(11)),
    "IPv6 cut short": binary(kind=0x21, block=bytes(35)),
    "a path cut short": binary(kind=0x31, block=bytes(215)),
    "too long": binary(block=bytes(MOST_BYTES - 15)),
    "as long as can be written": binary(size=65_535),
    "local, too long": binary(command=0, size=65_535),
    "a signature that is not": SIGNATURE[:-1] + b"\r\x21",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_header_tells_whose_connection_it_is(name: str) -> None:
    data, origin, source = WHOLE[name]
    wanted = Header(origin, source, len(data))
    assert parse(data) == parse(data + b"EHLO kassa\r\n") == wanted
    for size in range(len(data)):
        assert parse(data[:size]) is None, size


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_bad_and_stays_so(name: str) -> None:
    assert isinstance(parse(BAD[name]), BadHeader)
    assert isinstance(parse(BAD[name] + b"\r\nPROXY UNKNOWN\r\n"), BadHeader)


def test_bytes_that_can_begin_no_header_are_bad_at_once() -> None:
    assert isinstance(parse(b"E"), BadHeader)
    assert isinstance(parse(b"PROXY\r"), BadHeader)
    assert isinstance(parse(b"\r\nQ"), BadHeader)
    assert isinstance(parse(SIGNATURE + b"\x31"), BadHeader)


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
PORTS = st.integers(0, 65_535)


@given(ADDRESSES, PORTS, st.binary(max_size=60))
def test_every_address_comes_through_in_both_versions(
    source: IPv4Address | IPv6Address, port: int, rest: bytes
) -> None:
    old = f"PROXY TCP{source.version} {source} {source} {port} {port}\r\n".encode()
    block = source.packed * 2 + struct.pack("!HH", port, port)
    new = binary(kind=0x11 if source.version == 4 else 0x21, block=block)
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    for data in (old, new):
        assert parse(data + rest) == Header(Origin.CLIENT, mapped or source, len(data))


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                *(data for data, _, _ in WHOLE.values()),
                *BAD.values(),
                b"PROXY ",
                b"TCP4 ",
                b"TCP6 ",
                b"UNKNOWN",
                b"1.2.3.4 ",
                b"::1 ",
                b"25",
                b" ",
                b"\r",
                b"\n",
                b"\r\n",
                SIGNATURE,
                b"\x21\x11",
                b"\x20\0",
                b"\0\x0c",
            ]
        ),
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.integers(0, 5000))
def test_any_bytes_have_one_answer_however_they_are_cut(data: bytes, cut: int) -> None:
    answer, early = parse(data), parse(data[:cut])
    if early is not None:  # what was decided stays so when more comes
        assert type(early) is type(answer)
        assert isinstance(early, BadHeader) or early == answer
    if answer is None:
        assert len(data) < MOST_BYTES
        assert data.startswith(SIGNATURE) or len(data) < MOST_TEXT_BYTES
    if isinstance(answer, Header):
        assert 0 < answer.size_bytes <= min(len(data), MOST_BYTES)
        assert parse(data[: answer.size_bytes]) == answer
        assert (answer.source is None) == (answer.origin is not Origin.CLIENT)
        assert answer.source is None or str(ip_address(str(answer.source))) == str(answer.source)
