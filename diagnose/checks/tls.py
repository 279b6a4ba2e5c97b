"""`diagnose tls`: whether the relay's connection to a mail server is encrypted and trusted."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from diagnose.addresses import look_up
from diagnose.checks.attempt import Place
from diagnose.checks.chain import as_utc
from diagnose.checks.tls_contexts import judging_context
from diagnose.checks.tls_probe import Door, Note, Seen, Stop, first_look, open_place, shake
from diagnose.checks.tls_verdict import OLD_PROTOCOLS, Judged, chain_complete, notes
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.network import Broken
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.target import Target
from diagnose.wording import finding, say
from relay.clock import utc_now

USUAL_PORTS = (587, 465, 25)
"""Tried where neither a port nor a preset is given, the best first."""

MOST_ADDRESSES = 4


@dataclass(slots=True)
class _Result:
    """What has been seen so far; what a stop leaves behind is shown too."""

    content: Document = field(
        default_factory=lambda: {
            "protocol": None,
            "cipher": None,
            "chain": [],
            "chain_complete": None,
            "days_left": None,
            "verified": False,
        }
    )
    where: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


async def examine_tls(
    target: Target, circumstances: Circumstances, now: Callable[[], datetime] = utc_now
) -> Examination:
    """Two handshakes, a connection each: one that sees everything, one that judges as the relay
    does. Raises OSError: `--ca-file` cannot be read."""
    judging_context(circumstances.ca_file)
    result = _Result(where={"host": target.host, "port": target.port, "target": target.text})

    async def check() -> list[Finding]:
        try:
            await _examine(target, circumstances, now, result)
        except Stop as stop:
            result.notes.append(stop.note)
        return []

    name = f"{target.host}:{target.port}" if target.port else target.host
    unfinished = await run_checks([Check(f"TLS {name}", check)], circumstances)
    findings = [*target.warnings, *_worded(result, circumstances), *unfinished]
    shown = _tables(result, circumstances)
    return Examination("tls", target.text, findings, result.content, *shown)


async def _examine(
    target: Target, circumstances: Circumstances, now: Callable[[], datetime], result: _Result
) -> None:
    seconds = circumstances.timeout_seconds
    lookup = await look_up(target.host, circumstances)
    if lookup.problem is not None:
        severity = Severity.UNKNOWN if lookup.problem == "dns-failed" else Severity.ERROR
        raise Stop(Note(lookup.problem, severity, {"error": lookup.detail}))
    addresses = lookup.addresses[:MOST_ADDRESSES]
    place, address = await open_place(_places(target), addresses, seconds)
    result.where |= {"port": place.port, "address": address.text}
    door, seen = await first_look(place, address, seconds, result.notes)
    result.where["mode"] = "TLS" if door.implicit else "STARTTLS"
    result.content |= {
        "protocol": seen.protocol,
        "cipher": seen.cipher,
        "chain": [each.document() for each in seen.chain],
    }
    if not seen.chain:
        raise Stop(Note("no-certificate", Severity.ERROR))
    result.content["days_left"] = seen.chain[0].days_left(now())
    await _judge(door, seen, circumstances, now(), result)


async def _judge(
    door: Door, seen: Seen, circumstances: Circumstances, now: datetime, result: _Result
) -> None:
    old = seen.protocol in OLD_PROTOCOLS
    context = judging_context(circumstances.ca_file, old_protocol=old)
    judged = await _verify(door, context, circumstances.timeout_seconds)
    result.content["chain_complete"] = chain_complete(seen, judged)
    result.content["verified"] = judged.code is None
    found = list(notes(seen, judged, door.place.host, context, now))
    result.notes += found
    if judged.code is None and not old:
        when = as_utc(seen.chain[0].not_after)
        about = {"protocol": seen.protocol, "issuer": seen.chain[0].issuer, "not_after": when}
        steps = {"milliseconds": seen.milliseconds}
        result.notes.append(Note("trusted", Severity.OK, {**about, **steps}))
    if circumstances.ca_file is not None:
        about = {"file": str(circumstances.ca_file)}
        result.notes.append(Note("own-authorities", Severity.INFO, about))


async def _verify(door: Door, context: ssl.SSLContext, seconds: float) -> Judged:
    """The second handshake. Raises Stop: something else than the certificate came in between."""
    try:
        line = await shake(door, context, seconds)
    except Broken as broken:
        if broken.verify_code is not None:
            return Judged(broken.verify_code, str(broken))
        if broken.kind == "tls":  # agreed a moment ago, with a context that allows weak ciphers
            raise Stop(Note("weak-only", Severity.ERROR, {"error": str(broken)})) from broken
        raise Stop(Note("not-verified", Severity.UNKNOWN, {"error": str(broken)})) from broken
    except Stop as stop:
        raise Stop(Note("not-verified", Severity.UNKNOWN, {"error": stop.note.id})) from stop
    await line.quit()
    return Judged(None)


def _places(target: Target) -> list[Place]:
    if target.port is not None:
        return [Place(target.host, target.port, target.tls(target.host, target.port), True)]
    if target.named:
        best = target.endpoints[0]
        return [Place(best.host, best.port, best.tls, True)]
    return [Place(target.host, port, target.tls(target.host, port)) for port in USUAL_PORTS]


def _worded(result: _Result, circumstances: Circumstances) -> Iterable[Finding]:
    return [
        finding(
            f"tls/{note.id}",
            note.severity,
            circumstances.language,
            **{**result.where, **note.evidence},
        )
        for note in result.notes
    ]


def _tables(result: _Result, circumstances: Circumstances) -> tuple[tuple[Table, ...], list[str]]:
    language = circumstances.language
    lines = []
    if result.content["protocol"]:
        about = {**result.where, **result.content}
        lines.append(say("tls/connection", language, **about))
    rows = [
        (each["subject"], each["issuer"], each["not_after"][:10], ", ".join(each["names"])[:80])
        for each in result.content["chain"]
    ]
    headings = tuple(say("tls/headings", language).split("|"))
    return ((Table(headings, rows),) if rows else ()), lines
