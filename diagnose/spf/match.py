"""The mechanisms that ask the name server: a, mx, ptr, exists (RFC 7208 section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.resolver import Resolver
from diagnose.spf import lookup
from diagnose.spf.lookup import LookupFailed
from diagnose.spf.macro import Address, reverse_name
from diagnose.spf.names import same_or_below
from diagnose.spf.term import Kind, Mechanism

MOST_NAMES = 10  # of one mx or ptr term (section 4.6.4)


class TooManyHosts(Exception):
    """An mx term leads to more than 10 hosts: permerror."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a term matched. `void`: its lookups found nothing, which counts once a term."""

    matched: bool
    found: tuple[str, ...]
    void: bool = False


async def ask(resolver: Resolver, term: Mechanism, target: str, ip: Address) -> Answer:
    """Whether `term`, its domain expanded to `target`, matches `ip`.

    Raises LookupFailed and TooManyHosts.
    """
    if term.kind is Kind.EXISTS:
        found = await lookup.addresses(resolver, target, 4)
        return Answer(bool(found), tuple(map(str, found)), void=not found)
    if term.kind is Kind.PTR:
        return await _pointers(resolver, target, ip)
    hosts: tuple[str, ...] = (target,)
    if term.kind is Kind.MX:
        hosts = await lookup.hosts(resolver, target)
        if len(hosts) > MOST_NAMES:
            raise TooManyHosts
    shift = 32 - term.prefix4 if ip.version == 4 else 128 - term.prefix6
    seen: list[str] = []
    for host in hosts:
        for address in await lookup.addresses(resolver, host, ip.version):
            seen.append(str(address))
            if int(address) >> shift == int(ip) >> shift:
                return Answer(True, (str(address),))
    return Answer(False, tuple(seen), void=not seen)


async def best_name(resolver: Resolver, ip: Address, domain: str) -> str:
    """The validated name of `ip` for %{p}: the domain itself, a name below it, any (7.3)."""
    try:
        names = await _validated(resolver, ip, await lookup.pointers(resolver, reverse_name(ip)))
    except LookupFailed:
        names = ()
    exact = [name for name in names if name.lower() == domain.lower()]
    below = [name for name in names if same_or_below(name, domain)]
    return next(iter((*exact, *below, *names)), "unknown")


async def _pointers(resolver: Resolver, target: str, ip: Address) -> Answer:
    try:
        names = await lookup.pointers(resolver, reverse_name(ip))
    except LookupFailed:  # section 5.5: then the mechanism does not match
        return Answer(False, ())
    valid = await _validated(resolver, ip, names)
    return Answer(any(same_or_below(name, target) for name in valid), valid, void=not names)


async def _validated(resolver: Resolver, ip: Address, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the first 10 names that lead back to `ip`; what cannot be looked up is skipped."""
    valid = []
    for name in names[:MOST_NAMES]:
        try:
            if ip in await lookup.addresses(resolver, name, ip.version):
                valid.append(name)
        except LookupFailed:
            continue
    return tuple(valid)
