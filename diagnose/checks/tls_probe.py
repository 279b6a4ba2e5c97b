"""The way to a TLS connection with a mail server, and what shows on the way."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from diagnose.addresses import Address
from diagnose.checks.antivirus import masks_banner, masks_capabilities
from diagnose.checks.attempt import UNKNOWN_PORT_WAIT_SECONDS, Place
from diagnose.checks.chain import Certificate, read_certificate, sent_chain
from diagnose.checks.greeting import service
from diagnose.finding import Severity
from diagnose.network import Broken, Heard, Line


@dataclass(frozen=True, slots=True)
class Note:
    """A finding to be: the id of its text, how bad, and what fills the text."""

    id: str
    severity: Severity
    evidence: dict[str, Any] = field(default_factory=dict)


class Stop(Exception):
    """There is nothing more to see, for the reason in `note`."""

    def __init__(self, note: Note) -> None:
        super().__init__(note.id)
        self.note = note


@dataclass(frozen=True, slots=True)
class Door:
    """An address and port that answered, and how TLS begins there. `patience_seconds`: for the
    greeting alone, where it is less than for every step."""

    place: Place
    address: Address
    implicit: bool
    patience_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a handshake that trusts everybody showed."""

    protocol: str
    cipher: str
    chain: tuple[Certificate, ...]
    milliseconds: dict[str, int]


async def open_place(
    places: Sequence[Place], addresses: Sequence[Address], seconds: float
) -> tuple[Place, Address]:
    """The first place, by its first address, that takes a connection. All are dialled at once;
    a single one is not dialled yet.

    Raises Stop: none does.
    """

    async def answers(place: Place, address: Address) -> Broken | None:
        try:
            (await Line.dial(address, place.port, seconds)).close()
        except Broken as broken:
            return broken
        return None

    pairs = [(place, address) for place in places for address in addresses]
    if len(pairs) == 1:
        return pairs[0]
    found = await asyncio.gather(*(answers(*pair) for pair in pairs))
    for pair, broken in zip(pairs, found, strict=True):
        if broken is None:
            return pair
    worst = next(iter(found))
    what = {"error": str(worst), "ports": ", ".join(str(place.port) for place in places)}
    raise Stop(Note("not-reached", Severity.UNKNOWN, what))


async def first_look(
    place: Place, address: Address, seconds: float, notes: list[Note]
) -> tuple[Door, Seen]:
    """How TLS begins at this place, by trying the likelier way first, and what it shows.

    The server speaks first, unless its port is one of implicit TLS. `notes` gets what is not as
    expected. Raises Stop.
    """
    at_once, in_clear = Door(place, address, True), Door(place, address, False)
    if place.implicit:
        try:
            return at_once, await look(at_once, seconds, notes)
        except Broken as broken:
            if broken.kind != "plain":
                raise Stop(_handshake_note(broken)) from broken
        notes.append(Note("plain-on-implicit-port", Severity.ERROR))
        return in_clear, await _look_surely(in_clear, seconds, notes)
    patience = None if place.known else min(seconds, UNKNOWN_PORT_WAIT_SECONDS)
    try:
        first = replace(in_clear, patience_seconds=patience)
        return in_clear, await _look_surely(first, seconds, notes)
    except Stop as stop:
        if stop.note.id != "no-greeting":
            raise
        silent = stop
    try:
        seen = await look(at_once, seconds, notes)
    except Broken as broken:
        if broken.kind == "plain":  # it only took its time
            return in_clear, await _look_surely(in_clear, seconds, notes)
        raise silent from broken
    if place.known:
        notes.append(Note("implicit-on-starttls-port", Severity.ERROR))
    return at_once, seen


async def _look_surely(door: Door, seconds: float, notes: list[Note]) -> Seen:
    try:
        return await look(door, seconds, notes)
    except Broken as broken:
        raise Stop(_handshake_note(broken)) from broken


async def shake(door: Door, context: ssl.SSLContext, seconds: float) -> Line:
    """A connection on which TLS has begun.

    Raises Stop: it does not get as far as TLS; Broken: the handshake itself fails.
    """
    line = await _dial(door.place, door.address, seconds)
    try:
        if not door.implicit:
            await _starttls(line, door)
        await line.handshake(context, door.place.host)
    except BaseException:
        line.close()
        raise
    return line


async def look(door: Door, seconds: float, notes: list[Note]) -> Seen:
    """What the server shows to one who trusts everybody. Raises Stop and Broken, as `shake`."""
    line = await shake(door, _seeing(), seconds)
    tls = line.tls
    assert tls is not None
    try:
        if line.surplus:
            # RFC 3207 section 5: somebody else put it between the reply and TLS.
            notes.append(Note("injected", Severity.ERROR))
        if door.implicit:
            await _greeting_over_tls(line, notes)
        chain = tuple(map(read_certificate, sent_chain(tls)))
    except ValueError as error:
        note = Note("certificate-unreadable", Severity.ERROR, {"error": str(error)})
        raise Stop(note) from error
    finally:
        await line.quit()
    cipher = tls.cipher()
    return Seen(tls.version() or "", cipher[0] if cipher else "", chain, line.milliseconds)


async def _greeting_over_tls(line: Line, notes: list[Note]) -> None:
    with suppress(Broken):  # whatever it says, its certificate can be judged
        greeting = await line.reply("greeting")
        if service(greeting) != "smtp":
            notes.append(Note("not-smtp", Severity.ERROR, {"banner": greeting.text}))
        elif not 200 <= greeting.code < 300:
            notes.append(Note("refused", Severity.ERROR, {"reply": greeting.text}))


async def _starttls(line: Line, door: Door) -> None:
    """Greeting, EHLO and STARTTLS. Raises Stop where the server does not go along."""
    try:
        greeting = await line.reply("greeting", door.patience_seconds)
    except Broken as broken:
        silent = broken.kind in ("timeout", "closed") and not broken.heard
        raise Stop(
            Note("no-greeting", Severity.UNKNOWN) if silent else _clear_note(broken)
        ) from broken
    try:
        if service(greeting) != "smtp":
            raise Stop(Note("not-smtp", Severity.ERROR, {"banner": greeting.text}))
        if not 200 <= greeting.code < 300:
            raise Stop(Note("refused", Severity.ERROR, {"reply": greeting.text}))
        hello = await line.hello()
        capabilities = [each.upper() for each in hello.lines[1:]]
        if "STARTTLS" not in capabilities:
            raise Stop(_not_offered(door.place, greeting, hello))
        answer = await line.command("STARTTLS")
    except Broken as broken:
        raise Stop(_clear_note(broken)) from broken
    if answer.code != 220:
        raise Stop(Note("starttls-refused", Severity.ERROR, {"reply": answer.text}))


def _not_offered(place: Place, greeting: Heard, hello: Heard) -> Note:
    offered = list(hello.lines[1:])
    evidence: dict[str, Any] = {"offered": ", ".join(offered), "banner": greeting.text}
    if masks_capabilities(offered) or masks_banner(greeting.text):
        return Note("starttls-overwritten", Severity.ERROR, evidence)
    if place.tls == "starttls":
        return Note("starttls-stripped", Severity.ERROR, evidence)
    if place.tls == "none":
        return Note("no-tls-here", Severity.WARNING, evidence)
    return Note("starttls-not-offered", Severity.ERROR, evidence)


def _clear_note(broken: Broken) -> Note:
    if broken.kind == "endless":
        return Note("endless", Severity.ERROR)
    return Note("broken-off", Severity.UNKNOWN, {"error": str(broken)})


def _handshake_note(broken: Broken) -> Note:
    evidence = {"error": str(broken)}
    if broken.kind == "timeout":
        return Note("handshake-stalls", Severity.UNKNOWN, evidence)
    if broken.kind == "closed":
        return Note("handshake-broken-off", Severity.ERROR, evidence)
    return Note("handshake-fails", Severity.ERROR, evidence)


async def _dial(place: Place, address: Address, seconds: float) -> Line:
    try:
        return await Line.dial(address, place.port, seconds)
    except Broken as broken:
        what = {"error": str(broken), "ports": str(place.port)}
        raise Stop(Note("not-reached", Severity.UNKNOWN, what)) from broken


def _seeing() -> ssl.SSLContext:
    from diagnose.checks.tls_contexts import seeing_context

    return seeing_context()
