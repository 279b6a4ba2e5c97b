"""`diagnose connect`: which ports of a mail server can be reached from here, and what answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from diagnose.addresses import Address, Lookup, look_up
from diagnose.checks.attempt import Attempt, Place, attempt
from diagnose.checks.reach import judge
from diagnose.finding import Examination, Finding, Table
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.target import Target
from diagnose.wording import Language, say

SENDING_PORTS = (25, 465, 587, 2525)
"""Where servers take mail: between servers, submission over TLS (RFC 8314), submission
(RFC 6409), and the port that many providers open where 25 is closed."""

MOST_ADDRESSES = 2
"""Of each family; a large provider has dozens, all alike."""


async def examine_connect(target: Target, circumstances: Circumstances) -> Examination:
    """All attempts, and a finding for each thing that is wrong."""
    places = places_of(target)
    hosts = dict.fromkeys(place.host for place in places)
    circumstances.talk(f"... {', '.join(hosts)}")
    found = await asyncio.gather(*(look_up(host, circumstances) for host in hosts))
    lookups = dict(zip(hosts, found, strict=True))
    attempts = [failed for place in places if (failed := _unknown(place, lookups[place.host]))]
    unfinished = await _try_all(places, lookups, attempts, circumstances)
    order = {place: number for number, place in enumerate(places)}
    attempts.sort(key=lambda each: order[each.place])
    findings = [*target.warnings, *judge(target, attempts, circumstances), *unfinished]
    content = {"attempts": [each.document() for each in attempts]}
    shown = (_table(attempts, circumstances.language),)
    return Examination("connect", target.text, findings, content, shown)


def places_of(target: Target) -> list[Place]:
    """The ports to try: the one given; else a preset's own and the usual ones of its server."""
    if target.port is not None:
        tls = target.tls(target.host, target.port)
        return [Place(target.host, target.port, tls, promised=True)]
    ends = target.endpoints if target.named else ()
    own = [Place(end.host, end.port, end.tls, promised=True) for end in ends]
    taken = {(place.host, place.port) for place in own}
    usual = [
        Place(target.host, port, target.tls(target.host, port))
        for port in SENDING_PORTS
        if (target.host, port) not in taken
    ]
    return sorted({*own, *usual}, key=lambda each: (each.host != target.host, each.host, each.port))


def _unknown(place: Place, lookup: Lookup) -> Attempt | None:
    """The attempt that had no address to try."""
    if lookup.problem is None:
        return None
    return Attempt(place, None, "dns", lookup.problem, 0, evidence={"error": lookup.detail})


async def _try_all(
    places: Sequence[Place],
    lookups: dict[str, Lookup],
    attempts: list[Attempt],
    circumstances: Circumstances,
) -> list[Finding]:
    """Fills `attempts`; what could not be finished comes back as findings."""

    async def one(place: Place, address: Address) -> list[Finding]:
        attempts.append(await attempt(place, address, circumstances.timeout_seconds))
        return []

    checks = [
        Check(f"{place.host} {address.text} port {place.port}", partial(one, place, address))
        for place in places
        for address in _first(lookups[place.host].addresses)
    ]
    return await run_checks(checks, circumstances)


def _first(addresses: tuple[Address, ...]) -> list[Address]:
    of_family = {family: [each for each in addresses if each.family == family] for family in (4, 6)}
    return [each for some in of_family.values() for each in some[:MOST_ADDRESSES]]


def _table(attempts: Sequence[Attempt], language: Language) -> Table:
    headings = tuple(say("connect/headings", language).split("|"))
    rows = [
        (
            each.address.text if each.address else each.place.host,
            each.place.port,
            say(f"connect/outcome-{each.outcome}", language),
            each.milliseconds,
            (each.banner or "")[:60],
        )
        for each in attempts
    ]
    return Table(headings, rows)
