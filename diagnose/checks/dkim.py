"""`diagnose dkim`: the keys of a domain, by selector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnose.checks.dkim_key import Key, is_key, parse_key
from diagnose.checks.dkim_relay import OwnKey, about, compare
from diagnose.checks.dkim_selectors import usual_selectors
from diagnose.domain import Domain, dns_failed, existence
from diagnose.finding import Examination, Finding, Severity, Table
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.spf.lookup import LookupFailed, texts
from diagnose.wording import Language, finding, say

_AT_ONCE = 12
_LEAST_BITS = 1024  # RFC 8301 section 3.2: shorter ones must not be used
_GOOD_BITS = 2048
_WILDCARD = 8  # so many usual selectors with the very same text are a wildcard record


@dataclass(frozen=True, slots=True)
class Selector:
    """What DNS holds for one selector: the texts of its name, `failure` where it did not say."""

    name: str
    host: str
    records: tuple[str, ...] = ()
    failure: LookupFailed | None = None


async def examine(
    domain: Domain,
    selectors: Sequence[str],
    circumstances: Circumstances,
    own: OwnKey | None = None,
) -> Examination:
    """The keys at `selectors`, or at the usual ones where none is given.

    `own` is what the relay signs with: its selector is looked at too, and its key compared.
    """
    content: dict[str, Any] = {"selectors": [], "tried": [], "relay": None}
    asked = _Asked(domain.name, tuple(selectors), own)

    async def check() -> Sequence[Finding]:
        return await _check(asked, circumstances, content)

    async def check_own(own: OwnKey) -> Sequence[Finding]:
        compared = await compare(own, circumstances)
        content["relay"] = compared.document()
        return [about(compared, circumstances.language)]

    language = circumstances.language
    checks = [Check(say("dkim/check", language, domain=domain.name), check)]
    if own is not None:
        title = say("dkim/check-relay", language, host=own.host)
        checks.append(Check(title, partial(check_own, own)))
    found = await run_checks(checks, circumstances)
    keys = ("selector", "type", "bits", "state")
    rows = [[entry[key] for key in keys] for entry in content["selectors"]]
    tables = [Table(tuple(say("dkim/headings", language).split("|")), rows)] if rows else []
    return Examination("dkim", domain.name, [*domain.notes, *found], content, tables)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A domain, and where to look; without `selectors` at the usual ones and the relay's."""

    domain: str
    selectors: tuple[str, ...]
    own: OwnKey | None

    @property
    def own_selector(self) -> str | None:
        """The relay's own, where its key is one of this very domain."""
        at_home = self.own is not None and self.own.domain == self.domain
        return self.own.selector if self.own is not None and at_home else None

    def names(self) -> tuple[str, ...]:
        own = [self.own_selector] if self.own_selector else []
        return tuple(dict.fromkeys(self.selectors or (*own, *usual_selectors())))


async def _check(
    asked: _Asked, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    domain = asked.domain
    wrong = await existence(domain, circumstances)
    if wrong is not None:
        return [wrong]
    guessed = not asked.selectors
    names = asked.names()
    content["tried"] = list(names)
    found = await look_up(domain, names, circumstances)
    failed = [each for each in found if each.failure is not None]
    present = [each for each in found if any(map(is_key, each.records))]
    wildcard = guessed and len(present) >= _WILDCARD and len({it.records for it in present}) == 1
    if wildcard:
        present = present[:1]
    absent = [] if guessed else [each for each in found if each not in (*failed, *present)]
    content["selectors"] = [_document(each) for each in present]
    language = circumstances.language
    findings = [one for each in present for one in _about(each, domain, guessed, language)]
    # What is to be said of the relay's own is said by the comparison.
    findings += [
        _missing(each, domain, language) for each in absent if each.name != asked.own_selector
    ]
    if wildcard:
        record = present[0].records[0]
        findings.append(
            finding("dkim/dkim-wildcard", Severity.INFO, language, domain=domain, record=record)
        )
    if failed and failed[0].failure is not None:
        findings.append(dns_failed(failed[0].failure, language))
    elif not present and guessed and asked.own is None:
        evidence = {"domain": domain, "count": len(names), "selectors": ", ".join(names)}
        findings.append(finding("dkim/dkim-not-found", Severity.UNKNOWN, language, **evidence))
    return findings


async def look_up(
    domain: str, selectors: Sequence[str], circumstances: Circumstances
) -> list[Selector]:
    """What stands at each selector of `domain`, asked side by side."""
    resolver = circumstances.resolver()
    limit = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str) -> Selector:
        host = f"{name}._domainkey.{domain}"
        async with limit:
            try:
                return Selector(name, host, await texts(resolver, host) or ())
            except LookupFailed as failure:
                return Selector(name, host, failure=failure)

    return list(await asyncio.gather(*map(ask, selectors)))


def keys_of(selector: Selector) -> list[Key]:
    """The key records at a selector; receivers need exactly one."""
    return [parse_key(record) for record in selector.records if is_key(record)]


def _state(keys: Sequence[Key]) -> str:
    """ok, or what is wrong, as a slug."""
    if len(keys) > 1:
        return "several"
    key = keys[0]
    if key.fault is not None:
        return key.fault
    if key.revoked:
        return "revoked"
    if key.type == "rsa" and (key.bits or 0) < _LEAST_BITS:
        return "too-short"
    if key.type == "rsa" and (key.bits or 0) < _GOOD_BITS:
        return "short"
    return "testing" if key.testing else "ok"


def _document(selector: Selector) -> dict[str, Any]:
    keys = keys_of(selector)
    first = keys[0]
    return {
        "selector": selector.name,
        "host": selector.host,
        "state": _state(keys),
        "type": first.type,
        "bits": first.bits,
        "revoked": first.revoked,
        "testing": first.testing,
        "record": first.record,
    }


_FAULTS = ("tags", "version", "type", "service", "no-key", "key")
_SEVERITY = {
    "ok": Severity.OK,
    "testing": Severity.WARNING,
    "short": Severity.WARNING,
    "too-short": Severity.ERROR,
    "several": Severity.ERROR,
}


def _about(selector: Selector, domain: str, guessed: bool, language: Language) -> list[Finding]:
    """The findings about the key at one selector."""
    keys = keys_of(selector)
    state, key = _state(keys), keys[0]
    evidence: dict[str, object] = {
        "domain": domain,
        "selector": selector.name,
        "host": selector.host,
        "type": key.type,
        "bits": key.bits,
        "record": key.record,
    }
    if state in _FAULTS:
        fault = say(f"dkim/fault-{state}", language)
        return [finding("dkim/dkim-syntax", Severity.ERROR, language, **evidence, fault=fault)]
    if state == "revoked":
        # An old selector is left behind so; only the one in use must hold a key.
        severity = Severity.INFO if guessed else Severity.ERROR
        return [finding("dkim/dkim-revoked", severity, language, **evidence)]
    found = [finding(f"dkim/dkim-{state}", _SEVERITY[state], language, **evidence)]
    if key.testing and state in ("short", "too-short"):
        found.append(finding("dkim/dkim-testing", Severity.WARNING, language, **evidence))
    return found


def _missing(selector: Selector, domain: str, language: Language) -> Finding:
    evidence = {"domain": domain, "selector": selector.name, "host": selector.host}
    if selector.records:
        evidence |= {"record": selector.records[0], "fault": say("dkim/fault-no-key", language)}
        return finding("dkim/dkim-syntax", Severity.ERROR, language, **evidence)
    return finding("dkim/dkim-missing", Severity.ERROR, language, **evidence)
