"""One attempt to reach a mail server: one address, one port, up to EHLO and a look at its TLS."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from diagnose.addresses import Address
from diagnose.checks.antivirus import masks_banner, masks_capabilities
from diagnose.checks.greeting import IMPLICIT_PORTS, greeted_name, same_owner, service
from diagnose.checks.tls_contexts import seeing_context
from diagnose.finding import Document
from diagnose.network import Broken, Heard, Line
from presets.model import Tls

UNKNOWN_PORT_WAIT_SECONDS = 3.0
"""How long a port of which nothing is known may keep silent before TLS is tried on it."""

STARTTLS_PORTS = frozenset({25, 587, 2525, 110, 143})
"""Ports where the server speaks first and TLS comes later."""

Outcome = Literal["open", "refused", "timeout", "unreachable", "dns", "intercepted", "not-smtp"]


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a host. `tls` is what a preset says of it; `promised`: the preset names it, or
    the user did."""

    host: str
    port: int
    tls: Tls | None = None
    promised: bool = False

    @property
    def known(self) -> bool:
        """Whether preset or port number tells how TLS begins."""
        return self.tls is not None or self.port in IMPLICIT_PORTS | STARTTLS_PORTS

    @property
    def implicit(self) -> bool:
        """Whether TLS comes before the greeting."""
        if self.tls is not None:
            return self.tls == "implicit"
        return self.port in IMPLICIT_PORTS


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened. `cause` refines the outcome and is the id of its finding."""

    place: Place
    address: Address | None
    outcome: Outcome
    cause: str
    milliseconds: int
    banner: str | None = None
    evidence: Document = field(default_factory=dict)

    def document(self) -> Document:
        return {
            "address": self.address.text if self.address else self.place.host,
            "family": self.address.family if self.address else None,
            "port": self.place.port,
            "outcome": self.outcome,
            "banner": self.banner,
            "milliseconds": self.milliseconds,
        }


_OF_KIND: dict[str, tuple[Outcome, str]] = {
    "refused": ("refused", "refused"),
    "timeout": ("timeout", "dropped"),
    "unreachable": ("unreachable", "unreachable"),
    "blocked": ("unreachable", "blocked-here"),
    "tls": ("open", "tls-fails"),
}

_Conversation = Callable[[Line], Coroutine[Any, Any, Heard]]


async def attempt(place: Place, address: Address, seconds: float) -> Attempt:
    """Dial, read the greeting, say EHLO, look at the certificate, say QUIT."""
    began = time.perf_counter()
    try:
        line, greeting = await _greeted(place, address, seconds)
    except Broken as broken:
        milliseconds = round((time.perf_counter() - began) * 1000)
        return _failed(place, address, broken, milliseconds)
    milliseconds = sum(line.milliseconds.values())
    try:
        found = await _converse(place, line, greeting)
        await line.quit()
    finally:
        line.close()
    outcome, cause, evidence = found
    evidence["milliseconds"] = line.milliseconds
    return Attempt(place, address, outcome, cause, milliseconds, greeting.text or None, evidence)


class _Unanswered(Broken):
    """The server took the connection, and no greeting came of it."""


async def _greeted(place: Place, address: Address, seconds: float) -> tuple[Line, Heard]:
    """The connection and its greeting; in clear or over TLS, the likelier way first."""
    in_clear, over_tls = _in_clear(seconds), _over_tls(place.host)
    if place.implicit:
        ways = [over_tls, in_clear]
    elif place.known:
        ways = [in_clear, over_tls]
    else:
        ways = [_in_clear(min(seconds, UNKNOWN_PORT_WAIT_SECONDS)), over_tls, in_clear]
    first: Broken | None = None
    for way in ways:
        try:
            line = await Line.dial(address, place.port, seconds)
        except Broken:
            if first is None:
                raise
            break
        try:
            return line, await way(line)
        except Broken as broken:
            line.close()
            first = first or broken
            if not _worth_another_way(place, broken, over_tls=way is over_tls):
                break
        except BaseException:
            line.close()
            raise
    assert first is not None
    raise _Unanswered(first.kind, str(first), heard=first.heard)


def _worth_another_way(place: Place, broken: Broken, *, over_tls: bool) -> bool:
    """Silence in clear may be a server that waits for TLS; no TLS, one that has greeted."""
    if over_tls:
        return broken.kind == "plain" or (broken.kind == "timeout" and place.implicit)
    return broken.kind in ("timeout", "closed") and not broken.heard


def _in_clear(seconds: float) -> _Conversation:
    return lambda line: line.reply("greeting", seconds)


def _over_tls(host: str) -> _Conversation:
    async def talk(line: Line) -> Heard:
        await line.handshake(_context(), host)
        return await line.reply("greeting")

    return talk


def _failed(place: Place, address: Address, broken: Broken, milliseconds: int) -> Attempt:
    evidence: Document = {"error": str(broken), "from_address": broken.source}
    outcome, cause = _OF_KIND.get(broken.kind, ("not-smtp", "no-mail-server"))
    banner = None
    if isinstance(broken, _Unanswered):
        if broken.kind == "timeout":
            cause = "no-greeting"
        elif broken.kind == "endless":
            cause = "endless-greeting"
        elif not broken.heard:
            cause = "closed-at-once"
        if broken.heard and broken.kind != "plain":
            banner = Heard(0, (broken.heard[:2000].decode("utf-8", "surrogateescape"),)).text
    return Attempt(place, address, outcome, cause, milliseconds, banner, evidence)


async def _converse(place: Place, line: Line, greeting: Heard) -> tuple[Outcome, str, Document]:
    """Who answers, by greeting, EHLO and certificate: outcome, cause, evidence."""
    implicit = line.tls is not None
    evidence: Document = {"tls": "implicit" if implicit else "none"}
    kind = service(greeting)
    if kind in ("pop3", "imap"):
        return "not-smtp", "mail-reading-port", {**evidence, "service": kind}
    if kind != "smtp":
        return "not-smtp", "no-mail-server", {**evidence, "service": kind}
    if not 200 <= greeting.code < 300:
        return "open", "greeting-refused", evidence
    if masks_banner(greeting.text):
        return "intercepted", "smtp-inspection", evidence
    broken = None
    try:
        await _look_further(place, line, evidence)
    except Broken as error:
        broken = error
    if evidence.get("product"):
        return "intercepted", "antivirus", evidence
    if masks_capabilities(evidence.get("capabilities", ())):
        return "intercepted", "smtp-inspection", evidence
    another = _another(place, greeting, evidence)
    if another and place.tls:
        return "intercepted", "another-name", evidence
    if broken is not None:
        evidence |= {"step": _step_after(line), "error": str(broken)}
        return "open", "breaks-off", evidence
    return "open", "another-name" if another else "open", evidence


def _step_after(line: Line) -> str:
    """The step that came to nothing, by those that were done."""
    if "handshake" in line.milliseconds:
        return "EHLO"
    if "starttls" in line.milliseconds:
        return "TLS"
    return "STARTTLS" if "ehlo" in line.milliseconds else "EHLO"


async def _look_further(place: Place, line: Line, evidence: Document) -> None:
    """EHLO, STARTTLS where it is offered, and the certificate; as far as the server goes along."""
    if line.tls is None:
        hello = await line.hello()
        evidence["capabilities"] = list(hello.lines[1:])
        if hello.code != 250 or "STARTTLS" not in map(str.upper, hello.lines[1:]):
            return
        evidence["tls"] = "starttls"
        if (await line.command("STARTTLS")).code != 220:
            return
        await line.handshake(_context(), place.host)
    _look_at_certificate(place, line, evidence)
    hello = await line.hello()
    evidence["capabilities"] = list(hello.lines[1:])


def _look_at_certificate(place: Place, line: Line, evidence: Document) -> None:
    from diagnose.checks.chain import fits, product_between, read_certificate, sent_chain

    if line.tls is None:
        return
    try:
        chain = [read_certificate(der) for der in sent_chain(line.tls)]
    except ValueError:
        return
    between = product_between(chain)
    if chain:
        evidence["issuer"] = chain[0].issuer
        evidence["certificate_fits"] = fits(chain[0], place.host)
    if between is not None:
        evidence["product"] = between.product
        evidence["source"] = between.source


def _another(place: Place, greeting: Heard, evidence: Document) -> bool:
    """Whether a server of another name answers, and no certificate proves it to be the right one.

    Of a bare address nothing is expected, nor of a name without a domain.
    """
    name = greeted_name(greeting)
    plain_host = "." not in place.host or place.host.rsplit(".", 1)[-1].isdigit()
    if name is None or plain_host or ":" in place.host or evidence.get("certificate_fits"):
        return False
    evidence["name"] = name
    return not same_owner(name, place.host)


@cache
def _context() -> Any:
    return seeing_context()
