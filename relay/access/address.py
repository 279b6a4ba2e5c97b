"""A peer's address in one notation, and which addresses count as an office's own."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Written out: `is_private` of the standard library calls 0.0.0.0/0 private on some 3.11
# releases, and counts documentation networks, which no office has.
PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",  # RFC 3927, link-local
        "::1/128",
        "fc00::/7",  # RFC 4193
        "fe80::/10",  # RFC 4291, link-local
    )
)

LARGEST_OPEN = {4: 24, 6: 56}
"""The shortest prefix, by version, that a public network may have without being asked twice."""


@lru_cache(maxsize=1024)
def peer_address(text: str) -> Address:
    """The address of a peer as the operating system or a PROXY header writes it.

    The scope of a link-local address (`%eth0`) is dropped and an IPv4 address mapped into IPv6
    (`::ffff:192.168.1.20`, RFC 4291 section 2.5.5.2) becomes the IPv4 address, so that one
    machine has one notation. Raises ValueError: no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def address_text(address: Address) -> str:
    """The address as the log, the spool and the Received field write it."""
    return str(address)


def plain_network(network: Network) -> Network:
    """A network as peers are matched: one of mapped IPv4 addresses becomes that IPv4 network."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def is_private_network(network: Network) -> bool:
    """True if the whole of the network is private, link-local or loopback."""
    return any(_within(network, private) for private in PRIVATE_NETWORKS)


def is_private(address: Address) -> bool:
    """True for a private (RFC 1918, RFC 4193), link-local or loopback address."""
    return any(address in private for private in PRIVATE_NETWORKS)


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
