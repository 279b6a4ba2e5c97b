"""Which client an address is, in every notation that an address has."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.access.address import is_private, is_private_network, peer_address, plain_network
from relay.access.rules import AccessRules
from relay.config.model import Client


def client(name: str, *networks: str) -> Client:
    return Client(name, tuple(map(ip_network, networks)))


def name_of(rules: AccessRules, address: str) -> str | None:
    found = rules.match(peer_address(address))
    return found.name if found else None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.20", "192.168.1.20"),
        ("::ffff:192.168.1.20", "192.168.1.20"),
        ("::FFFF:c0a8:114", "192.168.1.20"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:10.0.0.1%2", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_one_machine_has_one_notation(text: str, address: str) -> None:
    assert peer_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text", ["", "010.0.0.1", "10.1", "kassa", "1.2.3.4 ", "[::1]", "::ffff:1.2.3"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        peer_address(text)


def test_a_network_of_mapped_addresses_is_an_ipv4_network() -> None:
    assert plain_network(ip_network("::ffff:10.0.0.0/104")) == ip_network("10.0.0.0/8")
    for network in ("::/0", "2001:db8::/96", "::ffff:0:0/95", "10.0.0.0/8"):
        plain = ip_network(network, strict=False)
        assert plain_network(plain) == plain


@pytest.mark.parametrize(
    ("network", "private"),
    [
        ("192.168.1.0/24", True),
        ("fd00::/8", True),
        ("127.0.0.0/8", True),
        ("0.0.0.0/0", False),
        ("::/0", False),
        ("192.168.0.0/15", False),
        ("192.0.2.0/24", False),
        ("100.64.0.0/10", False),
        ("8.8.8.8/32", False),
    ],
)
def test_private_means_the_whole_of_the_network(network: str, private: bool) -> None:
    assert is_private_network(ip_network(network)) is private
    assert not private or is_private(ip_network(network)[0])


def test_without_a_client_only_this_machine_may_send() -> None:
    rules = AccessRules.build((), {})
    assert name_of(rules, "127.0.0.1") == "local"
    assert name_of(rules, "::1") == "local"
    assert name_of(rules, "::ffff:127.0.0.1") == "local"
    for address in ("127.0.0.2", "192.168.1.20", "::2", "::"):
        assert name_of(rules, address) is None
        assert rules.explain(peer_address(address)) is None


def test_as_soon_as_a_client_stands_there_only_what_is_listed() -> None:
    assert name_of(AccessRules.build((client("kassa", "192.168.1.20"),), {}), "127.0.0.1") is None
    assert name_of(AccessRules.build((client("nobody"),), {}), "127.0.0.1") is None


def test_the_longest_prefix_wins_whatever_the_order() -> None:
    clients = (
        client("all", "0.0.0.0/0", "::/0"),
        client("office", "192.168.1.0/24", "fd00::/64"),
        client("kassa", "192.168.1.20", "fd00::20"),
    )
    for order in (clients, clients[::-1]):
        rules = AccessRules.build(order, {})
        assert name_of(rules, "192.168.1.20") == "kassa"
        assert name_of(rules, "192.168.1.21") == "office"
        assert name_of(rules, "192.168.2.21") == "all"
        assert name_of(rules, "fd00::20") == "kassa"
        assert name_of(rules, "fd00::21") == "office"
        assert name_of(rules, "2001:db8::1") == "all"
        assert rules.explain(ip_address("192.168.1.21")) == ip_network("192.168.1.0/24")


def test_families_are_kept_apart() -> None:
    rules = AccessRules.build((client("six", "::/0"),), {})
    assert name_of(rules, "::ffff:10.0.0.1") is None
    assert name_of(rules, "::10.0.0.1") == "six"


def test_adopted_devices_stand_beside_the_file() -> None:
    scanner = ip_address("192.168.1.40")
    rules = AccessRules.build((), {scanner: "scanner"})
    assert name_of(rules, "192.168.1.40") == "scanner"
    assert name_of(rules, "127.0.0.1") == "local"

    office = client("office", "192.168.1.0/24")
    rules = AccessRules.build((office,), {scanner: "scanner", ip_address("::1"): "office"})
    assert name_of(rules, "192.168.1.40") == "scanner"
    assert rules.match(ip_address("::1")) is office

    listed = client("listed", "192.168.1.40")
    assert name_of(AccessRules.build((listed,), {scanner: "scanner"}), "192.168.1.40") == "listed"


addresses = st.integers(0, 2**10 - 1).map(lambda number: IPv4Address(0x0A000000 + number))
networks = st.tuples(addresses, st.integers(20, 32)).map(
    lambda pair: IPv4Network((pair[0], pair[1]), strict=False)
)


@given(st.lists(networks, max_size=30, unique=True), addresses)
def test_match_is_the_narrowest_network_that_holds_the_address(
    listed: list[IPv4Network], address: IPv4Address
) -> None:
    clients = tuple(Client(str(network), (network,)) for network in listed) or (Client("none", ()),)
    holding = [network for network in listed if address in network]
    rules = AccessRules.build(clients, {})
    expected = max(holding, key=lambda network: network.prefixlen, default=None)
    found = rules.match(address)
    assert rules.explain(address) == expected
    assert (found.name if found else None) == (str(expected) if expected else None)


def test_ipv6_addresses_are_matched_by_all_their_bits() -> None:
    rules = AccessRules.build((client("one", "fd00::1"),), {})
    assert rules.match(IPv6Address("fd00::1")) is not None
    assert rules.match(IPv6Address("fd01::1")) is None
