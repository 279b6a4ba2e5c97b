"""Whether each machine that sends for a domain is covered by its record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from diagnose.resolver import Resolver
from diagnose.spf.evaluate import check_host
from diagnose.spf.lookup import plain_address
from diagnose.spf.networks import ends, networks_of
from diagnose.spf.outcome import Evaluation, Result
from diagnose.spf.term import Network
from presets.catalog import UnknownPreset, catalog
from presets.model import Preset

ORDERNOW = "ordernow"
UNKNOWN: Final = "unknown"  # nobody knows which addresses send
NOT_NEEDED: Final = "not-needed"  # the provider's own domain stands in the envelope


@dataclass(frozen=True, slots=True)
class Senders:
    """What sends for a domain.

    `vias` are presets by any of their names, `ips` addresses, `smarthosts` the names of the
    relay's smarthosts with the preset's id, or the host, of each.
    """

    vias: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    smarthosts: Mapping[str, str] = field(default_factory=dict)
    ordernow: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """One sender as the document names it, with the addresses it sends from as far as known."""

    name: str
    preset: Preset | None = None
    networks: tuple[Network, ...] = ()

    @property
    def includes(self) -> tuple[str, ...]:
        return self.preset.spf.includes if self.preset and self.preset.spf else ()

    @property
    def seen_addresses(self) -> tuple[str, ...]:
        """Addresses merely seen: never to be put into a record."""
        return self.preset.spf.seen_addresses if self.preset and self.preset.spf else ()

    @property
    def terms(self) -> tuple[str, ...]:
        """What a record needs for it; empty where that is not known."""
        includes = (f"include:{name}" for name in self.includes)
        return (*includes, *map(term_of, self.networks))

    @property
    def needed(self) -> bool:
        """False where the provider sends with its own domain in the envelope."""
        spf = self.preset.spf if self.preset else None
        return spf is None or spf.needed is not False or bool(self.terms)


@dataclass(frozen=True, slots=True)
class Row:
    """How one source fares. `address` is the first that did not pass, else the first of all.

    `result` is an SPF result, "unknown" or "not-needed". `gaps` are the parts of its include
    that could not be made networks, `seen` the results of addresses merely seen.
    """

    source: Source
    result: str
    address: str | None = None
    evaluation: Evaluation | None = None
    total: int = 0
    covered: int = 0
    gaps: tuple[str, ...] = ()
    failed: bool = False
    seen: tuple[tuple[str, Result], ...] = ()

    @property
    def passes(self) -> bool:
        return self.result == Result.PASS

    def document(self) -> dict[str, Any]:
        return {
            "source": self.source.name,
            "address": self.address,
            "result": str(self.result),
            "term": self.evaluation.term if self.evaluation else None,
            "networks": {"total": self.total, "covered": self.covered},
        }


def sources_of(senders: Senders) -> tuple[Source, ...]:
    """The sources, each once. Raises UnknownPreset for a via, ValueError for an address."""
    found: dict[str, Source] = {}
    if senders.ordernow:
        found[ORDERNOW] = _of_preset(ORDERNOW, catalog().get(ORDERNOW))
    for via in senders.vias:
        preset = catalog().resolve(via).preset
        found[preset.id] = _of_preset(preset.id, preset)
    for name, preset_or_host in senders.smarthosts.items():
        found[f"smarthost:{name}"] = _of_smarthost(f"smarthost:{name}", preset_or_host)
    for ip in senders.ips:
        address = plain_address(ip)
        found[f"ip:{address}"] = Source(f"ip:{address}", networks=(ip_network(address),))
    return tuple(found.values())


async def cover(sources: Iterable[Source], domain: str, resolver: Resolver) -> list[Row]:
    """A row for each source, as the record of `domain` has it that `resolver` gives."""
    return [await _cover(source, domain, resolver) for source in sources]


def term_of(network: Network) -> str:
    """The mechanism for a network, without the length of a single address."""
    single = network.num_addresses == 1
    return f"ip{network.version}:{network.network_address if single else network}"


async def _cover(source: Source, domain: str, resolver: Resolver) -> Row:
    networks = dict.fromkeys(source.networks)
    gaps: list[str] = []
    failed = False
    for include in source.includes:
        found = await networks_of(include, resolver)
        networks.update(dict.fromkeys(found.networks))
        gaps += found.gaps
        failed = failed or found.failed
    if not networks:
        seen = [
            (address, (await check_host(address, domain, resolver=resolver)).result)
            for address in source.seen_addresses
        ]
        result = UNKNOWN if source.needed else NOT_NEEDED
        return Row(source, result, gaps=tuple(gaps), failed=failed, seen=tuple(seen))
    shown: tuple[str, Evaluation] | None = None
    covered = 0
    for network in networks:
        await asyncio.sleep(0)  # remembered answers never wait: a time limit must get its turn
        address, evaluation = await _worst_end(network, domain, resolver)
        passes = evaluation.result is Result.PASS
        covered += passes
        if shown is None or (not passes and shown[1].result is Result.PASS):
            shown = address, evaluation
    assert shown is not None  # there was a network
    address, evaluation = shown
    return Row(
        source,
        evaluation.result,
        address,
        evaluation,
        len(networks),
        covered,
        tuple(gaps),
        failed,
    )


async def _worst_end(network: Network, domain: str, resolver: Resolver) -> tuple[str, Evaluation]:
    """The first of the network's ends that does not pass, else its first address."""
    found = []
    for address in ends(network):
        evaluation = await check_host(address, domain, resolver=resolver)
        if evaluation.result is not Result.PASS:
            return str(address), evaluation
        found.append((str(address), evaluation))
    return found[0]


def _of_preset(name: str, preset: Preset) -> Source:
    networks = preset.spf.networks if preset.spf else ()
    return Source(name, preset, tuple(ip_network(network) for network in networks))


def _of_smarthost(name: str, preset_or_host: str) -> Source:
    try:
        return _of_preset(name, catalog().resolve(preset_or_host).preset)
    except UnknownPreset:
        return Source(name)
