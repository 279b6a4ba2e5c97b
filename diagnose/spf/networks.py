"""The networks that a record lets send: what a provider's include stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network

from diagnose.resolver import Resolver
from diagnose.spf import lookup
from diagnose.spf.lookup import LookupFailed
from diagnose.spf.macro import Address, MacroString
from diagnose.spf.names import ascii_name, is_domain
from diagnose.spf.record import Record, is_spf, parse
from diagnose.spf.term import Kind, Mechanism, Network, Qualifier, RecordError

MOST_RECORDS = 50
MOST_NETWORKS = 500


@dataclass(frozen=True, slots=True)
class Networks:
    """`networks` without repetitions; `gaps` the terms that could not be made networks.

    A gap is a text such as `exists:%{i}.example.net (example.org)`: a macro, ptr, a name that
    cannot be looked up, a record that is missing or wrong, or all that lies beyond the limits
    (50 records, 500 networks). `failed` says that a lookup failed and may succeed later.
    """

    networks: tuple[Network, ...]
    gaps: tuple[str, ...] = ()
    failed: bool = False


async def networks_of(domain: str, resolver: Resolver) -> Networks:
    """The networks that the record of `domain` gives pass, through include, redirect, a and mx."""
    walk = _Walk(resolver)
    await walk.record(ascii_name(domain), "")
    return Networks(tuple(walk.networks), tuple(walk.gaps), walk.failed)


def ends(network: Network) -> tuple[Address, ...]:
    """The first and the last address of a network; one where they are the same."""
    first, last = network[0], network[-1]
    return (first,) if first == last else (first, last)


@dataclass
class _Walk:
    resolver: Resolver
    networks: dict[Network, None] = field(default_factory=dict)
    gaps: dict[str, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    failed: bool = False

    async def record(self, domain: str, named_by: str) -> None:
        if domain.lower() in self.seen:
            return
        self.seen.add(domain.lower())
        if len(self.seen) > MOST_RECORDS or not is_domain(domain):
            self.gaps[named_by or domain] = None
            return
        record = await self._fetch(domain, named_by or domain)
        if record is None:
            return
        for term in record.mechanisms:
            if term.kind is Kind.ALL:
                return  # what stands behind it is never looked at
            if term.qualifier is Qualifier.PASS:
                await self._term(term, domain)
        if record.redirect is not None:
            await self._follow(record.redirect.value, domain, record.redirect.text)

    async def _fetch(self, domain: str, named_by: str) -> Record | None:
        """The one record of `domain`; what keeps it away becomes a gap."""
        try:
            found = await lookup.texts(self.resolver, domain)
            records = [text for text in found or () if is_spf(text)]
            if len(records) == 1:
                return parse(records[0])
            self.gaps[named_by] = None
        except LookupFailed as failure:
            self._fail(str(failure))
        except RecordError:
            self.gaps[named_by] = None
        return None

    async def _term(self, term: Mechanism, domain: str) -> None:
        place = f"{term.text} ({domain})"
        if term.network is not None:
            self._add(term.network, place)
        elif term.kind is Kind.INCLUDE and term.domain is not None:
            await self._follow(term.domain, domain, term.text)
        elif term.kind in (Kind.A, Kind.MX):
            await self._hosts(term, domain, place)
        else:
            self.gaps[place] = None

    async def _follow(self, spec: MacroString, domain: str, text: str) -> None:
        target = _plain(spec)
        if target is None:
            self.gaps[f"{text} ({domain})"] = None
        else:
            await self.record(target, f"{text} ({domain})")

    async def _hosts(self, term: Mechanism, domain: str, place: str) -> None:
        target = domain if term.domain is None else _plain(term.domain)
        if target is None:
            self.gaps[place] = None
            return
        try:
            hosts: tuple[str, ...] = (target,)
            if term.kind is Kind.MX:
                hosts = (await lookup.hosts(self.resolver, target))[:10]
            for host in hosts:
                for version, prefix in ((4, term.prefix4), (6, term.prefix6)):
                    for address in await lookup.addresses(self.resolver, host, version):
                        self._add(ip_network((address, prefix), strict=False), place)
        except LookupFailed as failure:
            self._fail(str(failure))

    def _add(self, network: Network, place: str) -> None:
        if len(self.networks) < MOST_NETWORKS:
            self.networks[network] = None
        else:
            self.gaps[place] = None

    def _fail(self, what: str) -> None:
        self.failed = True
        self.gaps[what] = None


def _plain(spec: MacroString) -> str | None:
    """The name, if it is the same for every mail."""
    if any(not isinstance(part, str) for part in spec.parts):
        return None
    return "".join(map(str, spec.parts)).removesuffix(".")
