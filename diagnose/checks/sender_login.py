"""What the provider itself says of an address: one login, MAIL, RSET, and never further."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from diagnose.account import Chosen
from diagnose.checks.auth import obstacle_to, untold
from diagnose.dialogue import Dialogue, open_dialogue
from diagnose.domain import Address
from diagnose.finding import Finding, Severity
from diagnose.refusal import no_connection, refusal
from diagnose.runner import Circumstances
from diagnose.spf.lookup import LookupFailed, pointers
from diagnose.spf.macro import reverse_name
from diagnose.spf.names import same_or_below
from diagnose.wording import Language, finding
from presets.catalog import catalog
from presets.explain import Phase, judge
from presets.model import Preset
from presets.reply import Reply
from presets.verdict import Scope
from relay.smarthost.connect import Connection
from relay.smarthost.exchange import ExchangeLost

# What servers say to a line that is not of their own customers.
_NOT_OUR_LINE = frozenset({"relay-denied", "relay-ip-not-registered", "ip-not-authorised"})
_PARTING_SECONDS = 5
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it. `taken` None: it did not come to MAIL, or the server gave no clear answer."""

    findings: tuple[Finding, ...]
    taken: bool | None = None
    reply: Reply | None = None


async def ask_provider(
    address: Address, preset: Preset, chosen: Chosen, circumstances: Circumstances
) -> Asked:
    """Log in once and try `address` as the reverse-path."""
    obstacle = await obstacle_to(chosen, circumstances, force=False)
    if obstacle is not None:
        return Asked((obstacle,))
    dialogue = await open_dialogue(chosen.smarthost, chosen.hostname, circumstances)
    language = circumstances.language
    line = await _foreign_line(dialogue, preset, circumstances)
    if dialogue.connection is None:
        return Asked((*line, *_no_login(dialogue, preset, chosen, language)))
    reply = await _try(dialogue, dialogue.connection, address, circumstances)
    if reply is None:
        lost = finding("sender/mail-lost", Severity.UNKNOWN, language, host=chosen.smarthost.host)
        return Asked((*line, lost))
    if reply.positive:
        evidence = {"address": str(address), "host": chosen.smarthost.host, "reply": str(reply)}
        taken = finding("sender/mail-taken", Severity.INFO, language, **evidence)
        return Asked((*line, taken), True, reply)
    refused = refusal(
        "sender/mail-refused", reply, Phase.MAIL, chosen, language, address=str(address)
    )
    found = [*line, refused, *_line_refused(reply, Phase.MAIL, preset, language)]
    about_sender = judge(reply, provider=preset.id, phase=Phase.MAIL).scope is Scope.SENDER
    return Asked(tuple(found), False if about_sender else None, reply)


async def _try(
    dialogue: Dialogue, connection: Connection, address: Address, circumstances: Circumstances
) -> Reply | None:
    """The reply to MAIL; None where the connection was lost. Nothing is left open behind it."""
    exchange, seconds = connection.exchange, circumstances.timeout_seconds
    try:
        line = f"MAIL FROM:<{address}>".encode()
        reply = await dialogue.play("mail", exchange.command(line, seconds))
        if reply.positive:
            await dialogue.play("rset", exchange.command(b"RSET", seconds))
    except ExchangeLost:
        return None
    finally:
        if exchange.usable:
            await exchange.quit(min(seconds, _PARTING_SECONDS))
        else:
            exchange.abort("done")
    return reply


def _no_login(
    dialogue: Dialogue, preset: Preset, chosen: Chosen, language: Language
) -> Iterator[Finding]:
    yield no_connection(dialogue, chosen, language)
    yield from untold(dialogue, chosen, language)
    failure = dialogue.failure
    if failure is not None and failure.reply is not None:
        yield from _line_refused(failure.reply, failure.phase, preset, language)


def _line_refused(
    reply: Reply, phase: Phase, preset: Preset, language: Language
) -> Iterator[Finding]:
    """The server's own word that this line is not of its customers."""
    cause = judge(reply, provider=preset.id, phase=phase).cause
    if preset.kind == "isp" and cause in _NOT_OUR_LINE:
        evidence = {"name": preset.short_name, "sign": str(reply)}
        yield finding("sender/not-on-provider-network", Severity.ERROR, language, **evidence)


async def _foreign_line(
    dialogue: Dialogue, preset: Preset, circumstances: Circumstances
) -> list[Finding]:
    """Whether the public address that the server saw is a line of another access provider.

    Many servers greet with it in their reply to EHLO; its PTR name tells whose it is.
    """
    greetings = [step.reply.text for step in dialogue.steps if step.name == "ehlo" and step.reply]
    seen = [text for greeting in greetings for text in _IPV4.findall(greeting)]
    public = next((text for text in seen if _is_public(text)), None)
    if public is None or preset.kind != "isp":
        return []
    try:
        names = await pointers(circumstances.resolver(), reverse_name(ip_address(public)))
    except LookupFailed:
        return []
    owner = next((it for it in catalog() if it.kind == "isp" and _is_of(names, it)), None)
    if owner is None or _is_of(names, preset):
        return []
    evidence = {"name": preset.short_name, "sign": f"{public} = {names[0]} ({owner.short_name})"}
    language = circumstances.language
    return [finding("sender/not-on-provider-network", Severity.INFO, language, **evidence)]


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False


def _is_of(names: tuple[str, ...], preset: Preset) -> bool:
    return any(same_or_below(name, domain) for name in names for domain in preset.mail_domains)
