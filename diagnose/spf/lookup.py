"""Questions to the name server, with what has no answer told apart from what went wrong."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from diagnose.resolver import Resolver
from diagnose.spf.macro import Address
from diagnose.spf.names import is_askable


class LookupFailed(Exception):
    """The name server did not answer, or refused: temperror. `reason` is the error's class."""

    def __init__(self, name: str, rdtype: str, reason: str) -> None:
        super().__init__(f"{rdtype} {name}: {reason}")
        self.name = name
        self.rdtype = rdtype
        self.reason = reason


async def lookup(resolver: Resolver, name: str, rdtype: str) -> tuple[Any, ...] | None:
    """The records; () where the name has none of this type, None where the name does not exist.

    A name that no query can be made of does not exist. Raises LookupFailed.
    """
    import dns.exception
    import dns.resolver

    if not is_askable(name):
        return None
    try:
        return tuple(await resolver.resolve(name, rdtype))
    except dns.resolver.NXDOMAIN:
        return None
    except dns.resolver.NoAnswer:
        return ()
    except dns.exception.DNSException as error:
        raise LookupFailed(name, rdtype, type(error).__name__) from error


async def texts(resolver: Resolver, name: str) -> tuple[str, ...] | None:
    """The TXT records, their strings joined (RFC 7208 section 3.3), a character an octet."""
    records = await lookup(resolver, name, "TXT")
    if records is None:
        return None
    return tuple(b"".join(record.strings).decode("latin-1") for record in records)


async def addresses(resolver: Resolver, name: str, version: int) -> tuple[Address, ...]:
    """The A (version 4) or AAAA (version 6) records."""
    records = await lookup(resolver, name, "A" if version == 4 else "AAAA") or ()
    return tuple(ip_address(record.address) for record in records)


async def hosts(resolver: Resolver, name: str) -> tuple[str, ...]:
    """The hosts of the MX records, the best first; a null MX (RFC 7505) is none."""
    records = await lookup(resolver, name, "MX") or ()
    ordered = sorted(records, key=lambda record: record.preference)
    names = (str(record.exchange).removesuffix(".") for record in ordered)
    return tuple(name for name in names if name)


async def pointers(resolver: Resolver, name: str) -> tuple[str, ...]:
    """The targets of the PTR records, in the order of the answer."""
    records = await lookup(resolver, name, "PTR") or ()
    return tuple(str(record.target).removesuffix(".") for record in records)


def plain_address(ip: str | Address) -> Address:
    """`ip` as an address; an IPv4-mapped one as IPv4 (RFC 7208 section 5). Raises ValueError."""
    address = ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address if isinstance(address, IPv4Address) else IPv6Address(int(address))
