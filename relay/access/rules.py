"""Which client an address is: the longest prefix among the file's networks and adopted devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from relay.access.address import Address, Network
from relay.config.model import Client

LOCAL_NETWORKS = tuple(map(ip_network, ("127.0.0.1/32", "::1/128")))

# IP version and prefix length -> the network's number -> who it is
_Level = tuple[int, dict[int, tuple[Network, Client]]]


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The machines that may send. Immutable: reload and adoption build new rules.

    `match` costs one dictionary look-up for each prefix length in use, however many networks
    there are.
    """

    _levels: Mapping[int, tuple[_Level, ...]]

    @classmethod
    def build(cls, clients: tuple[Client, ...], adopted: Mapping[Address, str]) -> AccessRules:
        """Rules from the file's clients and the devices adopted in the spool, by address.

        Without any client in the file only 127.0.0.1 and ::1, as the client "local", and what
        was adopted. An adopted device that the file lists as a single address follows the file.
        An adopted device with the name of a client gets that client's settings.
        """
        by_name = {client.name: client for client in clients}
        table: dict[Network, Client] = {}
        for address, name in adopted.items():
            network = ip_network(address)
            table[network] = by_name.get(name) or Client(name, (network,))
        for client in clients or (Client("local", LOCAL_NETWORKS),):
            table.update((network, client) for network in client.networks)
        return cls({4: _levels(4, table), 6: _levels(6, table)})

    def match(self, address: Address) -> Client | None:
        """The client that `address` (see `peer_address`) belongs to, None if it is not listed."""
        found = self._find(address)
        return found[1] if found else None

    def explain(self, address: Address) -> Network | None:
        """The network by which `match` decides, None if no network has the address."""
        found = self._find(address)
        return found[0] if found else None

    def _find(self, address: Address) -> tuple[Network, Client] | None:
        number = int(address)
        for shift, networks in self._levels[address.version]:
            if (found := networks.get(number >> shift)) is not None:
                return found
        return None


def _levels(version: int, table: Mapping[Network, Client]) -> tuple[_Level, ...]:
    """One level for each prefix length, the longest first."""
    levels: dict[int, dict[int, tuple[Network, Client]]] = {}
    for network, client in table.items():
        if network.version == version:
            shift = network.max_prefixlen - network.prefixlen
            number = int(network.network_address) >> shift
            levels.setdefault(shift, {})[number] = (network, client)
    return tuple(sorted(levels.items(), key=lambda level: level[0]))
