"""The examinations that a report joins: what to run for a configuration, and for a domain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from diagnose.account import Chosen
from diagnose.domain import Address, BadName, Domain, parse_address, parse_domain
from diagnose.finding import Document, Examination, Finding
from diagnose.relay_config import smarthost_presets
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.wording import Language, say
from presets.catalog import catalog
from presets.model import Preset
from relay.config.model import Config, SenderPolicy, Smarthost, TlsMode

MOST_DOMAINS = 5

_SHARE = 0.9  # of the time: a part reaches its own limit first, and what it found is kept


@dataclass(frozen=True, slots=True)
class Part:
    """One examination: its command, what it is about, of which smarthost, and the work.

    It begins when the parts whose command is `after` have ended.
    """

    command: str
    target: str
    work: Callable[[Circumstances], Awaitable[Examination]]
    smarthost: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A part that has run. Where the work failed, only the finding that says so."""

    part: Part
    examination: Examination
    seconds: float

    def document(self) -> Document:
        return self.examination.document(self.seconds)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the options say: the senders of SPF beside the smarthosts, and whether to log in."""

    vias: tuple[str, ...] = ()
    ordernow: bool = True
    login: bool = True
    smarthosts: Mapping[str, str] = field(default_factory=dict)
    selectors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of the DKIM keys that the relay signs with, by domain; else the usual ones are looked at."""
    config: Config | None = None
    """Whose DKIM keys are compared with DNS."""


async def run_parts(parts: Sequence[Part], circumstances: Circumstances) -> list[Done]:
    """All parts side by side, in the order given; a failure of one hides no other."""
    inner = replace(circumstances, timeout_seconds=circumstances.timeout_seconds * _SHARE)
    done: dict[int, Done] = {}
    ended = [asyncio.Event() for _ in parts]

    def check(number: int, part: Part) -> Check:
        first = [end for end, each in zip(ended, parts, strict=True) if each.command == part.after]

        async def run() -> Sequence[Finding]:
            try:
                await asyncio.gather(*(end.wait() for end in first))
                began = time.perf_counter()
                found = await part.work(inner)
                done[number] = Done(part, found, time.perf_counter() - began)
            finally:
                ended[number].set()
            return ()

        return Check(f"{part.command} {part.target}", run)

    began = time.perf_counter()
    unfinished = iter(await run_checks([check(*pair) for pair in enumerate(parts)], circumstances))
    for number, part in enumerate(parts):
        if number not in done:
            failed = Examination(part.command, part.target, [next(unfinished)])
            done[number] = Done(part, failed, time.perf_counter() - began)
    return [done[number] for number in range(len(parts))]


def parts_of_config(config: Config, wishes: Wishes, language: Language) -> list[Part]:
    """Each smarthost's connection, TLS and login; then the domains that it all sends for."""
    parts: list[Part] = []
    logins: set[tuple[str, str]] = set()
    for smarthost in config.smarthosts:
        parts += _of_connection(smarthost, language)
        # One password is tried once, however many smarthosts use it.
        if wishes.login and smarthost.account is not None and smarthost.account not in logins:
            logins.add(smarthost.account)
            parts.append(_login(smarthost, config))
    selectors = {key.domain: [key.selector] for key in config.dkim}
    every = replace(
        wishes, smarthosts=smarthost_presets(config), selectors=selectors, config=config
    )
    for domain in sending_domains(config, language):
        parts += _of_domain(domain, every)
    return [*parts, *_of_senders(config, language)]


def parts_of_domain(domain: Domain, wishes: Wishes) -> list[Part]:
    """SPF, DMARC and DKIM of a domain; without a provider named, which one its mail is at."""
    parts = [*_of_domain(domain, wishes)]
    if wishes.vias:
        return parts

    async def discover(circumstances: Circumstances) -> Examination:
        from diagnose.checks.discover import examine

        return await examine(Address("postmaster", domain.name), circumstances)

    return [*parts, Part("presets discover", domain.name, discover)]


def sending_domains(config: Config, language: Language) -> list[Domain]:
    """The domains that the relay sends for, at most five; those of providers are not the owner's."""
    found: dict[str, Domain] = {}
    for address in _sender_addresses(config):
        try:
            domain = parse_domain(address.rpartition("@")[2], language)
        except BadName:
            continue
        if catalog().by_domain(domain.name) is None:
            found.setdefault(domain.name, domain)
    return list(found.values())[:MOST_DOMAINS]


def server_text(smarthost: Smarthost) -> str:
    """As `diagnose connect` takes it."""
    host = f"[{smarthost.host}]" if ":" in smarthost.host else smarthost.host
    return f"{host}:{smarthost.port}"


def _sender_addresses(config: Config) -> Iterator[str]:
    policies = [config.sender, *(each.policy for each in config.routes)]
    policies += [each.sender for each in config.clients]
    policies += [each.sender for each in config.smarthosts]
    yield from (each.address for each in policies if each is not None and each.address)
    for smarthost in config.smarthosts:
        yield from (each for each in smarthost.allowed_senders if "@" in each)
        if smarthost.username is not None and "@" in smarthost.username:
            yield smarthost.username
    yield from (f"postmaster@{each.domain}" for each in config.dkim)


def _of_connection(smarthost: Smarthost, language: Language) -> Iterator[Part]:
    from diagnose.target import read_target

    server = server_text(smarthost)

    async def connect(circumstances: Circumstances) -> Examination:
        from diagnose.checks.connect import examine_connect

        return await examine_connect(read_target(server, language), circumstances)

    async def tls(circumstances: Circumstances) -> Examination:
        from diagnose.checks.tls import examine_tls

        own = replace(circumstances, ca_file=circumstances.ca_file or smarthost.ca_file)
        return await examine_tls(read_target(server, language), own)

    yield Part("connect", server, connect, smarthost.name)
    if smarthost.tls is not TlsMode.NONE:
        yield Part("tls", server, tls, smarthost.name)


def _login(smarthost: Smarthost, config: Config) -> Part:
    async def auth(circumstances: Circumstances) -> Examination:
        from diagnose.checks.auth import examine_login

        own = replace(smarthost, ca_file=circumstances.ca_file or smarthost.ca_file)
        chosen = Chosen(smarthost.name, own, config.hostname, config)
        return await examine_login(chosen, circumstances)

    return Part("auth", smarthost.name, auth, smarthost.name)


def _of_domain(domain: Domain, wishes: Wishes) -> Iterator[Part]:
    async def spf(circumstances: Circumstances) -> Examination:
        return await _spf(domain, wishes, circumstances)

    async def dmarc(circumstances: Circumstances) -> Examination:
        from diagnose.checks.dmarc import examine

        return await examine(domain, circumstances)

    async def dkim(circumstances: Circumstances) -> Examination:
        from diagnose.checks.dkim import examine
        from diagnose.checks.dkim_relay import own_key

        own = own_key(wishes.config, domain.name)
        selectors = wishes.selectors.get(domain.name, ())
        return await examine(domain, selectors, circumstances, own)

    yield Part("spf", domain.name, spf)
    yield Part("dmarc", domain.name, dmarc)
    yield Part("dkim", domain.name, dkim)


async def _spf(domain: Domain, wishes: Wishes, circumstances: Circumstances) -> Examination:
    from diagnose.spf.coverage import Senders
    from diagnose.spf.examination import examine_spf

    language = circumstances.language
    found = await examine_spf(
        domain.name,
        senders=Senders(wishes.vias, (), wishes.smarthosts, wishes.ordernow),
        resolver=circumstances.resolver(),
        language=language,
    )
    keys = found.document_keys
    lines = [say("report/spf-record", language, record=keys["record"] or "-")]
    if keys["suggestion"] and keys["suggestion"]["verified"]:
        lines.append(say("report/spf-publish", language, record=keys["suggestion"]["record"]))
    return Examination("spf", domain.name, found.findings, keys, lines=lines)


def _of_senders(config: Config, language: Language) -> Iterator[Part]:
    """May each smarthost send as the address that mail leaves with; nobody logs in for it."""
    for smarthost in config.smarthosts[:MOST_DOMAINS]:
        address = _sender_of(smarthost, config.sender)
        if smarthost.preset is None or address is None:
            continue
        try:
            parsed = parse_address(address, language)
        except BadName:
            continue
        preset = catalog().resolve(smarthost.preset).preset
        work = partial(_sender, parsed, preset, smarthost.username, config)
        yield Part("sender", f"{parsed} via {preset.id}", work, smarthost.name)


async def _sender(
    address: Address,
    preset: Preset,
    username: str | None,
    config: Config,
    circumstances: Circumstances,
) -> Examination:
    from diagnose.checks.dkim_relay import own_key
    from diagnose.checks.sender import Question, examine

    own = own_key(config, address.domain)
    return await examine(Question(address, preset, username, own=own), circumstances)


def _sender_of(smarthost: Smarthost, general: SenderPolicy) -> str | None:
    policy = smarthost.sender or general
    named = [each for each in smarthost.allowed_senders if "@" in each and "*" not in each]
    login = smarthost.username if "@" in (smarthost.username or "") else None
    return policy.address or next(iter(named), None) or login
